"""The step that sends and expects: the door to the hot path.

For one socket, with the whole message in one piece and a reply that can be worked out beforehand or
was learned, it hands over to `Connection.exchange` at once; several sockets and pieces go through
`exchange_several`, everything else (a connection that needs care, a reply nobody can foresee)
through `Careful`. All check the same bytes with the same verifiers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from loadmux.checking.rules import Rule
from loadmux.checking.verifying import Verifier
from loadmux.driver import closing
from loadmux.driver.answers import await_answer
from loadmux.driver.awaiting import Awaited
from loadmux.driver.connection import SMALL, Connection, Plan
from loadmux.driver.peer import TRY
from loadmux.driver.several import PARTS_MOST, Talk, exchange_several
from loadmux.driver.user import VirtualUser
from loadmux.errors import Fault
from loadmux.measuring.recorder import Recorder
from loadmux.running.steps.answering import tell
from loadmux.running.steps.careful import answered
from loadmux.running.steps.learning import Learned
from loadmux.running.steps.prepared import Prepared
from loadmux.running.steps.replies import Reply
from loadmux.running.steps.swift import MOST, Swift


@dataclass(slots=True)
class Exchange(Prepared):
    """Send (or not), then await a checked reply; see `Careful` for what it is made of."""

    def run(self, user: VirtualUser) -> Awaitable[None]:
        if self.direct:
            connection = user.connections[self.sockets[0]]
            # Nothing is owed, unread or known to be readable: what comes next is the reply.
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
        elif self.bare:
            connection = user.connections[self.sockets[0]]
            calm = connection.lean and connection.task is user and connection.only_answers
            if calm and connection.unanswered and (self.reply.entire or not connection.inbox):
                return self._answered(user, connection)
        elif self.several:
            return self._at_once(user)
        return self._carefully(user)

    def said(
        self,
        connection: Connection,
        payload: bytes,
        likely: bytes,
        judge: Callable[[], Verifier],
        record: Recorder | None = None,
    ) -> Awaitable[None]:
        """The short way with these bytes there and back; `record`: what records it this once."""
        if record is None:
            return connection.exchange(self._plan(payload, likely, judge), payload)
        sized = record.sized(len(payload), len(likely))
        words = self.timeout, self.context, self.bounded
        return connection.exchange(Plan(likely, judge, record, sized, *words), payload)

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
        return self.said(connection, payload, likely, judge, record)

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
        self,
        user: VirtualUser,
        connection: Connection,
        payload: bytes,
        known: Callable[[], Verifier] | None = None,
    ) -> Awaitable[None]:
        """`known` makes the verifier, where that was worked out already."""
        if connection.rule_verifier is not None or not payload:
            return self._carefully(user, (payload,))
        reply, name = self.reply, connection.name
        match = reply.match(user, name, payload) if self.save is None else None
        if match is not None:
            judge: Callable[[], Verifier] = partial(_judged, reply, user, name, payload)
        elif known is not None:
            judge = known
        else:
            likely, judge = reply.judged(user, name, payload)
            if likely and len(likely) >= MOST:
                return self._carefully(user, (payload,))
        words = self.timeout, self.context, match, self.save, self.bounded
        plan = Swift(user, judge, self.record, len(payload), *words)
        return connection.exchange(plan, payload)

    async def _answered(self, user: VirtualUser, connection: Connection) -> None:
        """The reply to the oldest message that was sent before."""
        answers = self.answers
        assert answers is not None
        connection.reads_for = connection.sends_for = answers.volume
        payload = answered(connection, b"", self.reply.asks)
        likely, judge = self.reply.judged(user, connection.name, payload)
        words = self.timeout, self.context
        if connection.inbox:
            sent = connection.answered_ahead(likely) if likely else None
            if sent is None:
                await self._carefully(user)
                return
            answers.answered(connection, sent, perf_counter())
            await user.give_way()
            return
        if likely and len(likely) < SMALL:
            plan = Plan(likely, judge, self.record, self.record, *words, self.bounded)
        else:
            plan = Swift(user, judge, self.record, 0, *words, None, None, self.bounded)
        try:
            found = await await_answer(connection, plan, self.reply.entire)
            if connection.ending:
                await closing.finish(user, connection)
        except Fault as fault:
            tell(answers, [connection], fault)
            raise
        if isinstance(found, Awaited):
            answers.record(found)
        else:
            answers.answered(connection, *found)
        await user.give_way()

    async def _connected(self, user: VirtualUser, connection: Connection) -> None:
        """The first exchange on a socket: connect, then as always."""
        await user.connect(connection)
        await self.run(user)

    def _rendered(self, user: VirtualUser, connection: Connection) -> Awaitable[None]:
        assert self.message is not None
        payload = self.message.bytes_for(user, connection.name)
        if self.matching:
            return self._swiftly(user, connection, payload)
        likely, judge = self.reply.judged(user, connection.name, payload)
        if connection.rule_verifier is not None:
            likely = None  # what the rule still allows may come before it
        if likely and payload and len(likely) < SMALL:
            return connection.exchange(self._plan(payload, likely, judge), payload)
        if self.counting is not None and payload:
            return self._counted(user, connection, self.counting, payload)
        if self.swift and not likely:
            return self._swiftly(user, connection, payload, judge)
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
        if self.swift and not learned.worth():
            return self._swiftly(user, connection, payload)
        if not learned.likely:
            return self._carefully(user, (payload,), learned)
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


def _judged(reply: Reply, user: VirtualUser, socket: str, payload: bytes) -> Verifier:
    return reply.judged(user, socket, payload)[1]()
