"""The compiled steps: what a virtual user awaits, one class for each kind of step.

`Exchange.run` is the door to the hot path: for one socket, with the whole message in one piece and
a reply that can be worked out beforehand or was learned, it hands over to `Connection.exchange` at
once; everything else (several sockets, pieces, a connection that needs care) goes through
`_carefully`. Both check the same bytes with the same verifiers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

from loadmux.checking.recognition import Context
from loadmux.checking.rules import WORDS, Rule
from loadmux.checking.verifying import Exact, RuleVerifier, Verifier
from loadmux.driver import closing, duplex, filling
from loadmux.driver.awaiting import Awaited, await_replies, readable
from loadmux.driver.barrier import Barriers
from loadmux.driver.branch import again, together
from loadmux.driver.connection import SMALL, Connection, Plan
from loadmux.driver.listening import Listener
from loadmux.driver.loop import NEVER, Interrupted, next_turn, sleep_until
from loadmux.driver.peer import TRY, Owed
from loadmux.driver.poller import READ
from loadmux.driver.several import PARTS_MOST, Talk, exchange_several
from loadmux.driver.user import Operation, VirtualUser, walk
from loadmux.errors import DriverFault, Fault, Kind, ScriptFailed
from loadmux.language.stepvalues import SocketAction
from loadmux.measuring.recorder import Record, Recorder
from loadmux.measuring.volume import Volume
from loadmux.running.answering import Answers
from loadmux.running.learning import Learned
from loadmux.running.swift import Match, Swift

PIECES_AT_ONCE = 16
EXACT_RULES = ("echo", "upper")
"""Rules whose reply is known, however a server reads."""

Render = Callable[[VirtualUser, str, bytes], bytes]
"""Bytes for a user, the name of a socket, and what the same step sent."""

Judged = tuple[bytes | None, Callable[[], Verifier]]
"""The reply if it is known and comes in one piece; what makes the verifier for any other case."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a step sends: `constant`, or what `render` makes of the moment.

    `pieces` are sizes in bytes, or what tells them, the last one repeating; none sends all at once.
    `gap` is in seconds, and so is `delay`: by which the iteration that begins with it was late.
    `urgent`: out of band. Sockets are named: `rules` has the reply rules by which some step checks
    what this one sends on them, `read` those that some step reads at all.
    """

    constant: bytes | None
    render: Render
    pieces: tuple[int | Render, ...] = ()
    gap: float = 0.0
    rules: Mapping[str, Rule] = field(default_factory=dict)
    read: frozenset[str] = frozenset()
    delay: float = 0.0
    urgent: bool = False

    def bytes_for(self, user: VirtualUser, socket: str) -> bytes:
        return self.render(user, socket, b"") if self.constant is None else self.constant

    def told(self, payload: bytes, user: VirtualUser, connection: Connection) -> Iterable[bytes]:
        """What the server reads of a payload, as far as a rule knows: a datagram each, or all."""
        if connection.datagrams:
            return self.cut(payload, user, connection.name)
        return (payload[: len(payload) - self.urgent],)

    def cut(self, payload: bytes, user: VirtualUser, socket: str) -> Iterator[bytes]:
        if not self.pieces:
            yield payload
            return
        found = [
            one if isinstance(one, int) else int(one(user, socket, payload)) for one in self.pieces
        ]
        at, sizes, size = 0, iter(found), found[-1]
        while at < len(payload):
            size = next(sizes, size)
            yield payload[at : at + size]
            at += size


class Reply:
    """What a step expects in answer to a payload."""

    def known(self, payload: bytes) -> Judged | None:
        """The same for every user, or None where it varies."""
        raise NotImplementedError

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        judged = self.known(payload)
        assert judged is not None
        return judged

    @property
    def swift(self) -> bool:
        """Whether it may be judged in one go; see `swift`."""
        return False

    @property
    def entire(self) -> bool:
        """Whether no beginning of it is a right reply by itself, so that the rest must come."""
        return False

    @property
    def several(self) -> bool:
        """Whether it is several messages: as many datagrams, where it comes in such."""
        return False

    @property
    def quick(self) -> bool:
        """Whether `match` is as fast as a comparison with the last right reply."""
        return False

    def match(self, user: VirtualUser, socket: str, payload: bytes) -> Match | None:
        """What knows a whole right reply faster than its verifier."""
        return None

    def alone(self) -> Callable[[], Verifier] | None:
        """Makes the verifier where what is right hangs on the reply's bytes alone; else None."""
        return None

    def answers_alike(self, payload: bytes) -> bool:
        """Whether what `alone` makes judges the answer to this (HEAD is answered unlike GET)."""
        return True


