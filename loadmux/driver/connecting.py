"""How a connection begins and ends: the socket, its address, connect, TLS, and giving it back."""

from __future__ import annotations

import errno
import math
import os
import socket
import ssl
import struct
from time import perf_counter

from loadmux.checking.verifying import Verifier
from loadmux.driver import evidence
from loadmux.driver.endpoint import LOCAL_LIMITS, bind, local_limit, met_itself
from loadmux.driver.loop import Interrupted, sleep_until, wait_io
from loadmux.driver.peer import TRY, Owed, Peer
from loadmux.driver.poller import PEER_CLOSED, READ, WRITABLE, WRITE
from loadmux.driver.slowly import SlowReader
from loadmux.driver.suspects import remember
from loadmux.driver.tls import Secured, Unfinished, broken, described
from loadmux.errors import Fault, Kind

NONBLOCK: int = getattr(socket, "SOCK_NONBLOCK", 0)
SMALL_BUFFER, ETHERNET = 1 << 16, 1460
"""A receive buffer up to so many bytes comes with segments of this size, see `_narrow`."""
NO_PORT = (errno.EADDRNOTAVAIL, errno.EAGAIN)
ASKED_AGAIN = {errno.EALREADY: errno.EINPROGRESS, errno.EISCONN: 0}
CONNECT_KINDS = {
    errno.ECONNREFUSED: Kind.REFUSED,
    errno.ETIMEDOUT: Kind.CONNECT_TIMEOUT,
    errno.ECONNRESET: Kind.RESET,
}


class Connecting(Peer):
    """See the module."""

    __slots__ = ()

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
            self._narrow(sock, endpoint.receive_buffer)
        if endpoint.send_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, endpoint.send_buffer)
        if endpoint.linger is not None:
            linger = struct.pack("ii", 1, math.ceil(endpoint.linger))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if endpoint.source is not None:
            bind(sock, endpoint.source.address(self.user, self.turn))
            self.turn += 1
        return sock

    def _narrow(self, sock: socket.socket, size: int) -> None:
        """A small receive buffer means a client that is behind: the peer is to notice. Over
        loopback its kernel would hold 2.5 MB for it, as it reckons with ten segments of 64 KiB.
        """
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        if size <= SMALL_BUFFER and self.streams_over_tcp:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, ETHERNET)

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
            text = f"{where}: the TLS handshake failed: {described(error)}"
            return broken(self.fault(Kind.TLS, text), error)
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

    # --- the end ---

    def fault(self, kind: Kind, message: str, verifier: Verifier | None = None) -> Fault:
        return evidence.fault(self, kind, message, verifier)

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
        self.ending = False
        self.want = 0
        self.owed = None
