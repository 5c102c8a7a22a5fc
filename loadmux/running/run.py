"""Runs scenarios: targets up, generator processes up, statistics merged, one Report at the end.

The generator always runs in processes of its own (`generators`), also when there is only one: what
draws the live view then never delays the loop, and there is one way of doing things. This process
only listens to them. A worker that dies or falls silent is named in the report and makes the run
inconclusive; what it had told until then is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from loadmux.language.meaning.scenario import Scenario
from loadmux.report.model import Progress, Report
from loadmux.running import breakdown
from loadmux.running.conducting import conduct
from loadmux.running.cores import Cores
from loadmux.running.generators.nursery import Nursery, ended
from loadmux.running.generators.outside import await_ready, spawn
from loadmux.running.generators.said import Job, Share
from loadmux.running.interrupts import blocked
from loadmux.running.limits import check_limits
from loadmux.running.reporting import report
from loadmux.running.seeds import draw_seed
from loadmux.running.servers.starting import servers_of
from loadmux.running.settings import Settings
from loadmux.running.state import Part, State, parts_of
from loadmux.running.targets import look_at, roots_of, urls_of, watch


def run(
    scenarios: Sequence[Scenario], settings: Settings, show: Callable[[Progress], None]
) -> Report:
    """Run scenarios to a verdict; `show` is called a few times a second.

    Raises UsageError when nothing can be sent, TargetFailed when a target does not start, Broken or
    DriverFault where a generator process does not. An interrupt ends the run early, and so does
    what breaks in loadmux itself; what was measured until then is in the report.
    """
    check_limits(scenarios, settings)
    given = (scenario.seed for scenario in scenarios if scenario.seed is not None)
    seed = next(given, None)
    seed = draw_seed() if seed is None else seed
    state = State(parts_of(scenarios), listeners=settings.listeners)
    with surviving(state), ExitStack() as stack:
        nursery = settings.nursery or stack.enter_context(Nursery(settings.interrupts))
        for part in state.parts:
            part.processes.update(settings.held)
            for name, process in servers_of(part.scenario, settings.interrupts, settings.held):
                part.processes[name] = stack.enter_context(process)
            part.urls = urls_of(part)
        for part in state.parts:
            watch(part, settings.watch)
        stack.enter_context(started(state, seed, settings, nursery))
        conduct(state, settings.interrupts, show)
        if not (state.over or any(worker.lost for worker in state.workers)):
            for part in state.parts:
                look_at(part, state.began, lambda: settings.interrupts.count > 0)
    return report(settings, seed, state)


@contextmanager
def surviving(state: State) -> Iterator[None]:
    """Within the block: what breaks when something may have been measured is left to the report."""
    try:
        yield
    except Exception as error:
        if not state.began:
            raise
        state.reserve.clear()
        state.breaks(breakdown.told(error), breakdown.traced(error))


@contextmanager
def started(state: State, seed: int, settings: Settings, nursery: Nursery) -> Iterator[None]:
    """Worker processes, each with its job, all of them ready; none is left after the block."""
    parts, workers = state.parts, state.workers
    stride = min(settings.workers, sum(part.scenario.load.users for part in parts))
    try:
        with settings.interrupts.undone_by(state.kill_workers):
            for number in range(stride):
                shares = tuple(share_of(part, number, stride) for part in parts)
                users = sum(len(share.numbers) for share in shares)
                with blocked():
                    workers.append(spawn(nursery, number, users))
                workers[-1].channel.put(Job(shares, seed, settings.poller, number, stride))
            state.cores = Cores(roots_of(parts))  # while they start
            await_ready(workers)
            for part, rows in zip(parts, workers[0].rows, strict=True):  # all have the same
                part.rows = rows
                part.stats.merge(rows)
            settings.interrupts.measuring()
        yield
    finally:
        for worker in workers:  # first all: each ends with its channel, and all at once
            worker.channel.close()
        for worker in workers:
            ended(worker.process)


def share_of(part: Part, number: int, stride: int) -> Share:
    """Worker `number` of `stride` runs the users whose numbers leave that remainder."""
    first, last = part.first, part.first + part.scenario.load.users
    numbers = range(first + (number - first) % stride, last, stride)
    return Share(part.scenario, part.urls, numbers, first)
