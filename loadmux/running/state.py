"""A run as it stands: its scenarios with what they have measured, and its generator processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from loadmux.language.meaning.scenario import Load, Scenario
from loadmux.language.meaning.servers import Url
from loadmux.language.meaning.shares import labels
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import Stats
from loadmux.measuring.timeline import Timeline
from loadmux.report.model import Finding, Listener
from loadmux.running import breakdown
from loadmux.running.cores import Cores
from loadmux.running.generators.barriers import Coordinator
from loadmux.running.generators.outside import GeneratorProcess
from loadmux.running.servers.processes import ServerProcess
from loadmux.running.servers.watching import Watched


@dataclass(slots=True)
class Part:
    """A scenario in this run: its targets and what it measured.

    `label` tells its rows from those of the others ("" where there are none), `first` is the number
    of its first user. `rows` has all its rows, without samples. `phases` has what was measured in
    each phase, by its number.
    """

    scenario: Scenario
    label: str
    first: int
    processes: dict[str, ServerProcess] = field(default_factory=dict)
    urls: dict[str, Url] = field(default_factory=dict)
    rows: Stats = field(default_factory=Stats)
    stats: Stats = field(default_factory=Stats)
    phases: dict[int, Stats] = field(default_factory=dict)
    elapsed: float = 0.0
    died: str | None = None
    last_lines: list[str] = field(default_factory=list)
    watched: list[Watched] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    unreachable: str | None = None
    barriers: Coordinator = field(default_factory=Coordinator)

    def phase_stats(self, number: int) -> Stats:
        """What was measured in a phase, in all the rows."""
        if number not in self.phases:
            self.phases[number] = Stats()
            self.phases[number].merge(self.rows)
        return self.phases[number]

    def kind_of(self, row: StepStats) -> str:
        """The kind of a row that has been merged into `stats`."""
        return self.stats.row_of(row.of, row.kind, row.name).kind

    def say(self, text: str) -> str:
        return f"{self.label}: {text}" if self.label else text


@dataclass(slots=True)
class State:
    """The run as it stands.

    `failed` is why the generator could not go on, `broken` why that was loadmux's own fault.
    """

    parts: list[Part]
    workers: list[GeneratorProcess] = field(default_factory=list)
    interrupted: bool = False
    aborted: bool = False
    failed: str | None = None
    broken: str | None = None
    trace: str = ""
    began: float = 0.0
    shown: float = 0.0
    interval: Stats = field(default_factory=Stats)
    timeline: Timeline = field(default_factory=Timeline)
    started: float = 0.0
    listeners: Sequence[Listener] = ()
    cores: Cores = field(default_factory=Cores)
    reserve: bytearray = field(default_factory=lambda: bytearray(breakdown.RESERVE))

    @property
    def over(self) -> bool:
        """Whether there is no reason to go on."""
        return self.interrupted or bool(self.failed or self.broken)

    @property
    def running(self) -> set[object]:
        """Who will tell more: the numbers of a worker and of a scenario."""
        parts = range(len(self.parts))
        return {(one.number, part) for one in self.workers if not one.over for part in parts}

    def breaks(self, reason: str, trace: str = "") -> None:
        """loadmux itself broke; `trace` is the traceback of a bug."""
        if self.broken is None:
            self.broken, self.trace = reason, trace

    def kill_workers(self) -> None:
        for worker in self.workers:
            worker.process.kill()


def parts_of(scenarios: Sequence[Scenario]) -> list[Part]:
    """The scenarios with their labels, their users numbered on from each other's."""
    starts = accumulate((scenario.load.users for scenario in scenarios), initial=0)
    return [Part(*each) for each in zip(scenarios, labels(scenarios), starts, strict=False)]


def latest_end(part: Part, began: float) -> float:
    """When the last users of a scenario are interrupted, in seconds as `began`; a bit early.

    Each worker counts from when it heard `Go`, which is later.
    """
    load = part.scenario.load
    if load.run_time is None:
        return float("inf")
    return began + load.run_time + load.graceful_stop


def beginnings(load: Load) -> list[float]:
    """When each phase is to begin, in seconds since the start."""
    times = [phase.pacer.seconds for phase in load.phases]
    return [sum(times[:number]) for number in range(len(times))]
