"""A schedule and its shares, by themselves; whole pools run in tests/e2e/test_load.py."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from loadmux.driver.pacer import Rate, Users
from loadmux.driver.schedule import Schedule, Stage

BEGIN = 1000.0
SPEED = st.integers(0, 400).map(float)
RATES = st.builds(Rate, SPEED, st.integers(1, 400).map(float), st.floats(0.1, 3.0))


def shares(rate: Rate, most: int, workers: int) -> list[Schedule]:
    """Those of the workers that have a user for it."""
    stages = [Stage(rate, most, first, workers) for first in range(workers)]
    return [Schedule(rate, stage.starts(rate), BEGIN) for stage in stages if stage.users(most)]


@given(RATES, st.integers(1, 9), st.integers(1, 5))
def test_all_shares_together_are_the_schedule(rate: Rate, most: int, workers: int) -> None:
    taken = []
    for schedule in shares(rate, most, workers):
        while schedule.due != inf:
            taken.append(schedule.take())
    assert sorted(taken) == [BEGIN + rate.due(number) for number in range(rate.count)]


@given(RATES, st.integers(1, 5), st.lists(st.floats(0, 3.5), max_size=9))
def test_each_start_is_taken_or_abandoned_once(
    rate: Rate, workers: int, moments: list[float]
) -> None:
    taken = abandoned = 0
    for schedule in shares(rate, 9, workers):
        for moment in sorted(moments):
            abandoned += schedule.abandon(BEGIN + moment)
            assert schedule.due >= BEGIN + moment
            if schedule.due != inf:
                schedule.take()
                taken += 1
        abandoned += schedule.abandon(inf)
        assert schedule.due == inf
    assert taken + abandoned == rate.count


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 7))
def test_each_user_belongs_to_one_worker(most: int, wanted: int, workers: int) -> None:
    pacer = Users(most, most, 1.0)
    stages = [Stage(pacer, most, first, workers) for first in range(workers)]
    assert sum(stage.users(wanted) for stage in stages) == wanted


@given(
    RATES,
    st.integers(1, 5),
    st.lists(st.floats(0, 3.5), max_size=8),
    st.lists(st.floats(0, 3.5), max_size=9),
)
def test_each_start_is_taken_abandoned_or_missed_once(
    rate: Rate, workers: int, changes: list[float], moments: list[float]
) -> None:
    taken, counted = [], 0
    changes = [BEGIN + change for change in sorted(changes)]
    stops = list(zip(changes[::2], changes[1::2], strict=False))
    for schedule in shares(rate, 9, workers):
        for since, until in stops:
            counted += schedule.miss(since, until)
        for moment in sorted(moments):
            counted += schedule.abandon(BEGIN + moment)
            if schedule.due != inf:
                taken.append(schedule.take())
        while schedule.due != inf:
            taken.append(schedule.take())
    assert len(taken) + counted == rate.count
    # A start is due, and a stop begins, at a sum of floats: they are apart by more than rounding.
    assert not [due for due in taken if any(since + 1e-9 < due < until for since, until in stops)]


def test_a_backlog_from_before_a_stop_is_not_missed() -> None:
    (schedule,) = shares(Rate(10.0, 10.0, 2.0), 9, 1)
    assert schedule.miss(BEGIN + 0.5, BEGIN + 1.0) == 5
    due = [round(schedule.take() - BEGIN, 1) for _ in range(6)]
    assert due == [0.0, 0.1, 0.2, 0.3, 0.4, 1.0]
