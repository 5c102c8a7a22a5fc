"""The simple framings: frames that end with a delimiter, after a fixed size, with the stream, or
that are what one datagram holds.

`line` ends in LF, and a CR before it is a byte of the body like any other: a protocol with CRLF has
`Delimited(b"\\r\\n")`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from loadmux.checking.framing import Decoder, Frame, Framing, fitting, raised, too_large
from loadmux.checking.frozen import dataclass
from loadmux.checking.verifying import MAX_FRAME

LARGEST_DATAGRAM = 65507
"""Bytes in a datagram at most: a 16-bit length less the headers of UDP and IPv4 (udp(7))."""


class DelimitedDecoder(Decoder):
    """Up to a delimiter, of which the first `kept` bytes count as body."""

    __slots__ = ("_delimiter", "_kept", "_max_size", "_taken")

    def __init__(self, delimiter: bytes, max_size: int, kept: int = 0) -> None:
        self._delimiter = delimiter
        self._max_size = max_size
        self._kept = kept
        self._taken = bytearray()

    def feed(self, data: bytes) -> Frame | None:
        taken, size = self._taken, len(self._delimiter)
        start = max(0, len(taken) - size + 1)
        taken += data
        found = taken.find(self._delimiter, start)
        end = found + size
        if end > self._max_size or (found < 0 and len(taken) >= self._max_size):
            raise too_large(self._max_size, self._max_size)
        if found < 0:
            return None
        return Frame(bytes(taken[: found + self._kept]), bytes(taken[end:]))

    def so_far(self) -> bytes:
        taken, mark = self._taken, self._delimiter
        for size in range(min(len(taken), len(mark) - 1), 0, -1):
            if taken.endswith(mark[:size]):  # it may be the delimiter that has begun
                return bytes(taken[:-size])
        return bytes(taken)

    def owed(self) -> str:
        return f"the delimiter {self._delimiter!r}"


@dataclass(frozen=True, slots=True)
class Delimited(Framing):
    """`{delimiter: BYTES}`, and `line`: the body, then the delimiter, which no body holds."""

    delimiter: bytes
    max_size: int = MAX_FRAME
    symmetric: ClassVar[bool] = True
    canonical: ClassVar[bool] = True

    def encode(self, body: bytes) -> bytes:
        frame = body + self.delimiter
        if frame.find(self.delimiter) != len(body):
            raise ValueError(f"the delimiter {self.delimiter!r} would end its frame early")
        return fitting(frame, self.max_size)

    def sole(self, data: bytes) -> bytes | None:
        end = len(data) - len(self.delimiter)
        alone = data.find(self.delimiter) == end and len(data) <= self.max_size
        return data[:end] if alone else None

    def decoder(self) -> Decoder:
        return DelimitedDecoder(self.delimiter, self.max_size)

    def holding(self, least: int) -> Delimited:
        return replace(self, max_size=raised(self.max_size, least + len(self.delimiter)))


def line(max_size: int = MAX_FRAME) -> Delimited:
    """`line`: ends in LF; a CR before it stays in the body."""
    return Delimited(b"\n", max_size)


class FixedDecoder(Decoder):
    __slots__ = ("_size", "_taken")

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = bytearray()

    def feed(self, data: bytes) -> Frame | None:
        self._taken += data
        if len(self._taken) < self._size:
            return None
        return Frame(bytes(self._taken[: self._size]), bytes(self._taken[self._size :]))

    def owed(self) -> str:
        return f"{self._size - len(self._taken)} of {self._size} bytes of the frame"


@dataclass(frozen=True, slots=True)
class Fixed(Framing):
    """`{fixed: SIZE}`: every frame has `size` bytes, all of them body."""

    size: int
    symmetric: ClassVar[bool] = True
    canonical: ClassVar[bool] = True

    def encode(self, body: bytes) -> bytes:
        if len(body) != self.size:
            raise ValueError(f"it has {len(body)} bytes, and every frame has {self.size} ('fixed')")
        return body

    def decoder(self) -> Decoder:
        return FixedDecoder(self.size)

    def holding(self, least: int) -> Fixed:
        if least > self.size:
            raise ValueError(f"it has {least} bytes, and every frame has {self.size} ('fixed')")
        return self


class UntilCloseDecoder(Decoder):
    __slots__ = ("_max_size", "_taken")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._taken = bytearray()

    def feed(self, data: bytes) -> Frame | None:
        self._taken += data
        if len(self._taken) > self._max_size:
            raise too_large(self._max_size, self._max_size)
        return None

    def end(self) -> Frame:
        return Frame(bytes(self._taken), b"")

    def owed(self) -> str:
        return "the end of the connection, which ends the frame"


@dataclass(frozen=True, slots=True)
class UntilClose(Framing):
    """`until_close`: all that comes until the peer ends the stream in order is one body.

    `encode` adds nothing: what ends a frame of our own is the `half_close` or `close` after it.
    """

    max_size: int = MAX_FRAME
    symmetric: ClassVar[bool] = True

    def encode(self, body: bytes) -> bytes:
        return fitting(body, self.max_size)

    def decoder(self) -> Decoder:
        return UntilCloseDecoder(self.max_size)

    def holding(self, least: int) -> UntilClose:
        return replace(self, max_size=raised(self.max_size, least))


class WholeDecoder(Decoder):
    __slots__ = ()

    def feed(self, data: bytes) -> Frame | None:
        return Frame(data, b"")

    def owed(self) -> str:
        return "a datagram"


@dataclass(frozen=True, slots=True)
class Datagram(Framing):
    """What one datagram holds is a body; of a stream, what one read brought."""

    def encode(self, body: bytes) -> bytes:
        return body

    def decoder(self) -> Decoder:
        return WholeDecoder()
