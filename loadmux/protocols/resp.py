"""Redis's protocol, RESP2 and RESP3: commands as lists, replies as values.

    sockets: {main: {framing: resp}}         # optional: for `max`, `frame` and `regex`
    steps:
      - {send: {resp: [SET, "key ${user}", 5]}, expect: {resp: OK}}
      - {send: {resp: [GET, "key ${user}"]},    expect: {resp: "5"}}
      - {send: {resp: [LRANGE, list, 0, -1]},   expect: {resp: [one, two]}}
      - {send: {resp: [INCR, "key ${user}"]},   expect: {resp: 6}}
      - {send: {resp: [GET, nothing]},          expect: {resp: null}}
      - {send: {resp: [PIGN]},                  expect: {resp: {error: ERR unknown command}}}

A reply is a text (a simple or a bulk string of these bytes), a whole number, a decimal number or
boolean (RESP3), null (nil of either version), a list (arrays, sets in any order), or a mapping with
one form: `{map: {KEY: VALUE}}`, `{error: WORDS}` (the whole words that an error begins with),
`{regex: RE}` of a string, `{push: [...]}`, `{any: true}`. Commands may be joined (pipelined), and
answered in as many steps.

Pushes (RESP3: messages, invalidations, what SUBSCRIBE answers) are no replies: they may come at any
time, also between a command and its reply, so they are passed over and counted, unless a step
expects `{push: [...]}`. Attributes say something about the value behind them and are dropped.
Source: the specification at https://redis.io/docs/latest/develop/reference/protocol-spec/.

It is read here and not by hiredis, Redis's own reader, which is made to trust the server. As tried
with hiredis 3.5.0, its errors name no byte; it takes `$3\\r\\nabcXY`, whose end is wrong; an
attribute comes out as a reply of its own, which shifts all that follow; and it does not say which
bytes a reply was made of, so that they could not be shown, nor the rest be left to the next step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from loadmux.checking.framed import Judgement, told
from loadmux.checking.framing import (
    Decoder,
    Frame,
    FrameError,
    Framing,
    Talkative,
    Unasked,
    raised,
    too_large,
)
from loadmux.checking.reach import reach
from loadmux.checking.verifying import MAX_FRAME
from loadmux.plugins.contracts import Framer, Incoming, Spec
from loadmux.plugins.payloads import Outgoing, Payload, Regex, Surroundings, Text
from loadmux.protocols.judging import mismatch

MOST_DEPTH = 32
LONGEST_LINE = 64 * 1024
CRLF = b"\r\n"
NUMBER = re.compile(rb"[+-]?[0-9]+")
COUNT = re.compile(rb"-1|0|[1-9][0-9]*")
DOUBLE = re.compile(rb"[+-]?(inf|nan|[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?)", re.IGNORECASE)
VERBATIM = 4
WORD = re.compile(rb"\w+")
PUSHED = (b">", b"|")
"""What a push begins with: itself, or an attribute that says something about it."""
STATUSES = frozenset({b"OK", b"PONG", b"QUEUED"})

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


# --- the parser ---------------------------------------------------------------------------------


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


# --- commands -----------------------------------------------------------------------------------


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


@dataclass(frozen=True, slots=True)
class Command(Outgoing):
    """An array of bulk strings."""

    words: tuple[Payload, ...]

    def payloads(self) -> tuple[Payload, ...]:
        return self.words

    def encode(self, parts: Sequence[bytes], around: Surroundings) -> bytes:
        return b"*%d\r\n" % len(parts) + b"".join(map(bulk, parts))


# --- replies ------------------------------------------------------------------------------------

Form = Literal[
    "text", "integer", "double", "boolean", "nil", "list", "map", "error", "regex", "push", "any"
]


@dataclass(frozen=True, slots=True)
class Expected:
    """A value that is expected; `text` is the part of a text, error or number."""

    form: Form
    text: Text | None = None
    regex: Regex | None = None
    items: tuple[Expected, ...] = ()

    @property
    def texts(self) -> tuple[Text, ...]:
        """The parts of it alone."""
        if self.regex is not None:
            return self.regex.texts
        return () if self.text is None else (self.text,)

    def leaves(self) -> Iterator[Expected]:
        """Itself and all within, in the order in which their texts become parts."""
        yield self
        for item in self.items:
            yield from item.leaves()


@dataclass(frozen=True, slots=True)
class RespReply(Incoming):
    """One value."""

    expected: Expected

    def payloads(self) -> tuple[Payload, ...]:
        return tuple(text for leaf in self.expected.leaves() for text in leaf.texts)

    def captures(self) -> tuple[str, ...]:
        regexes = [leaf.regex for leaf in self.expected.leaves() if leaf.regex is not None]
        return tuple(name for regex in regexes for name in regex.groups)

    def over(self, framing: Framing) -> Framing:
        assert isinstance(framing, Resp)
        return replace(framing, pushes=self.expected.form == "push")

    def least(self, sizes: Sequence[int]) -> int:
        return sum(sizes)

    def likely(self, parts: Sequence[bytes]) -> bytes | None:
        expected = self.expected
        if expected.form == "integer":
            return b":%b\r\n" % parts[0]
        if expected.form == "text":
            return b"+%b\r\n" % parts[0] if parts[0] in STATUSES else bulk(parts[0])
        return None

    def judge(self, frame: Frame, parts: Sequence[bytes]) -> Judgement:
        assert isinstance(frame, RespFrame)
        comparison = Comparison(parts)
        reason = comparison.differs(self.expected, frame.value)
        if reason is None:
            return Judgement(captured=comparison.captured)
        scalar = self.expected.form in ("text", "integer", "error")
        return mismatch(reason, parts[0] if scalar else b"", frame.body)


class Comparison:
    """Holds a value against an expected one; `parts` are the texts, taken off one by one."""

    def __init__(self, parts: Sequence[bytes]) -> None:
        self.captured: dict[str, bytes] = {}
        self._parts = iter(parts)

    def differs(self, expected: Expected, value: Value, at: str = "") -> str | None:
        """How a value is not what is expected; None if it is. `at` is its place in the reply."""
        where = f"item {at} of the reply" if at else "the reply"
        if expected.form in ("list", "push"):
            return self._list(expected, value, at, where)
        if expected.form == "map":
            return self._map(expected, value, where)
        part = next(self._parts) if expected.text is not None else b""
        right, what = self._scalar(expected, value, part)
        return None if right else f"{where} is {described(value)}, expected {what}"

    def _scalar(self, expected: Expected, value: Value, part: bytes) -> tuple[bool, str]:
        """Whether a value is right, and what it should be."""
        kind, data = value.kind, value.data
        match expected.form:
            case "any":
                return True, "anything"
            case "nil":
                return kind == "nil", "nil"
            case "regex":
                return self._regex(expected, value)
            case "error":
                right = kind == "error" and begins_with_words(data, part)
                return right, f"an error that begins with the words {part!r}"
            case "integer":
                right = kind == "integer" and data.lstrip(b"+") == part.lstrip(b"+")
                return right, f"the integer {part.decode(errors='replace')}"
            case "double":
                right = kind in ("double", "integer") and float(data) == float(part)
                return right, f"the double {part.decode()}"
            case "boolean":
                return kind == "boolean" and data == part, "true" if part == b"t" else "false"
        return kind == "string" and data == part, f"the string {shown(part)}"

    def _regex(self, expected: Expected, value: Value) -> tuple[bool, str]:
        assert expected.regex is not None
        source = expected.regex.source([next(self._parts) for _ in expected.regex.texts])
        text = f"a string that matches the regex {source.decode(errors='replace')!r}"
        if value.kind != "string":
            return False, text
        compiled = re.compile(source)
        match = compiled.fullmatch(value.data)
        if match is None:
            return False, text + told(reach(compiled, value.data), len(value.data))
        self.captured.update(match.groupdict(b""))
        return True, text

    def _list(self, expected: Expected, value: Value, at: str, where: str) -> str | None:
        kinds = ("push",) if expected.form == "push" else ("list", "set")
        if value.kind not in kinds or len(value.items) != len(expected.items):
            wanted = f"a {expected.form} of {len(expected.items)}"
            return f"{where} is {described(value)}, expected {wanted}"
        if value.kind == "set":
            return self._unordered(expected.items, list(value.items), where)
        for number, (item, found) in enumerate(zip(expected.items, value.items, strict=True)):
            place = f"{at}.{number}" if at else str(number)
            if (reason := self.differs(item, found, place)) is not None:
                return reason
        return None

    def _map(self, expected: Expected, value: Value, where: str) -> str | None:
        """Keys in any order. RESP2 has no maps: there a list of keys and values in turn is one."""
        count = len(expected.items)
        if value.kind not in ("map", "list") or len(value.items) != count:
            return f"{where} is {described(value)}, expected a map of {count // 2}"
        pairs = [Value("list", b"", value.items[i : i + 2]) for i in range(0, count, 2)]
        wanted = [Expected("list", items=expected.items[i : i + 2]) for i in range(0, count, 2)]
        return self._unordered(wanted, pairs, where)

    def _unordered(self, wanted: Sequence[Expected], found: list[Value], where: str) -> str | None:
        for item in wanted:
            texts = [next(self._parts) for leaf in item.leaves() if leaf.text is not None]
            for one in found:
                comparison = Comparison(texts)
                if comparison.differs(item, one) is None:
                    self.captured.update(comparison.captured)
                    found.remove(one)
                    break
            else:
                return f"{where} holds no {' '.join(map(shown, texts)) or item.form}"
        return None


def begins_with_words(data: bytes, words: bytes) -> bool:
    """Whether an error begins so, with the last word whole: ERR does not begin ERRATA."""
    joined = words[-1:] + data[len(words) : len(words) + 1]
    return data.startswith(words) and not (len(joined) == 2 and WORD.fullmatch(joined))


def shown(data: bytes) -> str:
    return repr(data[:60]) + ("..." if len(data) > 60 else "")


def described(value: Value) -> str:
    match value.kind:
        case "nil":
            return "nil"
        case "list" | "set" | "map" | "push":
            return f"a {value.kind} of {len(value.items) // (2 if value.kind == 'map' else 1)}"
        case "string" | "error":
            return f"the {value.kind} {shown(value.data)}"
    return f"the {value.kind} {value.data.decode(errors='replace')}"


# --- what files say -----------------------------------------------------------------------------


def read_expected(spec: Spec) -> Expected:
    if spec.kind == "nothing":
        return Expected("nil")
    if spec.kind == "list":
        return Expected("list", items=tuple(read_expected(item) for item in spec.items()))
    if spec.kind == "boolean":
        return Expected("boolean", text=Text(("t" if spec.boolean() else "f",)))
    if spec.kind == "number":
        written = spec.text()
        number = "".join(map(str, written.parts)).encode()
        if NUMBER.fullmatch(number) is None and DOUBLE.fullmatch(number) is None:
            spec.refuse("write a number in decimal digits, such as 5 or 1.5")
        return Expected("integer" if NUMBER.fullmatch(number) else "double", text=written)
    if spec.kind == "text":
        return Expected("text", text=spec.text())
    return read_form(spec)


def read_form(spec: Spec) -> Expected:
    fields: Mapping[str, Spec] = spec.fields(("map", "error", "regex", "push", "any", "integer"))
    if len(fields) != 1:
        spec.refuse("a reply has one form: map, error, regex, push, integer or any")
    ((form, inner),) = fields.items()
    if form == "push":
        return Expected("push", items=tuple(read_expected(item) for item in inner.items()))
    if form == "error":
        return Expected("error", text=inner.text())
    if form == "regex":
        return Expected("regex", regex=inner.regex(replaced=True))
    if form == "integer":
        return Expected("integer", text=inner.text())
    if form == "any":
        if inner.kind != "boolean" or not inner.boolean():
            inner.refuse("'any' can only be true")
        return Expected("any")
    items: list[Expected] = []
    for key, value in inner.entries().items():
        items += [Expected("text", text=Text((key,) if key else ())), read_expected(value)]
    return Expected("map", items=tuple(items))


class RespFramer(Framer):
    """`resp`; see the module."""

    framing = Resp

    def read_framing(self, options: Spec | None, max_size: int) -> Resp:
        if options is not None:
            options.refuse(
                "'resp' has no options; write 'framing: resp' or {resp: true, max: SIZE}"
            )
        return Resp(max_size)

    def read_payload(self, spec: Spec) -> Command:
        if spec.kind != "list":
            spec.refuse("a command is a list; write {resp: [GET, key]}")
        items = spec.items()
        if not items:
            spec.refuse("a command has at least one word; write {resp: [PING]}")
        words = [item.payload() if item.kind == "mapping" else item.text() for item in items]
        return Command(tuple(words))

    def read_reply(self, spec: Spec) -> RespReply:
        return RespReply(read_expected(spec))


FRAMER = RespFramer()
