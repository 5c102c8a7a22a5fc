"""What was measured, in memory that does not grow with time, and mergeable: workers, phases, runs.

A latency is recorded by appending it to a plain list (25 ns) and folded into the histogram in bulk.
The histogram's buckets are the upper 16 bits of an IEEE-754 binary32: sign, 8 bits of exponent and
7 of mantissa, so log-linear and at most 1/128 = 0.8% wide, and the conversion of a whole batch runs
in C (`array` and `memoryview`). Minimum, maximum and sum are kept exactly. Times are in seconds.
A latency of NaN is one that a standstill of the generator has spoilt: it is counted, no more.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil

from loadmux.errors import Evidence, Kind, ScriptFailed
from loadmux.measuring.consequences import Consequences
from loadmux.measuring.hanging import LEAST, Hanging, Overdue, overdue
from loadmux.measuring.unread import Unread
from loadmux.measuring.volume import Volume

EXAMPLES = 3
SIZES = 64
"""Different sizes of exchanges, for each row, of which the latencies are kept apart."""
IGNORED = "ignored"
"""The kind of the rows that count what a server may say at any time."""
COUNTS = (
    "iterations",
    "interrupted",
    "dropped",
    "begun",
    "waited",
    "overrun",
    "missed",
    "unjudged",
    "passed_over",
    "ended_idle",
    "started",
    "served",
    "slow_connects",
)
TOTALS = ("exchange", "send", "receive")
"""The kinds of rows by which a run is measured: the first one that there is."""
SCRIPT_ERRORS = 50
_UPPER_HALF = slice(1, None, 2) if sys.byteorder == "little" else slice(0, None, 2)


def edges(bucket: int) -> tuple[float, float]:
    """The two ends of a bucket, in seconds."""
    low, high = struct.unpack(">ff", struct.pack(">II", bucket << 16, (bucket + 1) << 16))
    return float(low), float(high)


@dataclass(slots=True)
class Histogram:
    """Counts of latencies by bucket; `counts` maps a bucket's number to how many fell into it."""

    counts: Counter[int] = field(default_factory=Counter)
    count: int = 0
    total: float = 0.0
    low: float = float("inf")
    high: float = 0.0

    def add(self, samples: list[float]) -> int:
        """Fold a batch of latencies (seconds, not negative) in; how many were NaN, and left out."""
        total = sum(samples)
        if total != total:
            measured = [sample for sample in samples if sample == sample]
            return len(samples) - len(measured) + self.add(measured)
        if not samples:
            return 0
        singles = memoryview(array("f", samples)).cast("B").cast("H")
        self.counts.update(singles[_UPPER_HALF].tolist())
        self.count += len(samples)
        self.total += total
        self.low = min(self.low, min(samples))
        self.high = max(self.high, max(samples))
        return 0

    def merge(self, other: Histogram) -> None:
        self.counts.update(other.counts)
        self.count += other.count
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)

    def fastest(self, share: float) -> Histogram:
        """Only that share (0..1) of the samples, the fastest ones; to the width of a bucket."""
        left = round(self.count * min(max(share, 0.0), 1.0))
        if left == self.count:
            return self
        fastest = Histogram(count=left, low=self.low)
        for bucket in sorted(self.counts):
            if not left:
                break
            count = min(left, self.counts[bucket])
            low, high = (min(max(end, self.low), self.high) for end in edges(bucket))
            fastest.counts[bucket] = count
            fastest.total += count * (low + high) / 2
            fastest.high = high
            left -= count
        return fastest

    @property
    def mean(self) -> float:
        """Seconds; 0 over no samples."""
        return self.total / self.count if self.count else 0.0

    def buckets(self) -> Iterator[tuple[float, int]]:
        """A latency (seconds: the middle of a bucket, in the samples' own range) and its count."""
        for bucket in sorted(self.counts):
            low, high = edges(bucket)
            yield min(max((low + high) / 2, self.low), self.high), self.counts[bucket]

    def percentile(self, quantile: float) -> float:
        """The latency (seconds) that `quantile` (0..1) of all samples do not exceed, to 0.8%.

        The nearest-rank definition; the middle of the bucket, never outside the samples' own range.
        Over no samples: 0.
        """
        if not self.count:
            return 0.0
        # 0.07 * 100 is 7.000000000000001 in binary, which is rank 7 and not 8.
        rank = max(1, ceil(quantile * self.count * (1 - 1e-12)))
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                if seen == self.count and rank == self.count:
                    return self.high
                low, high = edges(bucket)
                return min(max((low + high) / 2, self.low), self.high)
        return self.high


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


