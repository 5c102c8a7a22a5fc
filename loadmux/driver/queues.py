"""How much of what a socket sent its peer has not read: asked of the kernel, both ends of it.

Our end: SIOCOUTQ, what the peer's kernel has not acknowledged (tcp(7)); of a Unix socket what the
peer has not read, in memory, which is more than the bytes (unix(7)). The peer's end, if it is on
this machine: its receive queue, by sock_diag(7), which finds one connection among any number at
once; where the kernel lacks that, in the tables of /proc/net (proc(5)), which have a line for every
socket of the machine (10,000 of them: 150 ms), so each is read once for all who ask within a
moment. A connection that nobody has accepted has no inode yet. Datagrams of all senders lie in one
queue, counted in memory too; the tables have it.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

from loadmux.driver.system import original

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
TCP_CLOSE = 0x07
"""A RST has come; a FIN alone leaves CLOSE_WAIT."""
# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h: a header, inet_diag_req_v2, inet_diag_msg.
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1
HEADER = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBBBI")
ENDS = struct.Struct("!HH16s16s")
ANY_INTERFACE_AND_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
FOUND = struct.Struct("=BBBB48sIIIII")
ALL_STATES = 0xFFFFFFFF

Address = tuple[str, int]


def unacknowledged(sock: socket.socket) -> int:
    """Bytes that are on their way, 0 where nobody tells. Raises OSError."""
    if sys.platform != "linux":
        return 0
    (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), SIOCOUTQ, bytes(4)))
    return int(queued)


def state_of(sock: socket.socket) -> int | None:
    """That of our end of a TCP connection, None where nobody tells. Raises OSError."""
    info: int | None = getattr(socket, "TCP_INFO", None)
    return None if info is None else sock.getsockopt(socket.IPPROTO_TCP, info, 1)[0]


@dataclass(frozen=True, slots=True)
class Left:
    """`size` bytes, or a little more, are unread; `accepted` false: by nobody ever."""

    size: int
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class End:
    """One end of a connection, as the kernel has it."""

    state: int
    queued: int
    inode: int


class Queues:
    """Looks at the queues of peers; one for all connections of a loop."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, int], tuple[float, dict[str, End]]] = {}
        self._turns: dict[str, float] = {}
        self._diagnoses: bool | None = None

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
            own, peer = sock.getsockname()[:2], sock.getpeername()[:2]
            if sock.type == socket.SOCK_DGRAM:
                return self._datagrams(peer)
            return self._stream(sock, self._end(sock.family, peer, own), secured)
        except OSError:
            return None

    def _stream(self, sock: socket.socket, end: End | None, secured: bool) -> Left | None:
        if end is None or end.state not in OPEN:
            return None
        # A FIN counts as a byte in either queue: on its way, or arrived and not yet seen.
        fins = (end.state == CLOSE_WAIT and end.queued > 0) + (state_of(sock) in CLOSING)
        size = unacknowledged(sock) + end.queued - fins - (CLOSE_NOTIFY if secured else 0)
        return Left(max(0, size), end.inode != 0)

    def _end(self, family: int, local: Address, remote: Address) -> End | None:
        """The end of a connection that is at `local`."""
        if self._diagnoses is None:
            # Our own end is surely here: who cannot find it finds nothing.
            self._diagnoses = diagnosed(family, remote, local) is not None
        if self._diagnoses:
            return diagnosed(family, local, remote)
        for table, kind in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
            key = f"{hexed(local, kind)} {hexed(remote, kind)}"
            if (found := self._table(table, local[1]).get(key)) is not None:
                return found
        return None

    def _datagrams(self, peer: Address) -> Left | None:
        """The queue of who is bound to that address, or to all; several may be (SO_REUSEPORT)."""
        wanted = set()
        for family, every in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            wanted |= {hexed(peer, family), hexed((every, peer[1]), family)}
        found = [
            end.queued
            for table in ("udp", "udp6")
            for key, end in self._table(table, peer[1]).items()
            if key.split()[0] in wanted
        ]
        return Left(sum(found)) if found else None

    def _table(self, name: str, port: int) -> dict[str, End]:
        """The lines of /proc/net/NAME whose local port this is, by both addresses."""
        read_at, ends = self._tables.get((name, port), (-FRESH, {}))
        if perf_counter() - read_at >= FRESH:
            ends = lines_of(name, port)
            self._tables[name, port] = perf_counter(), ends
        return ends


def diagnosed(family: int, local: Address, remote: Address) -> End | None:
    """What sock_diag(7) says of the TCP socket with these addresses; None if there is none."""
    ends = ENDS.pack(local[1], remote[1], _packed(local, family), _packed(remote, family))
    request = REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, ALL_STATES)
    body = request + ends + ANY_INTERFACE_AND_COOKIE
    head = HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    with suppress(OSError):
        with original(socket, "socket")(
            socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG
        ) as asked:
            asked.sendto(head + body, (0, 0))
            answer = asked.recv(4096)
        _, kind, _, _, _ = HEADER.unpack_from(answer)
        if kind == SOCK_DIAG_BY_FAMILY:
            _, state, _, _, _, _, queued, _, _, inode = FOUND.unpack_from(answer, HEADER.size)
            return End(state, queued, inode)
    return None


def _packed(address: Address, family: int) -> bytes:
    return socket.inet_pton(family, address[0].partition("%")[0]).ljust(16, b"\0")


def lines_of(name: str, port: int) -> dict[str, End]:
    """The sockets in /proc/net/NAME at this port, by `LOCAL REMOTE` as they stand there."""
    try:
        with open(f"/proc/net/{name}", encoding="ascii") as table:
            lines = [line for line in table if f":{port:04X} " in line[:50]]
    except OSError:
        return {}
    ends = {}
    for line in lines:
        _, local, remote, state, queues, _, _, _, _, inode = line.split()[:10]
        if local.endswith(f":{port:04X}"):
            queued = int(queues.partition(":")[2], 16)
            ends[f"{local} {remote}"] = End(int(state, 16), queued, int(inode))
    return ends


def hexed(address: Address, family: int) -> str:
    """ADDRESS:PORT as /proc/net has it: words of 32 bits, as this machine orders their bytes.

    As an address of IPv6 one of IPv4 is a mapped one; the other way round there is none.
    """
    host = address[0].partition("%")[0]
    if family == socket.AF_INET6 and ":" not in host:
        host = f"::ffff:{host}"
    if family == socket.AF_INET and ":" in host:
        return ""
    raw = socket.inet_pton(family, host)
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"
