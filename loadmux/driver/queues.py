"""How much of what a socket sent its peer has not read: asked of the kernel, both ends of it.

Our end: SIOCOUTQ, what the peer's kernel has not acknowledged (tcp(7)); of a Unix socket what the
peer has not read, in memory, which is more than the bytes (unix(7)). The peer's end, if it is on
this machine: its receive queue in /proc/net (proc(5)), where connections that nobody has accepted
have no inode yet. Datagrams of all senders lie in one queue, counted in memory too.

A table of /proc/net has a line for every socket of the machine, so it is read once for all who ask
within a moment.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from dataclasses import dataclass
from time import perf_counter

SIOCOUTQ = 0x5411  # linux/sockios.h: the number of TIOCOUTQ, for tcp(7), udp(7) and unix(7)
FRESH = 0.04
"""For so long (seconds) a table is taken for what it was; shorter than the quiet before an end."""
SAMPLE_EVERY = 0.1
"""Where a connection is closed for each message, this often (seconds) one of them is looked at."""
CLOSE_NOTIFY = 31
"""Bytes of TLS's last record at most, which no server has to read."""
# linux/net/tcp_states.h: those of a connection that is not closed yet on that side.
SYN_RECEIVED, ESTABLISHED, CLOSE_WAIT = 0x03, 0x01, 0x08
FIN_WAIT_1, LAST_ACK, BOTH_CLOSING = 0x04, 0x09, 0x0B
CLOSING = frozenset({FIN_WAIT_1, LAST_ACK, BOTH_CLOSING})
"""Those of an end whose FIN is not acknowledged."""
OPEN = frozenset({SYN_RECEIVED, ESTABLISHED, CLOSE_WAIT})


def unacknowledged(sock: socket.socket) -> int:
    """Bytes that are on their way, 0 where nobody tells. Raises OSError."""
    if sys.platform != "linux":
        return 0
    (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), SIOCOUTQ, bytes(4)))
    return int(queued)


@dataclass(frozen=True, slots=True)
class Left:
    """`size` bytes, or a little more, are unread; `accepted` false: by nobody ever."""

    size: int
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class _Entry:
    queued: int
    state: int
    inode: int


class Queues:
    """Looks at the queues of peers; one for all connections of a loop."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, int], tuple[float, dict[str, _Entry]]] = {}
        self._turns: dict[str, float] = {}

    def turn(self, url: str) -> bool:
        """Whether it is time for another of many samples of this target."""
        now = perf_counter()
        if now < self._turns.get(url, 0.0):
            return False
        self._turns[url] = now + SAMPLE_EVERY
        return True

    def left(self, sock: socket.socket, secured: bool) -> Left | None:
        """What of this socket's bytes is unread; None where that cannot be seen.

        `secured`: what it sends is TLS.
        """
        if sys.platform != "linux":
            return None
        try:
            if sock.family == socket.AF_UNIX:
                return Left(unacknowledged(sock))
            own, peer = sock.getsockname(), sock.getpeername()
            if sock.type == socket.SOCK_DGRAM:
                return self._datagrams(peer)
            return self._stream(sock, own, peer, secured)
        except OSError:
            return None

    def _stream(
        self, sock: socket.socket, own: tuple[str, int], peer: tuple[str, int], secured: bool
    ) -> Left | None:
        for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
            key = f"{_hexed(peer, family)} {_hexed(own, family)}"
            entry = self._table(table, peer[1]).get(key)
            if entry is None or entry.state not in OPEN:
                continue
            size = unacknowledged(sock) + entry.queued
            # A FIN counts as a byte in either queue: on its way, or arrived and not yet seen.
            unseen = entry.state == CLOSE_WAIT and entry.queued > 0
            size -= unseen + (sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in CLOSING)
            accepted = entry.inode != 0
            return Left(max(0, size - (CLOSE_NOTIFY if secured else 0)), accepted)
        return None

    def _datagrams(self, peer: tuple[str, int]) -> Left | None:
        """The queue of who is bound to that address, or to all; several may be (SO_REUSEPORT)."""
        wanted = set()
        for family, every in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            wanted |= {_hexed(peer, family), _hexed((every, peer[1]), family)}
        found = [
            entry.queued
            for table in ("udp", "udp6")
            for key, entry in self._table(table, peer[1]).items()
            if key.split()[0] in wanted
        ]
        return Left(sum(found)) if found else None

    def _table(self, name: str, port: int) -> dict[str, _Entry]:
        """The lines of /proc/net/NAME whose local port this is, by both addresses."""
        now = perf_counter()
        read_at, entries = self._tables.get((name, port), (-FRESH, {}))
        if now - read_at >= FRESH:
            entries = _read(name, port)
            self._tables[name, port] = perf_counter(), entries
        return entries


def _read(name: str, port: int) -> dict[str, _Entry]:
    try:
        with open(f"/proc/net/{name}", encoding="ascii") as table:
            lines = [line for line in table if f":{port:04X} " in line[:50]]
    except OSError:
        return {}
    entries = {}
    for line in lines:
        _, local, remote, state, queues, _, _, _, _, inode = line.split()[:10]
        if local.endswith(f":{port:04X}"):
            queued = int(queues.partition(":")[2], 16)
            entries[f"{local} {remote}"] = _Entry(queued, int(state, 16), int(inode))
    return entries


def _hexed(address: tuple[str, int], family: int) -> str:
    """ADDRESS:PORT as /proc/net has it: words of 32 bits, as this machine orders their bytes."""
    host = address[0].partition("%")[0]
    if family == socket.AF_INET6 and ":" not in host:
        host = f"::ffff:{host}"
    if family == socket.AF_INET and ":" in host:
        host = host.rpartition(":")[2] if host.lower().startswith("::ffff:") else "255.255.255.255"
    raw = socket.inet_pton(family, host)
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"
