"""TCP sockets of this machine, as sock_diag(7) tells of them.

/proc/net/tcp has a line for each connection in TIME_WAIT, too, of which there are tens of thousands
where clients come and go: to read it takes 20 ms then. Here the kernel picks out what is asked for.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from loadmux.driver.queues import HEADER, NETLINK_SOCK_DIAG, NLM_F_REQUEST, SOCK_DIAG_BY_FAMILY

DUMP = NLM_F_REQUEST | 0x300
"""With NLM_F_DUMP."""
ERROR, DONE = 2, 3
TIME_WAIT = 6
ASKED = struct.Struct("=BBxxI H46x")
"""inet_diag_req_v2: family, protocol, states, and of the socket's ends our port alone."""
TOLD = struct.Struct("=BBxx 4x16s28x 4xI8xI")
"""inet_diag_msg: family, state, our address, bytes to be read, inode."""
READ = 1 << 16


class Found(NamedTuple):
    """`state` as the kernel numbers them; `address` is packed."""

    address: bytes
    inode: int
    state: int
    unread: int


def tcp(port: int = 0) -> Iterator[Found]:
    """Those whose own port it is, or all; none that is in TIME_WAIT. Raises OSError."""
    if sys.platform != "linux":
        raise OSError("only Linux has sock_diag")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as sock:
        for family in (socket.AF_INET, socket.AF_INET6):
            states = ~(1 << TIME_WAIT) & 0xFFFFFFFF
            asked = ASKED.pack(family, socket.IPPROTO_TCP, states, socket.htons(port))
            sock.send(
                HEADER.pack(HEADER.size + len(asked), SOCK_DIAG_BY_FAMILY, DUMP, 0, 0) + asked
            )
            yield from _answered(sock)


def _answered(sock: socket.socket) -> Iterator[Found]:
    while True:
        data, at = sock.recv(READ), 0
        while at < len(data):
            length, kind, *_ = HEADER.unpack_from(data, at)
            if kind == DONE:
                return
            if kind == ERROR:
                raise OSError("sock_diag is refused")
            family, state, address, unread, inode = TOLD.unpack_from(data, at + HEADER.size)
            yield Found(address[:4] if family == socket.AF_INET else address, inode, state, unread)
            at += (length + 3) & ~3
