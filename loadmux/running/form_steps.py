"""What steps do with plugins: payloads and replies of framers, actions, and sockets that are
sessions.

A payload form whose parts are constant is encoded once, and a reply form whose right reply is known
beforehand goes the same fast way as any exact reply (`likely`). What cannot be encoded when a step
runs is the scenario's mistake: it ends the run (DriverFault). Exceptions of a plugin's own are let
through; whoever runs the loop tells them in the plugin's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from time import perf_counter

from loadmux.checking.framed import WholeFrameVerifier
from loadmux.checking.framing import Framing
from loadmux.checking.rules import Rule
from loadmux.checking.verifying import Exact, Verifier
from loadmux.driver import closing
from loadmux.driver.awaiting import Awaited, await_replies, readable
from loadmux.driver.connection import Connection
from loadmux.driver.listening import Listener
from loadmux.driver.loop import next_turn
from loadmux.driver.user import VirtualUser
from loadmux.errors import DriverFault, Fault, Kind
from loadmux.language.servers import Url
from loadmux.measuring.recorder import Recorder
from loadmux.plugins.contracts import Action, Incoming, Running
from loadmux.plugins.payloads import Outgoing, Surroundings
from loadmux.running.frame_steps import Place
from loadmux.running.steps.connecting import opened
from loadmux.running.steps.messages import Message, Render
from loadmux.running.steps.replies import Judged, Reply
from loadmux.running.steps.sending import send, speak

HTTP_PORT = 80


def authority(url: Url) -> str:
    """`HOST:PORT` as a URL has it, the port left out where it is HTTP's; RFC 9110, section 7.2."""
    if url.scheme == "unix":
        return "localhost"
    host = f"[{url.host}]" if ":" in url.host else url.host
    return host if url.port == HTTP_PORT else f"{host}:{url.port}"


# --- payloads and replies -----------------------------------------------------------------------


def constant(form: Outgoing, parts: Iterable[bytes | None], where: str) -> bytes | None:
    """A form's bytes, if they are always the same; None too where there are none."""
    found = list(parts)
    known = [part for part in found if part is not None]
    if form.varies or len(known) < len(found):
        return None
    try:
        return form.encode(known, Surroundings(where, Random(0)))
    except ValueError:
        return None


def rendered(
    form: Outgoing, renders: Sequence[Render], authorities: Mapping[str, str], place: Place
) -> Render:
    """What a form sends at the moment; `authorities` are those of the sockets, by name.

    Raises DriverFault where it cannot be encoded.
    """

    fixed: dict[str, Surroundings] = {}
    if not form.varies:  # then no user needs a source of chance of its own, 2.5 KB each
        fixed = {name: Surroundings(where, Random(0)) for name, where in authorities.items()}

    def encode(user: VirtualUser, socket: str, sent: bytes) -> bytes:
        parts = [render(user, socket, sent) for render in renders]
        try:
            around = fixed.get(socket) or Surroundings(authorities[socket], user.random)
            return form.encode(parts, around)
        except ValueError as error:
            raise DriverFault(
                f"{place.where}: step {place.step!r} of user {user.number} on socket {socket!r}"
                f" cannot be sent: {error}"
            ) from None

    return encode


@dataclass(frozen=True, slots=True)
class FormReply(Reply):
    """One frame that is right for a reply form; `constants` are its parts if all are known."""

    form: Incoming
    framing: Framing
    constants: tuple[bytes, ...] | None
    renders: Sequence[Render]

    def known(self, payload: bytes) -> Judged | None:
        return None if self.constants is None else self._judged(payload, self.constants)

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        parts = self.constants
        if parts is None:
            parts = tuple(render(user, socket, payload) for render in self.renders)
        return self._judged(payload, parts)

    def alone(self) -> Callable[[], Verifier] | None:
        if self.constants is None:
            return None
        likely, judge = self._judged(b"", self.constants)
        return judge if likely is None else None

    def answers_alike(self, payload: bytes) -> bool:
        return self.framing.answering(payload) is self.framing

    def _judged(self, payload: bytes, parts: Sequence[bytes]) -> Judged:
        framing = self.framing.answering(payload)
        judge = partial(self.form.judge, parts=parts)
        return self.form.likely(parts), lambda: WholeFrameVerifier(framing.decoder(), judge)


# --- sessions -----------------------------------------------------------------------------------


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


# --- actions ------------------------------------------------------------------------------------


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
