"""The option `framing` of a socket: where a message ends.

A framing is a word (`line`, `until_close`, a plugin's name) or a mapping with one form and, beside
it, `max`, and `check` with its `order`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from loadmux.checking import checksums
from loadmux.checking.checked import Checked
from loadmux.checking.events import Events
from loadmux.checking.framing import LARGEST_FRAME, Framing
from loadmux.checking.marked import LinesUntil, Marked
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.simple import Delimited, Fixed, UntilClose, line
from loadmux.checking.verifying import MAX_FRAME
from loadmux.language.grammar.contract import Schema, Schemas, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Apart, Form, Forms, Key, Needs
from loadmux.language.grammar.types import Choice, Size, Yes
from loadmux.language.messages import plugged
from loadmux.language.messages.linepatterns import LinePattern
from loadmux.language.messages.payloads import Bytes
from loadmux.language.messages.prefixes import PREFIX
from loadmux.language.text import nodes
from loadmux.language.text.nodes import suggestion
from loadmux.language.text.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode
from loadmux.plugins.registry import BUILT_IN
from loadmux.units import quoted

REMEDY = (
    "write line, until_close, {delimiter: BYTES}, {length_prefix: {bytes: 4}}, {fixed: SIZE},"
    " {start: BYTES, end: BYTES} or {lines_until: RE}"
)

# fmt: off
MAX = Key("max", Size(LARGEST_FRAME), "The most bytes that a whole frame may have; more is a"
    " fault.", default=MAX_FRAME, attribute="max_size",
    examples=("sockets: {main: {framing: {line: true, max: 1KiB}}}\n"
        "steps: [{send: {frame: hello}, expect: {frame: hello}}]",))
# fmt: on


# --- framings -----------------------------------------------------------------------------------

Make = Callable[[int], Framing]


def until_max(make: Callable[..., Framing]) -> Callable[..., Make]:
    """`make(value, ..., most)` as soon as `max` is known."""
    return lambda *values, **more: lambda most: make(*values, *more.values(), most)


# fmt: off
FORMS = (
    Form("line", Yes(), "A body and LF; a CR before it belongs to the body.",
        make=until_max(lambda true, most: line(most)),
        examples=("sockets: {main: {framing: line}}\n"
            "steps: [{send: {frame: hello}, expect: {frame: hello}}]",)),
    Form("until_close", Yes(), "All until the server closes in order.",
        make=until_max(lambda true, most: UntilClose(most)),
        examples=tuple(f"sockets: {{main: {{framing: {framing}}}}}\n"
            "steps:\n"
            "  - {send: all of it}\n"
            "  - {half_close: main}\n"
            "  - {expect: {frame: all of it}}"
            for framing in ("until_close", "{until_close: true, max: 1MB}"))),
    Form("delimiter", Bytes(), "A body and these bytes.", make=until_max(Delimited),
        examples=('sockets: {main: {framing: {delimiter: "\\r\\n"}}}\n'
            "steps: [{send: {frame: hello}, expect: {frame: hello}}]",)),
    Form("length_prefix", PREFIX, "A length, then a body of as many bytes.",
        make=until_max(lambda found, most: LengthPrefixed(**found, max_size=most)),
        examples=(
            "sockets:\n"
            "  main: {framing: {length_prefix: {bytes: 2, order: little, counts_itself: true}}}\n"
            "steps: [{send: {frame: hello}, expect: {frame: hello}}]",)),
    Form("start", Bytes(), "These bytes, a body, and the bytes of `end`.",
        make=until_max(Marked), beside=(
            Key("end", Bytes(), "Beside `start`: what ends the frame; no body holds it.",
                required="'start' needs 'end'; write {start: BYTES, end: BYTES}"),
        ), examples=("sockets: {main: {framing: {start: {hex: '02'}, end: {hex: '03'}}}}\n"
            "steps: [{send: {frame: hello}, expect: {frame: hello}}]",)),
    Form("lines_until", LinePattern(), "Whole lines, up to and with the first that matches this"
        " regular expression wholly, its line end (LF, CRLF) aside. The body is without the last"
        " line end, but an expected one may have it. A body that is sent gets CRLF behind it,"
        " unless it ends in LF.", make=until_max(LinesUntil),
        examples=("sockets: {main: {framing: {lines_until: '\\d{3} .*'}}}\n"
            "steps:\n"
            '  - {send: "250-one\\r\\n250 two\\r\\n", expect: {frame: "250-one\\r\\n250 two"}}\n'
            "  - {send: {frame: 221 bye}, expect: {regex: '221 (?P<word>.*)'}}",)),
    Form("sse", Yes(), "One event of a `text/event-stream`, plain or chunked; the response's header"
        " (status 200), comments and `retry` are passed over. The body is the event's lines, joined"
        " by LF; an expected one may be what is in its `data` alone.",
        make=until_max(lambda true, most: Events(most)),
        examples=("sockets: {main: {framing: sse}}\n"
            "steps:\n"
            '  - {send: "data: hello\\n\\n", expect: {frame: "data: hello"}}\n'
            '  - {send: ":still here\\n\\nid: 7\\ndata: bye\\n\\n", expect: {frame: bye}}',)),
    Form("fixed", Size(LARGEST_FRAME), "A body of so many bytes.",
        make=until_max(lambda size, most: Fixed(size)),
        examples=("sockets: {main: {framing: {fixed: 8}}}\n"
            "steps: [{send: {frame: 8 bytes.}, expect: {frame: 8 bytes.}}]",)),
)
# fmt: on
CHECK = Key(
    "check",
    Choice(checksums.NAMES, "checksum"),
    "Beside a form: behind the body stands"
    " this checksum of it, within what the form counts or marks. It is made on sending; a wrong one"
    " is a fault, `corrupt`.",
    examples=(
        "sockets: {main: {framing: {length_prefix: {bytes: 2}, check: crc32}}}\n"
        "steps: [{send: {frame: hello}, expect: {frame: hello}}]",
        "sockets:\n"
        "  main: {framing: {start: '<', end: '>', check: crc16_modbus, order: little}}\n"
        "steps: [{send: {frame: hello}, expect: {frame: {length: 5}}}]",
    ),
)
ORDER = Key(
    "order",
    Choice(("big", "little"), "order"),
    "Beside `check`: the order of its bytes; by default that of the length, else `big`.",
)
BESIDE = (MAX, CHECK, ORDER)
WORDS = tuple(form.name for form in FORMS if isinstance(form.type, Yes))


class AnyFraming(Forms):
    word = "framing"
    listing = "beside 'max' and 'check' it has one of"

    def __init__(self) -> None:
        super().__init__("a framing", FORMS, "framing")

    def read(self, r: Reading, node: Node, what: str) -> Any:
        named = plugin_of(r, node)
        return super().read(r, node, what) if named is None else _plugin(r, node, named)

    def listed(self, r: Reading, node: ListNode, what: str) -> None:
        r.add(node.where, f"'framing' must not be a list; {REMEDY}")

    def scalar(self, r: Reading, node: ScalarNode, what: str) -> Any:
        found = nodes.text(r.mistakes, node, "'framing'")
        if found is None:
            return None
        if found in WORDS:
            make: Make = self.forms[found].make(True)  # type: ignore[misc]
            return make(MAX_FRAME)
        if found in self.forms:
            message = f"{quoted(found)} needs a value; {REMEDY}"
        else:
            near = suggestion(found, self.forms, "")
            near = near if "did you mean" in near else r.near(found, "framers")
            message = f"unknown framing {quoted(found)}{near or f'; {REMEDY}'}"
        return r.refuse(node, message)

    def missing(self) -> str:
        return f"needs a form; {REMEDY}"

    def mapping(self, r: Reading, node: MappingNode, what: str) -> Any:
        before = len(r.mistakes)
        names = [key.name for key in BESIDE]
        beside = {one.key: one for one in node.entries if one.key in names}
        alone = tuple(one for one in node.entries if one.key not in names)
        if [one.key for one in alone] == ["end"]:
            return r.refuse(alone[0].value, "'end' needs 'start'; write {start: BYTES, end: BYTES}")
        most, check, order = map(beside.get, names)
        entry = self.chosen(r, MappingNode(node.where, alone, node.incomplete), self.what)
        size = MAX_FRAME if most is None else MAX.type.read(r, most.value, "'max'")
        make = None
        if entry is not None:
            others = {one.key: one.value for one in alone if one is not entry}
            make = self.forms[entry.key].read(r, entry, others)
        checked = _check(r, check, order)
        if make is None or len(r.mistakes) > before:
            return None
        framing: Framing = make(size)
        if checked is not None and isinstance(framing, LinesUntil | Events):
            assert check is not None
            form = "sse" if isinstance(framing, Events) else "lines_until"
            r.add(check.where, f"'check' goes with no '{form}': text lines have no checksum")
            return None
        if checked is not None:
            framing = Checked(framing, checked[0], checked[1] or _order_of(framing))
        try:
            least = _least(framing)
        except ValueError as error:
            return r.refuse(node, f"no frame is possible: {error}")
        if least > size:
            given = f"({MAX_FRAME} unless it is given) " if most is None else ""
            message = f"'max' {given}must be at least {least} bytes, the size of the smallest frame"
            r.add((most.value if most is not None else node).where, message)
            return None
        return framing

    def schema(self, s: Schemas) -> Schema:
        mapping = super().schema(s)
        mapping["properties"]["max"] = MAX.schema(s)
        mapping["properties"]["check"] = CHECK.schema(s)
        mapping["properties"]["order"] = ORDER.schema(s)
        Needs("order", ("check",), "").put(mapping)
        Apart("check", {"lines_until": "", "sse": ""}).put(mapping)
        more = plugged.schemas("framers", s.framers, {"max": MAX.schema(s)})
        names = [{"enum": list(s.framers)}] if s.framers else []
        return {"anyOf": [{"enum": list(WORDS)}, mapping, *names, *more]}

    def write(self, value: Any, w: Writing) -> Any:
        if isinstance(value, Checked):
            check = {"check": value.name, "order": value.order}
            return {**self._plain(value.inner, w), **check}
        return self._plain(value, w)

    def _plain(self, value: Any, w: Writing) -> Any:
        """A framing without its checksum."""
        match value:
            case Delimited(delimiter=b"\n"):
                form: Mapping[str, Any] = {"line": True}
            case Delimited(delimiter=delimiter):
                form = {"delimiter": Bytes().write(delimiter, w)}
            case LengthPrefixed():
                form = {"length_prefix": PREFIX.write(value, w)}
            case Fixed(size=size):
                sizes = (Size().write(one, w) for one in (size, max(size, MAX_FRAME)))
                return dict(zip(("fixed", "max"), sizes, strict=True))
            case Marked(start=start, end=end):
                form = {"start": Bytes().write(start, w), "end": Bytes().write(end, w)}
            case LinesUntil(pattern=pattern):
                form = {"lines_until": pattern}
            case Events():
                form = {"sse": True}
            case UntilClose():
                form = {"until_close": True}
            case _:
                raise ValueError(f"the framing {value!r} has no form in YAML")
        return {**form, "max": MAX.of(value, w)}


FRAMING = AnyFraming()


def _check(r: Reading, check: Entry | None, order: Entry | None) -> tuple[str, Any] | None:
    """The name of a checksum, and the order of its bytes where that is said."""
    said = None if order is None else ORDER.type.read(r, order.value, "'order'")
    if check is None:
        if order is not None:
            message = "'order' goes with 'check'; that of a length stands in its 'length_prefix'"
            r.add(order.where, message)
        return None
    name = CHECK.type.read(r, check.value, "'check'")
    return None if name is None else (name, said)


def _order_of(framing: Framing) -> Any:
    return framing.order if isinstance(framing, LengthPrefixed) else "big"


def plugin_of(r: Reading, node: Node) -> str | None:
    """The name of a plugin's framing: a word, or a key of a mapping."""
    if isinstance(node, ScalarNode):
        word = node.value if isinstance(node.value, str) else ""
        known = not word or word in BUILT_IN["framers"]
        return None if known or word not in r.registry.names("framers") else word
    entry = plugged.named(r, node, "framers") if isinstance(node, MappingNode) else None
    return None if entry is None else entry.key


