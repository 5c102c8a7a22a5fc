"""Sending on a connection that another branch of the same user reads.

The reading branch owns the connection as any branch does; the branch that only sends is its
`writer`. It never reads, connects or closes: what the server says is for the other one to judge,
also where that is why nothing more can be sent. While the reader does something else, what comes is
put aside for it, or an echo larger than all the buffers would stop both sides for good.

Where the kernel takes nothing more, the writer waits on a descriptor of its own for the same
socket, for `Connection.want` is the reader's.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

from loadmux.checking.datagrams import Datagrams
from loadmux.checking.rules import ExactRule, Rule
from loadmux.driver import evidence
from loadmux.driver.awaiting import readable
from loadmux.driver.connection import Connection
from loadmux.driver.listening import Listener
from loadmux.driver.loop import NEVER, Interrupted, Task, next_turn, sleep_until, wait_io
from loadmux.driver.peer import Owed
from loadmux.driver.poller import GONE, READ, READABLE, WRITABLE, WRITE
from loadmux.driver.reading import LARGE
from loadmux.driver.stream import DEBT_WITHIN, GATHER_MOST
from loadmux.driver.uptake import Uptake
from loadmux.errors import Fault, Kind

GRACE = GATHER_MOST + 0.1
"""Seconds in which the reader may say why sending has failed."""
SOON = 0.001
"""Seconds until the next look at what the reader is about to bring to an end."""


class Sender(Protocol):
    """What sends the pieces of a message."""

    async def send_rest(
        self, payload: bytes, sent: int, timeout: float, listener: Listener | None = None
    ) -> bool: ...


class Speaker:
    """The sending side of a connection, for `task`, which is not its reader.

    It is `Registered` while it waits. All methods raise Fault.
    """

    __slots__ = ("_fd", "_sock", "connection", "ready", "resume", "task", "want")

    def __init__(self, task: Task, connection: Connection) -> None:
        self.task = task
        self.connection = connection
        self.resume: Callable[[Any], object] = task.resume
        self.ready = self.want = 0
        self._fd = -1
        self._sock: socket.socket | None = None

    async def begin(self) -> None:
        """Before a message: wait until the connection is there, and send what is still owed."""
        connection = self.connection
        while not settled(connection):
            await sleep_until(self.task, perf_counter() + SOON)
        if not connection.connected:
            text = "the connection had ended before this was sent, as its other branch saw"
            raise connection.fault(Kind.CLOSED, text)
        self._sock = connection.sock
        if connection.debt:
            owed, connection.debt = connection.debt, b""
            await self.send_rest(owed, 0, DEBT_WITHIN)

    async def send_rest(
        self, payload: bytes, sent: int, timeout: float, listener: Listener | None = None
    ) -> bool:
        """As that of the connection; there is no listener."""
        connection = self.connection
        view = memoryview(payload)
        uptake: Uptake | None = None
        while sent < len(payload) or not payload:
            self._check()
            try:
                count = connection._send(view[sent : sent + LARGE])
            except BlockingIOError:
                count = 0
            except OSError as error:
                await self._failed(error)
            sent += count
            connection.sends_for.sent += count
            if not payload or sent == len(payload):
                break
            if count and uptake is not None:
                uptake.moved()
            if count:
                if self.task.overtime():
                    await next_turn(self.task)
                continue
            uptake = uptake or connection._uptake(timeout)
            if uptake.stalled():
                raise evidence.stalled(connection, sent, len(payload), timeout)
            await self.wait(uptake, f"room for {len(payload) - sent} of {len(payload)} bytes")
        return True

    async def half_close(self, timeout: float) -> None:
        """As that of the connection."""
        await self.begin()
        connection = self.connection
        uptake: Uptake | None = None
        while connection.tls is not None and not connection.tls.finish():
            uptake = uptake or connection._uptake(timeout)
            if uptake.stalled():
                raise evidence.deaf(connection, timeout)
            await self.wait(uptake, "room for the end (close_notify)")
        await connection.half_close(timeout)
        wake_reader(connection)  # what was decrypted meanwhile is told by no event

    def _check(self) -> None:
        if self.connection.sock is not self._sock:
            text = "the connection ended while this was sent, as its other branch saw"
            raise self.connection.fault(Kind.CLOSED, text)

    async def _failed(self, error: OSError) -> None:
        """Sending has failed. If the reader is at it, its fault says more: it comes first."""
        connection, noticed = self.connection, perf_counter()
        if connection.datagrams:
            await connection._not_sent(error, None)
        try:
            await sleep_until(self.task, noticed + GRACE)
            self._check()
            await connection._not_sent(error, None)
        except Interrupted:
            text = f"the connection was lost while sending: {error.strerror}"
            raise evidence.noticed(
                connection.fault(Kind.RESET, text), connection, noticed
            ) from None
        except Fault as fault:
            raise evidence.noticed(fault, connection, noticed) from None

    async def wait(self, uptake: Uptake, what: str) -> None:
        """Wait until there may be room, or a time; put aside what comes while nobody reads."""
        connection = self.connection
        poller = connection.loop.poller
        assert connection.sock is not None
        own = connection.sock.dup()
        own.setblocking(False)
        self._fd = fd = own.fileno()
        try:
            poller.add(fd)
            connection.loop.connections[fd] = self
            reading = not (connection.want or connection.paused or connection.eof)
            if poller.level:
                poller.arm(fd, WRITE | (READ if reading else 0))
            self.ready, self.want = 0, WRITABLE | (READABLE if reading else 0)
            self.task.set_limit(uptake.next_look)
            await wait_io(self.task)
        except Interrupted:
            idle = perf_counter() - uptake.idle
            connection.owed = Owed(what, idle, uptake.timeout)
            raise
        finally:
            self.want = 0
            self._leave(own)
        if self.ready & (READ | GONE) and not connection.want and connection.sock is self._sock:
            connection.ready |= self.ready & (READ | GONE)
            connection.drain()

    def _leave(self, own: socket.socket) -> None:
        loop, fd = self.connection.loop, self._fd
        if loop.connections.get(fd) is self:
            loop.poller.withdraw(fd)
            del loop.connections[fd]
        loop.close_later(own)

    def unwanted(self, event: int) -> None:
        """Nobody waits for it."""
        if self.connection.loop.poller.level:
            self.connection.loop.poller.arm(self._fd, 0)

    def abandon(self) -> None:
        """The loop is closed."""
        self.connection.loop.connections.pop(self._fd, None)


def settled(connection: Connection) -> bool:
    """Whether no connect of it is under way."""
    return not connection.opening and bool(connection.opened_at or not connection.connected)


def wake_reader(connection: Connection) -> None:
    """Have the reader look again, if it waits."""
    if connection.want:
        connection.loop.wake(connection.task)


def hush(connection: Connection) -> None:
    """The writer's branch has ended."""
    connection.writer = None
    wake_reader(connection)


