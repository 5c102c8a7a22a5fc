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

from loadmux.checking import checksums
from loadmux.checking.framing import Framing
from loadmux.errors import Position
from loadmux.language import nodes, patterns, plugged
from loadmux.language.contents import constant, is_empty, size_of
from loadmux.language.names import SENT
from loadmux.language.nodes import escaped, kind_of
from loadmux.language.numbers import Alphabet, Value, Weight, Whole, listed, written_text
from loadmux.language.reading import Reading
from loadmux.language.regexes import may_capture
from loadmux.language.shapes import Form, Forms, Key
from loadmux.language.types import (
    Choice,
    Integer,
    Items,
    Schema,
    Schemas,
    Size,
    Type,
    Writing,
    Yes,
)
from loadmux.language.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode
from loadmux.plugins.payloads import (
    Checked,
    Data,
    Framed,
    Joined,
    Number,
    Payload,
    Picked,
    Random,
    Repeated,
    Sized,
    Spoken,
    Text,
    Urgent,
    Varint,
)
from loadmux.units import quoted

LARGEST_PAYLOAD = 2**30
LARGEST_DELIMITER = 2**16
SHORT = 32
"""Bytes up to which data is written in hex, beyond it in base64."""

SENDABLE, EXPECTED, BYTES = "payload", "expected_payload", "bytes"
TEXTS = {SENDABLE: patterns.text(without=SENT), EXPECTED: patterns.text()}
NOT_IN = {EXPECTED: ("random", "pick"), BYTES: ("random", "pick", "frame")}

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
    header = None
    if "header" in others:
        header = PAYLOAD.read(r, others["header"], "a frame's header")
        if not header_fits(r, others["header"].where, framing, header):
            return None
    if framing is None or payload is None or not bounded(r, form.where, payload):
        return None
    fit = fitting(r, form.value.where, payload, framing)
    return None if fit is None else Framed(payload, fit, header)


def header_fits(
    r: Reading, where: Position, framing: Framing | None, header: Payload | None
) -> bool:
    """Whether a header goes with a framing, as far as it is known."""
    known = None if header is None or not bounded(r, where, header) else constant(header)
    try:
        if framing is not None:
            framing.check_header(known if known is not None else bytes(framing.header_size))
    except ValueError as error:
        r.add(where, f"'header': {error}")
        return False
    return framing is not None and header is not None


# --- numbers, lengths, checksums ----------------------------------------------------------------


def encodable(r: Reading, where: Position, payload: Payload | None) -> Payload | None:
    """The payload, if its bytes can be made as far as they are known now."""
    try:
        if payload is not None:
            constant(payload)
    except ValueError as error:
        r.add(where, str(error))
        return None
    return payload


def _read_all(r: Reading, form: Entry, others: Mapping[str, Node], keys: Iterable[Key]) -> Any:
    """The form's value, and what stands beside it; None where anything is wrong."""
    found = FORM[form.key].type.read(r, form.value, f"'{form.key}'")
    beside = {key.name: key for key in keys}
    more = {
        name: beside[name].type.read(r, node, f"'{name}'")
        for name, node in others.items()
        if name in beside
    }
    return None if found is None or None in more.values() else (found, more)


def _number(r: Reading, form: Entry, others: Mapping[str, Node]) -> Payload | None:
    read = _read_all(r, form, others, FORM[form.key].beside)
    if read is None:
        return None
    made = Varint(read[0]) if form.key == "varint" else Number(read[0], **read[1])
    return encodable(r, form.value.where, made)


def _sized(r: Reading, form: Entry, others: Mapping[str, Node]) -> Payload | None:
    written = [name for name in ("bytes", "varint", "digits") if name in others]
    if len(written) != 1:
        message = "'sized' needs to know how its length is written; write one of 'bytes: N',"
        if written:
            message = f"'{written[0]}' and '{written[1]}' exclude each other; write 'bytes: N',"
        r.add(form.where, f"{message} 'varint: true', 'digits: N' beside it")
    elif "order" in others and written != ["bytes"]:
        r.add(others["order"].where, f"'order' goes with 'bytes', not with '{written[0]}'")
    read = _read_all(r, form, others, FORM["sized"].beside)
    if read is None or len(written) != 1 or not bounded(r, form.where, read[0]):
        return None
    return encodable(r, form.value.where, Sized(read[0], **read[1]))


