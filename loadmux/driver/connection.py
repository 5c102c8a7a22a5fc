"""One socket of one user: connect, send, await checked replies, close. The hot path is `exchange`.

What makes it fast, and what must stay so:
- Edge-triggered readiness is kept in `ready`, so `exchange` goes from `send` straight to waiting
  without the `recv` that would only say EAGAIN; a read shorter than asked for says that the socket
  is drained (epoll(7), Q&A 9). GONE bits stay set: they mean "always try".
- A reply that arrives as one piece is compared with the reply that was worked out beforehand
  (`likely`). Anything else, right or wrong, goes to the verifier, which may take its time.
- `dirty` is one flag for all that needs care: not connected, bytes left over, a rule that is owed
  more, reading stopped. Whoever calls `exchange` looks at it, and at `ready`, first.

One reader for a connection: the coroutine of its user. A failed check raises `Fault` with evidence
gathered here and judged by `diagnosis`. Bytes that nobody asked for are noticed by `check_surplus`.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import socket
import ssl
import struct
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from time import perf_counter
from types import coroutine
from typing import ClassVar

from loadmux.checking.verifying import RuleVerifier, Verifier
from loadmux.driver import evidence
from loadmux.driver.endpoint import (
    LOCAL_LIMITS,
    bind,
    local_limit,
    met_itself,
)
from loadmux.driver.listening import Listener
from loadmux.driver.loop import (
    NEVER,
    NOT_MEASURED,
    Interrupted,
    Task,
    at_once,
    next_turn,
    sleep_until,
    wait_io,
)
from loadmux.driver.peer import READ_FIRST, TRY, Owed, Peer, Sent
from loadmux.driver.poller import PEER_CLOSED, READ, READABLE, WRITABLE, WRITE
from loadmux.driver.slowly import SlowReader, TooEarly
from loadmux.driver.suspects import owed_elsewhere, remember, suspects
from loadmux.driver.tls import Secured, Unfinished, described
from loadmux.driver.uptake import Uptake
from loadmux.errors import SAID, Fault, Kind
from loadmux.measuring.recorder import Record, Recorder

SMALL = 16 * 1024
LARGE = 256 * 1024
KEPT = 64 * 1024
GATHER = 0.1
GATHER_MOST = 0.5
HEARD_OUT = 1024 * 1024
MOST_UNANSWERED = 65_536
READS_AT_ONCE = 16
DEBT_WITHIN = 5.0
NONBLOCK: int = getattr(socket, "SOCK_NONBLOCK", 0)

Clock = Callable[[], float]


NO_PORT = (errno.EADDRNOTAVAIL, errno.EAGAIN)
ASKED_AGAIN = {errno.EALREADY: errno.EINPROGRESS, errno.EISCONN: 0}
CONNECT_KINDS = {
    errno.ECONNREFUSED: Kind.REFUSED,
    errno.ETIMEDOUT: Kind.CONNECT_TIMEOUT,
    errno.ECONNRESET: Kind.RESET,
}


class Plan:
    """What `exchange` needs of a step: `judge` makes the verifier of a reply that came in pieces.

    `likely` is the reply if it comes in one piece, `size` one byte more than that: a read that gets
    it whole has emptied the socket. `record` takes the latency in seconds where it has come in one
    piece, and counts its bytes and those of the message; `recorder` takes any other. `timeout` is
    the longest wait without progress. `context` is for the report of a wrong reply.
    """

    __slots__ = ("context", "judge", "likely", "record", "recorder", "size", "timeout")

    # Not a dataclass: a templated step makes one each time, and __post_init__ is a call more.
    def __init__(
        self,
        likely: bytes,
        judge: Callable[[], Verifier],
        recorder: Recorder,
        record: Record,
        timeout: float,
        context: object = None,
    ) -> None:
        self.likely = likely
        self.judge = judge
        self.recorder = recorder
        self.record = record
        self.timeout = timeout
        self.context = context
        self.size = len(likely) + 1

    def verifier(self) -> Verifier:
        verifier = self.judge()
        verifier.context = self.context
        return verifier

    def over(self, awaited: Awaited) -> None:
        """A reply that was not just the likely one is there, and right."""
        self.recorder(awaited.took)

    def sent(self, connection: Connection, payload: bytes, count: int) -> None:
        """So much of a message has left, and the reply will not be recorded by `record`."""
        connection.sends_for = connection.reads_for = volume = self.recorder.volume
        volume.sent += count

    swift: ClassVar[bool] = False
    """Whether `fits` may know a whole right reply that is not `likely`."""

    def fits(self, data: bytes | None) -> bool:
        """Whether one read has brought the whole right reply; then it is settled."""
        return False


class Connection(Peer):
    """See the module."""

    __slots__ = ()

    lean: ClassVar[bool] = True
    """Whether what is read is the reply, as it comes."""

    # --- the hot path ---------------------------------------------------------------------------

    @coroutine
    def exchange(
        self, plan: Plan, payload: bytes, clock: Clock = perf_counter
    ) -> Generator[None, bool, None]:
        """Send `payload`, await its reply and record the time; only if not `dirty`, nothing `TRY`.

        Raises Fault.
        """
        self.payload = payload
        self.awaited = likely = plan.likely
        # What is likely may be another reply when this one has come.
        size, record = plan.size, plan.record
        self.began = began = clock()
        try:
            sent = self._send(payload)
        except OSError as error:
            yield from self._exchange_in_parts(plan, payload, began, error=error)
            return
        if sent != len(payload):
            yield from self._exchange_in_parts(plan, payload, began, sent)
            return
        self.want = READABLE
        task = self.task
        task.deadline = deadline = began + plan.timeout
        if deadline < task.alarm:
            self.loop.push_alarm(task, deadline)
        try:
            late = yield
            if not late:
                try:
                    data: bytes | None = self._recv(size)
                except OSError as error:
                    plan.sent(self, payload, sent)
                    sent = 0
                    data = self._receive_failed(error)
                if data == likely or (plan.swift and plan.fits(data)):
                    self.ready &= ~READ
                    self.last = data  # type: ignore[assignment]  # what fits is no None
                    self.last_at = now = clock()
                    record(now - began if began >= self.loop.woke else NOT_MEASURED)
                    return
                plan.sent(self, payload, sent)
                sent = 0
                self._keep(data, size)
        except Interrupted:
            plan.sent(self, payload, sent)
            cut_off([Awaited(self, plan.verifier(), began, 0.0)], plan.timeout)
            raise
        if sent:
            plan.sent(self, payload, sent)
        self.want = 0
        due = self.loop.limit(clock(), 0.0 if late else plan.timeout)
        awaited = Awaited(self, plan.verifier(), began, due)
        yield from await_replies(self.task, [awaited], plan.timeout)
        plan.over(awaited)

    async def _exchange_in_parts(
        self, plan: Plan, payload: bytes, began: float, sent: int = 0, error: OSError | None = None
    ) -> None:
        """The same where the kernel took only `sent` bytes at first, or said `error`."""
        plan.sent(self, payload, sent)
        awaited = Awaited(self, plan.verifier(), began)
        await self.tell(awaited, payload, plan.timeout, sent, error)
        plan.over(awaited)

    async def tell(
        self,
        awaited: Awaited,
        payload: bytes,
        timeout: float,
        sent: int = 0,
        error: OSError | None = None,
    ) -> None:
        """Send `payload` from offset `sent` on and await its reply. Raises Fault."""
        listener = Listener(self.task, timeout)
        await self.say(awaited, payload, timeout, listener, sent, error)
        if not awaited.over:
            awaited.due = self.loop.limit(perf_counter(), timeout)
            await await_replies(self.task, [awaited], timeout)

    async def say(
        self,
        awaited: Awaited,
        payload: bytes,
        timeout: float,
        listener: Listener,
        sent: int = 0,
        error: OSError | None = None,
    ) -> None:
        """Send `payload` from offset `sent` on; the reply may be `over` then. Raises Fault."""
        awaited.listen(listener)
        self.midway = not self.datagrams
        try:
            if error is not None and not isinstance(error, BlockingIOError):
                whole = await self._not_sent(error, listener)
            else:
                whole = await self.send_rest(payload, sent, timeout, listener)
        except Interrupted:
            listener.cut_off()
            raise
        self.sent(whole)
        awaited.held = False

    # --- connecting -----------------------------------------------------------------------------

    def _open(self) -> socket.socket:
        endpoint = self.endpoint
        try:
            sock = self.loop.socket(endpoint.family, self.socket_type | NONBLOCK)
        except OSError as error:
            raise local_limit(error) from None
        if not NONBLOCK:
            sock.setblocking(False)
        if endpoint.family != socket.AF_UNIX and endpoint.nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, endpoint.receive_buffer)
        if endpoint.send_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, endpoint.send_buffer)
        if endpoint.linger is not None:
            linger = struct.pack("ii", 1, math.ceil(endpoint.linger))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if endpoint.source is not None:
            bind(sock, endpoint.source.address(self.user, self.turn))
            self.turn += 1
        return sock

    def _dial(self) -> tuple[socket.socket, int]:
        """A socket and what connect(2) said; addresses without a free port are passed over."""
        sock = self._open()
        code = sock.connect_ex(self.endpoint.address)
        source = self.endpoint.source
        if code in NO_PORT and source is not None:
            for _ in range(source.tries - 1):
                sock.close()
                sock = self._open()
                code = sock.connect_ex(self.endpoint.address)
                if code not in NO_PORT:
                    break
        return sock, code

    async def connect(self, timeout: float) -> float:
        """Open the socket; the time it took in seconds, NaN where a standstill spoilt it.

        Raises Fault, or DriverFault for limits.
        """
        self._clear()
        self.dialed = began = perf_counter()
        due = self.loop.limit(began, timeout)
        sock, code = self._dial()
        self.sock, self.fd = sock, sock.fileno()
        self.resume = self.task.resume
        try:
            while code == errno.EAGAIN and self.loop.awake() < due:
                # A Unix listener's queue is full; there is nothing to wait on, unix(7).
                await sleep_until(self.task, perf_counter() + 0.001)
                code = sock.connect_ex(self.endpoint.address)
            if code == errno.EINPROGRESS:
                # Over loopback the handshake is over by now, and a second call says so, connect(2):
                # it spares a turn of the loop and the question for SO_ERROR.
                code = ASKED_AGAIN.get(again := sock.connect_ex(self.endpoint.address), again)
            self.loop.poller.add(self.fd)
            self.loop.connections[self.fd] = self
            if code == errno.EINPROGRESS:
                code = await self._connecting(due)
            if code:
                raise self._connect_failed(code, timeout)
            if self.endpoint.may_meet_itself and met_itself(sock, self.endpoint):
                raise self._connected_to_itself()
            self._send, self._recv = sock.send, sock.recv
            if self.endpoint.tls is not None:
                name, where = self.endpoint.server_name, f"cannot connect to {self.endpoint.url}"
                late = Kind.CONNECT_TIMEOUT
                await self.secure(self.endpoint.tls, name, due, timeout, where, late)
        except BaseException as error:
            self.abandon()
            if isinstance(error, Interrupted):
                self.owed = Owed(f"a connection to {self.endpoint.url}", began, timeout)
            raise
        self.read_slowly()
        self.dirty = False
        self.opened_at = perf_counter()
        if self.loop.tap is not None:
            self.loop.tap.opened(self)
        return self.loop.since(began)

    def read_slowly(self) -> None:
        """Hold reads back as the endpoint says; anew where what receives has changed."""
        if self.endpoint.pace is not None:
            self._recv = SlowReader(self, self.endpoint.pace, self._recv).receive

    async def _connecting(self, due: float) -> int:
        assert self.sock is not None
        self.arm(WRITE)
        self.want = WRITABLE
        self.task.set_limit(due)
        timed_out = await wait_io(self.task)
        self.want = 0
        self.ready &= TRY
        if timed_out:
            return errno.ETIMEDOUT
        self.arm(READ)
        return self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    async def secure(
        self,
        context: ssl.SSLContext,
        server_name: str | None,
        due: float,
        timeout: float,
        where: str,
        kind: Kind,
    ) -> None:
        """The TLS handshake, until `due`, when the step's `timeout` is over.

        `where` begins what is told of a failure; that it took too long is of this `kind`. Raises
        Fault.
        """
        assert self.sock is not None
        self.tls = tls = Secured(self.sock, context, server_name, self._found_end)
        self._send, self._recv = tls.send, tls.recv
        late = False
        try:
            while not late and (waits_for := tls.handshake()):
                self.arm(waits_for & (READ | WRITE))
                self.want = waits_for
                self.task.set_limit(due)
                late = await wait_io(self.task)
                self.want = 0
        except OSError as error:
            raise self._insecure(error, where) from None
        if late:
            raise self.fault(kind, f"{where}: no TLS handshake within {timeout:g} s")
        self.ready |= READ  # what came behind the handshake is decrypted already, or will be
        self.arm(READ)
        if self.loop.tap is not None and self.opened_at:
            self.loop.tap.secured(self)

    def _insecure(self, error: OSError, where: str) -> Fault:
        if isinstance(error, Unfinished):
            text = f"{where}: the server closed the connection during the TLS handshake"
            return self.fault(Kind.TLS, text)
        if isinstance(error, ssl.SSLError):
            return self.fault(Kind.TLS, f"{where}: the TLS handshake failed: {described(error)}")
        text = f"{where}: the connection was lost during the TLS handshake: {error.strerror}"
        return self.fault(Kind.RESET, text)

    def _found_end(self) -> None:
        """The end of the TLS connection was read already: no event will tell it."""
        self.ready |= PEER_CLOSED

    def _connect_failed(self, code: int, timeout: float) -> Exception:
        if code in LOCAL_LIMITS:
            return local_limit(OSError(code, os.strerror(code)))
        kind = CONNECT_KINDS.get(code, Kind.UNREACHABLE)
        text = os.strerror(code)
        if code in (errno.ETIMEDOUT, errno.EAGAIN):
            kind, text = Kind.CONNECT_TIMEOUT, f"no answer within {timeout:g} s"
        return self.fault(kind, f"cannot connect to {self.endpoint.url}: {text}")

    def _connected_to_itself(self) -> Fault:
        text = (
            f"cannot connect to {self.endpoint.url}: nobody listens there"
            " (the kernel connected the socket to itself)"
        )
        fault = self.fault(Kind.REFUSED, text)
        self.reset()  # a FIN would leave the port in TIME_WAIT, and the server could not bind it
        return fault

    # --- bytes in and out -----------------------------------------------------------------------

    def _took(self, data: bytes, size: int) -> None:
        self.reads_for.received += len(data)
        if not data:
            self.eof = self.dirty = True
            self.note("closed by the server")
        elif len(data) < size:
            if self.ready & READ:
                self.arm(READ)
            self.ready &= ~READ

    def _keep(self, data: bytes | None, size: int) -> None:
        """Put a first read of up to `size` bytes that was not just the reply into the inbox."""
        if data is not None:
            self._took(data, size)
            self.inbox.add(data)
            if data:
                self.note("received", data)

    def take(self) -> bytes | None:
        """What has arrived: bytes, b"" at the end of the stream, None when there is nothing yet.

        Raises Fault when the connection is lost.
        """
        if self.inbox:
            return self.inbox.take()
        if self.eof:
            return b""
        if self.lost is not None:
            raise self._lost(self.lost, "")
        if not self.ready & TRY:
            return None
        return self._read()

    def _read(self) -> bytes | None:
        """What the kernel holds, as `take` has it. Raises Fault."""
        data = self._pull()
        if self.lost is not None:
            raise self._lost(self.lost, "")
        return data

    def _pull(self) -> bytes | None:
        """The same, but that the connection is lost is only written down."""
        size = self.room
        try:
            data = self._recv(size)
        except OSError as error:
            self._not_received(error)
            return None
        self._took(data, size)
        if data:
            self.note("received", data)
            if len(data) == size < LARGE:
                self.room = 2 * size
            elif size > READ_FIRST and len(data) < size // 4:
                self.room = size // 2
        return data

    def _not_received(self, error: OSError) -> None:
        """A read brought nothing: there was nothing, or the connection is `lost`."""
        if isinstance(error, BlockingIOError):
            self.ready = 0
            self.arm(0 if isinstance(error, TooEarly) else READ)
        else:
            self.lost, self.dirty = error, True

    def _receive_failed(self, error: OSError) -> bytes | None:
        """Nothing there after all (None), or Fault."""
        self._not_received(error)
        if self.lost is not None:
            raise self._lost(error, "") from None
        return None

    async def _not_sent(self, error: OSError, listener: Listener | None) -> bool:
        """Sending has failed: false if the reply to what was sent is there and right. Else Fault.

        What came before the end is read first: the kernel keeps it, also behind a reset.
        """
        self._hear_out()
        alert = isinstance(self.lost, ssl.SSLError)
        if self.lost is not None and (alert or isinstance(error, BrokenPipeError)):
            error = self.lost  # it says more
        if not (isinstance(error, BrokenPipeError) and self.eof):
            self.eof, self.lost = False, error
        if listener is not None and await listener.heard_out():
            return False
        if self.lost is not None:
            raise self._lost(self.lost, " while sending") from None
        if (heard := self.heard) is not None:
            raise evidence.closed(self, heard) from None
        text = "the server had closed the connection before this was sent"
        raise self.fault(Kind.CLOSED, text) from None

    def _hear_out(self) -> None:
        """Take in all that the kernel still holds of a lost connection, and how it ended."""
        self.paused = False
        size = -1
        while size < self.inbox.size < HEARD_OUT and not self.eof and self.lost is None:
            size = self.inbox.size
            self.ready |= READ
            self.drain()

    def _lost(self, error: OSError, when: str) -> Fault:
        """The fault that an error of the connection is."""
        if isinstance(error, Unfinished):
            text = f"the server closed the connection: {error.strerror}"
            return self.fault(Kind.CLOSED, text, self.verifier)
        if isinstance(error, ssl.SSLError):
            text = f"the TLS connection failed{when}: {described(error)}"
            return self.fault(Kind.TLS, text, self.heard)
        text = f"the connection was lost{when}: {error.strerror}"
        return self.fault(Kind.RESET, text, self.heard)

    async def send_rest(
        self, payload: bytes, sent: int, timeout: float, listener: Listener | None = None
    ) -> bool:
        """Send `payload` from offset `sent` on, and take in meanwhile what arrives.

        Without the latter an echo larger than both sockets' buffers would stop both sides for good.
        False if the listener has heard enough, and the rest is given up. Raises Fault:
        `send_stalled` when the kernel took nothing for `timeout` seconds.
        """
        view = memoryview(payload)
        uptake: Uptake | None = None
        while sent < len(payload):
            try:
                count = self._send(view[sent : sent + LARGE])
            except BlockingIOError:
                count = 0
            except OSError as error:
                return await self._not_sent(error, listener)
            sent += count
            self.sends_for.sent += count
            if count and uptake is not None:
                uptake.moved()
            if count and not (sent < len(payload) and self.task.overtime()):
                continue
            if await self._heard(listener):
                return False
            if count or self.more or (listener is not None and listener.more):
                await next_turn(self.task)
                continue
            uptake = uptake or self._uptake(timeout)
            if uptake.stalled():
                raise evidence.stalled(self, sent, len(payload), timeout)
            try:
                await self._room(uptake, 0 if self.paused or self.eof else READ, listener)
            except Interrupted:
                what = f"room for {len(payload) - sent} of {len(payload)} bytes"
                self.owed = Owed(what, perf_counter() - uptake.idle, timeout)
                raise
        return True

    async def _heard(self, listener: Listener | None) -> bool:
        """While sending: take in what has come; whether that is enough. Raises Fault."""
        if listener is not None and await listener.look():
            return True
        self.drain()
        if self.lost is not None:
            raise self._lost(self.lost, " while sending")
        return False

    def sent(self, whole: bool) -> None:
        """A message has left, or is given up: then only a part of it has."""
        if whole:
            self.midway = False
            self.answer(b"")
        elif self.connected:
            self.note("given up: what was still to be sent")
            if self.tls is not None:
                self.tls.give_up()
        self.update_dirty()

    def _uptake(self, timeout: float) -> Uptake:
        assert self.sock is not None
        return Uptake(self.loop, self.sock, self.tls, timeout)

    async def _room(self, uptake: Uptake, reading: int, listener: Listener | None = None) -> None:
        """Wait until there may be room, for something to read (if `reading`), or a time."""
        self.arm(WRITE | reading)
        self.want = WRITABLE | (reading and READABLE)
        self.task.set_limit(uptake.next_look)
        await (wait_io(self.task) if listener is None else listener.wait())
        self.want = 0

    @property
    def more(self) -> bool:
        """Whether a read that was left off for the sake of others is to go on."""
        ended = self.eof or self.lost is not None
        return bool(self.ready & TRY) and not ended and not self.paused

    @property
    def at_hand(self) -> bool:
        """Whether there is something to take, or may be."""
        return bool(self.inbox) or self.more

    def drain(self) -> None:
        """Move what the kernel holds into the inbox (unless reading is stopped).

        Of a flood only so much as READS_AT_ONCE bring; then there is `more`.
        """
        for _ in range(READS_AT_ONCE):
            if not self.more or not (data := self._pull()):
                break
            self.inbox.add(data)
            self.dirty = True

    # --- replies --------------------------------------------------------------------------------

    async def check_surplus(self) -> None:
        """Before a send or a close: Fault if bytes or an end lie here that nobody asked for."""
        self.drain()
        if self.inbox:
            self.explain_unasked()
        if self.debt and not self.midway:
            owed, self.debt = self.debt, b""
            await self.send_rest(owed, 0, DEBT_WITHIN)
            self.update_dirty()
        if self.inbox and not self.unanswered:
            elsewhere = owed_elsewhere(self)
            extra = await gather(self.task, self, max(self.inbox.size, len(self.last)))
            if self.endpoint.unasked is not None:
                extra = self.unexplained(extra)
            if extra and not self.begun(extra):
                noticed = perf_counter()
                extra += await gather(self.task, self, SAID - len(extra))
                raise evidence.noticed(evidence.surplus(self, extra, elsewhere), self, noticed)
            self.inbox.put_back(extra)
        if self.eof and not self.inbox:
            raise self.fault(Kind.CLOSED, "the server had closed the connection before this step")
        self.check_lost()

    def held(self) -> bytes:
        """What was read and is kept back from the inbox, as it is not whole yet."""
        return b""

    def ended_idle(self) -> bool:
        """Whether the server has ended the connection in order while nothing was owed.

        That TLS ended without close_notify harms nobody then. Raises Fault for what explains
        nothing.
        """
        self.drain()
        if self.inbox:
            self.explain_unasked()
        tls = self.tls
        ended = self.eof or (self.lost is not None and tls is not None and tls.unfinished)
        rule = self.rule_verifier
        owed = self.inbox or self.unanswered or self.midway or not (rule is None or rule.done)
        return ended and not owed

    def check_lost(self) -> None:
        """Fault if the connection was lost (not ended in order) and nothing is left to read."""
        if self.lost is not None and not self.inbox:
            raise self._lost(self.lost, "")

    def explain_unasked(self) -> None:
        """Leave in the inbox only what nothing explains. Raises Fault."""
        self.inbox.add(self.unexplained(self.inbox.take_all()))
        self.update_dirty()

    def unexplained(self, data: bytes) -> bytes:
        """What is left of bytes that came after a reply, once its rule has taken what it may."""
        if self.endpoint.unasked is not None:
            answer, data, ended, aside = self.endpoint.unasked(data)
            self.answer(answer)
            if aside:
                self.task.passed_over(aside)
            if ended:
                raise self.fault(Kind.CLOSED, ended)
        verifier = self.rule_verifier
        return data if verifier is None or not verifier.done else verifier.take(data)

    def begun(self, rest: bytes) -> bool:
        """Whether what is left of `unexplained` bytes begins what the server may say unasked."""
        return self.endpoint.begun is not None and self.endpoint.begun(rest)

    def give(self, verifier: Verifier, data: bytes) -> None:
        """Have arrived bytes checked; what belongs to a later reply goes back."""
        self.inbox.put_back(verifier.take(data))

    def answer(self, data: bytes) -> None:
        """Send what the protocol owes the server; what the kernel does not take now stays `debt`,
        and so does all of it while a message is on its way.

        That the connection is lost, whoever reads next will find.
        """
        if data:
            self.note("sent", data)
        self.debt += data
        if self.midway or not self.debt:
            return
        with contextlib.suppress(OSError):
            self.debt = self.debt[self._send(self.debt) :]
        self.dirty = self.dirty or bool(self.debt)

    def hang_up(self) -> None:
        """The reply said that the connection ends with it: read it to its end, then close."""
        self.ending = self.dirty = True

    def asks(self, delay: float, payload: bytes) -> None:
        """A message is about to be sent that is to be answered; see `Sent`."""
        if len(self.unanswered) >= MOST_UNANSWERED:
            return
        sent = Sent(perf_counter(), delay)
        if self.endpoint.requests is None:
            self.unanswered.append(sent)
        else:
            self._request(sent, payload, self.endpoint.requests)

    def _request(
        self, sent: Sent, payload: bytes, told: Callable[[bytes], tuple[list[bytes], bytes]]
    ) -> None:
        """Write down each request in what is sent; one that was begun before goes on."""
        begun = b""
        if self.unanswered and self.unanswered[-1].data and told(self.unanswered[-1].data)[1]:
            sent, begun = sent._replace(at=self.unanswered[-1].at), self.unanswered.pop().data
        whole, rest = told(begun + payload)
        self.unanswered += [sent._replace(data=data) for data in (*whole, rest) if data]

    def settle(self, verifier: Verifier) -> Sent | None:
        """A reply is complete and right: keep it, and what its rule may still bring.

        It answers the oldest message without an answer, which is returned; by a rule, all of them.
        """
        sent = self.unanswered[0] if self.unanswered else None
        self.last = bytes(verifier.received[:KEPT])
        self.last_at = 0.0
        self.verifier = None
        if verifier.aside:
            self.task.passed_over(verifier.aside)
        if verifier.received:
            self.spoke = 0
        if isinstance(verifier, RuleVerifier):
            more = self.writer is not None or self.unruled
            self.rule_verifier = None if verifier.idle and not more else verifier
            self.silent = verifier.idle and not verifier.received
            del self.unanswered[: len(self.unanswered) - len(self.unruled)]
        else:
            del self.unanswered[: verifier.answers]
            self._explain(verifier)
        self.update_dirty()
        return sent

    def _explain(self, verifier: Verifier) -> None:
        """A reply that was checked in another way settles what the socket's rule can make of it."""
        rule = self.rule_verifier
        if rule is None:
            return
        rule.restart()
        rest = rule.take(bytes(verifier.received))
        if rest or rule.wrong_at is not None or rule.idle:
            self.rule_verifier = None

    def surplus(self, *extra: bytes) -> Fault:
        """The fault of bytes that nobody asked for."""
        return evidence.surplus(self, b"".join(extra), owed_elsewhere(self))

    async def wrong(self, verifier: Verifier) -> Fault:
        """The fault of a reply with a wrong byte, once what follows has been seen."""
        noticed, known = perf_counter(), suspects(self, verifier)
        enough = len(verifier.expected()) + len(self.last)
        enough += sum(len(reply) for _, reply in known.later)
        enough = max(enough, SAID) - len(verifier.received)
        verifier.received += await gather(self.task, self, enough)
        return evidence.noticed(evidence.wrong(self, verifier, known), self, noticed)

    def late(self, verifier: Verifier, timeout: float, quiet: float) -> Fault:
        """The fault of a reply that did not come within `timeout` (seconds); see `evidence`."""
        return evidence.late(self, verifier, timeout, quiet)

    def fault(self, kind: Kind, message: str, verifier: Verifier | None = None) -> Fault:
        return evidence.fault(self, kind, message, verifier)

    # --- closing --------------------------------------------------------------------------------

    async def half_close(self, timeout: float) -> None:
        """Shut the sending side down (FIN; over TLS close_notify before it).

        Raises Fault when the connection is lost already, or has no room for `timeout` seconds.
        """
        assert self.sock is not None
        uptake: Uptake | None = None
        while self.tls is not None and not self.tls.finish():
            uptake = uptake or self._uptake(timeout)
            if uptake.stalled():
                raise evidence.deaf(self, timeout)
            await self._room(uptake, 0)
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self.fault(Kind.RESET, f"half_close: {error.strerror}") from None
        if self.tls is not None:
            self.ready |= READ  # what was decrypted before the end was sent
            self.arm(READ)
        self.note("half-closed")

    def close_plainly(self, last: bool) -> bool:
        """Close, if nothing is owed, can come, or lies unread: then nobody has to be waited for.

        False where more care is needed; what was read is in the inbox then. Who is to say nothing
        is asked now and then for a sign that it reads, and at the user's `last` chance.
        """
        if self.dirty or self.verifier is not None or self.tls is not None:
            return False
        if self.spoke and (last or not self.silent or self.loop.queues.turn(self.endpoint.url)):
            return False
        try:
            self.inbox.add(said := self._recv(1))
            self.reads_for.received += len(said)
        except BlockingIOError:
            self.abandon()
            return True
        except OSError as error:
            self.lost, self.dirty = error, True
            return False
        self.eof = not self.inbox
        return False

    def reset(self) -> None:
        """Close with a RST, socket(7): SO_LINGER of zero seconds."""
        assert self.sock is not None
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.tls = None
        self.abandon()

    def say_goodbye(self) -> bool:
        """Send FIN; false if the connection is gone already."""
        assert self.sock is not None
        if self.tls is not None:
            self.tls.finish()
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        self.ready |= READ
        return True

    def _finish_tls(self) -> None:
        """Send close_notify, once, if there is room for it."""
        if self.tls is not None:
            self.tls.finish()
            self.tls = None

    def abandon(self) -> None:
        """Give the descriptor back, whatever state the connection is in."""
        if self.sock is None:
            return
        remember(self)
        if self.loop.tap is not None:
            self.loop.tap.closed(self)
        if self.tls is not None:
            self._finish_tls()
        if self.loop.connections.get(self.fd) is self:
            self.loop.poller.remove(self.fd)
            del self.loop.connections[self.fd]
        self.loop.close_later(self.sock)
        self.sock = None
        self.dirty = True
        self.want = 0
        self.owed = None


