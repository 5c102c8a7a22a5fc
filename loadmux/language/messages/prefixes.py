"""The keys of `length_prefix`: where a frame's length stands, and what it counts."""

from __future__ import annotations

from typing import Any

from loadmux.language.grammar.contract import Schema, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Apart, Fields, Key, Keys, Relation, present
from loadmux.language.grammar.types import Boolean, Choice, Integer, OneOf, Size, Yes
from loadmux.language.messages.numbers import Whole
from loadmux.language.text.yamltree import Node

LARGEST_HEADER = 2**16


class Written(Relation):
    """A length is written in one way."""

    WAYS = ("bytes", "varint", "digits")
    MESSAGE = (
        "'length_prefix' needs to know how its length is written; write one of"
        " 'bytes: N' (1, 2, 3, 4 or 8), 'varint: true', 'digits: N'"
    )

    def check(self, r: Reading, fields: Fields) -> None:
        if not any(map(fields.there, self.WAYS)):
            r.add(fields.where, self.MESSAGE)

    def put(self, schema: Schema) -> None:
        schema["oneOf"] = present(self.WAYS)


class Prefix(Keys):
    """The keys of `length_prefix`, of which some only mean something together."""

    def build(self, r: Reading, fields: Fields, node: Node) -> Any:
        found = super().build(r, fields, node)
        if found is None:
            return None
        width = found["digits"] or found["prefix"] or 1
        if found["counts_itself"] and found["adjust"]:
            message = "'counts_itself: true' says what 'adjust' would; leave one of them out"
            r.add(fields.where_of("adjust"), message)
        elif found["header"] is not None and found["header"] < found["at"] + width:
            end = found["at"] + width
            message = f"the length ends at byte {end}, so 'header' must be at least {end}"
            r.add(fields.where_of("header"), message)
        else:
            return found
        return None

    def write(self, value: Any, w: Writing) -> Any:
        found = super().write(value, w)
        if value.prefix is None:
            del found["order"]
        if value.counts_itself:
            del found["adjust"]
        return found


def _instead(key: str, *others: str) -> Apart:
    text = f"'{key}' and '{{}}' exclude each other; a length is written in one way"
    return Apart(key, {one: text.format(one) for one in others})


def _unordered(key: str) -> Apart:
    return Apart(key, {"order": f"'order' goes with 'bytes', not with '{key}'"})


# fmt: off
PREFIX = Prefix("a 'length_prefix'", (
    Key("at", Integer(0, LARGEST_HEADER - 1), "Where the length is in the header, in bytes from its"
        " begin.", default=0,
        examples=("sockets: {main: {framing: {length_prefix: {at: 2, bytes: 3, header: 8}}}}\n"
            "steps: [{send: {frame: hello}, expect: {frame: hello}}]",)),
    Key("bytes", OneOf(1, 2, 3, 4, 8), "How many bytes the length has.", attribute="prefix"),
    Key("order", Choice(("big", "little"), "order"), "Order of its bytes.", default="big"),
    Key("varint", Yes(), "In place of `bytes`: seven bits a byte, low ones first (protobuf,"
        " MQTT). It counts as one byte of the header.",
        examples=("sockets: {main: {framing: {length_prefix: {at: 1, varint: true}}}}\n"
            "steps: [{send: {frame: {random: 200}}, expect: {frame: {length: 200}}}]",)),
    Key("digits", Integer(1, 20), "In place of `bytes`: so many decimal digits, with leading"
        " zeros.",
        examples=("sockets: {main: {framing: {length_prefix: {digits: 4}}}}\n"
            "steps: [{send: {frame: hello}, expect: 0005hello}]",)),
    Key("header", Size(LARGEST_HEADER), "Bytes of the header, what stands behind the length"
        " included; by default it ends with the length. All but the length is zeros where nobody"
        " says more, and is not looked at in replies."),
    Key("adjust", Whole(), "The length and this are together the number of bytes after the header.",
        default=0,
        examples=("sockets: {main: {framing: {length_prefix: {bytes: 2, header: 4, adjust: -2}}}}\n"
            "steps: [{send: {frame: hello}, expect: {frame: hello}}]",)),
    Key("counts_itself", Boolean(), "Whether the length counts the header too.", default=False),
), remedy="write {bytes: 4}", relations=(
    Written(), _instead("bytes", "varint", "digits"), _instead("varint", "digits"),
    _unordered("varint"), _unordered("digits")))
# fmt: on