@dataclass(slots=True)
class FaultGroup:
    """All faults of one kind at one step; the first `EXAMPLES` with their evidence, before those
    that only follow from another. `first` is when the first one was noticed, in seconds.
    """

    kind: Kind
    step: str
    count: int = 0
    examples: list[Evidence] = field(default_factory=list)
    first: float = float("inf")

    def add(self, evidence: Evidence) -> None:
        self.count += 1
        self.first = min(self.first, evidence.at)
        if len(self.examples) < EXAMPLES:
            self.examples.append(evidence)
        elif self.examples[-1].follows and not evidence.follows:
            self._keep([evidence])

    def merge(self, other: FaultGroup) -> None:
        self.count += other.count
        self.first = min(self.first, other.first)
        self._keep(other.examples)

    def _keep(self, more: list[Evidence]) -> None:
        found = [*self.examples, *more]
        self.examples = sorted(found, key=lambda one: (one.follows, one.at))[:EXAMPLES]


@dataclass(slots=True)
class ScriptErrors:
    """How often code of the scenario's author raised at one place, and the first one's line."""

    text: str
    count: int = 0


@dataclass(slots=True)
class Stats:
    """Everything that one worker, or the whole run, has measured.

    `steps` has every row from the start, in the file's order, with or without samples; `connects`
    is apart because opening a connection is no exchange. `served` counts users that completed at
    least one iteration without a fault, `started` all that began. `script_errors` has a value for
    each `FILE:LINE` of the author's code that raised, SCRIPT_ERRORS at most. `hanging`: what users
    were waiting for, for LEAST seconds or more, when they were cut off, by step. `unread`: what is
    known of who was to read what nobody answers, by the target's URL. `consequences`: which of the
    faults only followed from others.

    Of open load: `begun` counts the iterations that were started on the schedule, `waited` those of
    them that had to wait for a user, `dropped` those for which no user was free in time, `overrun`
    those of the dropped that the generator itself had no time for. `missed` were due while it stood
    still, and are none of these. `starts` is by how much the generator was late in starting an
    iteration for which there was a user.

    `passed_over` counts messages of the targets that answer nothing and are no fault (pushes),
    `ended_idle` the connections that a server ended while nothing was owed, as it may.
    `unjudged` counts connections that ended while the generator stood still: no faults, as a server
    may well give up a client that is gone.
    """

    steps: dict[str, StepStats] = field(default_factory=dict)
    connects: StepStats = field(default_factory=lambda: StepStats("connect", "connect"))
    starts: StepStats = field(default_factory=lambda: StepStats("start"))
    faults: dict[tuple[Kind, str], FaultGroup] = field(default_factory=dict)
    consequences: Consequences = field(default_factory=Consequences)
    script_errors: dict[str, ScriptErrors] = field(default_factory=dict)
    hanging: dict[str, Hanging] = field(default_factory=dict)
    unread: dict[str, Unread] = field(default_factory=dict)
    iterations: int = 0
    interrupted: int = 0
    dropped: int = 0
    begun: int = 0
    waited: int = 0
    overrun: int = 0
    missed: int = 0
    unjudged: int = 0
    passed_over: int = 0
    ended_idle: int = 0
    started: int = 0
    served: int = 0
    slow_connects: int = 0

    def row(self, name: str) -> StepStats:
        return self.steps.setdefault(name, StepStats(name))

    def row_of(self, step: str, kind: str, name: str = "") -> StepStats:
        """The row of what a step did of this kind: `name` (the step's), or with the kind behind it
        where that is the row of another kind.
        """
        names = (name or step, step, f"{step} ({kind})")
        for known in names:
            row = self.steps.get(known)
            if row is not None and (kind == "other" or row.kind in (kind, "other")):
                row.kind = kind if row.kind == "other" else row.kind
                return row
        free = next((one for one in names if one not in self.steps), names[-1])
        return self.steps.setdefault(free, StepStats(free, kind, step=step))

    def rows_of(self, step: str) -> list[StepStats]:
        """What a step was measured by: exchanges first, and what has no samples last."""
        rows = [row for row in self.steps.values() if row.of == step]
        return sorted(rows, key=lambda row: (not row.count, row.kind != "exchange"))

    def record_fault(self, evidence: Evidence, late: bool = False) -> None:
        """Count a fault at its step (`evidence.step`; "connect" for a connect)."""
        row = self.connects if evidence.step == "connect" else self.row(evidence.step)
        row.errors += 1
        row.late += late
        key = (evidence.kind, evidence.step)
        group = self.faults.setdefault(key, FaultGroup(evidence.kind, evidence.step))
        group.add(evidence)

    def record_hanging(
        self, step: str, seconds: float, owed: str, timeout: float, served: bool
    ) -> None:
        """A user was cut off that had waited for so long; see `Hanging`."""
        if seconds >= LEAST:
            self.hanging.setdefault(step, Hanging()).add(seconds, owed, timeout, served)

    def record_unread(self, url: str, unread: Unread) -> None:
        self.unread.setdefault(url, Unread()).add(unread)

    def overdue(self) -> list[Overdue]:
        """Of what users were waiting for when they were cut off, that for which it was too long."""
        longest = self.total.longest
        found = []
        for step, hanging in self.hanging.items():
            rows = [self.connects] if step == "connect" else self.rows_of(step)
            right = max((row.longest for row in rows), default=0.0)
            found.append(overdue(step, hanging, right, longest))
        return [one for one in found if one is not None]

    def record_script_error(self, error: ScriptFailed) -> None:
        """Count an error in the scenario's own code."""
        self._script_errors(error.where, str(error)).count += 1

    def _script_errors(self, where: str, text: str) -> ScriptErrors:
        known = self.script_errors
        if where not in known and len(known) >= SCRIPT_ERRORS:
            where, text = "", "errors at other places"
        return known.setdefault(where, ScriptErrors(text))

    def labelled(self, label: str) -> Stats:
        """The same with `LABEL: ` before every row, so that scenarios can be merged; "" changes
        nothing. What is within the rows is shared, not copied.
        """
        if not label:
            return self
        faults: dict[tuple[Kind, str], FaultGroup] = {}
        for group in self.faults.values():
            step = f"{label}: {group.step}"
            examples = [replace(one, step=f"{label}: {one.step}") for one in group.examples]
            faults[group.kind, step] = replace(group, step=step, examples=examples)
        steps = {
            f"{label}: {row.name}": replace(
                row, name=f"{label}: {row.name}", step=f"{label}: {row.of}"
            )
            for row in self.steps.values()
        }
        errors = {
            f"{label}: {where}": ScriptErrors(f"{label}: {one.text}", one.count)
            for where, one in self.script_errors.items()
        }
        hanging = {f"{label}: {step}": one for step, one in self.hanging.items()}
        return replace(
            self,
            steps=steps,
            faults=faults,
            consequences=self.consequences.labelled(label),
            script_errors=errors,
            hanging=hanging,
        )

    def fold(self) -> None:
        for row in self.steps.values():
            row.fold()
        self.connects.fold()
        self.starts.fold()

    def merge(self, other: Stats) -> None:
        """Add what another worker measured (or one worker since it last told)."""
        for name, row in other.steps.items():
            self.row_of(row.of, row.kind, name).merge(row)
        self.connects.merge(other.connects)
        self.starts.merge(other.starts)
        for key, group in other.faults.items():
            self.faults.setdefault(key, FaultGroup(group.kind, group.step)).merge(group)
        self.consequences.merge(other.consequences)
        for where, errors in other.script_errors.items():
            self._script_errors(where, errors.text).count += errors.count
        for step, hanging in other.hanging.items():
            self.hanging.setdefault(step, Hanging()).merge(hanging)
        for url, unread in other.unread.items():
            self.record_unread(url, unread)
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def take(self) -> Stats:
        """What was measured since the last call, as a value of its own; the rows stay in use."""
        taken = self._take_counts()
        for row in self.steps.values():
            taken.steps[row.name] = _moved(row)
        taken.faults, self.faults = self.faults, {}
        return taken

    def portions(self, rows: int) -> Iterator[Stats]:
        """The same little by little, so that nobody is held up: `rows` rows and groups of faults at
        a time, and no rows in which there is nothing. What is left when the caller stops stays.
        """
        going = [row for row in self.steps.values() if not row.idle]
        faults = list(self.faults)
        taken = self._take_counts()
        for place in range(0, max(len(going), len(faults), 1), rows):
            for row in going[place : place + rows]:
                taken.steps[row.name] = _moved(row)
            for key in faults[place : place + rows]:
                if key in self.faults:
                    taken.faults[key] = self.faults.pop(key)
            yield taken
            taken = Stats()

    def _take_counts(self) -> Stats:
        taken = Stats(**{name: getattr(self, name) for name in COUNTS})
        taken.script_errors, self.script_errors = self.script_errors, {}
        taken.consequences.counts = self.consequences.counts
        self.consequences.counts = {}
        taken.hanging, self.hanging = self.hanging, {}
        taken.unread, self.unread = self.unread, {}
        taken.connects = _moved(self.connects)
        taken.starts = _moved(self.starts)
        for name in COUNTS:
            setattr(self, name, 0)
        return taken

    @property
    def total(self) -> StepStats:
        """All exchanges in one row, made anew; where there is none, all sends, or all receives."""
        kinds = {row.kind for row in self.steps.values()}
        counted = next((kind for kind in TOTALS if kind in kinds), "send")
        total = StepStats("total", counted)
        for row in self.steps.values():
            if row.kind == counted:
                total.merge(row)
        return total

    @property
    def volume(self) -> Volume:
        """Bytes that were moved, by whatever steps and in the opening of connections."""
        total = Volume()
        for row in (self.connects, *self.steps.values()):
            total.add(row.volume)
        return total

    @property
    def spoilt(self) -> int:
        """Latencies that a standstill of the generator has spoilt."""
        return self.connects.spoilt + sum(row.spoilt for row in self.steps.values())

    @property
    def faults_in_order(self) -> list[FaultGroup]:
        """In which they began: the first one first, whatever their counts."""
        return sorted(self.faults.values(), key=lambda group: group.first)

    @property
    def errors(self) -> int:
        """Every fault, whatever step it was met at."""
        return sum(group.count for group in self.faults.values())


def _moved(row: StepStats) -> StepStats:
    row.fold()
    counts = row.errors, row.untimed, row.spoilt, row.late
    moved = StepStats(row.name, row.kind, row.histogram, *counts, step=row.step)
    moved.volume = row.volume.take()
    row.histogram, row.errors, row.untimed, row.spoilt, row.late = Histogram(), 0, 0, 0, 0
    if row.service is not None:
        moved.service, row.service = row.service, Histogram()
    return moved
