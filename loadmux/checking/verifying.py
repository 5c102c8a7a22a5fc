"""The contract of everything that judges one reply as it comes, and the simplest that do. No I/O:
whoever receives bytes feeds them as they come.

Bytes that are right are compared by whole stretches (memcmp, about 1 GB/s), never one by one; only
the search for a wrong byte goes into detail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadmux.checking.frozen import dataclass
from loadmux.checking.tripping import tripped
from loadmux.errors import Kind

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of a frame at most, unless a scenario says otherwise; so too up to and with an `until`."""


def first_difference(left: bytes | bytearray, right: bytes | bytearray) -> int:
    """The first offset at which the two differ; the length of the shorter one if none is."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a reply is wrong, where comparing bytes would not tell. The bytes are no excerpts.

    `offset` is that of the first wrong byte in `received`, None where no one byte is to blame.
    `expected` is None where there is no one right reply.
    """

    kind: Kind
    message: str
    offset: int | None
    expected: bytes | None
    received: bytes


class Verifier:
    """Judges one reply as it comes. After a wrong byte nothing more may be fed.

    `done`: everything that must arrive has arrived and was right. `wrong_at`: offset in `received`
    of the first byte that no right reply has there. `received`: all that was taken for this reply,
    and everything of the chunk with the wrong byte. `context`: what is known of the reply beside
    its bytes, for whoever has to say what is wrong with it (`recognition`).
    """

    __slots__ = ("context", "done", "received", "unreadable", "wrong_at")

    def __init__(self) -> None:
        self.context: object = None
        self.done = False
        self.wrong_at: int | None = None
        self.received = bytearray()
        self.unreadable: Problem | None = None

    def take(self, data: bytes) -> bytes:
        """`feed`, but what trips over the bytes is told by `unreadable` (see `tripping`)."""
        try:
            return self.feed(data)
        except Exception as error:
            self._trip(error, data)
            return b""

    def take_whole(self, data: bytes) -> None:
        """`take` a datagram, which must be whole what is awaited, and nothing else."""
        rest = self.take(data)
        if self.wrong_at is None and (rest or not self.done):
            self.wrong_at = len(self.received)
            self.received += rest
            self.done = False

    @property
    def messages(self) -> tuple[Sequence[bytes], Sequence[bytes]] | None:
        """Datagrams that must come, and those that have, up to the first wrong one; None if they
        are not known.
        """
        return None

    def finish(self) -> bool:
        """`end`, in the same way."""
        try:
            return self.end()
        except Exception as error:
            self._trip(error, b"")
            return True

    def _trip(self, error: Exception, data: bytes) -> None:
        """Whoever reads the reply does not get through it."""
        text = tripped(error)
        if not self.received.endswith(data):
            self.received += data
        self.done = False
        self.wrong_at = len(self.received) - len(data)
        self.unreadable = Problem(Kind.MISMATCH, text, None, None, bytes(self.received))

    def feed(self, data: bytes) -> bytes:
        """Take what belongs to this reply; returns the rest, b"" if a byte is wrong."""
        raise NotImplementedError

    def expected(self) -> bytes:
        """The whole reply that is most likely after what was right so far; b"" if not known."""
        raise NotImplementedError

    def owed(self) -> str:
        """What is still missing, in a few words."""
        raise NotImplementedError

    def end(self) -> bool:
        """The stream has ended in order: true if that ends the reply, `done` or wrong then."""
        return False

    def follow(self, last: bytes) -> None:
        """Know the reply that came before this one, for that is said unasked by nobody."""

    def lapse(self) -> None:
        """Nothing better comes in time: what was passed over is wrong now."""

    def reset(self) -> bool:
        """The connection was reset: true if that ends the reply, `done` then."""
        return False

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this reply, and is to be closed once it was right."""
        return False

    def answer(self) -> bytes:
        """What the server must be sent at once for what came; asking takes it away."""
        return b""

    @property
    def answers(self) -> int:
        """How many messages, each sent by itself, this reply answers."""
        return 1

    @property
    def aside(self) -> int:
        """Messages that were passed over while this reply was awaited."""
        return 0

    @property
    def moved(self) -> bool:
        """Whether what was fed last brought anything of this reply."""
        return True

    def problem(self) -> Problem | None:
        """Why the reply is wrong; None leaves that to `expected`, `received` and `wrong_at`."""
        return None

    def kept(self) -> bytes:
        """What a `save` stores of a right reply."""
        return bytes(self.received)

    def captured(self) -> Mapping[str, bytes]:
        """What else a right reply gives a name to."""
        return {}

    def _wrong(self, data: bytes, offset: int) -> bytes:
        self.wrong_at = len(self.received) + offset
        self.received += data
        return b""

    def _match(self, reply: bytes | bytearray, data: bytes) -> bytes:
        """Take `data` if `reply` has it after what was received; returns what is beyond its end."""
        at = len(self.received)
        due = len(reply) - at
        mine, rest = (data, b"") if len(data) <= due else (data[:due], data[due:])
        if not reply.startswith(mine, at):
            return self._wrong(data, first_difference(reply[at : at + len(mine)], mine))
        self.received += mine
        self.done = len(mine) == due
        return rest


class Exact(Verifier):
    """Exactly these bytes."""

    __slots__ = ("_reply",)

    def __init__(self, expected: bytes) -> None:
        super().__init__()
        self._reply = expected
        self.done = not expected

    def feed(self, data: bytes) -> bytes:
        return self._match(self._reply, data)

    def expected(self) -> bytes:
        return self._reply

    def owed(self) -> str:
        return bytes_owed(len(self._reply) - len(self.received), len(self._reply))


class LengthOf(Verifier):
    """So many bytes, whatever they are; `expected` is not known."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self.done = not size

    def feed(self, data: bytes) -> bytes:
        due = self._size - len(self.received)
        self.received += data[:due]
        self.done = len(self.received) == self._size
        return data[due:]

    def expected(self) -> bytes:
        return b""

    def owed(self) -> str:
        return bytes_owed(self._size - len(self.received), self._size)


