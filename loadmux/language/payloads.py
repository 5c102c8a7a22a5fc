"""What a step sends: the PAYLOAD forms of the language.

A payload is a text or has exactly one form. `file`s are read now, so that a missing one is known
before anything is sent. Constants that could not be held in memory are refused. Where a payload
stands says what it may not hold, at any depth (what is expected no random bytes, a delimiter no
`${name}` and no frame either), so a schema has a definition for each of these places.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from loadmux.checking.framing import Framing
from loadmux.errors import Position
from loadmux.language import nodes, patterns, plugged
from loadmux.language.contents import constant, is_empty, size_of
from loadmux.language.names import SENT
from loadmux.language.nodes import escaped, kind_of
from loadmux.language.reading import Reading
from loadmux.language.regexes import may_capture
from loadmux.language.shapes import Form, Forms, Key
from loadmux.language.types import Integer, Items, Schema, Schemas, Size, Type, Writing
from loadmux.language.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode
from loadmux.plugins.payloads import Data, Framed, Joined, Payload, Random, Repeated, Spoken, Text
from loadmux.units import quoted

LARGEST_PAYLOAD = 2**30
LARGEST_DELIMITER = 2**16
SHORT = 32
"""Bytes up to which data is written in hex, beyond it in base64."""

SENDABLE, EXPECTED, BYTES = "payload", "expected_payload", "bytes"
TEXTS = {SENDABLE: patterns.text(without=SENT), EXPECTED: patterns.text()}
NOT_IN = {EXPECTED: ("random",), BYTES: ("random", "frame")}

HEX = r"^\s*(?:[0-9A-Fa-f]{2}\s*)*$"
_SIX_BITS = r"(?:[A-Za-z0-9+/]\s*)"
BASE64 = rf"^\s*(?:{_SIX_BITS}{{4}})*(?:{_SIX_BITS}{{2}}=\s*=|{_SIX_BITS}{{3}}=?=|=?=)?\s*$"


def hexed(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        message = f"{quoted(text)} is not hex; write pairs of 0-9 and a-f such as 'de ad be ef'"
        raise ValueError(message) from None


def based64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{quoted(text)} is not base64; write it as in 'aGVsbG8='") from None


# --- types --------------------------------------------------------------------------------------


class Replaced(Type):
    """A text, in which `${name}`s are replaced."""

    word = "text"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        nodes.doubt_escapes(r.mistakes, node)
        text = nodes.any_text(r.mistakes, node, what)
        return None if text is None else r.names.text(node.where, text, sent=r.sent)

    def schema(self, s: Schemas) -> Schema:
        pattern = TEXTS.get(s.inner, patterns.CONSTANT)
        return {"type": "string", "pattern": pattern, "patternErrorMessage": patterns.REPLACED}

    def write(self, value: Any, w: Writing) -> Any:
        return written_text(value)


def written_text(text: Text) -> str:
    return "".join(
        escaped(part) if isinstance(part, str) else f"${{{part.name}}}" for part in text.parts
    )


class Encoded(Type):
    """Bytes known when the file is loaded, which a text stands for."""

    word = "text"

    def __init__(
        self, convert: Callable[[Reading, str], bytes], write: Callable[[bytes], str], pattern: str
    ) -> None:
        self._convert, self._write = convert, write
        self._pattern = {"pattern": pattern} if pattern else {}

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if not isinstance(node, ScalarNode) or node.value is None or isinstance(node.value, bool):
            return r.refuse(node, f"{what} must be a text, not {kind_of(node)}")
        written = nodes.literal(r.mistakes, node.where, node.text, what)
        if written is None:
            return None
        try:
            return self._convert(r, written)
        except ValueError as error:
            return r.refuse(node, str(error))

    def schema(self, s: Schemas) -> Schema:
        return {**self._pattern, "type": ["string", "number"]}

    def write(self, value: Any, w: Writing) -> Any:
        return self._write(value)


class Inner(Type):
    """A payload within a payload."""

    word = "payload"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        return PAYLOAD.read(r, node, "a payload")

    def schema(self, s: Schemas) -> Schema:
        return {"$ref": f"#/$defs/{s.inner}"}

    def write(self, value: Any, w: Writing) -> Any:
        return PAYLOAD.write(value, w)


# --- frames -------------------------------------------------------------------------------------


def framing_of(r: Reading, form: Entry, instead: str = "") -> Framing | None:
    """The framing of the step's sockets, which `form` needs."""
    if r.wire.framing is None and r.wire.reason:
        message = f"'{form.key}' needs to know where a frame ends: {r.wire.reason}{instead}"
        r.add(form.where, message)
    return r.wire.framing


