"""RESP on the wire, versions 2 and 3: Redis's values, read and checked byte by byte.

Pushes (RESP3: messages, invalidations, what SUBSCRIBE answers) are no replies: they may come at any
time, also between a command and its reply, so they are passed over and counted, unless they are
asked for. Attributes say something about the value behind them and are dropped. Source: the
specification at https://redis.io/docs/latest/develop/reference/protocol-spec/.

It is read here and not by hiredis, Redis's own reader, which is made to trust the server. As tried
with hiredis 3.5.0, its errors name no byte; it takes `$3\\r\\nabcXY`, whose end is wrong; an
attribute comes out as a reply of its own, which shifts all that follow; and it does not say which
bytes a reply was made of, so that they could not be shown, nor the rest be left to the next step.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from loadmux.checking.framing import (
    Decoder,
    Frame,
    FrameError,
    Talkative,
    Unasked,
    raised,
    too_large,
)
from loadmux.checking.verifying import MAX_FRAME

MOST_DEPTH = 32
LONGEST_LINE = 64 * 1024
CRLF = b"\r\n"
NUMBER = re.compile(rb"[+-]?[0-9]+")
COUNT = re.compile(rb"-1|0|[1-9][0-9]*")
DOUBLE = re.compile(rb"[+-]?(inf|nan|[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?)", re.IGNORECASE)
VERBATIM = 4
PUSHED = (b">", b"|")
"""What a push begins with: itself, or an attribute that says something about it."""
Kind = Literal[
    "string", "error", "integer", "double", "boolean", "nil", "list", "set", "map", "push"
]
AGGREGATES = ("list", "set", "map", "push")


@dataclass(frozen=True, slots=True)
class Value:
    """A RESP value: `data` is what a scalar says; `items` are a list's, a map's in pairs."""

    kind: Kind
    data: bytes = b""
    items: tuple[Value, ...] = ()


NIL = Value("nil")


@dataclass(frozen=True, slots=True)
class RespFrame(Frame):
    """One reply; `body` is what a scalar says, a list as it came on the wire."""

    value: Value


@dataclass(slots=True)
class Level:
    """An aggregate under way: `due` values are missing; `mute`: an attribute, to be dropped."""

    kind: Kind
    due: int
    items: list[Value]
    mute: bool = False


class RespDecoder(Decoder):
    """One value. Each byte is looked at once: what is complete is not parsed again.

    `pushes`: a push is a value like any other; else pushes are passed over, `_gone` bytes so far.
    """

    __slots__ = ("_aside", "_at", "_bulk", "_gone", "_levels", "_max_size", "_pushes", "_taken")

    def __init__(self, max_size: int, pushes: bool = False) -> None:
        self._max_size = max_size
        self._pushes = pushes
        self._taken = bytearray()
        self._at = self._gone = self._aside = 0
        self._bulk: tuple[bytes, int] | None = None
        self._levels: list[Level] = []

    @property
    def aside(self) -> int:
        return self._aside

    @property
    def gone(self) -> int:
        return self._gone

    @property
    def moved(self) -> bool:
        return self._pushes or bytes(self._taken[:1]) not in (b"", b">")

    def feed(self, data: bytes) -> RespFrame | None:
        taken = self._taken
        taken += data
        while (value := self._next()) is not None:
            found = self._place(value)
            if self._at > self._max_size:
                raise too_large(self._max_size, self._max_size)
            if found is None:
                continue
            if found.kind == "push" and not self._pushes:
                self._pass_over()
                continue
            wire = bytes(taken[: self._at])
            body = wire if found.kind in AGGREGATES else found.data
            return RespFrame(body, bytes(taken[self._at :]), found)
        if len(taken) > self._max_size:
            raise too_large(self._max_size, self._max_size)
        return None

    def _pass_over(self) -> None:
        """A whole push is no part of the frame."""
        self._aside += 1
        self._gone += self._at
        del self._taken[: self._at]
        self._at = 0

    def _next(self) -> Value | Level | None:
        """The next scalar, or the head of an aggregate; None if it is not whole."""
        if self._bulk is not None:
            return self._string(*self._bulk)
        end = self._taken.find(CRLF, self._at)
        if end < 0:
            self._check_begin()
            return None
        kind, rest = self._taken[self._at : self._at + 1], bytes(self._taken[self._at + 1 : end])
        begin, self._at = self._at, end + 2
        reader = READERS.get(bytes(kind))
        if reader is None:
            raise FrameError(f"{bytes(kind)!r} begins no RESP value", begin)
        return reader(self, rest, begin)

    def _check_begin(self) -> None:
        """What can be said of a line that is not whole."""
        begin = self._taken[self._at : self._at + 1]
        if begin and bytes(begin) not in READERS:
            raise FrameError(f"{bytes(begin)!r} begins no RESP value", self._at)
        if len(self._taken) - self._at > LONGEST_LINE:
            raise FrameError(f"a line of more than {LONGEST_LINE} bytes", self._at)

    def _string(self, kind: bytes, size: int) -> Value | None:
        """The bytes of a bulk string, error or verbatim string, once they are there."""
        end = self._at + size
        tail = bytes(self._taken[end : end + 2])
        if not CRLF.startswith(tail):
            raise FrameError(f"a string of {size} bytes does not end in CR LF", end)
        if len(tail) < len(CRLF):
            return None
        data = bytes(self._taken[self._at : end])
        self._at = end + 2
        self._bulk = None
        if kind == b"=":
            data = data[VERBATIM:]
        return Value("error" if kind == b"!" else "string", data)

    def _place(self, value: Value | Level) -> Value | None:
        """Put a value where it belongs; the whole reply if that completes it."""
        if isinstance(value, Level):
            if len(self._levels) >= MOST_DEPTH:
                raise FrameError(f"values within values more than {MOST_DEPTH} deep", self._at)
            if value.due:
                self._levels.append(value)
                return None
            if value.mute:
                return None
            value = Value(value.kind)
        while self._levels:
            level = self._levels[-1]
            level.items.append(value)
            level.due -= 1
            if level.due:
                return None
            if level.mute:
                self._levels.pop()
                return None
            value = self._close()
        return value

    def _close(self) -> Value:
        level = self._levels.pop()
        return Value(level.kind, b"", tuple(level.items))

    @property
    def pushing(self) -> bool:
        """Whether what is under way is a push, or an attribute that may be one's."""
        kinds = {level.kind for level in self._levels[:1] if not level.mute}
        return kinds <= {"push"}

    def owed(self) -> str:
        if self._bulk is not None:
            missing = self._at + self._bulk[1] + 2 - len(self._taken)
            return f"{missing} bytes of a string and its CR LF"
        if self._levels:
            return f"{self._levels[-1].due} more values of {len(self._levels)} open lists"
        passed = f" ({self._aside} pushes were passed over; {{push: [...]}} expects one)"
        return "a whole RESP value" + (passed if self._aside else "")

    # --- readers of one line ----------------------------------------------------------------

    def read_bulk(self, sigil: bytes, rest: bytes, begin: int) -> Value | None:
        size = self._count(rest, begin)
        if size < 0:
            return NIL
        if self._at + size + 2 > self._max_size:
            text = f"a string of {size} bytes is more than 'max' ({self._max_size}) allows"
            raise FrameError(text, begin)
        self._bulk = (sigil, size)
        return self._string(sigil, size)

    def read_aggregate(self, kind: Kind, each: int, rest: bytes, begin: int) -> Value | Level:
        count = self._count(rest, begin)
        if count < 0:
            return NIL
        if count * each > self._max_size:
            text = f"{count} values are more than 'max' ({self._max_size}) allows"
            raise FrameError(text, begin)
        return Level(kind, count * each, [])

    def _count(self, rest: bytes, begin: int) -> int:
        if COUNT.fullmatch(rest) is None or len(rest) > 20:
            raise FrameError(f"{rest[:40]!r} is no length", begin + 1)
        return int(rest)

    def matched(self, kind: Kind, pattern: re.Pattern[bytes], rest: bytes, begin: int) -> Value:
        if pattern.fullmatch(rest) is None:
            raise FrameError(f"{rest[:40]!r} is no {kind}", begin + 1)
        return Value(kind, rest)

    def read_null(self, rest: bytes, begin: int) -> Value:
        if rest:
            raise FrameError(f"{rest[:40]!r} after a null", begin + 1)
        return NIL

    def read_attribute(self, rest: bytes, begin: int) -> Value | Level:
        """Pairs that say something about the value that follows, and are no part of it."""
        level = self.read_aggregate("list", 2, rest, begin)
        return Level("list", level.due if isinstance(level, Level) else 0, [], mute=True)


