"""What is shown a few times a second while a run goes on."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from loadmux.measuring.stats import Stats
from loadmux.report.model import Progress
from loadmux.running.generators.outside import GeneratorProcess
from loadmux.running.state import Part, State, beginnings


def show_progress(
    workers: list[GeneratorProcess], state: State, show: Callable[[Progress], None]
) -> None:
    now = monotonic()
    span = now - state.shown
    recent = state.interval.total
    if span < 0.5 or (not recent.count and span < 1.0):
        return
    elapsed = now - state.began
    times = [part.scenario.load.run_time for part in state.parts]
    known = [time for time in times if time is not None]
    show(
        Progress(
            elapsed=elapsed,
            time_left=max(0.0, max(known) - elapsed) if len(known) == len(times) else None,
            users=sum(sum(worker.active.values()) for worker in workers if not worker.over),
            exchanges=sum(part.stats.total.count for part in state.parts),
            rate=recent.right / span,
            errors=sum(part.stats.errors for part in state.parts),
            p50=recent.histogram.percentile(0.5),
            p99=recent.histogram.percentile(0.99),
            dropped=sum(part.stats.dropped for part in state.parts),
            phase=", ".join(filter(None, (phase_at(part, elapsed) for part in state.parts))),
        )
    )
    state.shown, state.interval = now, Stats()


def phase_at(part: Part, elapsed: float) -> str:
    """`name (2 of 3)`, or nothing where there is but one."""
    load = part.scenario.load
    if len(load.phases) < 2:
        return ""
    number = sum(begin <= elapsed for begin in beginnings(load))
    return part.say(f"{load.phases[number - 1].name} ({number} of {len(load.phases)})")