@dataclass(slots=True)
class Awaited:
    """A reply under way, since the `perf_counter` time `began`; the rest in the loop's own time.

    `due` moves on with each arrival (`heard`, 0 before the first), up to `until`; `took` is the
    latency in seconds, NaN where a standstill spoilt it; `sent` is what the reply answered.
    `asked`: it answers something; else it is a greeting, or what a server tells unasked. `over` is
    set by the listener when the reply is there; `held`, `alone`: see `listening`. `left`: so much
    has come that the rest was left for the next turn.
    """

    connection: Connection
    verifier: Verifier
    began: float
    due: float = NEVER
    until: float = NEVER
    heard: float = 0.0
    took: float = 0.0
    ended: float = 0.0
    sent: Sent | None = None
    asked: bool = True
    over: bool = False
    held: bool = False
    alone: bool = True
    left: bool = False

    def listen(self, listener: Listener) -> None:
        """Its message is about to be sent, so the reply may come from now on."""
        self.held = self.verifier.done or isinstance(self.verifier, RuleVerifier)
        self.connection.verifier = self.verifier
        listener.begin(self)

    @property
    def wrong(self) -> bool:
        return self.verifier.wrong_at is not None

    @property
    def more(self) -> bool:
        so_far = self.held and self.verifier.done
        return self.connection.more if so_far else self.connection.at_hand

    async def judged(self) -> Fault:
        return await self.connection.wrong(self.verifier)

    def advance(self, timeout: float) -> bool:
        """Check what has come; true when the reply is complete and right."""
        connection, verifier = self.connection, self.verifier
        self.left = False
        while not verifier.done:
            data = connection.take()
            if data is None:
                self.left = connection.more
                return False
            if not data and connection.eof:
                return self._end()
            connection.give(verifier, data)
            connection.answer(verifier.answer())
            if verifier.wrong_at is not None:
                return False
            if verifier.moved:
                self.heard = connection.loop.awake()
                self.due = min(self.heard + timeout, self.until)
            if not verifier.done and connection.task.overtime():
                self.left = connection.at_hand
                return False
        if self.held:
            return False
        self._complete()
        if verifier.closes:
            connection.hang_up()
        return True

    def cut_off(self, timeout: float) -> None:
        """Time is up: see the function."""
        connection, verifier = self.connection, self.verifier
        connection.want = 0
        connection.ready |= READ  # an event may be on its way
        connection.verifier = verifier
        whole = self.advance(timeout)
        if verifier.wrong_at is not None:
            raise at_once(connection.task, connection.wrong(verifier)) from None
        sending = connection.midway or connection.owed is not None
        nobody_asked = connection.writer is not None and not connection.unanswered
        if whole or sending or nobody_asked:
            return
        if self.asked or connection.unanswered or not connection.last:
            since = self.heard + connection.loop.stood if self.heard else self.began
            asked = connection.unanswered[0].at if connection.unanswered else 0.0
            since = max(since, asked, connection.loop.woke)  # nobody listened before
            connection.owed = Owed(verifier.owed(), since, timeout)

    def excused(self, timeout: float) -> bool:
        """Whether it is not late yet, as what it answers was sent, or will be, by another branch
        while it was awaited already.
        """
        connection, loop = self.connection, self.connection.loop
        if connection.unanswered:
            at = connection.unanswered[0].at
            due = loop.limit(at, timeout) if at > self.began else 0.0
        else:
            due = 0.0 if connection.writer is None else loop.awake() + timeout
        if due <= loop.awake():
            return False
        self.due, self.until = due, self.until if self.until == NEVER else due
        return True

    def _complete(self) -> None:
        self.ended = perf_counter()
        self.took = self.connection.loop.between(self.began, self.ended)
        self.sent = self.connection.settle(self.verifier)

    def _end(self) -> bool:
        """The stream has ended: true if that completes the reply. Raises Fault if it does not."""
        connection, verifier = self.connection, self.verifier
        if not verifier.finish():
            raise evidence.closed(connection, verifier)
        if verifier.wrong_at is not None:
            return False
        self._complete()
        connection.abandon()
        return True


