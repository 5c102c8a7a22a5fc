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

Pushes (RESP3: messages, invalidations, what SUBSCRIBE answers) are passed over and counted, unless
a step expects `{push: [...]}`. How values stand on the wire is said in `resp_values`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from loadmux.checking.bodies import told
from loadmux.checking.framing import (
    Frame,
    Framing,
)
from loadmux.checking.judging import Judgement
from loadmux.checking.reach import reach
from loadmux.plugins.contracts import Framer, Incoming, Spec
from loadmux.plugins.payloads import Outgoing, Payload, Regex, Surroundings, Text
from loadmux.protocols.judging import mismatch
from loadmux.protocols.resp_values import DOUBLE, NUMBER, Resp, RespFrame, Value, bulk

WORD = re.compile(rb"\w+")
STATUSES = frozenset({b"OK", b"PONG", b"QUEUED"})


# --- commands -----------------------------------------------------------------------------------


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