def fitting(r: Reading, where: Position, payload: Payload, framing: Framing) -> Framing | None:
    """The framing for a body, None where it cannot be framed, as far as it is known."""
    known = constant(payload)
    try:
        framing = framing.holding(size_of(payload))
        if known is not None:
            framing.encode(known)
    except ValueError as error:
        r.add(where, f"this body cannot be framed: {error}")
        return None
    return framing


def bounded(r: Reading, where: Position, payload: Payload, most: int = LARGEST_PAYLOAD) -> bool:
    if size_of(payload) <= most:
        return True
    r.add(where, f"too large: more than {most} bytes")
    return False


def _framed(r: Reading, form: Entry, others: Mapping[str, Node]) -> Payload | None:
    framing = framing_of(r, form)
    payload = PAYLOAD.read(r, form.value, "a frame's body")
    if framing is None or payload is None or not bounded(r, form.where, payload):
        return None
    fit = fitting(r, form.value.where, payload, framing)
    return None if fit is None else Framed(payload, fit)


# --- the forms ----------------------------------------------------------------------------------

# fmt: off
FORMS = (
    Form("text", Replaced(), "UTF-8 text; `${name}` is replaced, `$${` is a literal `${`.",
        examples=("- {send: reply, expect: {text: reply}}",)),
    Form("hex", Encoded(lambda r, text: hexed(text), lambda data: data.hex(" "), HEX),
        "Bytes in hex, such as 'de ad be ef'.", make=Data,
        examples=("- {send: {hex: de ad be ef}, expect: {hex: DEADBEEF}}",)),
    Form("base64", Encoded(lambda r, text: based64(text),
        lambda data: base64.b64encode(data).decode(), BASE64), "Bytes in base64, such as"
        " 'aGVsbG8='.", make=Data, examples=("- {send: {base64: aGVsbG8=}, expect: hello}",)),
    Form("file", Encoded(lambda r, text: r.files.read(text), repr, ""), "The bytes of a file,"
        " looked for beside the scenario.", make=Data,
        examples=("- {send: {file: body.bin}, expect: {file: body.bin}}",)),
    Form("random", Size(LARGEST_PAYLOAD), "So many fresh bytes every time, from the seed.",
        cls=Random, examples=("- {send: {random: 1KiB}, expect: reply}",)),
    Form("repeat", Inner(), "A payload, `times` over.", cls=Repeated,
        beside=(
            Key("times", Integer(), "How often `repeat` repeats.",
                required="'repeat' needs 'times'; write {repeat: ..., times: N}"),
        ), examples=('- {send: {repeat: "ab", times: 1000}, expect: {length: 2000}}',)),
    Form("join", Items(Inner(), "a payload"), "Payloads, one after the other.", cls=Joined,
        examples=('- {send: {join: ["size: ", {hex: 00 05}, {random: 5}]}, expect: reply}',)),
    Form("frame", Inner(), "A body in a frame, as the socket's `framing` says; several go into a"
        " `join`.", reads=_framed, cls=Framed, attribute="payload",
        examples=("sockets: {main: {framing: {length_prefix: {bytes: 4}}}}\n"
            "steps:\n"
            "  - {send: {join: [{frame: one}, {frame: two}]}}\n"
            "  - {expect: {frame: one}}\n"
            "  - {expect: {frame: two}}",)),
)
# fmt: on
PLAIN = FORMS[:-1]
"""Those that need no socket."""


