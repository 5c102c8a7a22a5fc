"""What may come on a socket at any time: the options `ignore` and `answer`.

Each item is a reply that one frame (or datagram) is judged by: a frame's body, or `{frame: BODY}`,
beside which a `header` may stand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Key, Keys
from loadmux.language.meaning.expected import ByRule, Exactly
from loadmux.language.meaning.scenario import Unasked
from loadmux.language.messages.foretelling import header_of
from loadmux.language.messages.payloadforms import fitting
from loadmux.language.messages.payloads import ToSend
from loadmux.language.messages.replies import BODY
from loadmux.language.text.yamltree import MappingNode, Node


class Unexpected(Type):
    """A reply that may come at any time."""

    word = "reply"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        inner, header = node, None
        if isinstance(node, MappingNode):
            written = {one.key: one.value for one in node.entries}
            if "frame" in written and set(written) <= {"frame", "header"}:
                inner, header = written["frame"], written.get("header")
        asked = None if header is None else BODY.read(r, header, "a frame's header")
        if header is not None and header_of(r, header.where, asked, r.wire.framing) is None:
            return None
        body = BODY.read(r, inner, "a frame's body")
        if isinstance(body, ByRule):
            message = "a rule answers what was sent, and this may come at any time; write a text,"
            return r.refuse(node, f"{message} or {{regex: RE}}")
        if isinstance(body, Exactly) and not _fits(r, inner, body):
            return None
        return None if body is None else Unasked(node.where, body, header=asked)

    def schema(self, s: Schemas) -> Schema:
        inner = {"description": "The frame's body.", **s.of(BODY)}
        header = {"description": "The frame's header.", **s.of(BODY)}
        framed: Schema = {"type": "object", "properties": {"frame": inner, "header": header}}
        framed["additionalProperties"] = False
        return {"anyOf": [s.of(BODY), {**framed, "required": ["frame"]}]}

    def write(self, value: Any, w: Writing) -> Any:
        body = BODY.write(value.body, w)
        if value.header is None:
            return body
        return {"frame": body, "header": BODY.write(value.header, w)}


def _fits(r: Reading, node: Node, body: Exactly) -> bool:
    """Whether a frame can have this body, as far as it is known."""
    framing = r.wire.framing
    if framing is None or not framing.symmetric:
        return True
    return fitting(r, node.where, body.payload, framing) is not None


class Answers(Keys):
    def build(self, r: Reading, fields: Any, node: Node) -> Any:
        found = super().build(r, fields, node)
        if found is None or found["to"] is None or found["send"] is None:
            return None
        return replace(found["to"], where=node.where, send=found["send"])

    def write(self, value: Any, w: Writing) -> Any:
        return {"to": UNEXPECTED.write(value, w), "send": ToSend().write(value.send, w)}


UNEXPECTED = Unexpected()
ANSWER = Answers(
    "an answer",
    (
        Key(
            "to",
            UNEXPECTED,
            "The frame that is answered; its regex's groups are names for `send`.",
            required="'answer' needs 'to: REPLY', the frame that is answered",
        ),
        Key(
            "send",
            ToSend(),
            "What is sent for it, a payload.",
            required="'answer' needs 'send: PAYLOAD', what is sent for it",
        ),
    ),
    remedy="write {to: REPLY, send: PAYLOAD}",
)
