"""`length_prefix`: frames that begin with a header, in which a length stands. No I/O.

The header has `at` bytes, the length, and what is left of `header` bytes; the length's value and
`adjust` give how many bytes follow the header. The length is a number of `prefix` bytes, or of
`digits` decimal digits, or a varint, which counts as one byte of `header` however long it is. What
else the header holds is told by `headed`, and is zeros without it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from loadmux.checking import varints
from loadmux.checking.framing import Decoder, Frame, FrameError, Framing, fitting, raised
from loadmux.checking.frozen import dataclass
from loadmux.checking.verifying import MAX_FRAME

ByteOrder = Literal["big", "little"]


@dataclass(frozen=True, slots=True)
class HeadedFrame(Frame):
    """A frame whose header has more than its length."""

    header: bytes = b""


class LengthPrefixDecoder(Decoder):
    __slots__ = ("_framing", "_head", "_size", "_taken")

    def __init__(self, framing: LengthPrefixed) -> None:
        self._framing = framing
        self._size: int | None = None
        self._head = 0
        self._taken = bytearray()

    def feed(self, data: bytes) -> Frame | None:
        self._taken += data
        if self._size is None:
            found = self._framing.sizes(self._taken)
            if found is None:
                return None
            self._head, self._size = found
        if len(self._taken) < self._size:
            return None
        return self._frame(bytes(self._taken), self._head, self._size)

    def _frame(self, taken: bytes, head: int, size: int) -> Frame:
        if not self._framing.beside:
            return Frame(taken[head:size], taken[size:])
        return HeadedFrame(taken[head:size], taken[size:], taken[:head])

    def owed(self) -> str:
        if self._size is None:
            return self._framing.owed_of_header(len(self._taken))
        return f"{self._size - len(self._taken)} of {self._size} bytes of the frame"


@dataclass(frozen=True, slots=True)
class LengthPrefixed(Framing):
    """`{length_prefix: ...}`; see the module. One of `prefix`, `varint` and `digits` is given.

    `counts_itself`: the length counts the header's bytes too.
    """

    prefix: int | None = None
    order: ByteOrder = "big"
    counts_itself: bool = False
    max_size: int = MAX_FRAME
    at: int = 0
    adjust: int = 0
    header: int | None = None
    varint: bool | None = None
    digits: int | None = None
    symmetric: ClassVar[bool] = True

    @property
    def certain(self) -> bool:
        """A varint may be longer than need be, and a header has bytes that no body tells."""
        return not self.varint and not self.beside

    @property
    def width(self) -> int:
        """Bytes of the length; of a varint the least."""
        return self.digits or self.prefix or 1

    @property
    def size(self) -> int:
        """Bytes of the header; with a varint the least."""
        return self.header or self.at + self.width

    @property
    def beside(self) -> int:
        """Bytes of the header beside the length."""
        return self.size - self.width

    def encode(self, body: bytes) -> bytes:
        if self.beside:
            return self.headed(bytes(self.size), body)
        return fitting(self._length(len(body)) + body, self.max_size)

    @property
    def smallest(self) -> int:
        """Bytes of the smallest frame. Raises ValueError where there is none."""
        return self.size_with(0)

    def size_with(self, least: int) -> int:
        """Bytes of the smallest frame with so many behind the header. Raises ValueError."""
        body = least if self.counts_itself else max(least, self.adjust)
        return self.beside + len(self._length(body)) + body

    def headed(self, header: bytes, body: bytes) -> bytes:
        """The frame of a body with this header, whose length may be any bytes."""
        before, _, after = self.parted(header)
        return fitting(before + self._length(len(body)) + after + body, self.max_size)

    @property
    def header_size(self) -> int:
        return self.size

    def check_header(self, header: bytes) -> None:
        if not self.beside:
            raise ValueError("the framing's header has nothing but the length, which is filled in")
        self.parted(header)

    def parted(self, header: bytes) -> tuple[bytes, bytes, bytes]:
        """What is before the length, the length, and what is after. Raises ValueError."""
        end = self.at + self.width
        if self.varint and len(header) != self.size:
            found = varints.decode(header, self.at)
            end = self.at + (1 if found is None else found[1])
        if len(header) != end + self.size - self.at - self.width:
            raise ValueError(
                f"its header has {len(header)} bytes, and the framing's has {self.size}, any"
                f" {self.width} for the length included"
            )
        return header[: self.at], header[self.at : end], header[end:]

    def _length(self, size: int) -> bytes:
        """The length of a frame with `size` bytes after the header."""
        if self.varint:
            return self._varint(size)
        length = size + self._less(self.size)
        if length < 0:
            raise ValueError(f"it needs the length {length}, and there is none below zero")
        largest = 10**self.digits - 1 if self.digits else 256**self.width - 1
        if length > largest:
            unit = "digit" if self.digits else "byte"
            prefix = f"a length of {self.width} {unit}{'s' if self.width > 1 else ''}"
            raise ValueError(f"it needs the length {length}, and {prefix} holds at most {largest}")
        if self.digits:
            return b"%0*d" % (self.digits, length)
        return length.to_bytes(self.width, self.order)

    def _varint(self, size: int) -> bytes:
        """One that counts itself changes with its own length, which is found by trying."""
        for width in range(1, varints.LONGEST + 1):
            found = varints.encode(max(0, size + self._less(self.beside + width)))
            if len(found) <= width:
                break
        if size + self._less(self.beside + len(found)) < 0:
            raise ValueError(f"it needs the length {size - self.adjust}, which is below zero")
        return found

    def _less(self, header: int) -> int:
        """What a length says more than there are bytes after a header of so many bytes."""
        return header if self.counts_itself else -self.adjust

    def holding(self, least: int) -> LengthPrefixed:
        return replace(self, max_size=raised(self.max_size, self.size_with(least)))

    def decoder(self) -> Decoder:
        return LengthPrefixDecoder(self)

    def sole(self, data: bytes) -> bytes | None:
        at, width = self.at, self.prefix
        if width is None:
            return self._sole(data)
        head = self.header or at + width
        if len(data) < head or len(data) > self.max_size:
            return None
        length = int.from_bytes(data[at : at + width], self.order)
        length += -head if self.counts_itself else self.adjust
        return data[head:] if length == len(data) - head else None

    def _sole(self, data: bytes) -> bytes | None:
        try:
            head, size = self.sizes(data) or (0, -1)
        except FrameError:
            return None
        return data[head:] if size == len(data) else None

    def sizes(self, data: bytes | bytearray) -> tuple[int, int] | None:
        """Bytes of the header and of the frame that begin so; None while they are not known.

        Raises FrameError.
        """
        found = self._found(data)
        if found is None:
            return None
        length, width = found
        head = self.beside + width
        size = head + length - self._less(head)
        if size < head:
            raise FrameError(self._too_small(length, head), self.at)
        if size > self.max_size:
            text = f"the length {length} means a frame of {size} bytes, more than 'max'"
            raise FrameError(f"{text} ({self.max_size})", self.at)
        return head, size

    def _found(self, data: bytes | bytearray) -> tuple[int, int] | None:
        """The length, and how many bytes it has; None if it is not whole. Raises FrameError."""
        field = data[self.at : self.at + self.width]
        if self.varint:
            try:
                return varints.decode(data, self.at)
            except ValueError as error:
                raise FrameError(f"the length is wrong: {error}", self.at) from None
        if self.digits:
            self._check_digits(bytes(field))
        if len(field) < self.width:
            return None
        return int(field) if self.digits else int.from_bytes(field, self.order), self.width

    def _check_digits(self, field: bytes) -> None:
        wrong = next((at for at, byte in enumerate(field) if byte not in b"0123456789"), None)
        if wrong is not None:
            text = f"a length of {self.digits} decimal digits should be here, not"
            raise FrameError(f"{text} {field[: wrong + 1]!r}", self.at + wrong)

    def _too_small(self, length: int, head: int) -> str:
        if not self.counts_itself:
            return f"the length {length} is too small: with 'adjust' it is {length + self.adjust}"
        return f"the length {length} is less than the {head} bytes that it takes itself"

    def owed_of_header(self, came: int) -> str:
        if came >= self.size:
            return "the rest of the length, then the body"
        what = "header" if self.beside else "length"
        return f"{self.size - came} of {self.size} bytes of the {what}, then the body"