def _plugin(r: Reading, node: Node, name: str) -> Framing | None:
    if not isinstance(node, MappingNode):
        return plugged.framing(r, name, node, None, MAX_FRAME)
    values: dict[str, Entry] = {entry.key: entry for entry in node.entries}
    if not plugged.alone(r, node, values[name], (MAX.name,)):
        return None
    most = values.get(MAX.name)
    size = MAX_FRAME if most is None else MAX.type.read(r, most.value, "'max'")
    return None if size is None else plugged.framing(r, name, node, values[name].value, size)


def _least(framing: Framing) -> int:
    """The size in bytes of the smallest frame. Raises ValueError where there is none."""
    match framing:
        case Checked(inner=Fixed(size=size)) if size < framing.width:
            raise ValueError(f"{size} bytes have no room for a checksum of {framing.width}")
        case Checked(inner=Fixed() as inner):
            return _least(inner)
        case Checked(inner=LengthPrefixed() as inner):
            return inner.size_with(framing.width)
        case Checked():
            return _least(framing.inner) + framing.width
        case Marked(start=start, end=end):
            return len(start) + len(end)
        case Fixed(size=size):
            return size
        case Delimited(delimiter=delimiter):
            return len(delimiter)
        case LengthPrefixed():
            return framing.smallest
    return 0