async def await_replies(task: Task, waiting: list[Awaited], timeout: float) -> None:
    """Take the replies of several sockets as they come, until all are complete.

    `timeout` (seconds) is the longest wait without progress, for each reply. Raises Fault for the
    first one that is wrong, late or lost.
    """
    for one in waiting:
        one.connection.verifier = one.verifier
    while waiting := [one for one in waiting if not one.advance(timeout)]:
        left = False
        for one in waiting:
            if one.verifier.wrong_at is not None:
                raise await one.connection.wrong(one.verifier)
            left = left or one.left
        due = min([one.due for one in waiting])
        try:
            if left:
                await next_turn(task)
                timed_out = task.loop.awake() >= due
            else:
                for one in waiting:
                    one.connection.want = READABLE
                task.set_limit(due)
                timed_out = await wait_io(task)
                for one in waiting:
                    one.connection.want = 0
        except Interrupted:
            cut_off(waiting, timeout)
            raise
        if timed_out:
            late = min(waiting, key=lambda one: one.due)
            if late.excused(timeout):
                continue
            quiet = task.loop.awake() - late.heard if late.heard else timeout
            raise late.connection.late(late.verifier, timeout, quiet)


async def readable(task: Task, connections: Sequence[Connection], due: float) -> bool:
    """Wait until one may have brought something; true if `due` (the loop's own time) passed."""
    for one in connections:
        one.want = READABLE
    task.set_limit(due)
    timed_out = await wait_io(task)
    for one in connections:
        one.want = 0
    return timed_out


