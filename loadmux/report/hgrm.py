"""The latencies as HdrHistogram's percentile text, which its plotters and scripts read.

`--report hgrm=FILE`. A part for each row that has latencies, in milliseconds, headed by a comment
(`#`) with its name; under open load the service times follow in a part of their own. Each part has
a line for every bucket, so that nothing is lost: read back, every percentile is what the other
reports say, the highest one exactly, the others to the width of a bucket (0.8%).
"""

from __future__ import annotations

from collections.abc import Iterator

from loadmux.measuring.histogram import Histogram
from loadmux.report import figures
from loadmux.report.model import Report

PLAIN = figures.plain_for("utf-8")
HEADING = f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} 1/(1-Percentile)"


def render(report: Report) -> str:
    """The parts, with an empty line between two."""
    parts = []
    for name, kind, histogram in rows(report):
        comment = f"# {PLAIN(name)}: {kind} in milliseconds"
        parts.append("\n".join([comment, *_lines(histogram)]))
    return "\n\n".join(parts or ["# no latency was measured"]) + "\n"


def rows(report: Report) -> Iterator[tuple[str, str, Histogram]]:
    """Each histogram that has samples, with the name of its row and what it measured."""
    for row in (*report.stats.steps.values(), report.stats.connects):
        if row.histogram.count:
            yield row.name, "latency" if row.service is None else "response time", row.histogram
        if row.service is not None and row.service.count:
            yield row.name, "service time", row.service


def _lines(histogram: Histogram) -> Iterator[str]:
    yield HEADING
    yield ""
    total, square = histogram.count, 0.0
    for value, upto, count in _steps(histogram):
        square += count * (value - histogram.mean) ** 2
        share = upto / total
        beyond = f"{total / (total - upto):14.2f}" if upto < total else f"{'inf':>14}"
        yield f"{value * 1000:12.6f} {share:14.12f} {upto:10d} {beyond}"
    deviation = (square / total) ** 0.5
    yield _ending("Mean", histogram.mean * 1000, "StdDeviation", deviation * 1000)
    yield f"#[Max     = {histogram.high * 1000:12.6f}, Total count    = {total:12d}]"
    used = sorted(histogram.counts)
    octaves = (used[-1] >> 7) - (used[0] >> 7) + 1
    yield f"#[Buckets = {octaves:12d}, SubBuckets     = {128:12d}]"


def _ending(first: str, value: float, second: str, other: float) -> str:
    return f"#[{first:<7} = {value:12.6f}, {second:<14} = {other:12.6f}]"


def _steps(histogram: Histogram) -> Iterator[tuple[float, int, int]]:
    """A value (seconds), how many samples are no higher, and how many of them are new.

    The values are those of `Histogram.percentile`: a bucket's middle, and the very highest sample.
    """
    upto = 0
    for value, count in histogram.buckets():
        if upto + count < histogram.count:
            upto += count
            yield value, upto, count
            continue
        if count > 1:
            yield value, histogram.count - 1, count - 1
        yield histogram.high, histogram.count, 1
