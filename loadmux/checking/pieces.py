"""The small verifiers and framings that replies are composed of (`composed`). No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from loadmux.checking.bodies import Order, Prefix, decimal, varint_decimal
from loadmux.checking.framing import Decoder, Frame, FrameError, Framing
from loadmux.checking.varints import decode
from loadmux.checking.verifying import MAX_FRAME, LengthOf, Problem, Verifier
from loadmux.errors import Kind


class Some(Verifier):
    """Whatever there is, at least one byte."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return data
        self.received += data
        self.done = True
        return b""

    def expected(self) -> bytes:
        return b""

    def owed(self) -> str:
        return "nothing" if self.done else "anything"


class Ended(Verifier):
    """Nothing more, but the end of the stream in order, or with `by_reset` a RST."""

    __slots__ = ("_by_reset",)

    def __init__(self, by_reset: bool = False) -> None:
        super().__init__()
        self._by_reset = by_reset

    def feed(self, data: bytes) -> bytes:
        return self._wrong(data, 0)

    def end(self) -> bool:
        self.done = not self._by_reset
        return self.done

    def reset(self) -> bool:
        self.done = self._by_reset
        return self.done

    def expected(self) -> bytes:
        return b""

    def owed(self) -> str:
        if self.done:
            return "nothing"
        return "a reset of the connection" if self._by_reset else "the end of the connection"

    def problem(self) -> Problem | None:
        if self.wrong_at is None:
            return None
        received = bytes(self.received)
        text = f"{len(received)} bytes came in place of the end of the connection"
        return Problem(Kind.SURPLUS, text, 0, b"", received)


class NumberOf(LengthOf):
    """A whole number in so many bytes, kept in decimal."""

    __slots__ = ("_order",)

    def __init__(self, size: int, order: Order) -> None:
        super().__init__(size)
        self._order = order

    def kept(self) -> bytes:
        return decimal(bytes(self.received), self._order)


class VarintOf(Verifier):
    """A varint, kept in decimal."""

    __slots__ = ("_problem",)

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return data
        before = len(self.received)
        self.received += data
        try:
            found = decode(self.received)
        except ValueError:
            self.wrong_at = before
            return b""
        if found is None:
            return b""
        self.done = True
        rest = bytes(self.received[found[1] :])
        del self.received[found[1] :]
        return rest

    def expected(self) -> bytes:
        return b""

    def owed(self) -> str:
        return "nothing" if self.done else "the rest of a varint"

    def problem(self) -> Problem | None:
        if self.wrong_at is None:
            return None
        received = bytes(self.received)
        return Problem(Kind.MISMATCH, "this is no varint", self.wrong_at, None, received)

    def kept(self) -> bytes:
        return varint_decimal(bytes(self.received))


class CountedDecoder(Decoder):
    __slots__ = ("_prefix", "_taken")

    def __init__(self, prefix: Prefix) -> None:
        self._prefix = prefix
        self._taken = bytearray()

    def feed(self, data: bytes) -> Frame | None:
        self._taken += data
        found = self._read()
        if found is None or len(self._taken) < sum(found):
            return None
        begin, end = found[0], sum(found)
        return Frame(bytes(self._taken[begin:end]), bytes(self._taken[end:]))

    def _read(self) -> tuple[int, int] | None:
        try:
            found = self._prefix.read(self._taken)
        except ValueError as error:
            raise FrameError(str(error), 0) from None
        if found is not None and found[1] > MAX_FRAME:
            text = f"the length says {found[1]} bytes, more than {MAX_FRAME}"
            raise FrameError(text, 0)
        return found

    def owed(self) -> str:
        found = self._read()
        if found is None:
            return "the length, then what has it"
        return f"{sum(found) - len(self._taken)} of {sum(found)} bytes"


@dataclass(frozen=True, slots=True)
class CountedStretch(Framing):
    """A length and what has it, in a stream."""

    prefix: Prefix

    def decoder(self) -> Decoder:
        return CountedDecoder(self.prefix)
