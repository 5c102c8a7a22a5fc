"""Mistakes in the order of steps, which no step shows by itself.

So far one: sending on a socket whose sending side the scenario has shut down. The kernel would
refuse it (EPIPE, send(2)), and the target would be blamed.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadmux.loader.reader import Mistakes
from loadmux.scenario import (
    Closed,
    Exchange,
    For,
    OnSockets,
    Repeat,
    Scenario,
    Step,
    Together,
    WasReset,
)


def check(scenario: Scenario, mistakes: Mistakes) -> None:
    """Walk `before`, `steps` (twice if repeated: sockets outlive an iteration) and `after`."""
    flow = _Flow(mistakes)
    flow.walk(scenario.before)
    flow.walk(scenario.steps)
    if scenario.load.iterations != 1:
        flow.walk(scenario.steps)
    flow.walk(scenario.after)


class _Flow:
    """`shut` are the sockets that cannot send any more at this point of the walk."""

    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._shut: set[int] = set()

    def walk(self, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case Repeat(do=do, times=times):
                    for _ in range(min(times, 2)):
                        self.walk(do)
                case For(do=do, values=values):
                    for _ in values[:2]:
                        self.walk(do)
                case OnSockets(action="half_close", sockets=sockets):
                    self._shut.update(sockets)
                case OnSockets(action="close" | "reset", sockets=sockets):
                    self._shut.difference_update(sockets)
                case Exchange():
                    self._exchange(step)
                case Together(branches=branches):
                    for branch in branches:
                        self.walk(branch)
                case _:
                    pass

    def _exchange(self, step: Exchange) -> None:
        if step.send is not None and self._shut & set(step.sockets):
            self._mistakes.add(
                step.where,
                "this sends on a socket that was half-closed before; 'close' it first, or 'expect:"
                " closed', and it connects anew",
            )
        if step.expect is not None and isinstance(step.expect.reply, Closed | WasReset):
            self._shut.difference_update(step.sockets)
