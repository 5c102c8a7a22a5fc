"""Steps in which nothing is said: a pause, and a barrier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from loadmux.driver.awaiting import readable
from loadmux.driver.barrier import Barriers
from loadmux.driver.connection import Connection
from loadmux.driver.loop import next_turn
from loadmux.driver.user import VirtualUser


@dataclass(slots=True)
class Wait:
    name: str
    draw: Callable[[VirtualUser], float]

    async def run(self, user: VirtualUser) -> None:
        await user.pause(self.draw(user))
        await user.give_way()


@dataclass(slots=True)
class AttentiveWait:
    """A wait in which servers that speak unasked (pings) are answered.

    In a branch of `together` those of the branch's own connections.
    """

    name: str
    draw: Callable[[VirtualUser], float]

    async def run(self, user: VirtualUser) -> None:
        began = perf_counter()
        until = began + self.draw(user)
        own = [one for one in user.connections if one.task is user]
        sessions = [one for one in own if one.endpoint.unasked is not None]
        while perf_counter() < until and not user.shift.over:
            listening = [one for one in sessions if one.connected and attend(one)]
            if any(one.more for one in listening):
                await next_turn(user)
            else:
                user.shift.resting.add(user)
                await readable(user, listening, until - user.loop.stood)
                user.shift.resting.discard(user)
        user.waited += perf_counter() - began
        await user.give_way()


def attend(connection: Connection) -> bool:
    """Answer what has come unasked; whether more may. Raises Fault if the connection is lost."""
    connection.drain()
    if connection.inbox:
        connection.explain_unasked()
    connection.check_lost()
    return not connection.eof and not connection.paused


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
