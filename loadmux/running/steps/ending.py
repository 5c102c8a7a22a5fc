"""Awaiting an end instead of a reply: the connection closed, or reset, or silence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from loadmux.driver.awaiting import readable
from loadmux.driver.connection import Connection
from loadmux.driver.listening import Listener
from loadmux.driver.loop import Interrupted, next_turn
from loadmux.driver.peer import Owed
from loadmux.driver.poller import READ
from loadmux.driver.user import VirtualUser
from loadmux.errors import Fault, Kind
from loadmux.measuring.recorder import Recorder
from loadmux.running.steps.answering import Answers, tell
from loadmux.running.steps.connecting import opened
from loadmux.running.steps.messages import Message
from loadmux.running.steps.sending import deliver, owe


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