@dataclass(frozen=True, slots=True)
class ExactReply(Reply):
    constant: bytes | None
    render: Render

    @property
    def entire(self) -> bool:
        return True

    def known(self, payload: bytes) -> Judged | None:
        return None if self.constant is None else (self.constant, partial(Exact, self.constant))

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        expected = self.constant
        if expected is None:
            expected = self.render(user, socket, payload)
        return expected, partial(Exact, expected)


@dataclass(frozen=True, slots=True)
class RuleReply(Reply):
    rule: Rule

    @property
    def entire(self) -> bool:
        return self.rule.name in EXACT_RULES

    def known(self, payload: bytes) -> Judged | None:
        return self.rule.likely(payload), partial(lockstep, self.rule, payload)


@dataclass(frozen=True, slots=True)
class RuleReplies(Reply):
    """Several sockets of one step, each with the rule of its own target; `rules` by their names."""

    rules: Mapping[str, Rule]

    def known(self, payload: bytes) -> Judged | None:
        return None

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        rule = self.rules[socket]
        return rule.likely(payload), partial(lockstep, rule, payload)


@dataclass(frozen=True, slots=True)
class FormReply(Reply):
    """A reply known by its form (`length`, `until`), whatever was sent."""

    make: Callable[[], Verifier]

    def known(self, payload: bytes) -> Judged | None:
        return None, self.make

    @property
    def swift(self) -> bool:
        return True

    def alone(self) -> Callable[[], Verifier] | None:
        return self.make


def lockstep(rule: Rule, payload: bytes) -> RuleVerifier:
    """The verifier of the reply to one message, sent in one piece with nothing else under way."""
    verifier = rule.verifier()
    verifier.sent(payload, True)
    return verifier


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
    if connection.name in message.read:
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
    try:
        return await deliver(user, connection, message, payload, timeout)
    except Fault:
        name, ended = connection.name, connection.eof or connection.lost is not None
        to_be_read = name in message.read and name not in message.rules
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
    if connection.name in message.read:
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


def tell(answers: Answers | None, connections: Sequence[Connection], fault: Fault) -> None:
    """A fault is told at the row of what the `expect` would have been."""
    if answers is not None:
        socket = fault.evidence.socket
        failed = next((one for one in connections if one.name == socket), connections[0])
        fault.evidence.step = answers.failed(failed)


@dataclass(slots=True)
class Send:
    """Send only; the latency is until the kernel took every byte."""

    name: str
    sockets: tuple[int, ...]
    message: Message
    timeout: float
    record: Recorder

    async def run(self, user: VirtualUser) -> None:
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


