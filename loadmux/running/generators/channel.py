"""What a generator process and the one that started it tell each other, without ever waiting.

A `Channel` is one end of a pair of sockets on which whole values go, pickled, in order. `put` and
`take` never block: what the other side is too slow to take stays here. A `Joinable` that stays is
joined with the next of its kind, so that a process that is stopped costs its partner neither time
nor memory without bound, and nothing of what was measured is lost. `next` and `drain` wait for the
other side, as long as it takes; they end when it is gone.
"""

from __future__ import annotations

import pickle
import select
import socket
import struct
from collections import deque
from collections.abc import Collection, Iterator
from typing import Protocol, Self, runtime_checkable

READ = 1 << 18
LENGTH = struct.Struct("!Q")


@runtime_checkable
class Joinable(Protocol):
    """A message that one of its kind which follows may be joined with, while it waits."""

    def joined(self, later: object) -> Self | None:
        """One message that says what both say; None where both must be sent."""


class Channel:
    """One end; `gone` is whether the other one has been closed and all it said has come."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.gone = False
        self._sock = sock
        self._waiting: list[object] = []
        self._leaving = memoryview(b"")
        self._coming = bytearray()
        self._came: deque[bytes] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def put(self, message: object) -> None:
        """Say something. It is sent now, or later, or never where nobody is there any more."""
        for place in reversed(range(len(self._waiting))):
            earlier = self._waiting[place]
            both = earlier.joined(message) if isinstance(earlier, Joinable) else None
            if both is not None:
                self._waiting[place] = both
                break
        else:
            self._waiting.append(message)
        self.flush()

    def flush(self) -> bool:
        """Send what the other side can take now; true when nothing waits any more."""
        try:
            while self._load():
                self._leaving = self._leaving[self._sock.send(self._leaving) :]
        except BlockingIOError:
            return False
        except OSError:  # nobody is there any more; that `gone` says so, `take` sees to
            self._waiting.clear()
            self._leaving = memoryview(b"")
        return True

    def _load(self) -> bool:
        """Have a message to send; they are pickled one by one, for those that wait may change."""
        if not self._leaving and self._waiting:
            said = pickle.dumps(self._waiting.pop(0), pickle.HIGHEST_PROTOCOL)
            self._leaving = memoryview(LENGTH.pack(len(said)) + said)
        return bool(self._leaving)

    def drain(self) -> None:
        """Wait until all is sent, or the other side is gone."""
        while not self.flush():
            self._await(select.POLLOUT)

    def take(self) -> Iterator[object]:
        """What has come, each once; what a caller leaves comes with the next call.

        Raises what unpickling raises.
        """
        self._receive()
        while self._came:
            yield pickle.loads(self._came.popleft())

    def next(self) -> object:
        """Wait for a message. Raises EOFError where none will come, and what unpickling raises."""
        while True:
            for message in self.take():
                return message
            if self.gone:
                raise EOFError
            self._await(select.POLLIN)

    def _receive(self) -> None:
        try:
            while chunk := self._sock.recv(READ):
                self._coming += chunk
                self._part()
            self.gone = True
        except BlockingIOError:
            return
        except OSError:  # a reset: it ended without having read all that was said to it
            self.gone = True

    def _part(self) -> None:
        """Set whole messages apart."""
        coming, start = self._coming, 0
        while len(coming) >= start + LENGTH.size:
            begin = start + LENGTH.size
            end = begin + LENGTH.unpack_from(coming, start)[0]
            if len(coming) < end:
                break
            self._came.append(bytes(coming[begin:end]))
            start = end
        del coming[:start]

    def _await(self, event: int) -> None:
        poll = select.poll()
        poll.register(self, event)
        poll.poll()

    @property
    def wishes(self) -> int:
        """What to wait for, as poll(2) has it."""
        return select.POLLIN | (select.POLLOUT if self._leaving or self._waiting else 0)


def pair() -> tuple[Channel, Channel]:
    """The two ends of a new channel."""
    ours, theirs = socket.socketpair()
    return Channel(ours), Channel(theirs)


def wait(channels: Collection[Channel], timeout: float | None) -> None:
    """Until one has something to take or has ended, `timeout` seconds at most; sends meanwhile."""
    poll = select.poll()
    for channel in channels:
        poll.register(channel, channel.wishes)
    for fd, event in poll.poll(None if timeout is None else timeout * 1000):
        if event & select.POLLOUT:
            next(one for one in channels if one.fileno() == fd).flush()
