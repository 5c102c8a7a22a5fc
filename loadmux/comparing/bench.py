"""Runs one scenario again and again under one load after the other, against servers that stay.

What is measured is a phase of its own: connects and the first exchanges, the warm-up, come before
it. A server that a scenario starts is started once for all its runs, so that one which gets slower
with time is found out; a pool that must have another size is started anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from types import TracebackType
from typing import Self

from loadmux.driver.pacer import Pacer, Rate, Users
from loadmux.language.meaning.scenario import Load, Phase, Scenario
from loadmux.language.meaning.servers import Target, Url
from loadmux.language.meaning.stepvalues import Barrier
from loadmux.measuring.stats import Stats
from loadmux.report.model import Progress, Report
from loadmux.running.run import run
from loadmux.running.servers import proc
from loadmux.running.servers.processes import ServerProcess
from loadmux.running.servers.starting import fitted, servers_of
from loadmux.running.servers.watching import local
from loadmux.running.settings import Settings

WARM_UP = 0.4
"""Seconds, and not more than `WARMING` times what is measured."""
WARMING = 0.5
GRACEFUL = 2.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A run: `stats` are those after the warm-up, over `seconds`.

    `cpu` is what the processes of its servers used for an exchange, in seconds of CPU; None where
    nobody tells. `took` is all the time that the run needed.
    """

    report: Report
    stats: Stats
    seconds: float
    cpu: float | None = None
    took: float = 0.0

    @property
    def alone(self) -> Report:
        """The report of what was measured, without the warm-up."""
        (part,) = self.report.parts
        part = replace(part, stats=self.stats, duration=self.seconds, phases=())
        return replace(self.report, parts=(part,), stats=self.stats, duration=self.seconds)

    @property
    def rate(self) -> float:
        """Right exchanges a second."""
        return self.stats.total.rate(self.seconds) if self.seconds else 0.0

    @property
    def iterations(self) -> float:
        """Iterations a second."""
        return self.stats.iterations / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """A latency in seconds, 0 over no samples."""
        return self.stats.total.histogram.percentile(share)


def no_show(progress: Progress) -> None:
    pass


class Bench:
    """The servers of a scenario while the `with` block lasts."""

    def __init__(
        self,
        scenario: Scenario,
        settings: Settings,
        show: Callable[[Progress], None] = no_show,
        spare: int = 0,
    ) -> None:
        """`spare`: connections that servers must have room for beside those of the users."""
        self.spare = spare
        self.scenario = scenario
        self.settings = settings
        self.show = show
        self._held: dict[str, tuple[Target, ServerProcess]] = {}
        self._found: dict[Url | None, list[int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _, process in self._held.values():
            process.stop()
        self._held.clear()

    def open(self, rate: float, users: int, seconds: float) -> Measured:
        """So many iterations a second, which `users` at most carry out."""
        return self.run(self._load(lambda time: Rate(rate, rate, time), users, seconds))

    def closed(self, users: int, seconds: float) -> Measured:
        """So many users, each as fast as it is answered."""
        if any(isinstance(step, Barrier) for step in self.scenario.every_step):
            load = replace(self.scenario.load, users=users, run_time=seconds, phases=())
            return self.run(replace(load, iterations=None))
        return self.run(self._load(lambda time: Users(users, users, time), users, seconds))

    def _load(self, pacer: Callable[[float], Pacer], users: int, seconds: float) -> Load:
        warm = min(WARM_UP, seconds * WARMING)
        phases = tuple(
            Phase(name, pacer(time), users)
            for name, time in (("warm-up", warm), ("measured", seconds))
        )
        known = self.scenario.load
        graceful = min(known.graceful_stop, GRACEFUL)
        return replace(
            known,
            users=users,
            run_time=warm + seconds,
            iterations=None,
            graceful_stop=graceful,
            phases=phases,
        )

    def run(self, load: Load) -> Measured:
        """Raises what `running.run.run` does."""
        began = monotonic()
        scenario = replace(self.scenario, load=load)
        held = self._started(scenario)
        roots = self._roots(scenario, held)
        before = proc.cpu_seconds(roots)
        report = run([scenario], replace(self.settings, held=held), self.show)
        spent = proc.cpu_seconds(roots) - before
        (part,) = report.parts
        done = part.stats.total.right
        cpu = spent / done if spent and done else None
        stats, seconds = part.stats, part.duration
        if load.phases:
            stats, seconds = part.phases[-1].stats, part.phases[-1].duration
        return Measured(report, stats, seconds, cpu, monotonic() - began)

    @property
    def roots(self) -> list[int]:
        """The processes of the servers."""
        return [process.process.pid for _, process in self._held.values()]

    def _roots(self, scenario: Scenario, held: Collection[str]) -> list[int]:
        """The processes of all servers, also of those that were there; none if one is unknown."""
        roots = self.roots
        for name, target in scenario.servers.items():
            if name not in held:
                if target.url not in self._found:
                    self._found[target.url] = local(target.url) if target.url is not None else []
                if not self._found[target.url]:
                    return []
                roots += self._found[target.url]
        return roots

    def start(self, users: int) -> Mapping[str, ServerProcess]:
        """The servers by the names of their targets, for so many users."""
        load = replace(self.scenario.load, users=users)
        return self._started(replace(self.scenario, load=load))

    def _started(self, scenario: Scenario) -> Mapping[str, ServerProcess]:
        """Servers that can carry this load, those from before where they can."""
        load = scenario.load
        scenario = replace(scenario, load=replace(load, users=load.users + self.spare))
        for name, target in scenario.servers.items():
            wanted = target if target.bundled is None else fitted(name, target, scenario)
            if name in self._held and self._held[name][0] != wanted:
                self._held.pop(name)[1].stop()
        held = {name: process for name, (_, process) in self._held.items()}
        for name, process in servers_of(scenario, self.settings.interrupts, held):
            target = scenario.servers[name]
            wanted = target if target.bundled is None else fitted(name, target, scenario)
            self._held[name] = wanted, process.__enter__()
        return {name: process for name, (_, process) in self._held.items()}