@dataclass(slots=True)
class Exchange:
    """Send (or not), then await a checked reply, on one socket or several at once.

    `timeout` (seconds) is counted anew from each arrival, or (`bounded`) is the whole time.
    `captures`: the reply gives names to parts of itself. `answers` records in place of `record`
    where nothing is sent. `context` is for the report of a wrong reply. `datagrams`: some socket's
    replies come in such.
    """

    name: str
    sockets: tuple[int, ...]
    message: Message | None
    reply: Reply
    timeout: float
    record: Recorder
    save: str | None = None
    bounded: bool = False
    captures: bool = False
    answers: Answers | None = None
    context: Context | None = None
    datagrams: bool = False
    direct: bool = field(init=False)
    swift: bool = field(init=False)
    several: bool = field(init=False)
    parts: Sequence[bytes] = field(init=False, default=())
    counting: Rule | None = field(init=False, default=None)
    plan: Plan | None = field(init=False, default=None)
    learned: Learned | None = field(init=False, default=None)
    payload: bytes = field(init=False, default=b"")
    sizes: tuple[int, int] = field(init=False, default=(-1, -1))
    sized: Record = field(init=False)

    def __post_init__(self) -> None:
        message = self.message
        whole = message is not None and not (message.pieces or message.urgent)
        keeps = self.save is not None or self.captures
        alone = whole and len(self.sockets) == 1 and not self.bounded
        # One datagram is never two replies, even if it holds the bytes of both.
        alone = alone and not (self.datagrams and self.reply.several)
        self.swift = alone and self.reply.swift
        self.several = self._many(keeps)
        learns = alone or self.several
        if learns and message is not None and not message.rules and not self.reply.quick:
            self.learned = self._learning(message, keeps)
        self.direct = alone and (not keeps or self.learned is not None)
        if self.direct and isinstance(self.reply, RuleReply) and self.reply.rule.name in WORDS:
            self.counting = self.reply.rule
        if message is None or message.constant is None:
            return
        self.payload = message.constant
        if self.learned is not None:
            return
        judged = self.reply.known(message.constant)
        if judged is not None and judged[0] and len(judged[0]) < SMALL:
            self.plan = self._plan(self.payload, judged[0], judged[1])

    def _many(self, keeps: bool) -> bool:
        """Whether it may go the short way on several sockets, or in pieces."""
        message, reply = self.message, self.reply
        if message is None or message.urgent or message.gap or self.bounded or keeps:
            return False
        rules = [reply.rule] if isinstance(reply, RuleReply) else []
        rules += reply.rules.values() if isinstance(reply, RuleReplies) else []
        counting = any(rule.name in WORDS for rule in rules)
        return not counting and (len(self.sockets) > 1 or bool(message.pieces))

    def _learning(self, message: Message, keeps: bool) -> Learned | None:
        """What learns the replies, where that can be and is worth it."""
        likely, judge = None, self.reply.alone()
        if message.constant is not None:
            known = (
                None if isinstance(self.reply, RuleReply) else self.reply.known(message.constant)
            )
            likely, judge = known or (None, None)
        if judge is None or (likely and not keeps) or (likely and len(likely) >= SMALL):
            return None
        sent, context = len(message.constant or b""), self.context
        return Learned(likely or b"", judge, self.record, sent, self.timeout, context, keeps)

    def awaited(self, user: VirtualUser, socket: str) -> bytes | None:
        """The reply that this step would await now, without a message of its own; None if none."""
        try:
            return self.reply.judged(user, socket, b"")[0]
        except DriverFault:  # a name that it needs has no value yet
            return None

    def _plan(self, payload: bytes, likely: bytes, judge: Callable[[], Verifier]) -> Plan:
        sizes = len(payload), len(likely)
        if sizes != self.sizes:
            self.sizes, self.sized = sizes, self.record.sized(*sizes)
        return Plan(likely, judge, self.record, self.sized, self.timeout, self.context)

    def run(self, user: VirtualUser) -> Awaitable[None]:
        if self.direct:
            connection = user.connections[self.sockets[0]]
            if not (connection.dirty or connection.ready & TRY):
                if self.plan is not None:
                    return connection.exchange(self.plan, self.payload)
                if self.learned is not None:
                    return self._as_learned(user, connection, self.learned)
                return self._rendered(user, connection)
            if not connection.connected:
                return self._connected(user, connection)
            if self.counting is not None and connection.only_ruled:
                return self._rendered(user, connection)
        elif self.swift:
            connection = user.connections[self.sockets[0]]
            if not (connection.dirty or connection.ready & TRY) and self.message is not None:
                payload = self.message.bytes_for(user, connection.name)
                return self._swiftly(user, connection, payload)
        elif self.several:
            return self._at_once(user)
        return self._carefully(user)

    def delayed(self, user: VirtualUser, record: Recorder) -> Awaitable[None] | None:
        """The short way of `run` where this once `record` is to record; None if there is none."""
        connection, plan, payload = user.connections[self.sockets[0]], self.plan, self.payload
        apart = self.counting is not None or not self.direct
        if apart or connection.dirty or connection.ready & TRY:
            return None
        if self.learned is not None:
            if not payload or self.learned.keeps or not self.learned.likely:
                return None
            return connection.exchange(self.learned.recording(record), payload)
        if plan is not None:
            likely, judge = plan.likely, plan.judge
        elif self.reply.entire and self.message is not None:
            payload = self.message.bytes_for(user, connection.name)
            found, judge = self.reply.judged(user, connection.name, payload)
            likely = found or b""
            if not likely or not payload or len(likely) >= SMALL:
                return None
        else:
            return None
        sized = record.sized(len(payload), len(likely))
        return connection.exchange(
            Plan(likely, judge, record, sized, self.timeout, self.context), payload
        )

    def _at_once(self, user: VirtualUser) -> Awaitable[None]:
        """On several sockets, or in pieces."""
        message, plan, learned = self.message, self.plan, self.learned
        talks, payloads, known = list[Talk](), list[bytes](), True
        assert message is not None
        for index in self.sockets:
            connection = user.connections[index]
            if connection.dirty or connection.ready & TRY or not connection.lean:
                return self._carefully(user)
        for index in self.sockets:
            connection = user.connections[index]
            payload, parts = self.payload, self.parts
            if not payload:
                payload = message.bytes_for(user, connection.name)
                payloads.append(payload)
            if not parts:
                parts = self._parts(user, connection, payload)
            if learned is not None:
                plan = learned
                if not self.reply.answers_alike(payload):
                    return self._carefully(user)
                known = known and bool(learned.likely)
            elif self.plan is None:
                likely, judge = self.reply.judged(user, connection.name, payload)
                known = known and bool(likely and payload and len(likely) < SMALL)
                plan = self._plan(payload, likely or b"", judge)
            assert plan is not None
            known = known and len(parts) <= PARTS_MOST
            talks.append((connection, plan, payload, parts))
        if not known:
            return self._carefully(user, payloads or None, learned)
        if learned is not None and not self.payload:
            self.record.volume.sent += sum(map(len, payloads))
        return exchange_several(user, talks, self.reply.entire)

    def _parts(self, user: VirtualUser, connection: Connection, payload: bytes) -> Sequence[bytes]:
        """A message as it is sent; kept where it is always the same."""
        assert self.message is not None
        if not self.message.pieces:
            return (payload,)
        parts = tuple(self.message.cut(payload, user, connection.name))
        if self.payload and all(isinstance(one, int) for one in self.message.pieces):
            self.parts = parts
        return parts

    def _swiftly(
        self, user: VirtualUser, connection: Connection, payload: bytes
    ) -> Awaitable[None]:
        endpoint = connection.endpoint
        apart = endpoint.any_time or endpoint.unasked or connection.rule_verifier
        if apart is not None or not payload:
            return self._carefully(user, (payload,))
        reply, name = self.reply, connection.name
        match = reply.match(user, name, payload) if self.save is None else None
        if match is None:
            judge = reply.judged(user, name, payload)[1]
        else:
            judge = partial(_judged, reply, user, name, payload)
        sent, save = len(payload), self.save
        plan = Swift(user, judge, self.record, sent, self.timeout, self.context, match, save)
        return connection.exchange(plan, payload)

    async def _connected(self, user: VirtualUser, connection: Connection) -> None:
        """The first exchange on a socket: connect, then as always."""
        await user.connect(connection)
        await self.run(user)

    def _rendered(self, user: VirtualUser, connection: Connection) -> Awaitable[None]:
        assert self.message is not None
        payload = self.message.bytes_for(user, connection.name)
        likely, judge = self.reply.judged(user, connection.name, payload)
        if connection.rule_verifier is not None:
            likely = None
        if likely and payload and len(likely) < SMALL:
            return connection.exchange(self._plan(payload, likely, judge), payload)
        if self.counting is not None and payload:
            return self._counted(user, connection, self.counting, payload)
        if self.swift:
            return self._swiftly(user, connection, payload)
        return self._carefully(user, (payload,))

    def _as_learned(
        self, user: VirtualUser, connection: Connection, learned: Learned
    ) -> Awaitable[None]:
        payload = self.payload
        if not payload:
            assert self.message is not None
            payload = self.message.bytes_for(user, connection.name)
            if not self.reply.answers_alike(payload):
                return self._carefully(user, (payload,))
        if not learned.likely:
            return self._carefully(user, (payload,), learned)
        if self.swift and not learned.worth():
            return self._swiftly(user, connection, payload)
        if not self.payload:
            self.record.volume.sent += len(payload)
        if learned.keeps:
            return self._kept(user, connection, learned, payload)
        return connection.exchange(learned, payload)

    async def _kept(
        self, user: VirtualUser, connection: Connection, learned: Learned, payload: bytes
    ) -> None:
        await connection.exchange(learned, payload)
        self._name(user, *learned.kept(connection))

    def _name(self, user: VirtualUser, kept: bytes, captured: Mapping[str, bytes]) -> None:
        """Give names to parts of a right reply."""
        if self.save is not None:
            user.set(self.save, kept)
        if self.captures:
            for name, value in captured.items():
                user.set(name, value)

    async def _counted(
        self, user: VirtualUser, connection: Connection, rule: Rule, payload: bytes
    ) -> None:
        """A reply after which the rule allows more; the fewest words are the likely reply.

        What it allows is kept from one exchange to the next, and does not slow the next one down.
        """
        verifier = connection.rule_verifier or rule.verifier()
        connection.rule_verifier = verifier
        verifier.restart()
        verifier.sent(payload, verifier.idle)
        plan = self._plan(payload, verifier.expected(), lambda: verifier)
        await connection.exchange(plan, payload)
        if not verifier.done:  # it came as was likely, and the verifier was not asked
            verifier.feed(plan.likely)
            connection.rule_verifier = None if verifier.idle else verifier
            connection.update_dirty()

    async def _carefully(
        self,
        user: VirtualUser,
        rendered: Sequence[bytes] | None = None,
        learned: Learned | None = None,
    ) -> None:
        volume = self.record.volume if self.answers is None else self.answers.volume
        connections = await opened(user, self.sockets, volume, reads=True)
        listener = Listener(user, self.timeout)
        waiting = [
            await self._begin(user, one, None if rendered is None else rendered[place], listener)
            for place, one in enumerate(connections)
        ]
        due = user.loop.limit(perf_counter(), self.timeout)
        for one in waiting:
            one.due = due
            one.until = due if self.bounded else NEVER
        user.shift.unasked = self.message is None and not any(one.asked for one in waiting)
        try:
            await await_replies(user, [one for one in waiting if not one.over], self.timeout)
            for connection in connections:
                if connection.ending:
                    await closing.finish(user, connection)
        except Fault as fault:
            tell(self.answers, connections, fault)
            raise
        finally:
            user.shift.unasked = False
        for one in waiting:
            if self.answers is None:
                self.record(one.took)
            else:
                self.answers.record(one)
            if self.save is not None or self.captures:
                self._name(user, one.verifier.kept(), one.verifier.captured())
            if learned is not None:
                learned.learn(one)
        await user.give_way()

    async def _begin(
        self,
        user: VirtualUser,
        connection: Connection,
        rendered: bytes | None,
        listener: Listener,
    ) -> Awaited:
        message = self.message
        if message is None:
            if isinstance(self.reply, RuleReply | RuleReplies):
                await duplex.owed(user, connection)
            verifier, asked = self._verifier(user, connection, b""), bool(connection.unanswered)
            return Awaited(connection, verifier, perf_counter(), asked=asked)
        payload = message.bytes_for(user, connection.name) if rendered is None else rendered
        judge = partial(self._verifier, user, connection, payload)
        return await speak(user, connection, message, payload, judge, self.timeout, listener)

    def _verifier(self, user: VirtualUser, connection: Connection, payload: bytes) -> Verifier:
        by_rule = isinstance(self.reply, RuleReply | RuleReplies)
        verifier: Verifier | None = connection.rule_verifier if by_rule else None
        if isinstance(verifier, RuleVerifier):
            verifier.restart()
        else:
            payload = _answered(connection, payload)
            verifier = self.reply.judged(user, connection.name, payload)[1]()
        verifier.context = self.context
        return verifier


