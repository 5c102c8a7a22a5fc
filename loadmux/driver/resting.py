"""How a user waits: between iterations, because a step says so, and to let others have a turn."""

from __future__ import annotations

from time import perf_counter

from loadmux.driver.client import Client, Setting
from loadmux.driver.control import ENDLESS, Control, Shift
from loadmux.driver.loop import NEVER, Loop, next_turn, sleep_until, wait_io

GIVE_WAY_EVERY = 32
"""Steps that may end without a wait: a look at the clock for each of them would be felt."""


class Resting(Client):
    """`leaving` true lets the user go after the iteration in hand. `waited` is for how long it has
    paused (seconds) because a step said so. `shift` ends what would go on.
    """

    __slots__ = ("leaving", "resting", "shift", "streak", "waited")

    def __init__(self, loop: Loop, control: Control, script: Setting, number: int) -> None:
        super().__init__(loop, control, script, number)
        self.leaving = self.resting = False
        self.shift = ENDLESS
        self.streak = 0
        self.waited = 0.0

    async def rest(self, until: float) -> None:
        """Sleep between iterations; `wake` ends it early when the run stops."""
        self.resting = True
        try:
            while not (self.control.stopping or self.leaving) and perf_counter() < until:
                self.set_deadline(until)
                await wait_io(self)
        finally:  # one that was interrupted here is not to be woken once it has ended
            self.deadline = NEVER
            self.resting = False

    async def pause(self, seconds: float) -> None:
        """Wait because a step says so."""
        began, shift = perf_counter(), self.shift
        if shift is ENDLESS:
            await sleep_until(self, began + seconds)
        else:
            await self._doze(shift, began + seconds)
        self.waited += perf_counter() - began

    async def _doze(self, shift: Shift, until: float) -> None:
        """Sleep, until the shift is over at the latest."""
        shift.resting.add(self)
        try:
            while not shift.over and perf_counter() < until:
                self.set_deadline(until)
                await wait_io(self)
        finally:
            shift.resting.discard(self)
            self.deadline = NEVER

    async def give_way(self) -> None:
        """Let the others have a turn now and then: called by steps that may end without waiting."""
        self.streak += 1
        if self.streak >= GIVE_WAY_EVERY or self.overtime():
            self.streak = 0
            await next_turn(self)

    def wake(self) -> None:
        """The run is stopping: do not sleep on between two iterations."""
        if self.resting:
            self.set_deadline(perf_counter())
