"""Curves of one line: how the rate, the latency and the errors went over the time of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loadmux.measuring.stats import Histogram
from loadmux.measuring.timeline import Point
from loadmux.report import figures
from loadmux.report.model import Report

LONG_ENOUGH = 5.0
"""Seconds: a shorter run has no curve."""
WIDEST = 60
BESIDE = 30
"""Columns for what stands beside a curve."""
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.:-=+*#"


def curves(report: Report, width: int, encoding: str) -> Iterator[tuple[str, str]]:
    """Curves of `width` columns at most, with what each shows; none of a short run."""
    timeline = report.timeline
    if report.duration < LONG_ENOUGH or width < len(BLOCKS) or not timeline.points:
        return
    marks = _marks(encoding)
    spans = list(_spans(report, min(width, WIDEST)))
    rates = [count / seconds for seconds, count, _, _ in spans]
    yield _curve(rates, marks), f"rate, at most {figures.rate(max(rates))}"
    latencies = [histogram.percentile(0.99) for _, _, histogram, _ in spans]
    if max(latencies):
        yield _curve(latencies, marks), f"p99, at most {figures.time(max(latencies))}"
    errors = [point.errors for _, _, _, point in spans]
    if max(errors):
        yield _curve(errors, marks), f"errors, at most {max(errors):,} at a time"


def _spans(report: Report, width: int) -> Iterator[tuple[float, int, Histogram, Point]]:
    """So many spans of time: seconds, attempts, latencies and the rest."""
    timeline = report.timeline
    points = list(timeline.of(report.stats.total.kind))
    each = -(-len(points) // width)
    for first in range(0, len(points), each):
        begin, count, histogram, whole = points[first][0], 0, Histogram(), Point()
        for _, point, measured in points[first : first + each]:
            count += measured.count
            histogram.merge(measured.histogram)
            whole.errors += point.errors
        end = begin + each * timeline.interval
        left = report.duration - begin
        # The last one may have just begun: it says nothing of the rate.
        seconds = min(end - begin, max(left, (end - begin) / 2))
        yield seconds, count, histogram, whole


def _curve(values: Sequence[float], marks: str) -> str:
    """The lowest mark is nothing, the highest the highest value."""
    most = max(values)
    top = len(marks) - 1
    return "".join(marks[round(value / most * top) if most else 0] for value in values)


def _marks(encoding: str) -> str:
    try:
        BLOCKS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS
