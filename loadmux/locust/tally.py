"""All that the workers of one test measured, kept where the verdict is spoken: master, or alone.

Beside Locust's own statistics, which know neither evidence nor thresholds. One verdict and one
report for each class of users; the worst verdict, in the order in which `verdict` judges, is that
of the test.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from rich.console import Console

from loadmux.report import terminal
from loadmux.report.model import Report, WorkerReport
from loadmux.run import weak_rule_notes
from loadmux.scenario import Scenario, Url
from loadmux.stats import Stats
from loadmux.verdict import ExitCode, Outcome, Verdict, judge

WORST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.UNREACHABLE,
    ExitCode.FAIL,
    ExitCode.INCONCLUSIVE,
    ExitCode.THRESHOLD,
    ExitCode.PASS,
)


@dataclass(frozen=True, slots=True)
class Health:
    """How a worker's loop fares: see `WorkerReport`; `users` are those of the moment."""

    busy: float = 0.0
    late: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    users: int = 0


@dataclass(slots=True)
class Tally:
    """`stats` by class name, `workers` by client id; `failed` is why the generator could not go on.

    `unreachable` holds, by class, the text of a worker's first failed connect.
    """

    scenarios: Mapping[str, Scenario]
    urls: Mapping[str, Url]
    poller: str
    began: float = field(default_factory=monotonic)
    ended: float | None = None
    stats: dict[str, Stats] = field(default_factory=dict)
    workers: dict[str, Health] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    unreachable: dict[str, str] = field(default_factory=dict)
    failed: str | None = None
    died: str | None = None
    interrupted: bool = False

    def add(self, name: str, stats: Stats) -> None:
        self.stats.setdefault(name, Stats()).merge(stats)

    def expect(self, clients: Iterable[str]) -> None:
        """Workers that take part, whether or not they will ever tell anything."""
        for client in clients:
            self.note(client, Health())

    def note(self, client: str, health: Health) -> None:
        """A worker's latest; of its users the most that it had at once."""
        before = self.workers.get(client)
        most = max(health.users, before.users if before is not None else 0)
        self.workers[client] = replace(health, users=most)

    @property
    def duration(self) -> float:
        return (self.ended or monotonic()) - self.began

    def verdict(self, name: str) -> Verdict:
        """The verdict on one class."""
        stats = self.stats.get(name, Stats())
        outcome = Outcome(
            duration=self.duration,
            interrupted=self.interrupted,
            unreachable=None if stats.connects.right else self.unreachable.get(name),
            generator_failed=self.failed or self._loss(),
            target_died=self.died,
        )
        return judge(stats, self.scenarios[name].thresholds, outcome)

    def _loss(self) -> str | None:
        """What a lost worker measured last is unknown: faults may be among it."""
        if not self.lost:
            return None
        return f"{len(self.lost)} of {len(self.workers)} workers were lost"

    def took_part(self) -> list[str]:
        """The classes that had a user; all of them where none had."""
        names = [name for name in self.scenarios if self.stats.get(name, Stats()).started]
        return names or list(self.scenarios)

    def code(self) -> ExitCode:
        """The worst of the verdicts."""
        codes = {self.verdict(name).code for name in self.took_part()}
        return next((code for code in WORST_FIRST if code in codes), ExitCode.INCONCLUSIVE)

    def print(self, console: Console) -> None:
        for name in self.took_part():
            terminal.render(self.report(name), console)

    def report(self, name: str) -> Report:
        scenario, stats = self.scenarios[name], self.stats.get(name, Stats())
        target = scenario.target
        assert target is not None
        load = replace(scenario.load, users=stats.started)  # how many there are is Locust's word
        return Report(
            scenario=replace(scenario, name=f"{scenario.name} (class {name})", load=load),
            target=str(self.urls[name]),
            model=target.bundled,
            rule=target.rule,
            poller=self.poller,
            duration=self.duration,
            stats=stats,
            verdict=self.verdict(name),
            seed=scenario.seed or 0,
            command=shlex.join(["locust", *sys.argv[1:]]),
            workers=tuple(self._workers()),
            notes=tuple(self._notes(scenario, stats)),
        )

    def _workers(self) -> Sequence[WorkerReport]:
        return [
            WorkerReport(
                number,
                health.users,
                health.busy,
                health.late,
                health.cpu,
                health.memory,
                "is gone" if client in self.lost else None,
            )
            for number, (client, health) in enumerate(sorted(self.workers.items()))
        ]

    def _notes(self, scenario: Scenario, stats: Stats) -> Sequence[str]:
        notes = list(weak_rule_notes(scenario))
        if self.died is not None:
            notes.append(self.died + "; the faults after that are its death, not as many bugs")
        if self.lost:
            notes.append(f"{self._loss()}; what they had told until then is in the figures")
        if (unserved := stats.started - stats.served) > 0 and not self.interrupted:
            notes.append(f"{unserved} of {stats.started} users never completed an iteration")
        return notes