def _picked(r: Reading, form: Entry, others: Mapping[str, Node]) -> Payload | None:
    texts = listed(r, form.value)
    read = _read_all(r, form, others, FORM["pick"].beside) if texts is None else None
    if texts is not None:
        node = others.get("weights")
        weights = None if node is None else WEIGHTS.read(r, node, "'weights'")
        read = texts, {} if weights is None else {"weights": weights}
    if read is None:
        return None
    choices, weights = read[0], read[1].get("weights")
    if not choices:
        r.add(form.value.where, "'pick' holds nothing to pick from; write a list of payloads")
    elif weights is not None and len(weights) != len(choices):
        message = (
            f"'weights' has {len(weights)} numbers for {len(choices)} payloads; write one each"
        )
        r.add(others["weights"].where, message)
    elif weights is not None and not sum(weights):
        r.add(others["weights"].where, "'weights' are all 0, so nothing could be picked")
    else:
        return Picked(choices, weights)
    return None


# --- the forms ----------------------------------------------------------------------------------

WEIGHTS = Items(Weight(), "a weight")
HEADER = Key(
    "header",
    Inner(),
    "Beside `frame`: what the header holds, any bytes in place of the length, which is filled in.",
    examples=(
        "sockets: {main: {framing: {length_prefix: {at: 1, varint: true}}}}\n"
        "steps:\n"
        "  - send: {frame: hello, header: {hex: 30 00}}\n"
        "    expect: {frame: hello, header: {hex: 30 00}}",
    ),
)
ORDER = Key("order", Choice(("big", "little"), "order"), "Which byte comes first.", default="big")
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
    Form("random", Size(LARGEST_PAYLOAD), "So many fresh bytes every time, from the seed; with `of`"
        " characters.", cls=Random, beside=(
            Key("of", Alphabet(), "The characters of a `random` text: `digits`, `letters`, `hex`,"
                " `alnum`, or those that stand here."),
        ), examples=("- {send: {random: 1KiB}, expect: reply}",
            "- set: {id: {random: 8, of: hex}, dice: {random: 1, of: '123456'}}\n"
            '- {send: "${id} ${dice}", expect: "${id} ${dice}"}')),
    Form("repeat", Inner(), "A payload, `times` over.", cls=Repeated,
        beside=(
            Key("times", Integer(), "How often `repeat` repeats.",
                required="'repeat' needs 'times'; write {repeat: ..., times: N}"),
        ), examples=('- {send: {repeat: "ab", times: 1000}, expect: {length: 2000}}',)),
    Form("int", Value(), "A whole number in binary, or a text that says one in decimal; one that"
        " does not fit is an error. A negative one is its two's complement.", cls=Number,
        reads=_number, beside=(
            Key("bytes", Integer(1, 8), "How many bytes the number, or the length, has.",
                required="'int' needs 'bytes'; write {int: ..., bytes: N}"),
            ORDER,
        ), examples=('- set: {n: "${user + 1}"}\n'
            '- {send: {int: "${n}", bytes: 2}, expect: {int: "${n}", bytes: 2}}\n'
            "- {send: {int: 258, bytes: 4, order: little}, expect: {hex: 02 01 00 00}}",)),
    Form("varint", Value(), "A whole number, seven bits a byte, low ones first. (`true`, beside"
        " `sized`.)", cls=Varint, reads=_number,
        examples=("- {send: {varint: 300}, expect: {hex: ac 02}}",)),
    Form("sized", Inner(), "The length of a payload in `bytes`, `varint: true` or `digits`, then"
        " the payload. What is written and `adjust` are together the payload's bytes.", cls=Sized,
        reads=_sized, beside=(
            Key("bytes", Integer(1, 8), "How many bytes the number, or the length, has."),
            Key("varint", Yes(), "The length is a varint."),
            Key("digits", Integer(1, 20), "The length is so many decimal digits."),
            Key("order", Choice(("big", "little"), "order"), "Which byte comes first."),
            Key("adjust", Whole(), "What is written is less by so much; a length that counts its"
                " own two bytes too has -2.", default=0),
        ), examples=("- {send: {sized: hello, bytes: 2}, expect: {hex: 00 05 68 65 6c 6c 6f}}\n"
            "- {send: {sized: hello, digits: 4}, expect: 0005hello}\n"
            "- {send: {sized: {join: [{sized: a, varint: true}, b]}, bytes: 1, adjust: -1},"
            " expect: {hex: 04 01 61 62}}",
            "- {send: {sized: hello, bytes: 4, order: little}, expect: reply}")),
    Form("checked", Inner(), "A payload, then its checksum.", cls=Checked, make=Checked, beside=(
            Key("check", Choice(checksums.NAMES, "checksum"), "Which checksum.",
                required="'checked' needs 'check'; write {checked: ..., check: NAME}, one of"
                f" {', '.join(checksums.NAMES)}"),
            ORDER,
        ), examples=('- {send: {checked: "123456789", check: crc32}, expect: {join: ["123456789",'
            " {hex: cb f4 39 26}]}}",
            "- {send: {checked: {hex: 01 03}, check: crc16_modbus, order: little},"
            " expect: reply}")),
    Form("pick", Items(Inner(), "a payload"), "One of these payloads, or of a list in `variables`,"
        " from the seed.", cls=Picked, reads=_picked, beside=(
            Key("weights", WEIGHTS, "How often each is picked, beside the others."),
        ), examples=("- {send: {pick: [GET, {join: [PUT, {random: 9}]}], weights: [9, 1]},"
            " expect: reply}",
            "- set: {word: {pick: [one, two, three]}}\n"
            '- {send: "${word}", expect: "${word}"}')),
    Form("join", Items(Inner(), "a payload"), "Payloads, one after the other.", cls=Joined,
        examples=('- {send: {join: ["size: ", {hex: 00 05}, {random: 5}]}, expect: reply}',)),
    Form("frame", Inner(), "A body in a frame, as the socket's `framing` says; several go into a"
        " `join`.", reads=_framed, cls=Framed, attribute="payload", beside=(HEADER,),
        examples=("sockets: {main: {framing: {length_prefix: {bytes: 4}}}}\n"
            "steps:\n"
            "  - {send: {join: [{frame: one}, {frame: two}]}}\n"
            "  - {expect: {frame: one}}\n"
            "  - {expect: {frame: two}}",)),
)
# fmt: on
FORM = {form.name: form for form in FORMS}
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


