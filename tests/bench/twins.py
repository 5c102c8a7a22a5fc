"""python tests/bench/twins.py [--comparisons N]: what `compare` makes of twins, simulated.

Pairs of series with the noise of real trials go through the looks of `compare`: independent noise,
noise with heavy tails, one that drifts over the blocks and slows down who comes second, and one
with long bursts, in which a neighbour takes the machine. Twins must be a tie in 95 of 100 over the
whole budget, by the rate and by the CPU together; one that is a tenth slower must be told. Prints
for each kind of noise and each number of blocks in the budget how many differences were found.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator

from loadmux.comparing.contest import in_order
from loadmux.comparing.paired import LOOKS, ratio

SLOWER = 0.9
BLOCKS = (9, 20, 80)
"""In a budget: 20 s, three quarters of a minute, three minutes, where a turn takes 1.1 s."""
NOISE = 0.08
"""Of one trial: half a second of a busy machine."""

Noise = Callable[[random.Random], Iterator[float]]
"""What multiplies the figures of one turn after the other."""


def independent(rng: random.Random) -> Iterator[float]:
    while True:
        yield rng.gauss(1, NOISE)


def heavy_tails(rng: random.Random) -> Iterator[float]:
    """One in ten is far too slow."""
    while True:
        yield rng.gauss(1, NOISE / 2) * (rng.uniform(0.4, 0.9) if rng.random() < 0.1 else 1)


def drifting(rng: random.Random) -> Iterator[float]:
    """The second of two is 3% slower, and all get slower and slower."""
    turn = 0
    while True:
        yield rng.gauss(1, NOISE / 2) * (0.97 if turn % 2 else 1) / (1 + 0.005 * turn)
        turn += 1


def bursts(rng: random.Random) -> Iterator[float]:
    """A neighbour comes and goes, and stays for six turns or so."""
    there = False
    while True:
        there = there if rng.random() < 5 / 6 else not there
        yield rng.gauss(1, NOISE / 2) * (0.6 if there else 1)


NOISES: dict[str, Noise] = {
    "independent": independent,
    "heavy tails": heavy_tails,
    "drifting": drifting,
    "bursts": bursts,
}


def told(rng: random.Random, noise: Noise, factor: float, blocks: int) -> bool:
    """Whether a difference is found within so many blocks, at a look or at the end."""
    turns = noise(rng)
    series: list[dict[int, float]] = [{}, {}]
    for number in range(blocks):
        for entrant, _ in in_order([(0, 0), (1, 0)], number):
            series[entrant][number] = max(next(turns), 0.01) * (factor if entrant else 1)
        if number + 1 in LOOKS or number + 1 == blocks:
            found = ratio(*series)
            if found is not None and found.differs:
                return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparisons", type=int, default=200)
    count = parser.parse_args().comparisons
    print(f"{'noise':<12}  {'blocks':>6}  {'twins told apart':>16}  {'a tenth slower, told':>20}")
    for name, noise in NOISES.items():
        for blocks in BLOCKS:
            rng = random.Random(f"{name} {blocks}")
            # by the rate or by the CPU: two chances to be wrong
            wrong = sum(any(told(rng, noise, 1.0, blocks) for _ in range(2)) for _ in range(count))
            right = sum(told(rng, noise, SLOWER, blocks) for _ in range(count))
            print(f"{name:<12}  {blocks:>6}  {wrong / count:>16.1%}  {right / count:>20.1%}")


if __name__ == "__main__":
    main()
