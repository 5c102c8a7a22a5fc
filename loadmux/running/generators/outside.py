"""Generator processes from the outside: started, each with a channel, and known how they ended."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

from loadmux.driver.standstill import Standstill
from loadmux.errors import Broken, DriverFault, UsageError
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.stats import Stats
from loadmux.report.model import WorkerReport
from loadmux.running.generators.channel import Channel, wait
from loadmux.running.generators.nursery import Forked, Nursery, ended
from loadmux.running.generators.said import Failed, Final, Health, Ready
from loadmux.running.ownclock import OwnClock
from loadmux.running.servers.processes import how_it_ended

LISTEN_FOR = 0.25
"""Seconds after which whoever listens looks at other things, too."""
START_WITHIN = 60.0
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}


@dataclass(slots=True)
class GeneratorProcess:
    """One generator process, seen from the other side.

    `rows` has the rows of each scenario, without samples. `heard` is when it last said something,
    in own seconds of whoever listens. `owing`: it waited for something since then, or might have.
    `lost` says how it ended without a last word.
    """

    number: int
    users: int
    process: Forked
    channel: Channel
    poller: str = ""
    rows: tuple[Stats, ...] = ()
    heard: float = 0.0
    health: Health | None = None
    active: dict[int, int] = field(default_factory=dict)
    final: Final | None = None
    standstills: list[Standstill] = field(default_factory=list)
    lost: str | None = None
    silent: float = 0.0
    owing: bool = True

    @property
    def over(self) -> bool:
        return self.final is not None or self.lost is not None

    def report(self) -> WorkerReport:
        lost, last = self.lost, self.health
        if lost is None and self.silent and not self.standstills:
            lost = f"did not answer for {self.silent:.1f} s, then went on"
        if last is None:
            return WorkerReport(self.number, self.users, lost=lost)
        return WorkerReport(
            self.number,
            self.users,
            last.busy,
            last.late,
            last.cpu,
            last.memory,
            last.standstills,
            last.stood,
            tuple(self.standstills),
            lost,
        )


def spawn(nursery: Nursery, number: int, users: int) -> GeneratorProcess:
    process, channel = nursery.spawn()
    return GeneratorProcess(number, users, process, channel)


def await_ready(workers: Sequence[GeneratorProcess]) -> None:
    """Until all are ready; their `rows` are known then.

    Raises UsageError with the reason of one that cannot begin, Broken or DriverFault where there is
    none.
    """
    clock, waiting = OwnClock(), list(workers)
    while waiting:
        wait([worker.channel for worker in waiting], LISTEN_FOR)
        for worker in list(waiting):
            if is_ready(worker):
                waiting.remove(worker)
            elif worker.channel.gone:
                how, own = death(worker)
                text = f"generator process {worker.number} {how} before anything was sent"
                raise Broken(text) if own else DriverFault(text)
            elif clock.now() > START_WITHIN:
                raise DriverFault(f"generator process {worker.number} did not start")


def is_ready(worker: GeneratorProcess) -> bool:
    """Take its first word, if it has come. Raises UsageError with its reason not to begin."""
    for said in worker.channel.take():
        if isinstance(said, Failed):
            if said.broken:
                raise Broken(f"generator process {worker.number}: {said.reason}\n{said.trace}")
            raise UsageError(said.reason)
        if isinstance(said, Ready):
            worker.poller, worker.rows = said.poller, said.rows
            return True
    return False


def death(worker: GeneratorProcess) -> tuple[str, bool]:
    """How a worker ended without a last word, in words; and whether that was its own fault."""
    code = ended(worker.process)
    return how_it_ended(code), code == ExitCode.BROKEN or -code in CRASHES
