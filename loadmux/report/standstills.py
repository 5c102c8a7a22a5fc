"""How it is told that the generator stood still: a line for each cause, the longest time named.

A process that is stopped may have several workers, and all of them are stopped at once then: that
is one standstill of the generator, not as many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loadmux.driver.standstill import Standstill
from loadmux.measuring.verdict import Stood
from loadmux.report import figures
from loadmux.report.model import WorkerReport

TOGETHER = 0.5
SINGLY = 3
CAUSES = 5

Found = tuple[int, Standstill]
"""The number of a worker, and what happened to it."""


def told(workers: Sequence[WorkerReport]) -> tuple[str, ...]:
    """A line for each cause; none where nothing stood still."""
    found = [(worker.number, one) for worker in workers for one in worker.standstills]
    stops = [one for one in found if not one[1].held]
    lines = [*_stops(stops, len(workers)), *_holds([one for one in found if one[1].held])]
    unlisted = sum(worker.stood_still for worker in workers) - len(found)
    if len(lines) > CAUSES:
        lines[CAUSES:] = [f"and {len(lines) - CAUSES} more steps did"]
    if unlisted > 0:
        lines.append(f"and {unlisted:,} more times, which are not listed")
    return tuple(lines)


def stood(workers: Sequence[WorkerReport]) -> Stood | None:
    """What the verdict has to know of it; None where nothing stood still."""
    lines = told(workers)
    if not lines:
        return None
    seconds = max(worker.stood for worker in workers)
    return Stood(lines[0], seconds, max(worker.stood_still for worker in workers))


def _stops(found: list[Found], workers: int) -> Iterator[str]:
    """The process was stopped, or nobody knows why it did not go on."""
    together = _together(found)
    if len(together) > SINGLY:
        seconds = sum(one.seconds for _, one in together)
        longest = max((one for _, one in together), key=lambda one: one.seconds)
        yield (
            f"the generator stood still {len(together)} times, for {_seconds(seconds)} in all;"
            f" the longest time for {_when(longest)}"
        )
        return
    for numbers, one in together:
        who = "the generator" if len(numbers) == workers else f"worker {numbers[0]}"
        yield f"{who} stood still for {_when(one)}"


def _together(found: list[Found]) -> list[tuple[list[int], Standstill]]:
    """Standstills of several workers at one time as one, in order of time."""
    together: list[tuple[list[int], Standstill]] = []
    for number, one in sorted(found, key=lambda each: each[1].at):
        if together:
            numbers, first = together[-1]
            if number not in numbers and one.at - first.at < TOGETHER:
                longer = max(first, one, key=lambda each: each.seconds)
                together[-1] = ([*numbers, number], longer)
                continue
        together.append(([number], one))
    return together


def _holds(found: list[Found]) -> Iterator[str]:
    """A step held the loop: those who held it longest first."""
    causes: dict[tuple[str | None, str], list[Standstill]] = {}
    for _, one in found:
        causes.setdefault((one.step, one.where), []).append(one)
    for times in sorted(causes.values(), key=lambda each: -sum(one.seconds for one in each)):
        yield _hold(times)


def _hold(times: list[Standstill]) -> str:
    longest = max(times, key=lambda one: one.seconds)
    who = f" of user {longest.user}" if longest.user is not None else ""
    where = f" ({longest.where})" if longest.where else ""
    step = "the generator itself" if longest.step is None else f"step '{longest.step}'"
    if len(times) == 1:
        return f"{step}{who}{where} held the loop for {_when(longest)}"
    seconds = sum(one.seconds for one in times)
    return (
        f"{step}{where} held the loop {len(times)} times, for {_seconds(seconds)} in all;"
        f" the longest time{who} for {_when(longest)}"
    )


def _when(one: Standstill) -> str:
    return f"{_seconds(one.seconds)} at {max(0.0, one.at):.1f} s"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{figures.three_digits(seconds)} s"
