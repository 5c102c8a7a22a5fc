"""A run from its first message to its last: workers started at once, heard, and ended.

This process only listens. A worker that dies or falls silent is named, and makes the run
inconclusive; what it had told until then is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, perf_counter, time

from loadmux.report.model import Progress
from loadmux.running.generators.barriers import Blocked, Open
from loadmux.running.generators.channel import wait
from loadmux.running.generators.outside import LISTEN_FOR, GeneratorProcess, death
from loadmux.running.generators.said import STOP, Failed, Final, Go, Update
from loadmux.running.interrupts import HURRY, Interrupts
from loadmux.running.ownclock import OwnClock
from loadmux.running.progress import show_progress
from loadmux.running.state import State, latest_end
from loadmux.running.targets import note_death

SILENT_AFTER = 5.0
"""Seconds without a word after which a worker has fallen silent; it speaks twice a second."""
CLOSING_TIME = 10.0
"""Seconds that closing all connections may take, beyond a scenario's longest time-out."""
HURRY_WITHIN = 0.5
"""Seconds in which workers end in order after the second interrupt, or are ended."""


def conduct(state: State, interrupts: Interrupts, show: Callable[[Progress], None]) -> None:
    """Start all workers at once, listen until each has ended, one way or the other."""
    workers = state.workers
    state.began = state.shown = monotonic()
    state.started = time()
    clock = OwnClock()
    state.cores.begin([worker.process.pid for worker in workers])
    go = Go(perf_counter())
    for worker in workers:
        worker.channel.put(go)
    stopping = hurried = None
    while running := [worker for worker in workers if not worker.over]:
        wait([worker.channel for worker in running], LISTEN_FOR)
        now = clock.now()
        for worker in running:
            hear(worker, state, now)
        if stopping is None:
            open_barriers(running, state)
        look_for_silence(running, now)
        state.cores.look()
        show_progress(workers, state, show)
        for part in state.parts:
            note_death(part)
            for one in part.watched:
                one.look(any(worker.owing for worker in running))
        died = any(part.died for part in state.parts)
        state.aborted = any(one.final is not None and one.final.aborted for one in workers)
        state.interrupted = interrupts.count > 0
        if stopping is None and (state.over or state.aborted or died):
            stopping = now
            for worker in running:
                worker.channel.put(STOP)
        if hurried is None and interrupts.count >= HURRY:
            hurried = now
        give_up(running, state, stopping, now)
        if hurried is not None and now > hurried + HURRY_WITHIN:
            leave_behind(running)


def open_barriers(workers: list[GeneratorProcess], state: State) -> None:
    """Open, for each scenario, the barrier at which all that still run wait, if there is one.

    None where time is up for good: who leaves then was interrupted, the others are about to be.
    """
    running = [worker for worker in workers if not worker.over]
    for number, part in enumerate(state.parts):
        if monotonic() >= latest_end(part, state.began):
            continue
        name = part.barriers.decide([worker.number for worker in running])
        if name is not None:
            for worker in running:
                worker.channel.put(Open(name, number))


def hear(worker: GeneratorProcess, state: State, now: float) -> None:
    """Take what a worker has said by `now` (own seconds); its end without a last word is a loss."""
    for said in worker.channel.take():
        worker.heard = now
        note(said, worker, state)
    # A last word comes before the end of the channel, and was taken above.
    if worker.channel.gone and not worker.over:
        how, own = death(worker)
        worker.lost = f"{how} after {monotonic() - state.began:.1f} s"
        if own:
            state.breaks(f"generator process {worker.number} {worker.lost}")
        else:
            state.failed = state.failed or f"generator process {worker.number} {worker.lost}"


def note(said: object, worker: GeneratorProcess, state: State) -> None:
    match said:
        case Blocked(part=part):
            state.parts[part].barriers.hear(worker.number, said)
        case Update():
            absorb(said, worker, state)
        case Final():
            worker.final = said
            absorb(said.update, worker, state)
        case Failed(reason=reason, update=update, broken=broken, trace=trace):
            worker.lost = reason
            if broken:
                state.breaks(f"generator process {worker.number}: {reason}", trace)
            else:
                state.failed = state.failed or reason
            if update is not None:
                absorb(update, worker, state)


def absorb(update: Update, worker: GeneratorProcess, state: State) -> None:
    worker.health = update.health
    rows = (row for one in update.parts.values() for row in one.stats.steps.values())
    worker.owing = update.health.owed or any(row.count for row in rows)
    worker.standstills.extend(update.standstills)
    for number, measured in update.parts.items():
        part = state.parts[number]
        worker.active[number] = measured.active
        part.stats.merge(measured.stats)
        part.elapsed = max(part.elapsed, measured.elapsed)  # each worker tells at its own time
        told = (worker.number, number), measured.elapsed
        state.timeline.add(*told, measured.stats, measured.active, part.kind_of)
        for hear in state.listeners:
            labelled = measured.stats.labelled(part.label)
            hear(*told, labelled, measured.active, state.running, update.health.late)
        state.interval.merge(measured.stats.labelled(part.label))
        if part.scenario.load.phases:
            part.phase_stats(measured.phase).merge(measured.stats)


def look_for_silence(running: list[GeneratorProcess], now: float) -> None:
    for worker in running:
        if now - worker.heard > SILENT_AFTER:
            worker.silent = max(worker.silent, now - worker.heard)


def give_up(
    running: list[GeneratorProcess], state: State, stopping: float | None, now: float
) -> None:
    """End workers that are past their time and have fallen silent, or are long past it.

    `stopping` and `now` are own seconds: in those in which this process stood still itself, nobody
    could be heard.
    """
    due = max(latest_end(part, 0.0) for part in state.parts) if stopping is None else stopping
    patience = max(part.scenario.timeout for part in state.parts) + CLOSING_TIME
    for worker in running:
        silent = now - worker.heard
        if not worker.over and (now > due + patience or (now > due and silent > SILENT_AFTER)):
            worker.lost = f"did not answer for {silent:.1f} s and was ended"
            state.failed = state.failed or f"generator process {worker.number} {worker.lost}"
            worker.process.kill()


def leave_behind(running: list[GeneratorProcess]) -> None:
    """End at once who does not end in order though the run was interrupted twice."""
    for worker in running:
        if not worker.over:
            worker.lost = "was ended by the second interrupt"
            worker.process.kill()
