"""What arrives on a connection: read as it is asked for, or put aside, and how it ends."""

from __future__ import annotations

import ssl

from loadmux.driver.connecting import Connecting
from loadmux.driver.peer import READ_FIRST, TRY
from loadmux.driver.poller import READ
from loadmux.driver.slowly import TooEarly
from loadmux.driver.tls import Unfinished, broken, described
from loadmux.errors import Fault, Kind

LARGE = 256 * 1024
HEARD_OUT = 1024 * 1024
"""Bytes behind the loss of a connection that are read at most: a kernel may hold megabytes."""
READS_AT_ONCE = 16


class Reading(Connecting):
    """See the module."""

    __slots__ = ()

    def _took(self, data: bytes, size: int) -> None:
        self.reads_for.received += len(data)
        if not data:
            self.eof = self.dirty = True
            self.note("closed by the server")
        elif len(data) < size:  # that has drained the socket, epoll(7), Q&A 9
            if self.ready & READ:  # a level-triggered poller was silenced when it told of this
                self.arm(READ)
            self.ready &= ~READ

    def _keep(self, data: bytes | None, size: int) -> None:
        """Put a first read of up to `size` bytes that was not just the reply into the inbox."""
        if data is not None:
            self._took(data, size)
            self.inbox.add(data)
            if data:
                self.note("received", data)

    def take(self) -> bytes | None:
        """What has arrived: bytes, b"" at the end of the stream, None when there is nothing yet.

        Raises Fault when the connection is lost.
        """
        if self.inbox:
            return self.inbox.take()
        if self.eof:
            return b""
        if self.lost is not None:
            raise self._lost(self.lost, "")
        if not self.ready & TRY:
            return None
        return self._read()

    def _read(self) -> bytes | None:
        """What the kernel holds, as `take` has it. Raises Fault."""
        data = self._pull()
        if self.lost is not None:
            raise self._lost(self.lost, "")
        return data

    def _pull(self) -> bytes | None:
        """The same, but that the connection is lost is only written down."""
        size = self.room
        try:
            data = self._recv(size)
        except OSError as error:
            self._not_received(error)
            return None
        self._took(data, size)
        if data:
            self.note("received", data)
            if len(data) == size < LARGE:
                self.room = 2 * size
            elif size > READ_FIRST and len(data) < size // 4:
                self.room = size // 2
        return data

    def _not_received(self, error: OSError) -> None:
        """A read brought nothing: there was nothing, or the connection is `lost`."""
        if isinstance(error, BlockingIOError):
            self.ready = 0
            self.arm(0 if isinstance(error, TooEarly) else READ)
        else:
            self.lost, self.dirty = error, True

    def _receive_failed(self, error: OSError) -> None:
        """A first read brought nothing: whoever awaits the reply takes what that means."""
        self._not_received(error)

    def _hear_out(self) -> None:
        """Take in all that the kernel still holds of a lost connection, and how it ended."""
        self.paused = False
        size = -1
        while size < self.inbox.size < HEARD_OUT and not self.eof and self.lost is None:
            size = self.inbox.size
            self.ready |= READ
            self.drain()

    def _lost(self, error: OSError, when: str) -> Fault:
        """The fault that an error of the connection is."""
        if isinstance(error, Unfinished):
            text = f"the server closed the connection: {error.strerror}"
            return self.fault(Kind.CLOSED, text, self.verifier)
        if isinstance(error, ssl.SSLError):
            text = f"the TLS connection failed{when}: {described(error)}"
            return broken(self.fault(Kind.TLS, text, self.heard), error)
        text = f"the connection was lost{when}: {error.strerror}"
        return self.fault(Kind.RESET, text, self.heard)

    @property
    def more(self) -> bool:
        """Whether a read that was left off for the sake of others is to go on."""
        ended = self.eof or self.lost is not None
        return bool(self.ready & TRY) and not ended and not self.paused

    @property
    def at_hand(self) -> bool:
        """Whether there is something to take, or may be."""
        return bool(self.inbox) or self.more

    def drain(self) -> None:
        """Move what the kernel holds into the inbox (unless reading is stopped).

        Of a flood only so much as READS_AT_ONCE bring; then there is `more`.
        """
        for _ in range(READS_AT_ONCE):
            if not self.more or not (data := self._pull()):
                break
            self.inbox.add(data)
            self.dirty = True