def settle(connection: Connection) -> None:
    """Both branches have ended: whatever was sent and not yet checked is owed at once."""
    rule = connection.rule_verifier
    if rule is not None:
        for data in connection.unruled:
            rule.sent(data, False)
    connection.unruled = ()


async def owed(task: Task, connection: Connection) -> None:
    """Wait until a rule can say what the reader is to await: something was sent, or nobody will.

    By a rule whose replies can be told apart, the oldest message's alone is awaited then.
    """
    while connection.writer is not None:
        connection.drain()
        rule, ended = connection.rule_verifier, connection.eof or connection.lost is not None
        known = connection.unruled or not (rule is None or rule.done)
        if known or ended or connection.at_hand:
            break
        await readable(task, [connection], NEVER)
    rule = connection.rule_verifier
    if connection.unruled and rule is not None and rule.done:
        first, *rest = connection.unruled
        connection.unruled = (*rest,)
        rule.sent(first, False)


def tell_rule(connection: Connection, rule: Rule, data: bytes, alone: bool) -> None:
    """More is owed by the rule: to be checked message by message, where that can be."""
    verifier = connection.rule_verifier = connection.rule_verifier or rule.verifier()
    if isinstance(verifier, ExactRule | Datagrams):
        connection.unruled += (data,)
    else:
        verifier.sent(data, alone and verifier.idle)
    wake_reader(connection)