class AnyPayload(Forms):
    """A text, a form of `FORMS`, or one of a plugin (`plugins`)."""

    word = "payload"

    def __init__(self, forms: Iterable[Form] = FORMS, plugins: bool = True) -> None:
        super().__init__("a payload", tuple(forms), SENDABLE)
        self._plugins = plugins

    def scalar(self, r: Reading, node: ScalarNode, what: str) -> Any:
        nodes.doubt_escapes(r.mistakes, node)
        text = nodes.any_text(r.mistakes, node, what)
        return None if text is None else r.names.text(node.where, text, sent=r.sent)

    def listed(self, r: Reading, node: ListNode, what: str) -> Any:
        message = f"{what} must be a text or a mapping, not a list; write {{join: [...]}}"
        r.add(node.where, message)

    def mapping(self, r: Reading, node: MappingNode, what: str) -> Any:
        plugin = plugged.named(r, node, "framers") if self._plugins else None
        if plugin is not None:
            return plugged.spoken(r, plugin) if plugged.alone(r, node, plugin) else None
        return super().mapping(r, node, what)

    def near(self, r: Reading, key: str) -> str:
        return r.near(key, "framers") if self._plugins else ""

    def lost(self, r: Reading, node: MappingNode) -> None:
        if may_capture(node):
            r.names.give_up()

    def schema(self, s: Schemas) -> Schema:
        forms = plugged.schemas("framers", s.framers, {}, plugged.PAYLOADS)
        return {"anyOf": [*_schema(SENDABLE)(s)["anyOf"], *forms]}

    def write(self, value: Any, w: Writing) -> Any:
        match value:
            case Text():
                return written_text(value)
            case Data(data=data):
                form = self.forms["hex" if len(data) <= SHORT else "base64"]
                return form.written(value, w)
            case Spoken(framer=framer, written=written):
                return {framer: written}
        return super().write(value, w)


PAYLOAD = AnyPayload()


def forms_in(s: Schemas, inner: str) -> list[Form]:
    """The forms that may stand in such a place; what they hold is `inner`, too."""
    s.inner = inner
    return [form for form in FORMS if form.name not in NOT_IN.get(inner, ())]


def _schema(inner: str) -> Callable[[Schemas], Schema]:
    def make(s: Schemas) -> Schema:
        outer, forms = s.inner, forms_in(s, inner)
        found = {"anyOf": [Replaced().schema(s), PAYLOAD.mapping_schema(s, forms)]}
        s.inner = outer
        return found

    return make


def expected_definition(s: Schemas) -> None:
    s.refer(EXPECTED, _schema(EXPECTED))


class ToSend(Type):
    """A payload with at least one byte."""

    word = "payload"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        r.sends = payload = PAYLOAD.read(r, node, "a payload")
        if payload is None or not bounded(r, node.where, payload):
            return None
        if is_empty(payload):
            return r.refuse(node, "there is nothing to send; 'send' needs at least one byte")
        return payload

    def schema(self, s: Schemas) -> Schema:
        return {**s.of(PAYLOAD), "not": {"const": ""}}

    def write(self, value: Any, w: Writing) -> Any:
        return PAYLOAD.write(value, w)


class Bytes(Type):
    """Bytes that are known when the file is loaded, at least one."""

    word = "bytes"
    _PAYLOAD = AnyPayload(PLAIN, plugins=False)

    def read(self, r: Reading, node: Node, what: str) -> Any:
        payload = self._PAYLOAD.read(r, node, what)
        if payload is None or not bounded(r, node.where, payload, LARGEST_DELIMITER):
            return None
        found = constant(payload)
        if found is None:
            r.add(node.where, f"{what} needs constant bytes, without ${{...}} or 'random'")
        elif not found:
            r.add(node.where, f"{what} needs at least one byte")
        return found or None

    def schema(self, s: Schemas) -> Schema:
        return {**s.refer(BYTES, _schema(BYTES)), "not": {"const": ""}}

    def write(self, value: Any, w: Writing) -> Any:
        data = cast(bytes, value)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return PAYLOAD.write(Data(data), w)
        printable = all(one.isprintable() or one in "\r\n\t" for one in text)
        return escaped(text) if printable else PAYLOAD.write(Data(data), w)
