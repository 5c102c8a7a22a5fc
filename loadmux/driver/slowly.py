"""A slow reader (`read`): at most so many bytes at a time, and not before so long after the last.

It stands between a connection and its socket (or its TLS), whose reads it holds back: too early it
says that there is nothing, and when the time has come it says that there may be something. Over TLS
the kernel's bytes come a record at a time; what is handed out is as slow.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

from loadmux.driver.endpoint import Pace
from loadmux.driver.loop import Loop, Registered, Task
from loadmux.driver.poller import READ


class TooEarly(BlockingIOError):
    """The next read is not due yet: the socket need not be watched for it."""


class Slowed(Registered, Protocol):
    """A connection that is read slowly."""

    loop: Loop
    sock: socket.socket | None


class SlowReader(Task):
    """Reads for `connection` by `receive`; its deadline is when the next read is due."""

    __slots__ = ("_connection", "_due", "_pace", "_receive", "_sock")

    def __init__(self, connection: Slowed, pace: Pace, receive: Callable[[int], bytes]) -> None:
        super().__init__(connection.loop)
        self._connection = connection
        self._sock = connection.sock
        self._pace = pace
        self._receive = receive
        self._due = 0.0
        self.resume = self._is_due

    def receive(self, size: int) -> bytes:
        """What has come, when it is time. Raises TooEarly before, else as the socket does."""
        now = perf_counter()
        if now < self._due:
            raise TooEarly
        data = self._receive(min(size, self._pace.size))
        if data:
            self._due = now + self._pace.gap
            self.set_deadline(self._due)
        return data

    def _is_due(self, timed_out: bool | None) -> None:
        connection = self._connection
        if connection.sock is self._sock:
            connection.loop.tell(connection, READ)
