"""Remarks of a report that a person should not have to find out alone."""

from __future__ import annotations

from collections.abc import Iterator

from loadmux.errors import Kind
from loadmux.report import figures
from loadmux.running.generators.said import Final
from loadmux.running.remedies import remedies
from loadmux.running.state import Part, State
from loadmux.running.weak import weak_rule_notes

SPOILT = "the generator stood still meanwhile"


def notes(state: State, finals: list[Final]) -> Iterator[str]:
    """Remarks that a person should not have to find out alone."""
    if state.aborted:
        yield "the first fault ended the run (on_error: abort)"
    for part in state.parts:
        yield from map(part.say, notes_on(part, state, len(finals)))


def notes_on(part: Part, state: State, workers: int) -> Iterator[str]:
    """Remarks on one scenario, in a run with so many workers."""
    scenario, stats = part.scenario, part.stats
    if part.died is not None:
        yield part.died + "; the faults after that are its death, not as many bugs"
    if len(part.last_lines) > 1:
        yield "the last lines that it printed:"
        yield from (f"| {line}" for line in part.last_lines)
    ended_early = state.over or state.aborted or part.died or part.unreachable
    missing = 0 if scenario.load.phases else scenario.load.users - stats.started
    if not ended_early and missing > 0:
        yield (
            f"{missing} of {scenario.load.users} users were never started, the run ended first:"
            " give it a longer --run-time, a higher --spawn-rate, or more --workers"
        )
    if stats.slow_connects:
        yield (
            f"{stats.slow_connects} connects took about 1 s or more: the target's accept queue was"
            " full and the kernel sent SYN again; give listen() a larger backlog, or a --spawn-rate"
        )
    if stats.spoilt:
        yield f"{figures.plural(stats.spoilt, 'latency', 'latencies')} not measured: {SPOILT}"
    if stats.unjudged:
        ended = figures.plural(stats.unjudged, "connection")
        yield f"{ended} ended while the generator stood still, which is neither right nor wrong"
    unserved = 0 if state.interrupted or part.unreachable else stats.started - stats.served
    if unserved > 0:
        yield f"{unserved} of {stats.started} users never completed an iteration"
    yield from map(str, stats.overdue())
    yield from filter(None, (one.told(url) for url, one in stats.unread.items()))
    kinds = {group.kind for group in stats.faults.values()}
    if scenario.load.users > 1 and workers > 1 and kinds & {Kind.CORRUPT, Kind.MISMATCH}:
        yield (
            "another worker's users are recognized only by ${user} in what they send or expect;"
            " other bytes of theirs count as corrupt or mismatch: look again with --workers 1"
        )
    for errors in stats.script_errors.values():
        times = "" if errors.count == 1 else f" ({errors.count} times)"
        yield f"error in the scenario's code: {errors.text}{times}"
    yield from part.unseen
    yield from weak_rule_notes(scenario)
    yield from remedies(scenario, stats)
