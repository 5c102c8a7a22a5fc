"""What a trial says of the objectives, from reports made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from samples import fault, measured, report

from loadmux.comparing.bench import Measured
from loadmux.comparing.objectives import DROPPED, GENERATOR, ended_by, outcome
from loadmux.errors import Kind
from loadmux.measuring.stats import Stats
from loadmux.measuring.thresholds import parse
from loadmux.report.model import WorkerReport

P99 = parse("p(99) < 10ms")
ERRORS = parse("errors == 0")


def trial(stats: Stats, busy: float = 0.5) -> Measured:
    made = replace(report(stats), workers=(WorkerReport(0, 1, busy=busy),))
    return Measured(made, made.stats, made.duration)


def asked(seconds: float, dropped: int = 0) -> Stats:
    stats = measured({"ask": [seconds] * 20})
    stats.dropped = dropped
    return stats


def test_the_margin_is_how_far_the_limit_is() -> None:
    held = outcome(trial(asked(0.005)), [P99])
    assert held.held
    assert held.margin == pytest.approx(math.log(0.5), abs=0.01)
    broke = outcome(trial(asked(0.012)), [P99])
    assert broke.limit == "p(99) < 10ms"
    assert broke.margin == pytest.approx(math.log(1.2), abs=0.01)


def test_the_worst_objective_counts() -> None:
    assert outcome(trial(asked(0.005)), [P99, parse("max < 4ms")]).limit == "max < 4ms"
    assert outcome(trial(asked(0.005)), [P99, ERRORS]).margin == pytest.approx(
        math.log(0.5), abs=0.01
    )


def test_dropped_iterations_are_a_load_that_was_not_there() -> None:
    assert outcome(trial(asked(0.005, dropped=1)), [P99]).limit == DROPPED


def test_a_busy_generator_is_the_limit_only_where_something_broke() -> None:
    assert outcome(trial(asked(0.005), busy=1.0), [P99]).held
    assert outcome(trial(asked(0.05), busy=1.0), [P99]).limit == GENERATOR


def test_timeouts_break_a_trial_and_wrong_bytes_end_the_search() -> None:
    late = trial(fault("ask", Kind.TIMEOUT, stats=asked(0.005)))
    assert not ended_by(late)
    assert outcome(late, [P99, ERRORS]).limit == "errors == 0"
    assert ended_by(trial(fault("ask", Kind.CORRUPT, stats=asked(0.005))))


def test_nothing_measured_keeps_no_objective() -> None:
    assert not outcome(trial(Stats()), [P99]).held
