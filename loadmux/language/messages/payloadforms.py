"""The forms of a payload: what each is called, how it is read, and what stands beside it.

`file`s are read now, so that a missing one is known before anything is sent. Constants that could
not be held in memory are refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from loadmux.checking import checksums
from loadmux.checking.framing import Framing
from loadmux.errors import Position
from loadmux.language.grammar import patterns
from loadmux.language.grammar.contract import Forward, Schema, Schemas, Type, Writing
from loadmux.language.grammar.names import SENT
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Form, Key
from loadmux.language.grammar.types import Choice, Integer, Items, Size, Yes
from loadmux.language.meaning.contents import constant, size_of
from loadmux.language.messages.numbers import Alphabet, Value, Weight, Whole, listed, written_text
from loadmux.language.text import nodes
from loadmux.language.text.nodes import kind_of
from loadmux.language.text.yamltree import Entry, Node, ScalarNode
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
    Varint,
)
from loadmux.units import quoted

LARGEST_PAYLOAD = 2**30
SENDABLE, EXPECTED, BYTES = "payload", "expected_payload", "bytes"
TEXTS = {SENDABLE: patterns.text(without=SENT), EXPECTED: patterns.text()}
A_PAYLOAD = Forward("payload")

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


# --- types ----------------------------------------------------------------------------------------


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
        return A_PAYLOAD.read(r, node, "a payload")

    def schema(self, s: Schemas) -> Schema:
        return {"$ref": f"#/$defs/{s.inner}"}

    def write(self, value: Any, w: Writing) -> Any:
        return A_PAYLOAD.write(value, w)


# --- frames ---------------------------------------------------------------------------------------


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
    payload = A_PAYLOAD.read(r, form.value, "a frame's body")
    header = None
    if "header" in others:
        header = A_PAYLOAD.read(r, others["header"], "a frame's header")
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


# --- numbers, lengths, checksums ------------------------------------------------------------------


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


# --- the forms ------------------------------------------------------------------------------------

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
