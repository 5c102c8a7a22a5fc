"""Curves of one line: how the rate, the latency and the errors went over the time of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loadmux.report import figures
from loadmux.report.model import Report
from loadmux.report.overtime import spans

LONG_ENOUGH = 5.0
"""Seconds: a shorter run has no curve."""
WIDEST = 60
BESIDE = 30
"""Columns for what stands beside a curve."""
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.:-=+*#"


def curves(report: Report, width: int, encoding: str) -> Iterator[tuple[str, str]]:
    """Curves of `width` columns at most, with what each shows; none of a short run."""
    if report.duration < LONG_ENOUGH or width < len(BLOCKS) or not report.timeline.points:
        return
    marks, over = _marks(encoding), list(spans(report, min(width, WIDEST)))
    # The last span may have just begun: what little there is of it says nothing of the rate.
    rates = [one.count / max(one.seconds, over[0].seconds / 2) for one in over]
    yield _curve(rates, marks), f"rate, at most {figures.rate(max(rates))}"
    latencies = [one.histogram.percentile(0.99) for one in over]
    if max(latencies):
        yield _curve(latencies, marks), f"p99, at most {figures.time(max(latencies))}"
    errors = [one.errors for one in over]
    if max(errors):
        yield _curve(errors, marks), f"errors, at most {max(errors):,} at a time"


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