def cut_off(waiting: Sequence[Awaited], timeout: float) -> None:
    """Time is up: judge what has come of these replies, and note what is owed for how long.

    Raises Fault for one that is wrong or lost.
    """
    for one in waiting:
        one.cut_off(timeout)


def name_owed(connections: Sequence[Connection], step: str) -> None:
    """Say at which step connections were cut off, where no step within it has said so."""
    for connection in connections:
        if connection.owed is not None:
            connection.owed.step = connection.owed.step or step


async def gather(task: Task, connection: Connection, size: int) -> bytes:
    """After a wrong byte: read on for `size` bytes, an end, GATHER seconds of quiet, GATHER_MOST.

    What follows is what the server has to say of it, and tells a flipped bit from a lost, repeated
    or foreign stretch. That the run ends meanwhile only ends the gathering: the fault in hand is
    not lost.
    """
    got = b""
    until = task.loop.awake() + GATHER_MOST
    while len(got) < size and task.loop.awake() < until:
        try:
            data = connection.take()
        except Fault:
            break
        if data == b"":
            break
        if data is not None:
            got += data
            if not task.overtime():
                continue
        try:
            if data is not None:
                await next_turn(task)
                continue
            connection.want = READABLE
            task.set_deadline(perf_counter() + GATHER)
            timed_out = await wait_io(task)
        except Interrupted:
            timed_out = True
        connection.want = 0
        if timed_out:
            break
    return got
