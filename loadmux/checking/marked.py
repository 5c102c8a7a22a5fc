"""Frames that are known by what stands in them: two marks, or lines up to one that ends them.

`{start, end}` is symmetric. A server's lines of `lines_until` are not like a client's: what is sent
is a line, whatever is in it. No I/O.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import ClassVar

from loadmux.checking.framing import Decoder, Frame, FrameError, Framing, fitting, raised, too_large
from loadmux.checking.frozen import dataclass
from loadmux.checking.simple import DelimitedDecoder
from loadmux.checking.verifying import MAX_FRAME, first_difference

CRLF = b"\r\n"


# --- start, end ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marked(Framing):
    """`{start: BYTES, end: BYTES}`: the body between two marks; it does not hold the second."""

    start: bytes
    end: bytes
    max_size: int = MAX_FRAME
    symmetric: ClassVar[bool] = True
    canonical: ClassVar[bool] = True

    def encode(self, body: bytes) -> bytes:
        if (body + self.end).find(self.end) != len(body):
            raise ValueError(f"the end {self.end!r} in it would end its frame early")
        return fitting(self.start + body + self.end, self.max_size)

    def decoder(self) -> Decoder:
        return MarkedDecoder(self)

    def holding(self, least: int) -> Marked:
        size = least + len(self.start) + len(self.end)
        return replace(self, max_size=raised(self.max_size, size))


class MarkedDecoder(Decoder):
    __slots__ = ("_begun", "_body", "_framing")

    def __init__(self, framing: Marked) -> None:
        self._framing = framing
        self._begun = b""
        self._body: Decoder | None = None

    def feed(self, data: bytes) -> Frame | None:
        if self._body is not None:
            return self._go_on(self._body, data)
        self._begun += data
        begin(self._framing.start, self._begun)
        rest = self._begun[len(self._framing.start) :]
        if not rest:
            return None
        most = self._framing.max_size - len(self._framing.start)
        self._body = DelimitedDecoder(self._framing.end, most)
        return self._go_on(self._body, rest)

    def _go_on(self, body: Decoder, data: bytes) -> Frame | None:
        try:
            return body.feed(data)
        except FrameError:
            raise too_large(self._framing.max_size, self._framing.max_size) from None

    def owed(self) -> str:
        framing = self._framing
        missing = f"the start {framing.start!r}, then " if self._body is None else ""
        return f"{missing}the end {framing.end!r}"


def begin(start: bytes, came: bytes | bytearray) -> None:
    """Raises FrameError unless what came begins with `start`, as far as it goes."""
    mine = bytes(came[: len(start)])
    if not start.startswith(mine):
        at = first_difference(start, mine)
        shown = mine[: at + 1]
        raise FrameError(f"a frame begins with {start!r}, this one with {shown!r}", at)


# --- lines_until --------------------------------------------------------------------------------


@cache
def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


@dataclass(frozen=True, slots=True)
class LinesFrame(Frame):
    """Whole lines; the body is without the `end` of the last one."""

    end: bytes = b""

    @property
    def other(self) -> bytes | None:
        return self.body + self.end


@dataclass(frozen=True, slots=True)
class LinesUntil(Framing):
    """`{lines_until: RE}`: lines up to and with the first that matches, without its line end."""

    pattern: str
    max_size: int = MAX_FRAME

    def encode(self, body: bytes) -> bytes:
        return fitting(body if body.endswith(b"\n") else body + CRLF, self.max_size)

    def expected(self, body: bytes) -> bytes:
        wire = self.encode(body)
        found = self.decoder().feed(wire)
        if found is None:
            raise ValueError(f"no line of it matches {self.pattern!r} ('lines_until')")
        if found.rest:
            line = found.body.rpartition(b"\n")[2]
            raise ValueError(f"its line {line!r} ends the frame already ('lines_until')")
        return found.body

    def decoder(self) -> Decoder:
        return LinesDecoder(self)

    def holding(self, least: int) -> LinesUntil:
        return replace(self, max_size=raised(self.max_size, least + len(CRLF)))

    def ends(self, line: bytes) -> bool:
        """Whether this line, given with its end, is the last."""
        pattern = _compiled(self.pattern)
        return any(pattern.fullmatch(one) for one in (chomped(line), line[:-1], line))


def chomped(line: bytes) -> bytes:
    """Without the line end, LF or CRLF."""
    return line[:-2] if line.endswith(CRLF) else line[:-1]


class LinesDecoder(Decoder):
    __slots__ = ("_framing", "_line", "_looked", "_taken")

    def __init__(self, framing: LinesUntil) -> None:
        self._framing = framing
        self._taken = bytearray()
        self._line = 0
        self._looked = 0

    def feed(self, data: bytes) -> Frame | None:
        taken, most = self._taken, self._framing.max_size
        taken += data
        while (end := taken.find(b"\n", self._looked) + 1) and end <= most:
            line = bytes(taken[self._line : end])
            self._line = self._looked = end
            if self._framing.ends(line):
                body = bytes(taken[: end - len(line)]) + chomped(line)
                return LinesFrame(body, bytes(taken[end:]), bytes(taken[len(body) : end]))
        if end or len(taken) >= most:
            raise too_large(most, most)
        self._looked = len(taken)
        return None

    def owed(self) -> str:
        return f"a line that matches {self._framing.pattern!r}"
