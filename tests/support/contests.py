"""Comparisons of servers whose figures are drawn, for the tests of what is made of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from loadmux.comparing.contest import Contest, Figures, Out, Point
from loadmux.comparing.entrants import Entrant
from loadmux.comparing.rounds import compete, settled

POINTS = (Point(10, 10),)
Drawn = Callable[[random.Random, Point], Figures | Out]
"""What an entrant measures in a round."""


def figures(rate: float, cpu: float = 30e-6, limited: bool = False) -> Figures:
    return Figures(rate, 5 / rate, 20 / rate, cpu, limited)


def steady(rate: float, noise: float = 0.05) -> Drawn:
    """So many exchanges a second, but for the noise."""
    return lambda rng, point: figures(
        rate * rng.gauss(1, noise), 0.6 / rate * rng.gauss(1, noise / 2)
    )


def contest(
    drawn: Mapping[str, Drawn],
    points: tuple[Point, ...] = POINTS,
    seed: int = 1,
    budget: float = 1e9,
    stop_after: int = 10**6,
) -> Contest:
    """A whole comparison; it is interrupted after so many measurements."""
    rng, count = random.Random(seed), 0
    entrants = [Entrant(name, name, name) for name in drawn]
    machine = {"cores": "2"}
    found = Contest(entrants, points, "users", "an echo", 1.0, machine=machine)

    def measure(entrant: Entrant, point: Point) -> Figures | Out:
        nonlocal count
        count += 1
        return drawn[entrant.name](rng, point)

    compete(found, measure, budget, lambda: count > stop_after, lambda *told: None, settled)
    return found
