"""Whether a peer goes on taking what it is sent, while the kernel here takes nothing more.

That a socket is not writable says little: a send buffer grows to megabytes by itself, and counts as
writable only once a third of it is free, tcp(7). A server that takes 20 KB every 0.1 s needs longer
than many a time-out for that. What is sent and not acknowledged tells more: if it became less since
the last look, the peer takes. Its kernel acknowledges for it, but no more than its receive buffer
holds. Where the amount cannot be asked for, only that a send has room again shows progress.
"""

from __future__ import annotations

import math
import socket

from loadmux.driver.loop import Loop
from loadmux.driver.queues import unacknowledged
from loadmux.driver.tls import Secured

LOOKS = 8


class Uptake:
    """One wait for room; `next_look` is when to look again, in the loop's own time."""

    def __init__(
        self, loop: Loop, sock: socket.socket, tls: Secured | None, timeout: float
    ) -> None:
        self._loop, self._sock, self._tls = loop, sock, tls
        self.timeout = timeout
        self._left = math.inf
        self._due = self.next_look = 0.0
        self.moved()

    def moved(self) -> None:
        """The kernel took something."""
        now = self._loop.awake()
        self._due, self.next_look = now + self.timeout, now + self.timeout / LOOKS

    @property
    def idle(self) -> float:
        """Seconds since the peer was last seen to take anything."""
        return self._loop.awake() - (self._due - self.timeout)

    def stalled(self) -> bool:
        """Whether the peer has taken nothing for `timeout` seconds; looks if it is time."""
        now = self._loop.awake()
        if now < self.next_look:
            return False
        left = self._unacknowledged()
        if left < self._left:
            self._due = now + self.timeout
        self._left = left
        self.next_look = min(now + self.timeout / LOOKS, self._due)
        return now >= self._due

    def _unacknowledged(self) -> int:
        """Bytes that are on their way; 0 where nobody tells."""
        try:
            queued = unacknowledged(self._sock)
        except OSError:
            return 0
        return queued + (self._tls.pending if self._tls is not None else 0)
