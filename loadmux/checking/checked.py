"""`check`: frames with a checksum of their body behind it. No I/O.

The framing wraps both: a length counts the checksum too, and a mark stands behind it. Its bytes can
be any, also those of the mark, so the end of such a frame is where the checksum is right. A wrong
one makes a frame malformed, of the kind `corrupt`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from loadmux.checking.checksums import checksum, width
from loadmux.checking.framing import Decoder, Frame, FrameError, Framing, fitting, too_large
from loadmux.checking.frozen import dataclass
from loadmux.checking.marked import Marked, begin
from loadmux.checking.prefixed import ByteOrder
from loadmux.checking.simple import Delimited
from loadmux.errors import Kind


@dataclass(frozen=True, slots=True)
class Checked(Framing):
    """Frames of `inner` with the checksum `name`, written in `order`."""

    inner: Framing
    name: str
    order: ByteOrder = "big"
    symmetric: ClassVar[bool] = True

    @property
    def certain(self) -> bool:
        return self.inner.certain

    @property
    def width(self) -> int:
        return width(self.name)

    @property
    def marks(self) -> tuple[bytes, bytes] | None:
        """What stands before the body and behind its checksum; None where nothing marks the end."""
        match self.inner:
            case Delimited(delimiter=delimiter):
                return b"", delimiter
            case Marked(start=start, end=end):
                return start, end
        return None

    def sum_of(self, body: bytes) -> bytes:
        return checksum(self.name, body).to_bytes(self.width, self.order)

    def encode(self, body: bytes) -> bytes:
        both, marks = body + self.sum_of(body), self.marks
        if marks is None:
            return self.inner.encode(both)
        self.inner.encode(body)
        frame = fitting(marks[0] + both + marks[1], int(getattr(self.inner, "max_size", 0)))
        found = self.decoder().feed(frame)
        if found is None or found.body != body:
            raise ValueError("its checksum would end its frame early")
        return frame

    def headed(self, header: bytes, body: bytes) -> bytes:
        return self.inner.headed(header, body + self.sum_of(body))

    @property
    def header_size(self) -> int:
        return self.inner.header_size

    def check_header(self, header: bytes) -> None:
        self.inner.check_header(header)

    def decoder(self) -> Decoder:
        return CountedDecoder(self) if self.marks is None else EndedDecoder(self, *self.marks)

    def holding(self, least: int) -> Checked:
        return replace(self, inner=self.inner.holding(least + self.width))

    def wrong(self, came: bytes, body: bytes, offset: int) -> FrameError:
        """A checksum at an offset that is not the body's."""
        right = self.sum_of(body).hex()
        text = f"wrong checksum: the frame has the {self.name} {came.hex()}, its body {right}"
        return FrameError(text, offset, Kind.CORRUPT)

    def roomless(self, size: int) -> FrameError:
        text = f"a body of {size} bytes has no room for its checksum of {self.width}"
        return FrameError(text, 0, Kind.TRUNCATED)


class CountedDecoder(Decoder):
    """Where something else tells the frame's size."""

    __slots__ = ("_came", "_decoder", "_framing")

    def __init__(self, framing: Checked) -> None:
        self._framing = framing
        self._decoder = framing.inner.decoder()
        self._came = 0

    def feed(self, data: bytes) -> Frame | None:
        self._came += len(data)
        return self._split(self._decoder.feed(data))

    def end(self) -> Frame | None:
        return self._split(self._decoder.end())

    def _split(self, frame: Frame | None) -> Frame | None:
        if frame is None:
            return None
        at = len(frame.body) - self._framing.width
        if at < 0:
            raise self._framing.roomless(len(frame.body))
        body, came = frame.body[:at], frame.body[at:]
        if came != self._framing.sum_of(body):
            raise self._framing.wrong(came, body, self._came - len(frame.rest) - len(came))
        return replace(frame, body=body)

    def owed(self) -> str:
        return self._decoder.owed()


class EndedDecoder(Decoder):
    """Where a mark ends the frame.

    The first mark that comes ends it, or is a part of the checksum, or begins there: the places
    that are left for the checksum are tried. Only where the one in front of the mark is wrong and
    another may yet be right, more bytes are awaited.
    """

    __slots__ = ("_end", "_framing", "_looked", "_start", "_taken")

    def __init__(self, framing: Checked, start: bytes, end: bytes) -> None:
        self._framing = framing
        self._start = start
        self._end = end
        self._looked = len(start)
        self._taken = bytearray()

    def feed(self, data: bytes) -> Frame | None:
        taken = self._taken
        taken += data
        begin(self._start, taken)
        mark = taken.find(self._end, self._looked)
        most = int(getattr(self._framing.inner, "max_size", 0))
        if mark < 0:
            if len(taken) >= most:
                raise too_large(most, most)
            self._looked = max(self._looked, len(taken) - len(self._end) + 1)
            return None
        found = self._whole(mark)
        if found is not None and len(taken) - len(found.rest) > most:
            raise too_large(most, most)
        return found

    def _whole(self, mark: int) -> Frame | None:
        """The frame whose first mark is there, if it is whole. Raises FrameError."""
        width, first = self._framing.width, len(self._start)
        waiting = False
        for at in range(max(first, mark - width), mark + len(self._end)):
            body = bytes(self._taken[first:at])
            tail = self._framing.sum_of(body) + self._end
            came = bytes(self._taken[at : at + len(tail)])
            if came == tail:
                return Frame(body, bytes(self._taken[at + len(tail) :]))
            waiting = waiting or tail.startswith(came)
        if waiting:
            return None
        if mark - width < first:
            raise self._framing.roomless(mark - first)
        body = bytes(self._taken[first : mark - width])
        raise self._framing.wrong(bytes(self._taken[mark - width : mark]), body, mark - width)

    def owed(self) -> str:
        return f"the checksum, then the end {self._end!r}"


def unchecked(framing: Framing) -> Framing:
    """The framing without its checksum."""
    return framing.inner if isinstance(framing, Checked) else framing