class UntilDelimiter(Verifier):
    """Everything up to and with the delimiter, MAX_FRAME bytes at most; `expected` is not known."""

    __slots__ = ("_delimiter",)

    def __init__(self, delimiter: bytes) -> None:
        super().__init__()
        self._delimiter = delimiter

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return data
        before = len(self.received)
        self.received += data
        found = self.received.find(self._delimiter, max(0, before - len(self._delimiter) + 1))
        end = len(self.received) if found < 0 else found + len(self._delimiter)
        if end > MAX_FRAME:
            self.wrong_at = MAX_FRAME
            return b""
        self.done = found >= 0
        del self.received[end:]
        return data[end - before :]

    def expected(self) -> bytes:
        return b""

    def owed(self) -> str:
        return "nothing" if self.done else f"the delimiter {self._delimiter!r}"


class RuleVerifier(Verifier):
    """Judges all that a socket gets by one rule, over many messages; begins with nothing owed.

    `idle`: nothing is owed and nothing more may come.
    """

    __slots__ = ("idle",)

    def __init__(self) -> None:
        super().__init__()
        self.done = self.idle = True

    def sent(self, data: bytes, lockstep: bool) -> None:
        """`data` is about to be sent, so more is owed (for b"" nothing is).

        `lockstep`: all that was sent before has been answered, and `data` leaves in one send.
        """
        raise NotImplementedError

    def restart(self) -> None:
        """A new reply begins: `received` and `wrong_at` count from here."""
        self.received = bytearray()
        self.wrong_at = None


def bytes_owed(missing: int, total: int) -> str:
    return f"{missing} of {total} bytes" if missing else "nothing"


def answers_owed(missing: int) -> str:
    if not missing:
        return "nothing more to answer, only the end of the reply"
    return f"the answer to the last {missing} bytes that were sent"