Reader = Callable[[RespDecoder, bytes, int], "Value | Level | None"]
BOOLEAN = re.compile(rb"[tf]")
READERS: dict[bytes, Reader] = {
    b"+": lambda decoder, rest, begin: Value("string", rest),
    b"-": lambda decoder, rest, begin: Value("error", rest),
    b":": lambda decoder, rest, begin: decoder.matched("integer", NUMBER, rest, begin),
    b"$": lambda decoder, rest, begin: decoder.read_bulk(b"$", rest, begin),
    b"*": lambda decoder, rest, begin: decoder.read_aggregate("list", 1, rest, begin),
    b"_": lambda decoder, rest, begin: decoder.read_null(rest, begin),
    b"#": lambda decoder, rest, begin: decoder.matched("boolean", BOOLEAN, rest, begin),
    b",": lambda decoder, rest, begin: decoder.matched("double", DOUBLE, rest, begin),
    b"(": lambda decoder, rest, begin: decoder.matched("integer", NUMBER, rest, begin),
    b"!": lambda decoder, rest, begin: decoder.read_bulk(b"!", rest, begin),
    b"=": lambda decoder, rest, begin: decoder.read_bulk(b"=", rest, begin),
    b"%": lambda decoder, rest, begin: decoder.read_aggregate("map", 2, rest, begin),
    b"~": lambda decoder, rest, begin: decoder.read_aggregate("set", 1, rest, begin),
    b">": lambda decoder, rest, begin: decoder.read_aggregate("push", 1, rest, begin),
    b"|": lambda decoder, rest, begin: decoder.read_attribute(rest, begin),
}


