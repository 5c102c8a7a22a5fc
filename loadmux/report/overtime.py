"""A run's timeline in as many spans of time as a curve has room for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from loadmux.measuring.histogram import Histogram
from loadmux.report.model import Report


@dataclass(slots=True)
class Span:
    """From `begin` (seconds since the start) on, for so many `seconds`; `users` at most at once."""

    begin: float
    seconds: float
    count: int = 0
    errors: int = 0
    dropped: int = 0
    users: int = 0
    histogram: Histogram = field(default_factory=Histogram)

    @property
    def end(self) -> float:
        return self.begin + self.seconds

    @property
    def rate(self) -> float:
        """Attempts a second."""
        return self.count / self.seconds if self.seconds else 0.0


def spans(report: Report, most: int) -> Iterator[Span]:
    """So many at most, of the same length but for the last one, which ends with the run."""
    points = list(report.timeline.of(report.stats.total.kind))
    each = -(-len(points) // most) or 1
    length = each * report.timeline.interval
    for first in range(0, len(points), each):
        begin = points[first][0]
        left = report.duration - begin
        if left <= 0 and first:
            left = report.timeline.interval
        span = Span(begin, min(length, left) if left > 0 else length)
        for _, point, measured in points[first : first + each]:
            span.count += measured.count
            span.errors += point.errors
            span.dropped += point.dropped
            span.users = max(span.users, point.users)
            span.histogram.merge(measured.histogram)
        yield span
