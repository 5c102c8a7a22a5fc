"""The steps of plugins: what a plugin's action may do with the connections of its step.

Exceptions of a plugin's own are let through; whoever runs the loop tells them in its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from loadmux.checking.rules import Rule
from loadmux.checking.verifying import Exact, Verifier
from loadmux.driver import closing
from loadmux.driver.awaiting import Awaited, await_replies
from loadmux.driver.connection import Connection
from loadmux.driver.listening import Listener
from loadmux.driver.user import VirtualUser
from loadmux.errors import Fault, Kind
from loadmux.measuring.recorder import Recorder
from loadmux.plugins.contracts import Action, Running
from loadmux.running.steps.connecting import opened
from loadmux.running.steps.messages import Message, Render
from loadmux.running.steps.sending import send, speak


class AtWork(Running):
    """A user in a plugin's step, on the step's connections."""

    def __init__(self, step: Perform, user: VirtualUser) -> None:
        self._step = step
        self._user = user
        self._numbers = step.sockets
        self.user = user.number
        self.iteration = user.iteration
        self.random = user.random
        self.sockets = [user.connections[index].name for index in step.sockets]
        self.parts = [render(user, self.sockets[0], b"") for render in step.parts]

    async def _open(self, on: int) -> Connection:
        volume = self._step.record.volume
        (connection,) = await opened(self._user, [self._numbers[on]], volume, reads=True)
        return connection

    def _message(self, connection: Connection, payload: bytes) -> Message:
        read = frozenset((connection.name,))
        return Message(payload, lambda *_: payload, rules=self._step.rules, read=read)

    async def send(self, payload: bytes, on: int = 0) -> None:
        connection = await self._open(on)
        message = self._message(connection, payload)
        await send(self._user, connection, message, payload, self._step.timeout)

    async def expect(self, reply: bytes | Verifier, on: int = 0) -> bytes:
        connection = await self._open(on)
        asked = bool(connection.unanswered)
        awaited = Awaited(connection, verifier_of(reply), perf_counter(), asked=asked)
        return await self._heard(connection, awaited)

    async def exchange(self, payload: bytes, reply: bytes | Verifier, on: int = 0) -> bytes:
        connection, timeout = await self._open(on), self._step.timeout
        message, listener = self._message(connection, payload), Listener(self._user, timeout)
        judge = partial(verifier_of, reply)
        awaited = await speak(self._user, connection, message, payload, judge, timeout, listener)
        return await self._heard(connection, awaited)

    async def _heard(self, connection: Connection, awaited: Awaited) -> bytes:
        timeout = self._step.timeout
        if not awaited.over:
            awaited.due = self._user.loop.limit(perf_counter(), timeout)
            await await_replies(self._user, [awaited], timeout)
        if connection.ending:
            await closing.finish(self._user, connection)
        return awaited.verifier.kept()

    async def close(self, on: int = 0) -> None:
        connection = self._user.connections[self._numbers[on]]
        if connection.connected:
            await closing.close(self._user, [connection], self._step.timeout)

    async def wait(self, seconds: float) -> None:
        await self._user.pause(seconds)

    def set(self, name: str, value: bytes) -> None:
        self._user.set(name, value)

    def fault(self, kind: Kind, message: str, on: int = 0) -> Fault:
        return self._user.connections[self._numbers[on]].fault(kind, message)


def verifier_of(reply: bytes | Verifier) -> Verifier:
    return Exact(reply) if isinstance(reply, bytes) else reply


@dataclass(slots=True)
class Perform:
    """A plugin's step; `rules` are the reply rules of its sockets, by their names.

    `timeout` is in seconds.
    """

    name: str
    sockets: tuple[int, ...]
    action: Action
    parts: Sequence[Render]
    rules: Mapping[str, Rule]
    timeout: float
    record: Recorder

    async def run(self, user: VirtualUser) -> None:
        began = perf_counter()
        await self.action.run(AtWork(self, user))
        self.record(user.loop.since(began))
        await user.give_way()