def _judged(reply: Reply, user: VirtualUser, socket: str, payload: bytes) -> Verifier:
    return reply.judged(user, socket, payload)[1]()


def _answered(connection: Connection, payload: bytes) -> bytes:
    """What a reply answers: the requests that are open, in the order in which they were sent."""
    if connection.endpoint.requests is None or not connection.unanswered:
        return payload
    asked = connection.unanswered
    return payload if payload.startswith(asked[0].data) else b"".join(one.data for one in asked)


@dataclass(slots=True)
class End:
    """Send (or not), then await an end instead of a reply: closed, reset, or `silence` seconds."""

    name: str
    sockets: tuple[int, ...]
    message: Message | None
    wanted: Kind | None
    timeout: float
    record: Recorder
    passed: Callable[[], None]
    answers: Answers | None = None

    async def run(self, user: VirtualUser) -> None:
        listener = Listener(user, self.timeout)
        volume = self.record.volume if self.answers is None else self.answers.volume
        connections = await opened(user, self.sockets, volume, reads=True)
        waiting = [AwaitedEnd(self, one, perf_counter()) for one in connections]
        if self.message is not None:
            for one in waiting:
                await self._send(user, one, self.message, listener)
        try:
            await self._ends(user, [one for one in waiting if not one.over])
        except Fault as fault:
            tell(self.answers, connections, fault)
            raise
        await user.give_way()

    async def _send(
        self, user: VirtualUser, awaited: AwaitedEnd, message: Message, listener: Listener
    ) -> None:
        connection = awaited.connection
        payload = message.bytes_for(user, connection.name)
        await owe(user, connection, message, payload)
        listener.begin(awaited)
        try:
            await deliver(user, connection, message, payload, self.timeout, listener)
        except Fault as fault:
            if self.wanted is None or fault.evidence.kind is not self.wanted:
                raise
        except Interrupted:
            listener.cut_off()
            raise

    async def _ends(self, user: VirtualUser, waiting: Sequence[AwaitedEnd]) -> None:
        due = user.loop.limit(perf_counter(), self.timeout)
        while waiting := [one for one in waiting if not one.advance(self.timeout)]:
            connections = [one.connection for one in waiting]
            try:
                if any(one.at_hand for one in connections):
                    await next_turn(user)
                    timed_out = user.loop.awake() >= due
                else:
                    timed_out = await readable(user, connections, due)
            except Interrupted:
                for one in waiting:
                    one.cut_off(self.timeout)
                raise
            if timed_out and self.wanted and any(one.writer for one in connections):
                due = user.loop.awake() + self.timeout  # what ends it is yet to be sent
            elif timed_out and self.wanted is not None:
                raise self.unwanted(connections[0], None)
            elif timed_out:
                for _ in waiting:
                    self.passed()
                return

    def unwanted(self, connection: Connection, kind: Kind | None) -> Fault:
        if kind is None:
            text = f"the server did not end the connection within {self.timeout:g} s"
            return connection.fault(Kind.TIMEOUT, f"{text} ({self.wanted} was expected)")
        wanted = "silence" if self.wanted is None else f"a {self.wanted} connection"
        return connection.fault(kind, f"{wanted} was expected; the server closed in order")


