"""One row of the report: what a step, or the connects, were measured by.

A latency is recorded by appending it to a plain list (25 ns) and folded into the histogram in bulk.
Rows can be merged, of workers, phases and runs. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from loadmux.measuring.histogram import Histogram
from loadmux.measuring.volume import Volume

IGNORED = "ignored"
"""The kind of the rows that count what a server may say at any time."""
SIZES = 64
"""Different sizes of exchanges, for each row, of which the latencies are kept apart."""


@dataclass(slots=True)
class StepStats:
    """One row of the report. `samples` is the batch not folded yet: the hot path appends to it.

    `kind` is exchange (a reply was checked), receive (one that answers no send), send, connect,
    transaction (of several steps, whose faults are told at these and counted here again), ignored
    (what a server may say at any time), or other.
    `step` is the step's name where the row's may say more. `untimed` counts what was right but has
    no latency (a silence that was kept), `spoilt` those of them that would have one, had the
    generator not stood still.

    `late` are those of `errors` that came to light after their exchange had been counted as right:
    bytes too many at the end of a run.

    Under open load there are two latencies: `histogram` is the response time, from the intended
    start, and `service` the time from the send; None where the two are one. `delayed` is the batch
    of those in which they differ, as pairs.

    `volume` counts the bytes that were moved, also in vain. `sizes` has batches like `samples`, of
    exchanges that sent and received so many bytes, which `volume` has once they are folded.
    """

    name: str
    kind: str = "other"
    histogram: Histogram = field(default_factory=Histogram)
    errors: int = 0
    untimed: int = 0
    spoilt: int = 0
    late: int = 0
    samples: list[float] = field(default_factory=list)
    service: Histogram | None = None
    delayed: list[tuple[float, float]] = field(default_factory=list)
    step: str = ""
    volume: Volume = field(default_factory=Volume)
    sizes: dict[tuple[int, int], list[float]] = field(default_factory=dict)

    @property
    def of(self) -> str:
        """The name of the step that was measured."""
        return self.step or self.name

    def pass_untimed(self) -> None:
        self.untimed += 1

    def record_delayed(self, delay: float, seconds: float) -> None:
        """A latency of `seconds` from a send that was `delay` seconds after the intended start."""
        if self.service is None:
            self.fold()
            self.service = Histogram()
            self.service.merge(self.histogram)
        self.delayed.append((delay + seconds, seconds))

    def record_moved(self, sent: int, received: int, delay: float, seconds: float) -> None:
        """The same of an exchange that moved so many bytes."""
        self.volume.sent += sent
        self.volume.received += received
        self.record_delayed(delay, seconds)

    def record_since(self, delay: float, seconds: float) -> None:
        """The same, where there may be no delay."""
        if delay:
            self.record_delayed(delay, seconds)
        else:
            self.samples.append(seconds)

    def sized(self, sent: int, received: int) -> Callable[[float], None]:
        """What takes the latencies of exchanges that moved so many bytes, and counts these."""
        sizes = sent, received
        if sizes not in self.sizes:
            if len(self.sizes) >= SIZES:
                return partial(self._record_sized, Volume(sent, received))
            self.sizes[sizes] = []
        return self.sizes[sizes].append

    def _record_sized(self, volume: Volume, seconds: float) -> None:
        self.volume.add(volume)
        self.samples.append(seconds)

    @property
    def idle(self) -> bool:
        """Whether nothing was recorded since the row was last taken."""
        counted = self.errors or self.untimed or self.late or self.histogram.count
        return not (self.samples or self.delayed or counted or self.volume or self._batches())

    def _batches(self) -> bool:
        return any(self.sizes.values())

    def fold(self) -> None:
        """Empty `samples` and the like into the histogram; the list objects stay the same."""
        for (sent, received), batch in self.sizes.items():
            self.volume.add(Volume(len(batch) * sent, len(batch) * received))
            self.samples += batch
            batch.clear()
        spoilt = self.histogram.add(self.samples)
        if self.service is not None:
            self.service.add(self.samples)
            spoilt += self.histogram.add([response for response, _ in self.delayed])
            self.service.add([service for _, service in self.delayed])
            self.delayed.clear()
        self.samples.clear()
        self.untimed += spoilt
        self.spoilt += spoilt

    def merge(self, other: StepStats) -> None:
        if self.service is not None or other.service is not None:
            if self.service is None:
                self.service = Histogram()
                self.service.merge(self.histogram)
            self.service.merge(other.service or other.histogram)
        self.histogram.merge(other.histogram)
        self.errors += other.errors
        self.untimed += other.untimed
        self.spoilt += other.spoilt
        self.late += other.late
        self.volume.add(other.volume)

    @property
    def longest(self) -> float:
        """The longest latency from a send, in seconds; 0 where there was none."""
        return (self.histogram if self.service is None else self.service).high

    @property
    def right(self) -> int:
        """Those whose every check held."""
        return self.histogram.count + self.untimed

    def rate(self, duration: float) -> float:
        """Right ones a second in so many seconds, 0 in none."""
        return self.right / duration if duration > 0 else 0.0

    @property
    def count(self) -> int:
        """Attempts: those that were right and those that were not."""
        return self.right + self.errors - self.late


def moved(row: StepStats) -> StepStats:
    """All that a row has, which begins anew; its `samples` stay the list that they are."""
    row.fold()
    counts = row.errors, row.untimed, row.spoilt, row.late
    moved = StepStats(row.name, row.kind, row.histogram, *counts, step=row.step)
    moved.volume = row.volume.take()
    row.histogram, row.errors, row.untimed, row.spoilt, row.late = Histogram(), 0, 0, 0, 0
    if row.service is not None:
        moved.service, row.service = row.service, Histogram()
    return moved