@dataclass(frozen=True, slots=True)
class Resp(Talkative):
    """`framing: resp`: every reply is one value; `pushes`: a push is one, too."""

    max_size: int = MAX_FRAME
    pushes: bool = False

    def encode(self, body: bytes) -> bytes:
        raise ValueError("a command is a list of texts; write {resp: [GET, key]}")

    def decoder(self) -> RespDecoder:
        return RespDecoder(self.max_size, self.pushes)

    def unasked(self, data: bytes) -> Unasked:
        aside = 0
        while data[:1] in PUSHED and (found := self._first(data)) and found.value.kind == "push":
            aside += 1
            data = found.rest
        return Unasked(b"", data, "", aside)

    def begun(self, rest: bytes) -> bool:
        if rest[:1] not in PUSHED:
            return False
        decoder = RespDecoder(self.max_size, pushes=True)
        try:
            return decoder.feed(rest) is None and decoder.pushing
        except FrameError:
            return False

    def _first(self, data: bytes) -> RespFrame | None:
        """The first whole value of bytes that came unasked."""
        try:
            return RespDecoder(self.max_size, pushes=True).feed(data)
        except FrameError:
            return None

    def holding(self, least: int) -> Resp:
        """Beside the bytes of the values there is room for what says where each of them ends."""
        return replace(self, max_size=raised(self.max_size, least + len(b"+\r\n"), least))


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)