@dataclass(slots=True)
class AwaitedEnd:
    """An end that a step awaits, since the `perf_counter` time `began`; see `listening`."""

    step: End
    connection: Connection
    began: float
    over: bool = False
    held: bool = False
    alone: bool = True
    wrong: bool = False

    @property
    def more(self) -> bool:
        return self.connection.at_hand

    def advance(self, timeout: float) -> bool:
        """Whether the connection has ended as it should. Raises Fault for anything else."""
        connection, wanted = self.connection, self.step.wanted
        while True:
            try:
                data = connection.take()
            except Fault as fault:
                if not self._is_wanted(fault):
                    raise
                self._ended()
                return True
            if data == b"" and connection.eof:
                break
            if data is None:
                return False
            extra = connection.unexplained(data)
            if extra or connection.datagrams:
                raise connection.surplus(extra)
            if connection.task.overtime():
                return False
        if wanted is not Kind.CLOSED:
            raise self.step.unwanted(connection, Kind.CLOSED)
        self._ended()
        return True

    def cut_off(self, timeout: float) -> None:
        connection = self.connection
        connection.want = 0
        connection.ready |= READ
        whole = self.advance(timeout)
        if not (whole or connection.owed or self.step.wanted is None):
            connection.owed = Owed("the end of the connection", self.began, timeout)

    def _is_wanted(self, fault: Fault) -> bool:
        """Whether the connection was lost as it should be.

        Where a part of a message of ours was still unread, a server that closes makes its kernel
        send a RST (RFC 2525, 2.17): that is its close.
        """
        if fault.evidence.kind is not Kind.RESET:
            return False
        return self.step.wanted is Kind.RESET or (
            self.step.wanted is Kind.CLOSED and self.connection.midway
        )

    def _ended(self) -> None:
        connection, answers = self.connection, self.step.answers
        if answers is None:
            self.step.record(connection.loop.since(self.began))
        else:
            answers.ended(connection, self.began)
        connection.abandon()

    async def judged(self) -> Fault:
        raise NotImplementedError("an end has no bytes that could be wrong")


