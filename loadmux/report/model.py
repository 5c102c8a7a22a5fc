"""A finished run as one value: what every reporter (terminal, JSON, later ones) reads, and nothing
else.

Times are in seconds, rates in events a second. Made by `run` from merged statistics and the
verdict; reporters never compute a verdict of their own.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from loadmux.driver.standstill import Standstill
from loadmux.errors import Kind
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.cpu import Cpu
from loadmux.measuring.measured import measured_by
from loadmux.measuring.stats import Stats
from loadmux.measuring.timeline import Timeline
from loadmux.measuring.verdict import Verdict

BUSY_LIMIT = 0.95
LONG_ENOUGH = 0.5
MANY_ENOUGH = 10


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """How one generator process fared.

    `busy` is the share (0..1) of the time that its loop was not waiting; `lost` says how it died,
    or that it stopped answering, None where it ended in order. `late` is the 99th percentile
    (seconds) by which timers fired after they were due. `memory` is what it held at the end, in
    bytes. It stood still `stood_still` times, for `stood` seconds in all: a stopped process, a step
    that held the loop. `standstills` are the first of them.
    """

    number: int
    users: int
    busy: float = 0.0
    late: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    stood_still: int = 0
    stood: float = 0.0
    standstills: tuple[Standstill, ...] = ()
    lost: str | None = None


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """What ended in one phase; of the last one also what ended in the graceful stop.

    `duration` (seconds) is as long as the phase really was, 0 where it never began. `load` says in
    words what it was to do.
    """

    name: str
    load: str
    duration: float
    stats: Stats


@dataclass(frozen=True, slots=True)
class TargetReport:
    """A target that was driven, by the name that the scenario gives it ("" for the only one).

    `model` is the bundled target's, None for the user's own; `rule` the reply rule, if known.
    `command` has the words that started a server of the user's own.
    """

    name: str
    url: str
    model: str | None = None
    rule: str | None = None
    command: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """What is known beside the URL, in words."""
        about = [f"bundled {self.model}"] if self.model else []
        about += [f"started by {shlex.join(self.command)}"] if self.command else []
        return ", ".join([*about, f"reply rule: {self.rule}"] if self.rule else about)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen of a target's processes that bodes no good; `text` has the evidence.

    `target` is the name of the target ("" for the only one), with the scenario's label before it.
    `fault`: the scenario has it count as one.
    """

    kind: Kind
    target: str
    url: str
    text: str
    fault: bool = False

    def __str__(self) -> str:
        who = f"{self.target} ({self.url})" if self.target else self.url
        return f"{self.kind}: {who}: {self.text}"


@dataclass(frozen=True, slots=True)
class ScenarioReport:
    """One scenario of a run, judged by its own thresholds; `targets` has at least one.

    `label` is before its rows in the run's own statistics, "" where it is the only scenario.
    `phases` is empty where the load has none.
    """

    label: str
    scenario: Scenario
    targets: tuple[TargetReport, ...]
    duration: float
    stats: Stats
    verdict: Verdict
    phases: tuple[PhaseReport, ...] = ()

    @property
    def labelled_phases(self) -> tuple[PhaseReport, ...]:
        """The phases with the label before their names."""
        return tuple(
            replace(one, name=": ".join(filter(None, (self.label, one.name))))
            for one in self.phases
        )


@dataclass(frozen=True, slots=True)
class Report:
    """`parts` are the scenarios (at least one), `stats` and `verdict` are of all of them together.

    `duration` is from the first user's start to the last one's stop. `command` repeats the run.
    `notes` are remarks for a person (weak checks, slow connects, a target that died), a line each.
    `findings`: what was seen of the targets' processes. `trace` is the traceback of a bug in
    loadmux, if one ended the run. `timeline` is of all scenarios together. `started` is in
    seconds since 1970. `target_cpu` is of the targets' processes, `generator_cpu` of the
    generator's, None where it is not known.
    """

    parts: tuple[ScenarioReport, ...]
    poller: str
    duration: float
    stats: Stats
    verdict: Verdict
    seed: int
    command: str
    workers: tuple[WorkerReport, ...]
    notes: tuple[str, ...] = field(default=())
    trace: str = ""
    timeline: Timeline = field(default_factory=Timeline)
    findings: tuple[Finding, ...] = ()
    started: float = 0.0
    target_cpu: Cpu | None = None
    generator_cpu: Cpu | None = None

    @property
    def began(self) -> datetime:
        """When the first user was started, by the clock of this machine, in UTC."""
        return datetime.fromtimestamp(self.started, UTC)

    @property
    def limited(self) -> bool:
        """Whether the rate is what a process can send, whatever the target could answer."""
        return self.telling and any(worker.busy > BUSY_LIMIT for worker in self.workers)

    @property
    def telling(self) -> bool:
        """Whether it can be said what limits: a run that was short, or in which hardly anything
        succeeded, cannot tell, as at its start every process is busy.
        """
        return self.duration >= LONG_ENOUGH and measured_by(self.stats).right >= MANY_ENOUGH

    @property
    def scenario(self) -> Scenario:
        """The only scenario, or the first of several."""
        return self.parts[0].scenario

    @property
    def targets(self) -> tuple[TargetReport, ...]:
        """All the targets; with several scenarios their labels are before the names."""
        return tuple(
            replace(one, name=": ".join(filter(None, (part.label, one.name))))
            for part in self.parts
            for one in part.targets
        )


class Listener(Protocol):
    """Is called with each news of a run while it goes on; raises nothing.

    At `elapsed` seconds a source (a worker's share of a scenario) tells what it measured since its
    last news, with the scenario's label, and of its `active` users; those in `running` will tell
    more. `late` is the p99 (seconds) by which its process's timers fired too late so far.
    """

    def __call__(
        self,
        source: object,
        elapsed: float,
        stats: Stats,
        active: int,
        running: Collection[object],
        late: float = 0.0,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """A running test, for the live view: totals since the start, and the last interval's rates.

    `time_left` is None when the run ends by iterations. `p50` and `p99` are of the last interval.
    `phase` is the name of the current one (one for each scenario that has some), "" where there is
    none to tell.
    """

    elapsed: float
    time_left: float | None
    users: int
    exchanges: int
    rate: float
    errors: int
    p50: float
    p99: float
    dropped: int = 0
    phase: str = ""
