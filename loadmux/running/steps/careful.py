"""An exchange carried out with care: any number of sockets, any pieces, in whatever state.

This way is always right, and slower than the others: each reply is fed to a verifier as it arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from loadmux.checking.recognition import Context
from loadmux.checking.verifying import RuleVerifier, Verifier
from loadmux.driver import closing, duplex
from loadmux.driver.awaiting import Awaited, await_replies
from loadmux.driver.connection import Connection
from loadmux.driver.listening import Listener
from loadmux.driver.loop import NEVER
from loadmux.driver.user import VirtualUser
from loadmux.errors import Fault
from loadmux.measuring.recorder import Recorder
from loadmux.running.steps.answering import Answers, tell
from loadmux.running.steps.connecting import opened
from loadmux.running.steps.learning import Learned
from loadmux.running.steps.messages import Message
from loadmux.running.steps.replies import Reply, RuleReplies, RuleReply
from loadmux.running.steps.sending import speak


@dataclass(slots=True)
class Careful:
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
            payload = answered(connection, payload, self.reply.asks)
            verifier = self.reply.judged(user, connection.name, payload)[1]()
        verifier.context = self.context
        return verifier

    def _name(self, user: VirtualUser, kept: bytes, captured: Mapping[str, bytes]) -> None:
        """Give names to parts of a right reply."""
        if self.save is not None:
            user.set(self.save, kept)
        if self.captures:
            for name, value in captured.items():
                user.set(name, value)


def answered(connection: Connection, payload: bytes, count: int) -> bytes:
    """What a reply answers: the first `count` requests that are open, in the order in which they
    were sent.
    """
    if connection.endpoint.requests is None or not connection.unanswered:
        return payload
    asked = connection.unanswered
    if payload.startswith(asked[0].data):
        return payload
    return b"".join(one.data for one in asked[:count])