URGENT = "urgent"
OUT_OF_BAND = Key(
    URGENT,
    PAYLOAD,
    "In place of what a `send` sends: out of band (MSG_OOB), to a tcp target. TCP marks the last"
    " byte as urgent; a server that does not ask for it inline never sees it in the stream.",
    examples=('- {send: {urgent: "!"}}\n- {reset: main}',),
)


class ToSend(Type):
    """A payload with at least one byte, or `{urgent: PAYLOAD}`."""

    word = "payload"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, MappingNode) and [one.key for one in node.entries] == [URGENT]:
            inner = self.read(r, node.entries[0].value, what)
            return None if inner is None else Urgent(inner)
        r.sends = payload = PAYLOAD.read(r, node, "a payload")
        if payload is None or not bounded(r, node.where, payload):
            return None
        if is_empty(payload):
            return r.refuse(node, "there is nothing to send; 'send' needs at least one byte")
        return payload

    def schema(self, s: Schemas) -> Schema:
        payload = {**s.of(PAYLOAD), "not": {"const": ""}}
        urgent = {
            "type": "object",
            "properties": {URGENT: {**OUT_OF_BAND.schema(s), "not": {"const": ""}}},
            "required": [URGENT],
            "additionalProperties": False,
        }
        return {"anyOf": [payload, urgent]}

    def write(self, value: Any, w: Writing) -> Any:
        if isinstance(value, Urgent):
            return {URGENT: PAYLOAD.write(value.payload, w)}
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
