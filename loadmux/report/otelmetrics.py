"""What was measured as OpenTelemetry's metrics: made in bulk from histograms, never one by one.

Needs the extra `otel`. Of a row: `loadmux.step.duration`, a histogram in seconds; of all rows
`loadmux.step.bytes` by direction. `loadmux.faults` by kind and step, `loadmux.iterations` and
`loadmux.dropped` only grow. `loadmux.users` are those at work, `loadmux.generator.late` by how
many seconds timers of the generator fired too late (the 99th percentile of the latest process),
`loadmux.start.late` a histogram of how late it started iterations that a schedule asked for. At
the end there are `loadmux.threshold.met`, 1 or 0, `loadmux.threshold.measured`, and
`loadmux.verdict`, the exit code.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from loadmux import __version__
from loadmux.measuring.histogram import Histogram
from loadmux.measuring.stats import Stats
from loadmux.measuring.verdict import Verdict

BOUNDS = tuple(
    digit * 10.0**power for power in range(-5, 2) for digit in (1, 1.5, 2, 3, 4, 5, 6, 8)
)
"""Upper ends of a histogram's buckets, in seconds: 10 us to 80 s."""

Attributes = Mapping[str, str]
Number = int | float


@dataclass(frozen=True, slots=True)
class Span:
    """What points are of: since when and until when, in nanoseconds since 1970; whether each has
    only what is new (`delta`).
    """

    began: int
    until: int
    delta: bool

    @property
    def temporality(self) -> AggregationTemporality:
        kinds = AggregationTemporality
        return kinds.DELTA if self.delta else kinds.CUMULATIVE

    def number(self, value: Number, attributes: Attributes) -> NumberDataPoint:
        return NumberDataPoint(attributes, self.began, self.until, value)

    def sum(self, name: str, about: str, unit: str, points: Iterable[NumberDataPoint]) -> Metric:
        data = Sum(list(points), self.temporality, is_monotonic=True)
        return Metric(name, about, unit, data)

    def histogram(self, histogram: Histogram, attributes: Attributes) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes,
            self.began,
            self.until,
            histogram.count,
            histogram.total,
            bucket_counts(histogram),
            BOUNDS,
            histogram.low,
            histogram.high,
        )

    def histograms(self, name: str, about: str, points: Iterable[HistogramDataPoint]) -> Metric:
        return Metric(name, about, "s", HistogramData(list(points), self.temporality))


def gauge(name: str, about: str, unit: str, points: Iterable[NumberDataPoint]) -> Metric:
    return Metric(name, about, unit, Gauge(list(points)))


def bucket_counts(histogram: Histogram) -> Sequence[int]:
    """How many samples are no higher than each of BOUNDS and higher than the one before; the last
    count is of those beyond. To the width of the histogram's own buckets, under 1%.
    """
    counts = [0] * (len(BOUNDS) + 1)
    for seconds, count in histogram.buckets():
        counts[bisect_left(BOUNDS, seconds)] += count
    return counts


def resource() -> Resource:
    """Who tells: `loadmux`, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say otherwise."""
    ours = {
        "service.name": "loadmux",
        "service.version": __version__,
        "service.instance.id": str(uuid4()),
    }
    return Resource(ours).merge(OTELResourceDetector().detect())


def delta_wanted() -> bool:
    """Whether each message is to have only what is new since the last one."""
    wanted = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "")
    return wanted.strip().lower() in ("delta", "lowmemory")


def metrics_of(stats: Stats, span: Span, users: int, late: float) -> Iterator[Metric]:
    """While the run goes on; `late` is in seconds."""
    rows = [row for row in (stats.connects, *stats.steps.values()) if not row.idle]
    named = {row.name: {"step": row.name, "kind": row.kind} for row in rows}
    yield span.histograms(
        "loadmux.step.duration",
        "Latencies of what was right",
        (span.histogram(row.histogram, named[row.name]) for row in rows if row.histogram.count),
    )
    yield span.sum(
        "loadmux.step.bytes",
        "Bytes of messages, received and sent",
        "By",
        (
            span.number(count, {**named[row.name], "network.io.direction": way})
            for row in rows
            for way, count in (("receive", row.volume.received), ("transmit", row.volume.sent))
        ),
    )
    yield span.sum(
        "loadmux.faults",
        "What was wrong",
        "{fault}",
        (
            span.number(group.count, {"kind": group.kind.value, "step": group.step})
            for group in stats.faults.values()
        ),
    )
    for name, about, count in (
        ("iterations", "Iterations that were completed", stats.iterations),
        ("dropped", "Iterations for which no user was free in time", stats.dropped),
    ):
        yield span.sum(f"loadmux.{name}", about, "{iteration}", [span.number(count, {})])
    if stats.starts.histogram.count:
        yield span.histograms(
            "loadmux.start.late",
            "By how much the generator started iterations too late",
            [span.histogram(stats.starts.histogram, {})],
        )
    at_work = [span.number(users, {})]
    yield gauge("loadmux.users", "Users at work", "{user}", at_work)
    about = "By how much timers of the generator fired too late (99th percentile)"
    yield gauge("loadmux.generator.late", about, "s", [span.number(late, {})])


def metrics_at_end(verdict: Verdict, span: Span) -> Iterator[Metric]:
    """What the run came to."""
    results = [(one, {"threshold": one.threshold.text}) for one in verdict.thresholds]
    yield gauge(
        "loadmux.threshold.met",
        "Whether a threshold was met (1) or crossed (0)",
        "1",
        (span.number(int(one.met), which) for one, which in results),
    )
    yield gauge(
        "loadmux.threshold.measured",
        "What a threshold is about, as it was measured",
        "",
        (span.number(one.measured, which) for one, which in results if one.measured is not None),
    )
    code = span.number(verdict.code.value, {"verdict": verdict.code.name.lower()})
    yield gauge("loadmux.verdict", "The exit code", "1", [code])


def message(who: Resource, metrics: Iterable[Metric]) -> MetricsData:
    """One message; metrics without a point are left out."""
    told = [one for one in metrics if one.data.data_points]
    scope = ScopeMetrics(InstrumentationScope("loadmux", __version__), told, "")
    return MetricsData([ResourceMetrics(who, [scope], "")])