@dataclass(slots=True)
class OnSockets:
    """connect, half_close, close, reset, stop_reading, resume_reading.

    `drop`: a close that judges nothing.
    """

    name: str
    action: SocketAction
    sockets: tuple[int, ...]
    timeout: float
    record: Recorder
    drop: bool = False

    async def run(self, user: VirtualUser) -> None:
        connections = [user.connections[index] for index in self.sockets]
        if self.action in ("close", "reset"):
            await self._end(user, [one for one in connections if one.connected])
            await user.give_way()
            return
        for connection in connections:
            if connection.task is not user:  # another branch reads it, and this one only sends
                await duplex.Speaker(user, connection).half_close(self.timeout)
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
        await user.give_way()

    async def _end(self, user: VirtualUser, connections: Sequence[Connection]) -> None:
        if self.drop:
            await closing.drop(user, connections)
            return
        if self.action == "close":
            await closing.close(user, connections, self.timeout)
            return
        for connection in connections:
            closing.reset(connection)


@dataclass(slots=True)
class Wait:
    name: str
    draw: Callable[[VirtualUser], float]

    async def run(self, user: VirtualUser) -> None:
        await user.pause(self.draw(user))
        await user.give_way()


@dataclass(slots=True)
class Repeat:
    name: str
    times: int
    do: Sequence[Operation]

    async def run(self, user: VirtualUser) -> None:
        for _ in range(self.times):
            await walk(user, self.do)


