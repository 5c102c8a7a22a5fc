"""Barriers over several generator processes: what they tell each other, and who decides.

A process tells when all of its running users wait (`Blocked`, with how many at which barrier), and
when that ends. The process that started them opens a barrier once all that still work stand still:
the one where all wait, or, where they wait at different ones, the one that was reached first in the
run. A process that has ended, or is lost, has no part in it. `opened` counts the openings that the
sender knew of, so that word sent before an opening arrived is not taken for word about the next.
That nobody at all runs there is true until the sender says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Blocked:
    """From a worker: who waits where, in the order of first reach; None: somebody is on the way.

    `part` is the place of the scenario in the run: each has barriers of its own.
    """

    waits: dict[str, int] | None
    opened: int
    part: int = 0

    def joined(self, later: object) -> Blocked | None:
        """The `later` word on the same part makes up for this one."""
        same = isinstance(later, Blocked) and later.part == self.part
        return later if same else None  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Open:
    """To every worker: let those of a scenario who wait at its barrier `name` go on."""

    name: str
    part: int = 0


class Coordinator:
    """What the workers have told of one scenario; which of its barriers is to be opened."""

    def __init__(self) -> None:
        self.opened = 0
        self._told: dict[Hashable, dict[str, int]] = {}
        self._order: dict[str, None] = {}

    def hear(self, worker: Hashable, said: Blocked) -> None:
        if said.waits is None or (said.waits and said.opened != self.opened):
            self._told.pop(worker, None)
            return
        self._told[worker] = said.waits
        self._order.update(dict.fromkeys(said.waits))

    def decide(self, workers: Collection[Hashable]) -> str | None:
        """The barrier to open now, given those who still work; it counts as opened."""
        if not workers or not all(worker in self._told for worker in workers):
            return None
        waited_at = {name for worker in workers for name in self._told[worker]}
        if not waited_at:
            return None
        self.opened += 1
        self._told = {worker: waits for worker, waits in self._told.items() if not waits}
        return next(name for name in self._order if name in waited_at)
