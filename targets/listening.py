"""Where clients come from: the listening socket, its path, and a descriptor in reserve.

When descriptors run out (accept(2): EMFILE, ENFILE) a server must neither stop nor spin: one
descriptor is kept in reserve, and lent to accept and reset the client there is no room for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

from arguments import Settings
from sockets import reset_on_close, send_at_once

ACCEPT_BATCH = 64
"""Clients accepted in a row before those already connected get their turn."""
RETRY_ACCEPT = 0.05
"""Seconds until the next try when there is neither a descriptor nor a reserve."""


class Listener:
    """The listening socket; it does not block unless told so. OSError if it cannot listen.

    `over` is set when the server stops, by whichever thread does it: nobody is accepted any more.
    """

    def __init__(self, settings: Settings, datagrams: bool, log: Callable[[str], None]) -> None:
        self.sock = listen(settings, datagrams)
        self.over = False
        self._log = log
        self._path = settings.unix
        self._made = os.stat(settings.unix) if settings.unix else None
        self._reserve_lock = threading.Lock()
        self._reserve: int | None = None
        self._fill_reserve()

    def fileno(self) -> int:
        """What to wait for."""
        return self.sock.fileno()

    def setblocking(self, blocking: bool) -> None:
        """Whether `accept` waits for the next client."""
        self.sock.setblocking(blocking)

    def accept(self) -> socket.socket | None:
        """The next client. None if nobody waits, or if a blocking server has been stopped."""
        while True:
            try:
                sock = self._take()
            except BlockingIOError:
                return None
            except OSError as error:
                if self.over:
                    return None
                if error.errno in (errno.EBADF, errno.EINVAL, errno.ENOTSOCK):
                    raise
                continue  # accept(2) reports what befell the client before it was accepted
            if sock is None:
                continue
            if self.over:
                sock.close()
                self.interrupt()  # this client may have been our own, sent to wake one of us only
                return None
            send_at_once(sock)
            return sock

    def arrivals(self) -> Iterator[socket.socket]:
        """Clients that wait to be accepted, at most `ACCEPT_BATCH`."""
        for _ in range(ACCEPT_BATCH):
            sock = self.accept()
            if sock is None:
                return
            yield sock

    def refuse(self, sock: socket.socket, reason: str) -> None:
        """Reset a client that cannot be served, so that it learns so at once."""
        self._log(f"refused a client: {reason}")
        reset_on_close(sock)
        sock.close()

    def close(self) -> None:
        """Accept no more, and let nobody connect any more."""
        self.leave()
        self.sock.close()

    def leave(self) -> None:
        """Accept no more, though the socket stays open; its path is removed."""
        self.over = True
        self.unlink()

    def interrupt(self) -> None:
        """Wake one that blocks in accept()."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # Linux: a blocked accept() fails at once
        except OSError:  # elsewhere: be the client that it waits for
            with contextlib.suppress(OSError), socket.socket(self.sock.family) as client:
                client.connect(self.sock.getsockname())

    def disown(self) -> None:
        """In a child: the path is the parent's to remove."""
        self._made = None

    def unlink(self) -> None:
        """Remove the Unix socket's path, if it is still the one that we made."""
        made, self._made = self._made, None
        if self._path is None or made is None:
            return
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self._path), made):
                os.unlink(self._path)

    def _take(self) -> socket.socket | None:
        """accept(2). None if it took a client there was no descriptor for: it has been reset."""
        try:
            return self.sock.accept()[0]
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
        with self._reserve_lock:
            reserve, self._reserve = self._reserve, None
        try:
            if reserve is None:
                raise OSError(errno.EMFILE, "another thread has the reserve")
            os.close(reserve)
            sock = self.sock.accept()[0]  # may block until somebody comes, or there is room
        except BlockingIOError:
            self._fill_reserve()
            raise
        except OSError:
            time.sleep(
                RETRY_ACCEPT
            )  # who waits in the backlog keeps the listener readable: no spin
            self._fill_reserve()
            if self.sock.gettimeout() == 0:
                raise BlockingIOError from None
            raise
        self._fill_reserve()
        if self._reserve is not None:
            return sock
        self.refuse(sock, "no descriptor is free")
        self._fill_reserve()
        return None

    def _fill_reserve(self) -> None:
        with self._reserve_lock, contextlib.suppress(OSError):
            if self._reserve is None:
                self._reserve = os.open(os.devnull, os.O_RDONLY)


def listen(settings: Settings, datagrams: bool) -> socket.socket:
    """A listening socket that does not block. OSError if the address cannot be had."""
    kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
    if settings.unix:
        sock = socket.socket(socket.AF_UNIX)
        address: str | tuple[str, int] = settings.unix
    else:
        found = socket.getaddrinfo(settings.host, settings.port, type=kind, flags=socket.AI_PASSIVE)
        family, _, _, _, resolved = found[0]
        sock = socket.socket(family, kind)
        if not datagrams:  # two UDP sockets could share the port, and its datagrams
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address = resolved[:2]  # type: ignore[assignment]  # (host, port) for both families
    try:
        sock.bind(address)
        if not datagrams:
            # A queue that is full drops SYNs: clients then connect after 1 s, 3 s or 7 s.
            sock.listen(settings.backlog)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
