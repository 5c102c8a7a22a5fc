"""Sending: what is owed for a message is written down, then it goes out in its pieces.

In this order, for a reply can come before the message is whole, and must be known for one. `send`
is for steps that await nothing, `speak` for those that await the reply. A connection may be read by
another branch than the one that sends on it; that one is told what is owed (`driver.duplex`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from loadmux.checking.verifying import Verifier
from loadmux.driver import closing, duplex, filling
from loadmux.driver.awaiting import Awaited
from loadmux.driver.connection import Connection
from loadmux.driver.listening import Listener
from loadmux.driver.loop import Interrupted, next_turn, sleep_until
from loadmux.driver.peer import TRY
from loadmux.driver.user import VirtualUser
from loadmux.errors import Fault, ScriptFailed
from loadmux.measuring.recorder import Recorder
from loadmux.running.steps.connecting import opened
from loadmux.running.steps.messages import Message

PIECES_AT_ONCE = 16
"""Pieces after which others have their turn, if they have waited long enough."""


async def owe(user: VirtualUser, connection: Connection, message: Message, payload: bytes) -> None:
    """Write down what will be owed for a message that is about to be sent.

    A connection that stands in the middle of another one, which was given up, is made anew. Raises
    Fault.
    """
    if connection.midway:
        await closing.leave(user, connection)
        await user.connect(connection)
    await connection.check_surplus()
    rule = message.rules.get(connection.name)
    if rule is not None:
        verifier = connection.rule_verifier
        idle = verifier is None or verifier.idle
        alone = not message.pieces and not connection.unanswered and idle
        if verifier is None:
            verifier = connection.rule_verifier = rule.verifier()
        for data in message.told(payload, user, connection):
            verifier.sent(data, alone)
    if connection.name in message.read and not message.oneway:
        connection.asks(message.delay, payload)


async def deliver(
    user: VirtualUser,
    connection: Connection,
    message: Message,
    payload: bytes,
    timeout: float,
    listener: Listener | None = None,
    speaker: duplex.Speaker | None = None,
) -> bool:
    """Send a message in its pieces; false if the listener has heard enough before. Raises Fault."""
    whole, enough = True, False
    connection.midway = not connection.datagrams
    sender: duplex.Sender = speaker or connection
    if message.urgent:
        sender = filling.Urgent(connection, sender)
    connection.spoke += len(payload) - message.urgent
    connection.silent = False
    due = perf_counter()
    cut = message.cut(payload, user, connection.name) if message.pieces else (payload,)
    for number, piece in enumerate(cut):
        if number and message.gap:
            # A piece that was late is not made up for: two would leave without a gap.
            due = max(due + message.gap, perf_counter())
            if listener is None:
                await sleep_until(user, due)
            else:
                enough = await listener.sleep_until(due)
        if not enough:
            connection.note("sent as urgent" if message.urgent else "sent", piece)
            enough = not await sender.send_rest(piece, 0, timeout, listener)
        if enough:
            whole = False
            break
        if number % PIECES_AT_ONCE == PIECES_AT_ONCE - 1 and user.overtime():
            await next_turn(user)
            enough = listener is not None and await listener.look()
    connection.sent(whole)
    if connection.midway and connection.connected and not connection.ending:
        user.note_cut_short()
    return whole


async def send(
    user: VirtualUser, connection: Connection, message: Message, payload: bytes, timeout: float
) -> bool:
    """Send a message; what is owed for it is written down first. Raises Fault.

    False if the connection was lost, but the server had said something that a later step can judge.
    """
    if connection.task is not user:
        return await _send_beside(user, connection, message, payload, timeout)
    await owe(user, connection, message, payload)
    sending = deliver(user, connection, message, payload, timeout)
    return await _heeding(user, connection, message, sending)


async def _heeding(
    user: VirtualUser, connection: Connection, message: Message, sending: Awaitable[bool]
) -> bool:
    """What `send` says of a sending that may fail."""
    try:
        return await sending
    except Fault:
        name, ended = connection.name, connection.eof or connection.lost is not None
        to_be_read = name in message.read and name not in message.rules
        # What the server said before it went says more than that sending failed: whoever reads
        # it judges it, and tells the end if that was all.
        if not (ended and to_be_read and connection.inbox):
            raise
        user.note_cut_short()
        return False


async def _send_beside(
    user: VirtualUser, connection: Connection, message: Message, payload: bytes, timeout: float
) -> bool:
    """The same on a connection that another branch reads."""
    speaker = duplex.Speaker(user, connection)
    await speaker.begin()
    rule = message.rules.get(connection.name)
    if rule is not None:
        alone = not (message.pieces or connection.unanswered)
        for data in message.told(payload, user, connection):
            duplex.tell_rule(connection, rule, data, alone)
    if connection.name in message.read and not message.oneway:
        connection.asks(message.delay, payload)
    return await deliver(user, connection, message, payload, timeout, None, speaker)


async def speak(
    user: VirtualUser,
    connection: Connection,
    message: Message,
    payload: bytes,
    judge: Callable[[], Verifier],
    timeout: float,
    listener: Listener,
) -> Awaited:
    """Send a message whose reply, judged by what `judge` makes, may come before it is sent whole.

    The reply may be `over` then, and what was unsent given up. Raises Fault.
    """
    alone = not connection.unanswered
    await owe(user, connection, message, payload)
    awaited = Awaited(connection, judge(), perf_counter(), alone=alone)
    awaited.listen(listener)
    try:
        await deliver(user, connection, message, payload, timeout, listener)
    except Interrupted:
        listener.cut_off()
        raise
    awaited.held = False
    return awaited


@dataclass(slots=True)
class Send:
    """Send only; the latency is until the kernel took every byte."""

    name: str
    sockets: tuple[int, ...]
    message: Message
    timeout: float
    record: Recorder

    def run(self, user: VirtualUser) -> Awaitable[None]:
        message = self.message
        if len(self.sockets) == 1 and not (message.pieces or message.urgent or message.rules):
            connection = user.connections[self.sockets[0]]
            calm = connection.lean and connection.task is user and not connection.ready & TRY
            if calm and (not connection.dirty or connection.only_asked):
                return self._plainly(user, connection)
        return self._carefully(user)

    async def _plainly(self, user: VirtualUser, connection: Connection) -> None:
        """As `send`, where nothing has come that would have to be looked at before."""
        message = self.message
        payload = message.bytes_for(user, connection.name)
        began = perf_counter()
        connection.sends_for = self.record.volume
        if connection.name in message.read and not message.oneway:
            connection.asks(message.delay, payload)
            connection.dirty = True
        connection.spoke += len(payload)
        connection.silent = False
        connection.note("sent", payload)
        error = None
        try:
            count = connection._send(payload) if payload else 0
        except OSError as failed:
            count, error = 0, failed
        self.record.volume.sent += count
        if count != len(payload):
            rest = connection.send_on(payload, count, error, self.timeout)
            if not await _heeding(user, connection, message, rest):
                return
        self.record(user.loop.since(began))
        await user.give_way()

    async def _carefully(self, user: VirtualUser) -> None:
        for connection in await opened(user, self.sockets, self.record.volume):
            payload = self.message.bytes_for(user, connection.name)
            began = perf_counter()
            if await send(user, connection, self.message, payload, self.timeout):
                self.record(user.loop.since(began))
            await user.give_way()


@dataclass(slots=True)
class Fill:
    """Send again and again until the socket is full; the latency ends when it took the last byte.
    It need not be full where it took `at_most` bytes.

    What is owed for it by a rule is so for what was taken.
    """

    name: str
    sockets: tuple[int, ...]
    message: Message
    timeout: float
    record: Recorder
    at_most: int | None = None

    async def run(self, user: VirtualUser) -> None:
        for connection in await opened(user, self.sockets, self.record.volume):
            await self._fill(user, connection)
        await user.give_way()

    async def _fill(self, user: VirtualUser, connection: Connection) -> None:
        message, began = self.message, perf_counter()
        rule = message.rules.get(connection.name)

        def took(data: bytes) -> None:
            if rule is not None:
                duplex.tell_rule(connection, rule, data, False)

        if connection.task is user:
            await owe(user, connection, message, b"")
        connection.midway = True
        filling_it = filling.Filling(user, connection, self.timeout, self.at_most)
        payloads = partial(message.bytes_for, user, connection.name)
        try:
            full = await filling_it.run(user, payloads, took)
        except Interrupted:
            # What the server has said to what it was sent is judged by its rule, or by nobody.
            duplex.settle(connection)
            connection.asks(0.0, b"")
            raise
        if not full and self.at_most is None:
            text = f"the socket {connection.name!r} is never full: its server took everything"
            raise ScriptFailed(f"step {self.name!r}", text)
        if connection.writer is None:
            duplex.settle(connection)
        connection.spoke += filling_it.sent
        connection.sent(False)
        user.note_cut_short()
        self.record(user.loop.between(began, filling_it.at))
