"""What is sent, as values that the language and plugins share; how they are written is the
language's, how they are encoded is decided when a scenario is compiled.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, Literal

from loadmux.checking import checksums, varints
from loadmux.checking.framing import Framing
from loadmux.checking.frozen import dataclass
from loadmux.plugins.formulas import Formula, Variable

if TYPE_CHECKING:
    from random import Random as Chance

ALPHABETS = {
    "digits": string.digits,
    "letters": string.ascii_letters,
    "hex": "0123456789abcdef",
    "alnum": string.ascii_letters + string.digits,
}


@dataclass(frozen=True, slots=True)
class Text:
    """UTF-8 text with `${...}`s; adjacent strings are joined: a constant has one part or none."""

    parts: tuple[str | Variable | Formula, ...]


@dataclass(frozen=True, slots=True)
class Data:
    """Constant bytes: what `hex`, `base64` and `file` yield when the scenario is loaded."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Random:
    """`size` fresh bytes each time, from the seed; characters, where `of` says which there are."""

    size: int
    of: str | None = None

    @property
    def alphabet(self) -> str | None:
        """The characters that there are."""
        return None if self.of is None else ALPHABETS.get(self.of, self.of)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A payload so many times."""

    payload: Payload
    times: int


@dataclass(frozen=True, slots=True)
class Joined:
    """Payloads, one after the other."""

    payloads: tuple[Payload, ...]


@dataclass(frozen=True, slots=True)
class Framed:
    """Wrapped by the framing of the sockets that it is sent or expected on.

    `header` is what its header holds, with any bytes in place of the length.
    """

    payload: Payload
    framing: Framing
    header: Payload | None = None


Order = Literal["big", "little"]
Encoded = bytes
"""By this name where a field is called `bytes`."""


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number in so many bytes; a negative one is its two's complement."""

    value: int | Text
    bytes: int
    order: Order = "big"

    def encode(self, value: int) -> Encoded:
        """Raises ValueError where it does not fit."""
        bits = 8 * self.bytes
        if not -(1 << bits - 1) <= value < 1 << bits:
            most = f"{-(1 << bits - 1)} to {(1 << bits) - 1}"
            raise ValueError(f"{self.bytes} {_bytes(self.bytes)} hold {most}, not {value}")
        return (value % (1 << bits)).to_bytes(self.bytes, self.order)


@dataclass(frozen=True, slots=True)
class Varint:
    """A whole number, seven bits a byte."""

    value: int | Text

    def encode(self, value: int) -> Encoded:
        """Raises ValueError where it does not fit."""
        return varints.encode(value)


@dataclass(frozen=True, slots=True)
class Sized:
    """Its length, less `adjust`, then itself; one of `bytes`, `varint` and `digits` is given."""

    payload: Payload
    bytes: int | None = None
    varint: bool | None = None
    digits: int | None = None
    order: Order | None = None
    adjust: int = 0

    def prefix(self, size: int) -> Encoded:
        """The length of so many bytes. Raises ValueError where it does not fit."""
        value = size - self.adjust
        if value < 0:
            raise ValueError(f"the length of {size} bytes less 'adjust' is {value}")
        if self.varint:
            return varints.encode(value)
        if self.digits is not None:
            if value >= 10**self.digits:
                raise ValueError(f"the length {value} has more than {self.digits} digits")
            return b"%0*d" % (self.digits, value)
        width = self.bytes or 1
        if value >= 1 << 8 * width:
            raise ValueError(f"the length {value} does not fit in {width} {_bytes(width)}")
        return value.to_bytes(width, self.order or "big")

    def encode(self, body: Encoded) -> Encoded:
        """Raises ValueError where the length does not fit."""
        return self.prefix(len(body)) + body


@dataclass(frozen=True, slots=True)
class Checked:
    """Itself, then its checksum."""

    payload: Payload
    check: str
    order: Order = "big"

    def encode(self, body: Encoded) -> Encoded:
        sum_ = checksums.checksum(self.check, body)
        return body + sum_.to_bytes(checksums.width(self.check), self.order)


@dataclass(frozen=True, slots=True)
class Picked:
    """One of these, from the seed; without `weights` all are equally likely."""

    payloads: tuple[Payload, ...]
    weights: tuple[float, ...] | None = None


def _bytes(count: int) -> str:
    return "byte" if count == 1 else "bytes"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What encoding may depend on besides the file: `authority` is the target's `HOST:PORT`."""

    authority: str
    random: Chance


class Outgoing:
    """What a payload form means. `varies`: its bytes differ although its parts do not.

    `alone`: it is all that its step sends, and the same step expects the answer.
    """

    __slots__ = ()
    varies: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def payloads(self) -> tuple[Payload, ...]:
        return ()

    def encode(self, parts: Sequence[bytes], around: Surroundings) -> bytes:
        """The bytes to send, at least one. Raises ValueError (one line) where there are none."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Spoken:
    """The payload form `{framer: ...}`; `written` is the value that stands there."""

    framer: str
    form: Outgoing
    written: object = field(default=None, compare=False)


Coded = Number | Varint | Sized | Checked


@dataclass(frozen=True, slots=True)
class Urgent:
    """What is sent out of band; it stands for no payload, but in place of one."""

    payload: Payload


Payload = Text | Data | Random | Repeated | Joined | Framed | Coded | Picked | Spoken


@dataclass(frozen=True, slots=True)
class Regex:
    """Matches wholly (re.fullmatch on the pattern's UTF-8 bytes); `groups` are its named ones.

    `parts`, where it has `${...}`s: pieces of the pattern, and texts that stand for their bytes.
    """

    pattern: str
    groups: tuple[str, ...] = ()
    parts: tuple[str | Text, ...] = ()

    @property
    def texts(self) -> tuple[Text, ...]:
        """What is replaced in it."""
        return tuple(one for one in self.parts if isinstance(one, Text))

    def source(self, values: Sequence[bytes] = ()) -> bytes:
        """The whole pattern, with the values of its `texts`, escaped."""
        if not self.parts:
            return self.pattern.encode()
        left = iter(values)
        return b"".join(
            one.encode() if isinstance(one, str) else re.escape(next(left)) for one in self.parts
        )
