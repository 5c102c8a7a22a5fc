"""Sending all of a message while taking in what arrives, and ending the sending side."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from time import perf_counter

from loadmux.driver import evidence
from loadmux.driver.listening import Listener
from loadmux.driver.loop import Interrupted, next_turn, wait_io
from loadmux.driver.peer import Owed
from loadmux.driver.poller import READ, READABLE, WRITABLE, WRITE
from loadmux.driver.reading import LARGE, Reading
from loadmux.driver.uptake import Uptake
from loadmux.errors import Kind

HOLDS: int | None = getattr(socket, "TCP_CORK", None) or getattr(socket, "TCP_NOPUSH", None)
"""The option of Linux, or that of BSD and macOS."""


class Sending(Reading):
    """See the module."""

    __slots__ = ()

    async def _not_sent(self, error: OSError, listener: Listener | None) -> bool:
        """Sending has failed: false if the reply to what was sent is there and right. Else Fault.

        What came before the end is read first: the kernel keeps it, also behind a reset.
        """
        self._hear_out()
        alert = isinstance(self.lost, ssl.SSLError)
        if self.lost is not None and (alert or isinstance(error, BrokenPipeError)):
            error = self.lost  # it says more
        # EPIPE behind an end in order says no more than that end; else the error is how it ended.
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

    async def send_on(
        self, payload: bytes, sent: int, error: OSError | None, timeout: float
    ) -> bool:
        """Send a message of which the kernel took only `sent` bytes at first, or said `error`.

        True when it has left. Raises Fault.
        """
        self.midway = True
        if error is None or isinstance(error, BlockingIOError):
            await self.send_rest(payload, sent, timeout)
        else:
            await self._not_sent(error, None)
        self.sent(True)
        return True

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

    def hold(self, on: bool) -> None:
        """Whether the kernel holds back what fills no segment, for 200 ms at most: tcp(7).

        Other transports have no segments. That the connection is lost, the next send will find.
        """
        assert self.sock is not None
        if HOLDS is not None and self.streams_over_tcp:
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.IPPROTO_TCP, HOLDS, on)

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
            if error.errno != errno.ENOTCONN or self._is_lost():
                raise self.fault(Kind.RESET, f"half_close: {error.strerror}") from None
            # Both sides have ended in order: ours was half-closed before.
        if self.tls is not None:
            self.ready |= READ  # what was decrypted before the end was sent
            self.arm(READ)
        self.note("half-closed")

    def _is_lost(self) -> bool:
        """Whether the connection did not end in order."""
        self._hear_out()
        return self.lost is not None

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
