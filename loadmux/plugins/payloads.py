"""What is sent, as values that the language and plugins share; how they are written is the
language's, how they are encoded is decided when a scenario is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random as Chance
from typing import ClassVar

from loadmux.checking.framing import Framing


@dataclass(frozen=True, slots=True)
class Variable:
    """`${name}` in a text, replaced when the step runs; `feeder.column` names one of a feeder."""

    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """UTF-8 text with `${name}`s; adjacent strings are joined: a constant has one part or none."""

    parts: tuple[str | Variable, ...]


@dataclass(frozen=True, slots=True)
class Data:
    """Constant bytes: what `hex`, `base64` and `file` yield when the scenario is loaded."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Random:
    """`size` fresh bytes each time, from the seed."""

    size: int


@dataclass(frozen=True, slots=True)
class Repeated:
    payload: Payload
    times: int


@dataclass(frozen=True, slots=True)
class Joined:
    payloads: tuple[Payload, ...]


@dataclass(frozen=True, slots=True)
class Framed:
    """Wrapped by the framing of the sockets that it is sent or expected on."""

    payload: Payload
    framing: Framing


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


Payload = Text | Data | Random | Repeated | Joined | Framed | Spoken


@dataclass(frozen=True, slots=True)
class Regex:
    """Matches wholly (re.fullmatch on the pattern's UTF-8 bytes); `groups` are its named ones."""

    pattern: str
    groups: tuple[str, ...] = ()