@dataclass(slots=True)
class For:
    name: str
    variable: str
    values: Sequence[Render]
    do: Sequence[Operation]

    async def run(self, user: VirtualUser) -> None:
        for value in self.values:
            user.set(self.variable, value(user, "", b""))
            await walk(user, self.do)


@dataclass(slots=True)
class Set:
    name: str
    values: Mapping[str, Render]

    async def run(self, user: VirtualUser) -> None:
        values = {name: value(user, "", b"") for name, value in self.values.items()}
        for name, value in values.items():
            user.set(name, value)
        await user.give_way()


@dataclass(slots=True)
class Together:
    """Branches at once; `uses[i]` are the sockets that branch i drives, `says[i]` those of others
    on which it only sends. Those in the `background` are repeated.
    """

    name: str
    branches: Sequence[Sequence[Operation]]
    uses: Sequence[tuple[int, ...]]
    says: Sequence[tuple[int, ...]] = ()
    background: Sequence[int] = ()

    async def run(self, user: VirtualUser) -> None:
        await opened(user, [index for one in self.says for index in one])
        bodies = [partial(walk, steps=branch) for branch in self.branches]
        for number in self.background:
            bodies[number] = partial(again, steps=self.branches[number])
        await together(user, bodies, self.uses, self.says, self.background)
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
