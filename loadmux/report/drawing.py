"""The charts of a run: over time, by percentile, and the distribution of the latencies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log10

from loadmux.measuring.histogram import Histogram
from loadmux.report import figures
from loadmux.report.charts import (
    COLOURS,
    Axis,
    Curve,
    Line,
    Mark,
    chart,
    linear,
    logarithmic,
    of_percentiles,
    spanning,
)
from loadmux.report.model import Report
from loadmux.report.overtime import Span, spans

MOST_SPANS = 180
BINS_A_DECADE = 20
FAR_APART = 50
"""A logarithmic axis where the highest latency is so many times the lowest one."""
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
PLAIN = figures.plain_for("utf-8")


def charts(report: Report) -> Iterator[str]:
    """Those for which something was measured."""
    yield from _over_time(report)
    yield from _by_percentile(report)
    yield from _distribution(report)


def _over_time(report: Report) -> Iterator[str]:
    over = list(spans(report, MOST_SPANS))
    if not over:
        return
    axis = spanning(max(report.duration, over[-1].end), seconds)
    lines = list(_lines(report))
    kind = report.stats.total.kind
    rates = [_mark(one, one.rate, f"{figures.rate(one.rate)}") for one in over]
    highest = linear(max(one.value for one in rates), _per_second)
    yield chart(f"{kind}s a second", axis, highest, [Curve("rate", rates)], lines)
    curves = [
        Curve(name, list(_percentiles(over, name, share)), colour)
        for colour, (name, share) in enumerate(SHARES.items())
    ]
    values = [mark.value for curve in curves for mark in curve.marks if mark.value > 0]
    if values:
        title = "latency" if not _open(report) else "response time"
        yield chart(f"{title} over time", axis, latencies(values), curves, lines)
    users = [_mark(one, one.users, figures.plural(one.users, "user")) for one in over]
    most = linear(max(one.users for one in over), _count)
    yield chart("users at work", axis, most, [Curve("users", users, 2)], lines)
    errors = [_mark(one, one.errors, figures.plural(one.errors, "error")) for one in over]
    curves = [Curve("errors", errors, -1, bars=True)]
    if any(one.dropped for one in over):
        dropped = [_mark(one, one.dropped, f"{one.dropped:,} dropped") for one in over]
        curves.append(Curve("dropped", dropped, 3))
    most = linear(max(max(one.errors, one.dropped) for one in over), _count)
    yield chart("errors over time", axis, most, curves, lines)


def _open(report: Report) -> bool:
    return any(part.scenario.load.open for part in report.parts)


def _mark(span: Span, value: float, told: str) -> Mark:
    return Mark(span.begin, span.end, value, f"{seconds(span.begin)}: {told}")


def _percentiles(over: Sequence[Span], name: str, share: float) -> Iterator[Mark]:
    for one in over:
        if one.histogram.count:
            value = one.histogram.percentile(share)
            told = f"{seconds(one.begin)}: {_all_of(one.histogram)}" if name == "max" else ""
            yield Mark(one.begin, one.end, value, told)


def _all_of(histogram: Histogram) -> str:
    return ", ".join(
        f"{name} {figures.time(histogram.percentile(share))}" for name, share in SHARES.items()
    )


def latencies(values: Sequence[float]) -> Axis:
    """Of values of which one at least is more than 0."""
    low, high = min(values), max(values)
    if high > low * FAR_APART:
        return logarithmic(low, high, _time)
    return linear(high, _time)


def _lines(report: Report) -> Iterator[Line]:
    """Where phases begin (of the only scenario), and where the generator stood still."""
    if len(report.parts) == 1:
        begin = 0.0
        for phase in report.parts[0].phases:
            if begin and phase.duration:
                yield Line(begin, PLAIN(f"phase {phase.name}: {phase.load}"))
            begin += phase.duration
    for worker in report.workers:
        for one in worker.standstills:
            name = f"worker {worker.number} stood still for {figures.time(one.seconds)}"
            yield Line(max(0.0, one.at), name, max(0.0, one.at) + one.seconds)


def _by_percentile(report: Report) -> Iterator[str]:
    """Of each row with latencies; of the longest ones where there are many."""
    rows = [row for row in report.stats.steps.values() if row.histogram.count]
    rows = sorted(rows, key=lambda row: -row.histogram.percentile(0.99))[:COLOURS]
    if not rows:
        return
    curves = [
        Curve(PLAIN(row.name), list(_ranks(row.histogram)), colour)
        for colour, row in enumerate(rows)
    ]
    values = [mark.value for curve in curves for mark in curve.marks if mark.value > 0]
    axis = of_percentiles(max(row.histogram.count for row in rows))
    if values:
        yield chart("latency by percentile", axis, latencies(values), curves)


def _ranks(histogram: Histogram) -> Iterator[Mark]:
    before = upto = 0
    for value, count in histogram.buckets():
        upto += count
        end = upto / histogram.count
        last = upto == histogram.count
        yield Mark(before / histogram.count, end, histogram.high if last else value)
        before = upto


def _distribution(report: Report) -> Iterator[str]:
    histogram = report.stats.total.histogram
    bins: dict[int, int] = {}
    for value, count in histogram.buckets():
        if value > 0:
            place = int(log10(value) * BINS_A_DECADE // 1)
            bins[place] = bins.get(place, 0) + count
    if not bins:
        return
    marks = []
    for place, count in sorted(bins.items()):
        begin, end = (10 ** (edge / BINS_A_DECADE) for edge in (place, place + 1))
        told = f"{figures.time(begin)} to {figures.time(end)}: {count:,}"
        marks.append(Mark(begin, end, count, told))
    x = logarithmic(marks[0].begin, marks[-1].end, _time)
    y = linear(max(bins.values()), _count)
    yield chart("how many took how long", x, y, [Curve("latencies", marks, 0, bars=True)])


def seconds(value: float) -> str:
    """Seconds since the start: `2.5 s`, and `1:30:05` where that is long."""
    if value < 600:
        return f"{value:.4g} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _per_second(value: float) -> str:
    return f"{_count(value)}/s"


def _count(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= 10 * size or (value >= size and unit == "M"):
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def _time(value: float) -> str:
    """A round latency: `20 ms`."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size * (1 - 1e-9):
            return f"{value / size:.4g} {unit}"
    return f"{value * 1e6:.4g} µs" if value else "0"
