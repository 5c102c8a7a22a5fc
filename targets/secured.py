"""TLS under a server: a socket whose recv(), send() and sendall() are those of a plain one.

No model knows that it is there. The protocol runs in memory (SSLContext.wrap_bio); the bytes go
through the socket itself, so that what select() and its kin say of the descriptor stays true:

- recv() reads from the kernel once and hands out *all* that could be decrypted with it, perhaps
  some bytes more than were asked for. Bytes left behind here would be seen by no poller: the
  classic bug of servers that put TLS under an event loop.
- send() on a socket that does not block counts bytes only when the kernel has taken the whole
  record. Until then it raises BlockingIOError and must be offered the same bytes again.
- shutdown() sends close_notify before the FIN: without it, what was sent may have been cut off by
  anybody on the way (RFC 8446, 6.1).
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from typing import Any

OURS = os.path.join(os.path.dirname(__file__), "localhost-testing.pem")
"""A certificate and its key for localhost, 127.0.0.1 and ::1; everybody has the key."""
AT_ONCE = 64 * 1024
RECORD = 16 * 1024


def server_context(cert: str | None, key: str | None) -> ssl.SSLContext:
    """What all connections share. OSError (ssl.SSLError is one) if the files are of no use."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert or OURS, key, lambda: b"")
    return context


class Secured(socket.socket):
    """The server's side of a TLS connection; takes over the accepted socket."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._lock = threading.Lock()  # an SSLObject is not for two threads at once
        self._greeted = False
        self._encrypted = 0
        self._pending = b""
        self.ended = False
        """The client has sent close_notify."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Decrypted bytes, b"" after close_notify. Waits, or raises BlockingIOError, as usual."""
        while not self.ended:
            raw = super().recv(size, flags)
            if not raw:
                raise ConnectionAbortedError("the client ended without close_notify")
            with self._lock:
                self._in.write(raw)
                try:
                    data = self._decrypt()
                finally:
                    answer = self._out.read()  # of the handshake, or the alert that says why not
            if answer:
                with contextlib.suppress(BlockingIOError):  # kept, and sent before what comes next
                    self._put(answer)
            if data:
                return data
        return b""

    def _decrypt(self) -> bytes:
        data = b""
        try:
            if not self._greeted:
                self._tls.do_handshake()
                self._greeted = True
            while piece := self._tls.read(RECORD):
                data += piece
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return data

    def send(self, data: Any, flags: int = 0) -> int:
        """Send some of `data`; how much of it the kernel has taken, encrypted."""
        if not self._encrypted:
            with self._lock:
                self._encrypted = self._tls.write(memoryview(data)[:AT_ONCE])
                self._pending += self._out.read()
        self._put(b"")
        sent, self._encrypted = self._encrypted, 0
        return sent

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of `data`, on a socket that blocks."""
        view = memoryview(data)
        while view:
            view = view[self.send(view) :]

    def _put(self, record: bytes) -> None:
        self._pending += record
        while self._pending:
            self._pending = self._pending[super().send(self._pending) :]

    def shutdown(self, how: int) -> None:
        """End our sending: close_notify, then as usual."""
        with self._lock:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            farewell = self._out.read()
        with contextlib.suppress(OSError):
            self._put(farewell)
        super().shutdown(how)
