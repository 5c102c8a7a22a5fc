"""What a step sends: the PAYLOAD of the language, a text or exactly one of the `payloadforms`.

Where a payload stands says what it may not hold, at any depth (what is expected no random bytes, a
delimiter no `${name}` and no frame either), so a schema has a definition for each of these places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.regexes import may_capture
from loadmux.language.grammar.shapes import Form, Forms, Key
from loadmux.language.meaning.contents import constant, is_empty
from loadmux.language.messages import plugged
from loadmux.language.messages.numbers import written_text
from loadmux.language.messages.payloadforms import (
    A_PAYLOAD,
    BYTES,
    EXPECTED,
    FORMS,
    PLAIN,
    SENDABLE,
    Replaced,
    bounded,
)
from loadmux.language.text import nodes
from loadmux.language.text.nodes import escaped
from loadmux.language.text.yamltree import ListNode, MappingNode, Node, ScalarNode
from loadmux.plugins.payloads import (
    Data,
    Spoken,
    Text,
    Urgent,
)

LARGEST_DELIMITER = 2**16
SHORT = 32
"""Bytes up to which data is written in hex, beyond it in base64."""

NOT_IN = {EXPECTED: ("random", "pick"), BYTES: ("random", "pick", "frame")}


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
A_PAYLOAD.stands_for(PAYLOAD)


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
