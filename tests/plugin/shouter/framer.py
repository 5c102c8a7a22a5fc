"""The framer `shout`: `framing: {shout: {marks: 3}}`, and the forms `{shout: TEXT}`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadmux.checking.framing import Decoder, Frame, FrameError, Framing, fitting, too_large
from loadmux.checking.judging import Judgement
from loadmux.plugins import Framer, Incoming, Outgoing, Spec, Surroundings
from loadmux.plugins.payloads import Payload
from loadmux.protocols.judging import mismatch


class ShoutDecoder(Decoder):
    """Upper case up to the marks; lower case is refused where it stands."""

    def __init__(self, marks: bytes, max_size: int) -> None:
        self._marks = marks
        self._max_size = max_size
        self._taken = b""

    def feed(self, data: bytes) -> Frame | None:
        self._taken += data
        body, found, rest = self._taken.partition(self._marks)
        size = len(body) + len(found)
        small = next((i for i, byte in enumerate(body) if 97 <= byte <= 122), None)
        if small is not None:
            raise FrameError(f"somebody speaks in a low voice: {body[small : small + 1]!r}", small)
        if size > self._max_size or (not found and size == self._max_size):
            raise too_large(self._max_size, self._max_size)
        return Frame(body, rest) if found else None

    def owed(self) -> str:
        return f"the end of a shout, {self._marks!r}"


@dataclass(frozen=True)
class Shout(Framing):
    marks: bytes = b"!"
    max_size: int = 1024

    symmetric = True

    def encode(self, body: bytes) -> bytes:
        frame = body.upper() + self.marks
        if self.marks in frame[:-1]:
            raise ValueError(f"{self.marks!r} ends a shout, and is within {body!r}")
        if body != body.upper():
            raise ValueError(f"{body!r} is no shout; write it in upper case")
        return fitting(frame, self.max_size)

    def decoder(self) -> ShoutDecoder:
        return ShoutDecoder(self.marks, self.max_size)


@dataclass(frozen=True)
class Said(Outgoing):
    """The payload form: the text in upper case."""

    text: Payload
    marks: bytes

    def payloads(self) -> tuple[Payload, ...]:
        return (self.text,)

    def encode(self, parts: Sequence[bytes], around: Surroundings) -> bytes:
        if parts[0] == b"bug":
            raise KeyError("a bug of the plugin")
        if b"!" in parts[0]:
            raise ValueError("a shout holds no '!'")
        return parts[0].upper() + self.marks


@dataclass(frozen=True)
class Heard(Incoming):
    """The reply form: the text in upper case."""

    text: Payload

    def payloads(self) -> tuple[Payload, ...]:
        return (self.text,)

    def judge(self, frame: Frame, parts: Sequence[bytes]) -> Judgement:
        wanted = parts[0].upper()
        if wanted == b"BUG":
            raise KeyError("a bug of the plugin")
        if frame.body == wanted:
            return Judgement()
        return mismatch(f"{frame.body!r} was shouted, expected {wanted!r}", wanted, frame.body)


class ShoutFramer(Framer):
    framing = Shout

    def read_framing(self, options: Spec | None, max_size: int) -> Shout:
        if options is None:
            return Shout(b"!", max_size)
        fields = options.fields(("marks",))
        marks = fields["marks"].integer(1) if "marks" in fields else 1
        if marks > 3:
            fields["marks"].refuse("more than 3 marks are impolite; write 1, 2 or 3")
        return Shout(b"!" * marks, max_size)

    def read_payload(self, spec: Spec) -> Said:
        return Said(spec.text(), b"!")

    def read_reply(self, spec: Spec) -> Heard:
        return Heard(spec.text())


FRAMER = ShoutFramer()
