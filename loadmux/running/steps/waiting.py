"""Steps in which nothing is said: a pause, and a barrier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadmux.driver.barrier import Barriers
from loadmux.driver.user import VirtualUser


@dataclass(slots=True)
class Wait:
    name: str
    draw: Callable[[VirtualUser], float]

    async def run(self, user: VirtualUser) -> None:
        await user.pause(self.draw(user))
        await user.give_way()


@dataclass(slots=True)
class Barrier:
    name: str
    barrier: str

    async def run(self, user: VirtualUser) -> None:
        control = user.control
        if control.barriers is None:
            control.barriers = Barriers(lambda: control.active)
        if not user.met_before():
            await control.barriers.wait(user, self.barrier)
            user.passed()
