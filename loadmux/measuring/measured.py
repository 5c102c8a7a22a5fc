"""What a threshold finds in the statistics of a run, and whether that meets it. Pure.

By what a run is measured, and what that means for it, is said by `verdict`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadmux.measuring.histogram import Histogram
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import TOTALS, Stats
from loadmux.measuring.thresholds import Threshold

OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ERROR_METRICS = frozenset({"errors", "error_rate"})


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """`measured` is in the metric's unit, None where there was no sample (then it is crossed)."""

    threshold: Threshold
    measured: float | None
    met: bool


def result_of(
    stats: Stats, threshold: Threshold, thresholds: Sequence[Threshold], duration: float
) -> ThresholdResult:
    if threshold.metric in ERROR_METRICS:
        measured = _measured_errors(stats, threshold, thresholds)
    else:
        measured = _measured(stats, threshold, duration)
    met = measured is not None and OPERATORS[threshold.op](measured, threshold.value)
    return ThresholdResult(threshold, measured, bool(met))


def _measured_errors(
    stats: Stats, threshold: Threshold, thresholds: Sequence[Threshold]
) -> float | None:
    """How many faults the threshold counts, or which share of the attempts they are.

    Attempts of the whole run are those of the row that it is measured by, and the faults met
    elsewhere (connects that failed, surplus bytes at a close). None where there was no attempt.
    """
    groups = stats.faults.values()
    if threshold.step is not None:
        rows = _rows(stats, threshold.step)
        attempts = sum(row.count for row in rows)
        named = {row.name for row in rows}
        errors = sum(group.count for group in groups if group.step in named)
        errors += sum(row.errors for row in rows if row.kind == "transaction")
    else:
        row = measured_by(stats)
        attempts = row.right + stats.errors
        judged = scopes(stats, thresholds) if threshold.implied else frozenset()
        errors = sum(group.count for group in groups if group.step not in judged)
    if not attempts:
        return None
    return float(errors) if threshold.metric == "errors" else errors / attempts


def scopes(stats: Stats, thresholds: Sequence[Threshold]) -> frozenset[str]:
    """The rows that have a threshold on errors of their own."""
    return frozenset(
        row.name
        for threshold in thresholds
        if threshold.step is not None and threshold.metric in ERROR_METRICS
        for row in _rows(stats, threshold.step)
    )


def _measured(stats: Stats, threshold: Threshold, duration: float) -> float | None:
    """A metric other than of errors: seconds, right ones a second, or a count of iterations."""
    if threshold.metric in ("iterations", "dropped"):
        count = stats.iterations if threshold.metric == "iterations" else stats.dropped
        return float(count) if measured_by(stats).right else None
    row = row_of(stats, threshold)
    if row is None:
        return None
    if threshold.metric == "rate":
        return row.rate(duration) or None
    return latency(row.histogram, threshold) if row.histogram.count else None


def measured_by(stats: Stats) -> StepStats:
    """The row that the run is measured by: all exchanges, sends or receives, or the connects."""
    kinds = {row.kind for row in stats.steps.values()}
    return stats.total if kinds.intersection(TOTALS) else stats.connects


def latency(histogram: Histogram, threshold: Threshold) -> float:
    """What a threshold on a latency means."""
    times: dict[str, Callable[[], float]] = {
        "p": lambda: histogram.percentile(threshold.quantile),
        "min": lambda: histogram.low,
        "mean": lambda: histogram.mean,
        "max": lambda: histogram.high,
    }
    return times[threshold.metric]()


def row_of(stats: Stats, threshold: Threshold) -> StepStats | None:
    """Where a threshold finds its latencies; None where its step has none."""
    rows = [measured_by(stats)] if threshold.step is None else _rows(stats, threshold.step)
    return rows[0] if rows else None


def _rows(stats: Stats, step: str) -> list[StepStats]:
    """What a step, or the connects, were measured by, the row for latencies first."""
    return [stats.connects] if step == "connect" else stats.rows_of(step)
