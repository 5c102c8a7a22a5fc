"""The pacers: when users and iterations begin, as tables and as properties."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadmux.driver.pacer import Rate, Users

USERS = st.builds(Users, st.integers(0, 200), st.integers(0, 200), st.floats(0.01, 100))
SPEED = st.floats(0, 5000, allow_subnormal=False).map(lambda value: round(value, 3))
RATES = st.builds(Rate, SPEED, SPEED, st.floats(0.01, 20))


@pytest.mark.parametrize(
    ("users", "elapsed", "wanted"),
    [
        (Users(50, 50, 10.0), 0.0, 50),
        (Users(50, 50, 10.0), 9.9, 50),
        (Users(0, 0, 10.0), 5.0, 0),
        (Users(0, 500, 10.0), 0.0, 1),
        (Users(0, 500, 10.0), 5.0, 251),
        (Users(0, 500, 10.0), 9.99, 500),
        (Users(0, 500, 10.0), 10.0, 500),
        (Users(10, 20, 10.0), 0.0, 11),
        (Users(10, 20, 10.0), 0.99, 11),
        (Users(10, 20, 10.0), 1.0, 12),
        (Users(20, 10, 10.0), 0.0, 20),
        (Users(20, 10, 10.0), 0.99, 20),
        (Users(20, 10, 10.0), 1.0, 19),
        (Users(20, 0, 10.0), 9.99, 1),
        (Users(20, 0, 10.0), 10.0, 0),
    ],
)
def test_users_wanted(users: Users, elapsed: float, wanted: int) -> None:
    assert users.wanted(elapsed) == wanted


@pytest.mark.parametrize(
    ("pacer", "elapsed", "started", "wait"),
    [
        (Users(5, 5, 10.0), 0.0, 0, 0.0),
        (Users(5, 5, 10.0), 0.0, 4, 0.0),
        (Users(5, 5, 10.0), 0.0, 5, None),
        (Users(0, 10, 10.0), 0.0, 0, 0.0),
        (Users(0, 10, 10.0), 0.25, 1, 0.75),
        (Users(0, 10, 10.0), 3.0, 1, 0.0),
        (Users(0, 10, 10.0), 9.5, 10, None),
        (Users(10, 0, 10.0), 0.0, 10, None),
        (Rate(100, 100, 2.0), 0.0, 0, 0.0),
        (Rate(100, 100, 2.0), 0.0, 1, 0.01),
        (Rate(100, 100, 2.0), 0.5, 10, 0.0),
        (Rate(100, 100, 2.0), 1.0, 150, 0.5),
        (Rate(100, 100, 2.0), 1.0, 200, None),
        (Rate(0, 100, 2.0), 0.5, 25, 0.5),
        (Rate(0.5, 0.5, 3.0), 1.5, 1, 0.5),
    ],
)
def test_pace(pacer: Users | Rate, elapsed: float, started: int, wait: float | None) -> None:
    assert pacer.pace(elapsed, started) == (None if wait is None else pytest.approx(wait))


@pytest.mark.parametrize(
    ("rate", "count", "number", "due"),
    [
        (Rate(5000, 5000, 10.0), 50_000, 49_999, 9.9998),
        (Rate(0.1, 0.1, 3.0), 1, 0, 0.0),
        (Rate(0.1, 0.1, 3.0), 1, 1, inf),
        (Rate(0, 100, 2.0), 100, 25, 1.0),
        (Rate(0, 100, 2.0), 100, 100, inf),
        (Rate(100, 0, 2.0), 100, 75, 1.0),
        (Rate(100, 2000, 10.0), 10_500, 0, 0.0),
        (Rate(1 / 3, 1 / 3, 3.0), 1, 1, inf),
    ],
)
def test_rates(rate: Rate, count: int, number: int, due: float) -> None:
    assert rate.count == count
    assert rate.due(number) == pytest.approx(due)


@given(RATES, st.floats(0, 1))
def test_a_start_is_where_the_integral_of_the_rate_reaches_its_number(
    rate: Rate, share: float
) -> None:
    assume(rate.first + rate.last > 0)
    number = int(share * (rate.count - 1))
    assert rate.integral(rate.due(number)) == pytest.approx(number, rel=1e-6, abs=1e-6)


@given(RATES, st.floats(0, 1.1))
def test_starts_follow_each_other_and_all_come_before_the_end(rate: Rate, share: float) -> None:
    assume(0 < (rate.first + rate.last) * rate.seconds < 20_000)
    dues = [rate.due(number) for number in range(rate.count)]
    assert dues[0] == 0.0
    assert dues == sorted(dues)
    assert dues[-1] <= rate.seconds
    assert rate.due(rate.count) == inf
    elapsed = share * rate.seconds
    assert rate.until(elapsed) == sum(due < elapsed for due in dues)


@given(RATES, st.lists(st.floats(0, 1), max_size=30))
def test_who_asks_how_often_changes_nothing(rate: Rate, asked: list[float]) -> None:
    """A clock that stops at odd moments makes the same starts as one that runs through."""
    assume(0 < (rate.first + rate.last) * rate.seconds < 5_000)
    started = 0
    for share in sorted(asked):
        elapsed = share * rate.seconds
        while rate.pace(elapsed, started) == 0.0:
            started += 1
        wait = rate.pace(elapsed, started)
        assert wait == rate.pace(elapsed, started)
        assert wait is None or wait > 0
        assert started == sum(rate.due(number) <= elapsed for number in range(rate.count))


@given(RATES, st.integers(1, 5))
def test_workers_that_take_every_nth_number_start_each_iteration_once(
    rate: Rate, workers: int
) -> None:
    assume(0 < (rate.first + rate.last) * rate.seconds < 5_000)
    shares = [range(first, rate.count, workers) for first in range(workers)]
    assert sorted(number for share in shares for number in share) == list(range(rate.count))


@given(USERS, st.floats(0, 1))
def test_the_number_of_users_stays_between_the_ends_and_goes_one_way(
    users: Users, share: float
) -> None:
    low, high = sorted((users.first, users.last))
    elapsed = share * users.seconds
    wanted = users.wanted(elapsed)
    assert low <= wanted <= high
    later = users.wanted(elapsed + users.seconds / 10)
    assert later == wanted or (later > wanted) == (users.last > users.first)
    assert users.wanted(users.seconds) == users.last


@given(USERS, st.floats(0, 0.99))
def test_the_number_of_users_changes_when_it_is_said_to(users: Users, share: float) -> None:
    wanted = users.wanted(share * users.seconds)
    change = users.changes(wanted)
    if change == inf:
        assert wanted == users.last
        return
    assert change >= share * users.seconds * (1 - 1e-9)
    assert users.wanted(change + users.seconds * 1e-6) != wanted


def test_shrinking_from_both_ends_of_a_ramp() -> None:
    users = Users(3, 0, 3.0)
    assert [users.changes(wanted) for wanted in (3, 2, 1, 0)] == [1.0, 2.0, 3.0, inf]
