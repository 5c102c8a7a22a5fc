"""The connections that a step is for, opened if need be, and the steps that act on them.

A connection is made by the first step that uses it; `connect` makes it at a time of the file's
choosing. One that has ended in order while nobody used it is made anew, where that is no fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from loadmux.driver import closing, duplex
from loadmux.driver.connection import Connection
from loadmux.driver.user import VirtualUser
from loadmux.language.meaning.stepvalues import SocketAction
from loadmux.measuring.recorder import Recorder
from loadmux.measuring.volume import Volume


async def opened(
    user: VirtualUser, sockets: Sequence[int], volume: Volume | None = None, reads: bool = False
) -> list[Connection]:
    """The user's connections with these numbers, each of them open. Raises Fault.

    `volume` counts what is sent on them from now on, and (`reads`) what is read.
    """
    connections = [user.connections[index] for index in sockets]
    for connection in connections:
        if connection.task is not user:
            continue  # another branch reads it
        if connection.ending:
            await closing.finish(user, connection)
        if connection.endpoint.may_end and connection.connected and connection.ended_idle():
            connection.abandon()
            user.control.stats.ended_idle += 1
        if not connection.connected:
            await user.connect(connection)
    if volume is not None:
        for connection in connections:
            connection.sends_for = volume
            if reads:
                connection.reads_for = volume
    return connections


@dataclass(slots=True)
class OnSockets:
    """connect, half_close, close, reset, stop_reading, resume_reading, cork, uncork.

    `pending`: a close that judges nothing ("drop"), or does not even read it ("abandon").
    """

    name: str
    action: SocketAction
    sockets: tuple[int, ...]
    timeout: float
    record: Recorder
    pending: Literal["drop", "abandon"] | None = None

    async def run(self, user: VirtualUser) -> None:
        connections = [user.connections[index] for index in self.sockets]
        if self.action in ("close", "reset"):
            await self._end(user, [one for one in connections if one.connected])
            await user.give_way()
            return
        for connection in connections:
            if connection.task is not user:  # another branch reads it, and this one only sends
                speaker = duplex.Speaker(user, connection)
                if self.action == "half_close":
                    await speaker.half_close(self.timeout)
                else:
                    await speaker.begin()
                    connection.hold(self.action == "cork")
                continue
            if not connection.connected:
                took = await user.connect(connection, self.timeout)
                if self.action == "connect":
                    self.record(took)
            if self.action == "half_close":
                await connection.half_close(self.timeout)
            elif self.action == "stop_reading":
                connection.paused = connection.dirty = True
            elif self.action == "resume_reading":
                connection.paused = False
                connection.update_dirty()
            elif self.action in ("cork", "uncork"):
                connection.hold(self.action == "cork")
        await user.give_way()

    async def _end(self, user: VirtualUser, connections: Sequence[Connection]) -> None:
        if self.pending is not None and self.action == "reset":
            for connection in connections:
                connection.reset()
            return
        if self.pending == "abandon":
            for connection in connections:
                closing.abandon(connection)
            return
        if self.pending == "drop":
            await closing.drop(user, connections)
            return
        if self.action == "close":
            await closing.close(user, connections, self.timeout)
            return
        for connection in connections:
            closing.reset(connection)
