"""What was measured when: a series whose memory does not grow with the length of the run.

Every point covers the same time, INTERVAL seconds at first. Where there would be more than MOST
points, each two that follow each other become one that covers twice the time. Points sum up to the
totals of the run; a percentile of a point is exact to the width of the histogram's buckets, also
after merging, as each keeps its histogram in a few bytes. What a worker tells at once has happened
between its last telling and this one, and is put where the middle of that time lies.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loadmux.measuring.histogram import Histogram
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import TOTALS, Stats
from loadmux.measuring.volume import Volume

INTERVAL = 0.5
"""Seconds; workers tell what they measured as often."""
MOST = 1800
AT_ONCE = 0.1
"""Seconds: what a source tells within them is of one time, told in portions."""

KindOf = Callable[[StepStats], str]
"""The kind of a row: what is told of one may not know it."""


@dataclass(slots=True)
class Measured:
    """Of one point and one kind of rows: `count` attempts, and the latencies, in little room."""

    count: int = 0
    total: float = 0.0
    low: float = float("inf")
    high: float = 0.0
    buckets: array[int] = field(default_factory=lambda: array("H"))
    counts: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, count: int, histogram: Histogram) -> None:
        self.count += count
        if histogram.count:
            merged = self.histogram
            merged.merge(histogram)
            self._keep(merged)

    def merge(self, other: Measured) -> None:
        self.add(other.count, other.histogram)

    def _keep(self, histogram: Histogram) -> None:
        self.total, self.low, self.high = histogram.total, histogram.low, histogram.high
        self.buckets = array("H", histogram.counts.keys())
        self.counts = array("Q", histogram.counts.values())

    @property
    def histogram(self) -> Histogram:
        """Made anew."""
        counts = Counter(dict(zip(self.buckets, self.counts, strict=True)))
        return Histogram(counts, sum(self.counts), self.total, self.low, self.high)


@dataclass(slots=True)
class Point:
    """`users` is the most that were at work at once, `kinds` what rows measured that can be the
    measure of a run, `volume` the bytes of all rows.
    """

    errors: int = 0
    dropped: int = 0
    users: int = 0
    kinds: dict[str, Measured] = field(default_factory=dict)
    volume: Volume = field(default_factory=Volume)

    def add(self, stats: Stats, kind_of: KindOf) -> None:
        self.errors += stats.errors
        self.dropped += stats.dropped
        self.volume.add(stats.volume)
        found: dict[str, tuple[int, Histogram]] = {}
        for row in stats.steps.values():
            kind = kind_of(row)
            if kind in TOTALS and not row.idle:
                count, histogram = found.get(kind, (0, Histogram()))
                histogram.merge(row.histogram)
                found[kind] = count + row.count, histogram
        for kind, (count, histogram) in found.items():
            self.kinds.setdefault(kind, Measured()).add(count, histogram)

    def merge(self, other: Point) -> None:
        self.errors += other.errors
        self.dropped += other.dropped
        self.users = max(self.users, other.users)
        self.volume.add(other.volume)
        for kind, measured in other.kinds.items():
            self.kinds.setdefault(kind, Measured()).merge(measured)


@dataclass(slots=True)
class Timeline:
    """`interval`: the seconds that each of `points` covers; the first begins with the run.

    `active` are the users of each source (a worker's share of a scenario), `told` the time, in
    seconds since the start, of which it told last.
    """

    interval: float = INTERVAL
    points: list[Point] = field(default_factory=list)
    active: dict[object, int] = field(default_factory=dict)
    told: dict[object, tuple[float, float]] = field(default_factory=dict)

    def add(
        self, source: object, elapsed: float, stats: Stats, active: int, kind_of: KindOf
    ) -> None:
        """A source tells at `elapsed` what it measured since the last time, and of its users."""
        begin, end = self.told.get(source, (0.0, 0.0))
        if elapsed > end + AT_ONCE:
            begin = end
        self.told[source] = begin, max(end, elapsed)
        point = self._at((begin + max(end, elapsed)) / 2)
        point.add(stats, kind_of)
        # What has never told of users before, and has none now, had those that it started.
        before = self.active.get(source, stats.started)
        self.active[source] = active
        others = sum(self.active.values()) - active
        point.users = max(point.users, others + max(active, before))

    def _at(self, time: float) -> Point:
        while (place := int(max(0.0, time) / self.interval)) >= MOST:
            self._halve()
        while len(self.points) <= place:
            # Who was at work goes on, though nothing has been told of this time.
            self.points.append(Point(users=sum(self.active.values())))
        return self.points[place]

    def _halve(self) -> None:
        self.interval *= 2
        for earlier, later in zip(self.points[::2], self.points[1::2], strict=False):
            earlier.merge(later)
        del self.points[1::2]

    def of(self, kind: str) -> Iterator[tuple[float, Point, Measured]]:
        """Each point with when it begins (seconds), and what rows of this kind measured in it."""
        for place, point in enumerate(self.points):
            yield place * self.interval, point, point.kinds.get(kind, Measured())
