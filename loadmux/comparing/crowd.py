"""Connections that only lie there, beside those that are measured: idle clients.

They are opened by this process, not by a generator, so that they cost the measurement nothing but
what they cost the server.
"""

from __future__ import annotations

import resource
import select
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from loadmux.errors import UsageError
from loadmux.language.meaning.servers import Url

WITHIN = 5.0
SPARE = 256
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER by which a close resets: no port is left in TIME_WAIT."""


def allow(connections: int) -> None:
    """Raise this process's limit of descriptors. Raises UsageError where it may not be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise UsageError(
            f"--idle {connections}: it needs {needed} descriptors, the hard limit is {hard}"
        )
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class Crowd:
    """So many connections to a server while the `with` block lasts; `refused` were not made."""

    def __init__(self, url: Url, count: int) -> None:
        self.url = url
        self.count = count
        self.refused = 0
        self._socks: list[socket.socket] = []

    def __enter__(self) -> Self:
        for _ in range(self.count):
            try:
                self._socks.append(self._connect())
            except OSError:
                self.refused += 1
        return self

    def _connect(self) -> socket.socket:
        if self.url.scheme == "unix":
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(WITHIN)
            sock.connect(self.url.path)
            return sock
        return socket.create_connection((self.url.host, self.url.port), WITHIN)

    @property
    def gone(self) -> int:
        """How many the server has ended, or never let in."""
        return self.refused + ended(self._socks)

    def await_end_of_one(self, within: float) -> None:
        """Until the server has ended one of the last ones, at most so many seconds."""
        poll = select.poll()
        for sock in self._socks[-1:]:
            poll.register(sock, select.POLLIN)
        poll.poll(within * 1000)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sock in self._socks:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            sock.close()


def ended(socks: Sequence[socket.socket]) -> int:
    poll = select.poll()
    for sock in socks:
        poll.register(sock, select.POLLIN)
    return len(poll.poll(0)) if socks else 0
