"""What a server sets on its sockets, whatever its IO model. No state, no waiting."""

from __future__ import annotations

import contextlib
import socket
import struct

FD_SETSIZE = 1024
"""select(2) cannot watch a descriptor of this number or above; CPython raises ValueError."""


def send_at_once(sock: socket.socket) -> None:
    """Never hold back small replies (tcp(7), TCP_NODELAY)."""
    if sock.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):  # the client may have gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def reset_on_close(sock: socket.socket) -> None:
    """Let close() send RST and forget what is unsent (socket(7), SO_LINGER of zero)."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
