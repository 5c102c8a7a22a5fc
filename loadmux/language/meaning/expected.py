"""What a step expects, as frozen values; a part of what `scenario` says.

A `Body` is judged as a whole: what one frame or datagram holds, or what came up to a delimiter. A
`Reply` says besides where it ends. Both hold others of their kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import TYPE_CHECKING

from loadmux.checking.framing import Framing
from loadmux.checking.frozen import dataclass
from loadmux.plugins.payloads import Order, Payload, Regex, Sized

if TYPE_CHECKING:
    from loadmux.plugins.contracts import Incoming


@dataclass(frozen=True, slots=True)
class Exactly:
    """Exactly these bytes (never holds a `Random`)."""

    payload: Payload


@dataclass(frozen=True, slots=True)
class ByRule:
    """What a rule makes of what was sent; `rule` None is the target's own rule."""

    rule: str | None


@dataclass(frozen=True, slots=True)
class Length:
    """So many bytes, whatever they are."""

    size: int


@dataclass(frozen=True, slots=True)
class Until:
    """Up to and with the delimiter (at least one byte), which `matches`, if there is one."""

    delimiter: bytes
    matches: Body | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame with this body, and this header, of which the length may be any bytes.

    `answers`: the step sends one frame of the same framing; by a rule it must.
    """

    body: Body
    framing: Framing
    answers: bool = False
    header: Body | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The server closes in order (FIN)."""


@dataclass(frozen=True, slots=True)
class WasReset:
    """The server resets the connection (RST)."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing arrives for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply form `{framer: ...}`, one frame of this framing; `written` stands there."""

    framer: str
    form: Incoming
    framing: Framing
    written: object = field(default=None, compare=False)


# --- patterns -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Anything:
    """Whatever comes: of a stream at least one byte, of a frame or a join perhaps none."""


@dataclass(frozen=True, slots=True)
class AnyNumber:
    """Any whole number in so many bytes; without `bytes` a varint. Saved in decimal."""

    bytes: int | None = None
    order: Order = "big"


@dataclass(frozen=True, slots=True)
class Counted:
    """A length, written as `how` says (whose payload is of no account), then this."""

    body: Body
    how: Sized


@dataclass(frozen=True, slots=True)
class Parts:
    """One after the other; of a frame or datagram one part at most has an open length."""

    parts: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class StartsWith:
    """Begins so."""

    payload: Payload


@dataclass(frozen=True, slots=True)
class Contains:
    """This stands somewhere in it."""

    payload: Payload


@dataclass(frozen=True, slots=True)
class Not:
    """Anything but this."""

    body: Body


# --- replies made of replies --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OneOf:
    """The first that fits; `which` is then its name, one of `names`, which are as many, or none."""

    options: tuple[Reply, ...]
    names: tuple[str, ...] = ()
    which: str | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """`name` stands for what came: of a frame its body, of a number its value."""

    reply: Reply
    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One reply after the other."""

    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class AnyOrder:
    """So many frames, each reply once; frames that match `skip` are passed over."""

    replies: tuple[Reply, ...]
    skip: Reply | None = None


@dataclass(frozen=True, slots=True)
class Skipping:
    """One frame, and those before it that match `skip`, which are passed over."""

    reply: Reply
    skip: Reply


Pattern = Anything | AnyNumber | Counted | Parts | StartsWith | Contains | Not | OneOf | Saved
Body = Exactly | ByRule | Length | Until | Regex | Pattern
Composed = Listed | AnyOrder | Skipping
End = Closed | WasReset | Silence
Reply = Body | Frame | Answer | Composed | End


def every(reply: Reply) -> Iterator[Reply]:
    """It, and all that is in it."""
    yield reply
    match reply:
        case Frame(body=inner, header=header):
            yield from every(inner)
            if header is not None:
                yield from every(header)
        case Not(body=inner) | Counted(body=inner) | Saved(reply=inner):
            yield from every(inner)
        case Until(matches=inner) if inner is not None:
            yield from every(inner)
        case Skipping(reply=first, skip=second):
            yield from every(first)
            yield from every(second)
        case AnyOrder(replies=replies, skip=skip):
            for one in (*replies, *(() if skip is None else (skip,))):
                yield from every(one)
        case OneOf(options=replies) | Listed(replies=replies) | Parts(parts=replies):
            for one in replies:
                yield from every(one)


def by_end(reply: Reply) -> bool:
    """Whether a right reply, whatever it is of several, ends the connection."""
    match reply:
        case Listed(replies=replies):
            return by_end(replies[-1])
        case OneOf(options=options):
            return all(map(by_end, options))
        case Saved(reply=inner):
            return by_end(inner)
    return isinstance(reply, Closed | WasReset)


def groups_of(reply: Reply) -> tuple[str, ...]:
    """The names that a reply gives to parts of itself."""
    return tuple(dict.fromkeys(name for one in every(reply) for name in _named(one)))


def _named(reply: Reply) -> tuple[str, ...]:
    match reply:
        case Answer(form=form):
            return form.captures()
        case Regex(groups=groups):
            return groups
        case Saved(name=name):
            return (name,)
        case OneOf(which=str(name)):
            return (name,)
    return ()


def is_frame(reply: Reply) -> bool:
    """Whether it is exactly one frame, in whatever words."""
    match reply:
        case Frame() | Answer():
            return True
        case Saved(reply=inner):
            return is_frame(inner)
        case OneOf(options=options):
            return all(map(is_frame, options))
    return False


def framing_of(reply: Reply) -> Framing:
    """The framing of what `is_frame`."""
    match reply:
        case Frame(framing=framing) | Answer(framing=framing):
            return framing
        case Saved(reply=inner):
            return framing_of(inner)
        case OneOf(options=options):
            return framing_of(options[0])
    raise AssertionError(reply)
