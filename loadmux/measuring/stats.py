"""What was measured, in memory that does not grow with time, and mergeable: workers, phases, runs.

`rows` for what each step was measured by, groups of faults with the first examples, and counts of
all the rest. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from loadmux.errors import Evidence, Kind, ScriptFailed
from loadmux.measuring.consequences import Consequences
from loadmux.measuring.hanging import LEAST, Hanging, Overdue, overdue
from loadmux.measuring.rows import StepStats, moved
from loadmux.measuring.unread import Unread
from loadmux.measuring.volume import Volume

EXAMPLES = 3
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
            taken.steps[row.name] = moved(row)
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
                taken.steps[row.name] = moved(row)
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
        taken.connects = moved(self.connects)
        taken.starts = moved(self.starts)
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
