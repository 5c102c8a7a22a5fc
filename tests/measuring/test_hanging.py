"""Which waits at the end of a run are too long to be a success."""

from __future__ import annotations

import pickle

import pytest

from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.hanging import Hanging, overdue
from loadmux.measuring.stats import Stats
from loadmux.measuring.verdict import Outcome, judge


def hanging(*waits: float, served: bool = True, timeout: float = 5.0) -> Hanging:
    found = Hanging()
    for seconds in waits:
        found.add(seconds, f"what took {seconds:g}", timeout, served)
    return found


@pytest.mark.parametrize(
    ("waited", "right", "too_long"),
    [
        (1.0, 0.01, True),  # a hundred times as long as any reply took
        (0.9, 0.01, False),  # below any suspicion
        (1.4, 0.5, False),  # a slow server, cut off
        (1.5, 0.5, True),
        (3.9, 2.0, False),  # three times 2 s would be beyond the time-out
        (4.5, 2.0, True),
        (4.9, 4.0, False),  # a server whose every reply takes 4 s
    ],
)
def test_a_user_that_was_served_before(waited: float, right: float, too_long: bool) -> None:
    found = overdue("ask", hanging(waited), right, right)
    assert (found is not None) is too_long


@pytest.mark.parametrize(
    ("waited", "right", "too_long"),
    [(1.0, 0.01, True), (2.4, 2.0, False), (2.5, 2.0, True), (4.9, 4.0, False)],
)
def test_a_user_that_was_never_served(waited: float, right: float, too_long: bool) -> None:
    found = overdue("ask", hanging(waited, served=False), right, right)
    assert (found is not None) is too_long
    if found is not None:
        assert (found.users, found.unserved) == (1, 1)


def test_only_those_that_waited_too_long_are_counted() -> None:
    found = overdue("ask", hanging(1.2, 1.6, 3.0, 2.0), 0.5, 0.5)
    assert found is not None
    assert (found.users, found.unserved, found.waited) == (3, 0, 3.0)
    assert str(found) == (
        "3 users were kept waiting at step 'ask' for up to 3.0 s when cut off (the longest that was"
        " answered took 500 ms); owed: what took 3"
    )


def test_a_step_that_was_never_right_is_held_against_all_others() -> None:
    assert overdue("ask", hanging(1.4), 0.0, 0.5) is None
    found = overdue("ask", hanging(1.6), 0.0, 0.5)
    assert found is not None
    assert "nothing was ever answered" in str(found)


def measured(waited: float, right: float = 0.01) -> Stats:
    stats = Stats()
    row = stats.row("ask")
    row.kind = "exchange"
    row.samples.append(right)
    stats.record_hanging("ask", waited, "6 of 6 bytes", 5.0, served=True)
    return stats


def test_what_is_measured_apart_is_judged_together() -> None:
    """A worker whose users hang may not have seen how long the others' replies took."""
    stats = Stats()
    for one in (measured(1.4), measured(0.5, right=0.6), measured(1.2)):
        stats.merge(pickle.loads(pickle.dumps(one.take())))
    assert stats.overdue() == []
    stats.merge(measured(1.9).take())
    assert [(one.step, one.users, one.waited) for one in stats.overdue()] == [("ask", 1, 1.9)]


def test_it_is_taken_once_and_bears_its_scenarios_label() -> None:
    stats = measured(2.0)
    taken = stats.take()
    assert not stats.hanging
    assert [one.step for one in taken.labelled("shop").overdue()] == ["shop: ask"]


def test_short_waits_are_not_even_kept() -> None:
    assert not measured(0.99).hanging


def test_it_is_inconclusive_and_no_failure() -> None:
    stats = measured(2.0)
    stats.fold()
    verdict = judge(stats, (), Outcome(duration=3.0))
    assert verdict.code is ExitCode.INCONCLUSIVE
    assert "1 user was kept waiting at step 'ask' for up to 2.0 s" in verdict.reason


def test_an_interrupted_run_is_interrupted() -> None:
    stats = measured(2.0)
    stats.fold()
    assert judge(stats, (), Outcome(3.0, interrupted=True)).code is ExitCode.INTERRUPTED
