"""Runs a scenario in this process, with servers of its own, and says which faults it met.

That is a generator process's own code without the process: a run that takes 20 ms is not to cost a
second. The servers that the scenario starts are fresh for each run; while one run goes on, those of
the next ones are started, and those of the last one ended. A server with an address of its own has
it alone: there the next one waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Self

from loadmux.driver.loop import Task, sleep_until
from loadmux.errors import Evidence, TargetFailed
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.stats import Stats
from loadmux.probing.shrinking import Seen
from loadmux.probing.trying import updates
from loadmux.running.generators.channel import Channel, pair
from loadmux.running.generators.said import STOP, Job, Share
from loadmux.running.generators.worker import Worker
from loadmux.running.interrupts import Interrupts
from loadmux.running.servers.processes import ServerProcess
from loadmux.running.servers.starting import connections, servers_of
from loadmux.running.state import Part, parts_of
from loadmux.running.targets import note_death, urls_of

LOOK_EVERY = 0.005
AHEAD = 3
"""Servers that are started while one is at work: a start takes longer than most runs."""
ADDRESS = {"port", "unix"}
"""Options of bundled targets that say where they listen."""
DIED = "died"
"""The kind of what happened where a server's process ended in mid-run."""

Servers = dict[str, ServerProcess]


@dataclass(frozen=True, slots=True)
class Started:
    """Servers that listen, with what ends them."""

    servers: Servers
    stack: ExitStack


class Rehearsal:
    """Runs scenarios while its `with` block lasts; `over` cuts a run short."""

    def __init__(self, seed: int, over: Callable[[], bool], interrupts: Interrupts) -> None:
        self._seed, self._over, self._interrupts = seed, over, interrupts
        # threads that stay: the servers die with who began them
        self._threads = ThreadPoolExecutor(AHEAD)
        self._kind: object = None
        self._ahead: deque[Future[Started]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._drop()
        self._threads.shutdown()

    def run(self, scenario: Scenario) -> Seen:
        """What a run shows. Raises UsageError, DriverFault, and TargetFailed, also where no target
        was reached at all.
        """
        seed = self._seed if scenario.seed is None else scenario.seed
        (part,) = parts_of([replace(scenario, seed=seed)])
        with self._started(scenario) as servers:
            part.processes.update(servers)
            part.urls = urls_of(part)
            _run(part, seed, self._over)
            note_death(part)
        found = sorted(part.stats.faults.values(), key=lambda group: group.first)
        faults = [(group.kind.value, group.step) for group in found if _judged(group.examples)]
        return Seen(tuple(faults) + (((DIED, ""),) if part.died else ()))

    @contextmanager
    def _started(self, scenario: Scenario) -> Iterator[Servers]:
        """Fresh servers; the next ones are started meanwhile."""
        if self._kind != (wanted := _kind(scenario)):
            self._drop()
            self._kind = wanted
        started = self._next(scenario)
        ahead = 0 if _alone(scenario) or self._over() else AHEAD
        while len(self._ahead) < ahead:
            self._ahead.append(self._begin(scenario))
        try:
            yield started.servers
        finally:
            ended = self._threads.submit(started.stack.close)
            if _alone(scenario):
                ended.result()

    def _next(self, scenario: Scenario) -> Started:
        """Raises TargetFailed where they do not start at the second attempt either."""
        if self._ahead:
            with suppress(TargetFailed):  # somebody else may have taken its free port
                return self._ahead.popleft().result()
        return self._begin(scenario).result()

    def _begin(self, scenario: Scenario) -> Future[Started]:
        return self._threads.submit(_start, scenario, self._interrupts)

    def _drop(self) -> None:
        ahead, self._ahead = self._ahead, deque()
        for one in ahead:
            if one.exception() is None:
                one.result().stack.close()


def _kind(scenario: Scenario) -> object:
    """What makes two scenarios start the same servers."""
    return [
        (name, repr(one), connections(name, scenario) if one.bundled else 0)
        for name, one in scenario.servers.items()
    ]


def _alone(scenario: Scenario) -> bool:
    """Whether some server is started at an address that only one can have."""
    every = scenario.servers.values()
    commands = [one.command for one in every if one.command is not None]
    return any(one.fixed for one in commands) or any(ADDRESS & one.options.keys() for one in every)


def _start(scenario: Scenario, interrupts: Interrupts) -> Started:
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(process) for name, process in servers_of(scenario, interrupts)
        }
        return Started(servers, stack.pop_all())


def _judged(examples: Sequence[Evidence]) -> bool:
    """Whether faults are the target's own: not of a time when this process stood still."""
    return any(not one.unjudged for one in examples)


def _run(part: Part, seed: int, over: Callable[[], bool]) -> None:
    ours, theirs = pair()
    with ours, theirs:
        numbers = range(part.scenario.load.users)
        worker = Worker(Job((Share(part.scenario, part.urls, numbers),), seed, None), theirs)
        watcher = Task(worker.loop)
        worker.loop.spawn(watcher, _watch(watcher, worker, ours, part, over))
        try:
            final = worker.run()
        finally:
            worker.loop.close()
        part.stats = Stats()
        for update in (*updates(ours, theirs), final.update):
            if 0 in update.parts:
                part.stats.merge(update.parts[0].stats)
    reason = next(iter(final.unreachable.values()), None)
    if reason is not None and not final.reached:
        raise TargetFailed(f"the target was not reached: {reason}")


async def _watch(
    task: Task, worker: Worker, ours: Channel, part: Part, over: Callable[[], bool]
) -> None:
    """End the run when it is over, nobody wants it any more, or its server is gone."""
    (share,) = worker.portions
    while not share.done:
        now = perf_counter()
        if share.control.aborted:
            share.cut_short(now)
        if over() or any(process.died() for process in part.processes.values()):
            ours.put(STOP)
            return
        await sleep_until(task, now + LOOK_EVERY)
    worker.loop.stop()
