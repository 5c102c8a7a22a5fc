"""How the starts of open load are shared anew, by itself; whole ones run in tests/e2e."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from loadmux.driver.crowd import Division, shares
from loadmux.driver.pacer import Rate

SPEED = st.integers(0, 400).map(float)
RATES = st.builds(Rate, SPEED, st.integers(1, 400).map(float), st.floats(0.1, 3.0))
WORKERS = st.sets(st.integers(0, 5), min_size=1)
"""Who is there."""


@given(RATES, st.floats(0, 2), WORKERS, st.lists(st.tuples(st.floats(0, 6), WORKERS), max_size=4))
def test_whoever_comes_and_goes_each_start_is_somebodys(
    rate: Rate, offset: float, first: set[int], changes: list[tuple[float, set[int]]]
) -> None:
    history = [(0.0, first), *sorted(changes, key=lambda change: change[0])]
    taken = [
        number
        for worker in range(6)
        for number in chain.from_iterable(
            shares(rate, offset, [share(at, present, worker) for at, present in history])
        )
    ]
    assert sorted(taken) == list(range(rate.count))


def share(at: float, present: set[int], worker: int) -> Division:
    place = sorted(present).index(worker) if worker in present else None
    return Division(at, place, len(present))


@given(RATES, st.floats(0, 3))
def test_a_worker_that_leaves_has_nothing_after_its_time(rate: Rate, at: float) -> None:
    mine, none = shares(rate, 0.0, [Division(0.0, 0, 1), Division(at, None, 2)])
    assert all(rate.due(number) < at for number in mine)
    assert not none
