"""Sends that are none of the usual: out of band (MSG_OOB), and until the socket is full.

Of urgent bytes TCP marks the last one; the ones before it go as ever (tcp(7), RFC 6093). A socket
is full when the peer's kernel and ours have taken nothing for a while: `send` makes no difference
between a peer that reads slowly and one that reads no more, `Uptake` does.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import perf_counter

from loadmux.driver.connection import Connection
from loadmux.driver.duplex import Sender, Speaker
from loadmux.driver.listening import Listener
from loadmux.driver.loop import Interrupted, next_turn
from loadmux.driver.reading import LARGE
from loadmux.driver.uptake import Uptake
from loadmux.driver.user import VirtualUser

MOST = 1 << 30
"""Bytes after which nobody waits any longer for a peer to stop taking them."""


class Urgent:
    """Sends the last byte of a message out of band."""

    __slots__ = ("_connection", "_sender")

    def __init__(self, connection: Connection, sender: Sender) -> None:
        self._connection = connection
        self._sender = sender

    async def send_rest(
        self, payload: bytes, sent: int, timeout: float, listener: Listener | None = None
    ) -> bool:
        """As that of the connection. Raises Fault."""
        connection = self._connection
        if not await self._sender.send_rest(payload[:-1], sent, timeout, listener):
            return False
        ordinary, sock = connection._send, connection.sock
        assert sock is not None
        connection._send = lambda data: sock.send(data, socket.MSG_OOB)
        try:
            return await self._sender.send_rest(payload[-1:], 0, timeout, listener)
        finally:
            if connection.sock is sock:
                connection._send = ordinary


class Filling:
    """Sends again and again, until the socket has taken nothing for `within` seconds, or `most`
    bytes.

    `sent` counts bytes, `at` is when the last ones were taken (`perf_counter`). What arrives is
    left in the kernel, or the replies of a server that answers would keep it reading.
    """

    __slots__ = ("_connection", "_most", "_speaker", "_uptake", "at", "sent")

    def __init__(
        self, user: VirtualUser, connection: Connection, within: float, most: int | None = None
    ) -> None:
        self._most = MOST if most is None else most
        self._connection = connection
        self._speaker = None if connection.task is user else Speaker(user, connection)
        self._uptake: Uptake = connection._uptake(within)
        self.sent = 0
        self.at = perf_counter()

    async def run(
        self, user: VirtualUser, payload: Callable[[], bytes], took: Callable[[bytes], None]
    ) -> bool:
        """`took` is told what the kernel has taken; false if that is too much. Raises Fault."""
        connection = self._connection
        while self.sent < self._most:
            data = payload()
            connection.note("sent", data)
            if not await self._send(user, memoryview(data), took):
                connection.note("full")
                return True
        return False

    async def _send(
        self, user: VirtualUser, view: memoryview, took: Callable[[bytes], None]
    ) -> bool:
        """One message; false when the socket is full."""
        connection, uptake, sent = self._connection, self._uptake, 0
        while sent < len(view):
            try:
                count = connection._send(view[sent : sent + LARGE])
            except BlockingIOError:
                count = 0
            except OSError as error:
                await connection._not_sent(error, None)
            if count:
                took(bytes(view[sent : sent + count]))
                sent += count
                self.sent += count
                connection.sends_for.sent += count
                self.at = perf_counter()
                uptake.moved()
                if user.overtime():
                    await next_turn(user)
            elif uptake.stalled():
                return False
            else:
                await self._wait(user)
        return True

    async def _wait(self, user: VirtualUser) -> None:
        try:
            if self._speaker is None:
                await self._connection._room(self._uptake, 0)
            else:
                await self._speaker.wait(self._uptake, "room for more")
        except Interrupted:
            self._connection.owed = None
            raise
