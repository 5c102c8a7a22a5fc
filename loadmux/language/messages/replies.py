"""What a step expects: the REPLY of the language, one of the `replyforms`, a text, or a list.

The body of a frame (`BODY`) has fewer forms than a reply (`REPLY`), and may be empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from loadmux.errors import Position
from loadmux.language.grammar import patterns
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Form, Forms
from loadmux.language.grammar.types import Items, NewName
from loadmux.language.meaning.expected import (
    Answer,
    AnyNumber,
    AnyOrder,
    Anything,
    ByRule,
    Closed,
    Contains,
    Counted,
    Exactly,
    Frame,
    Listed,
    Not,
    OneOf,
    Parts,
    Reply,
    Saved,
    Skipping,
    StartsWith,
    Until,
)
from loadmux.language.messages import composing, payloads, plugged
from loadmux.language.messages.composing import ANY, patterned
from loadmux.language.messages.foretelling import (
    answer_of,
    by_rule,
    exact_body,
    exactly,
)
from loadmux.language.messages.payloadforms import EXPECTED, FORM, PLAIN
from loadmux.language.messages.payloads import PAYLOAD, Bytes
from loadmux.language.messages.replyforms import (
    A_BODY,
    A_PART,
    A_REPLY,
    BESIDE,
    FORMS,
    INSIDE,
    NO_BODY,
    PART_FORMS,
    SAVE,
    SKIP,
    OneFrame,
    Options,
    body_join,
    counted,
    join,
    number,
    with_beside,
)
from loadmux.language.text.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode
from loadmux.plugins.payloads import Payload, Regex
from loadmux.units import quoted


class AnyReply(payloads.AnyPayload):
    """A reply, or with `body` a frame's: by the word `reply`, by a form, or exactly a payload.

    `unknown` are the readers of payload forms of which something is not known beforehand.
    """

    word = "reply"
    unknown: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "join": join,
        "int": number,
        "varint": number,
        "sized": counted,
    }

    def __init__(
        self, what: str, forms: tuple[Form, ...], definition: str, plugins: bool = True
    ) -> None:
        super().__init__((*forms, *map(with_beside, PLAIN)), plugins)
        self.what = what
        self.definition = definition

    def read(self, r: Reading, node: Node, what: str) -> Any:
        return super().read(r, node, self.what)

    def exact(self, r: Reading, where: Position, payload: Payload | None) -> Exactly | None:
        return exactly(r, where, payload)

    def scalar(self, r: Reading, node: ScalarNode, what: str) -> Any:
        if node.value == "reply":
            return by_rule(r, node.where)
        if node.value == ANY:
            return composing.anything(r, Entry(node.where, ANY, node), {})
        if node.value == "closed":
            return Closed()
        return self.exact(r, node.where, super().scalar(r, node, what))

    def listed(self, r: Reading, node: ListNode, what: str) -> Any:
        found = [REPLY.read(r, item, "a reply") for item in node.items]
        return None if None in found else composing.listed(r, node, tuple(found))

    def mapping(self, r: Reading, node: MappingNode, what: str) -> Any:
        plugin = plugged.named(r, node, "framers") if self._plugins else None
        entry = plugin or self.chosen(r, node, what)
        if entry is None or (plugin and not plugged.alone(r, node, plugin, BESIDE)):
            return None
        others = {one.key: one.value for one in node.entries if one is not entry}
        if plugin is not None:
            found = plugged.answer(r, plugin)
        else:
            found = self._form(r, node, entry, others)
        return self._beside(r, entry, found, others)

    def _form(self, r: Reading, node: MappingNode, entry: Entry, others: Mapping[str, Node]) -> Any:
        if entry.key != "one_of":
            others = {key: one for key, one in others.items() if key not in BESIDE}
        if entry.key in self.unknown and patterned(node):
            return self.unknown[entry.key](r, entry, others)
        found = self.forms[entry.key].read(r, entry, others)
        return self.exact(r, node.where, found) if isinstance(found, Payload) else found

    def _beside(
        self, r: Reading, entry: Entry, found: Reply | None, others: Mapping[str, Node]
    ) -> Reply | None:
        if "skip" in others:
            skip = OneFrame().read(r, others["skip"], "'skip'")
            found = composing.skipping(r, entry.where, found, skip)
        if "save" not in others or (entry.key == "one_of" and isinstance(entry.value, MappingNode)):
            return found
        name = NewName("the name").read(r, others["save"], "'save'")
        return None if found is None or name is None else composing.saved(found, name)

    def schema(self, s: Schemas) -> Schema:
        told = "What the target's rule makes of it, an end in order, or anything."
        beside = {key.name: key.schema(s) for key in (SAVE, SKIP)}
        plugins = plugged.schemas("framers", s.framers, beside, plugged.REPLIES)
        options = self._options(s, told, ["reply", "closed", ANY], {"minLength": 1})
        several = {"type": "array", "items": s.of(REPLY), "minItems": 1}
        several["description"] = "One reply after the other, together one exchange."
        return {"anyOf": [*options, several, *plugins]}

    def _options(self, s: Schemas, told: str, words: list[str], text: Schema) -> list[Schema]:
        payloads.expected_definition(s)
        payloads.forms_in(s, EXPECTED)
        exact = {"description": "Exactly this text.", "type": "string", **text}
        exact |= {"pattern": patterns.text(), "patternErrorMessage": patterns.REPLACED}
        never = payloads.NOT_IN[EXPECTED]
        forms = [_open(form) for form in self.forms.values() if form.name not in never]
        word = {"description": told, "enum": words}
        return [word, exact, self.mapping_schema(s, forms)]

    def write(self, value: Any, w: Writing) -> Any:
        match value:
            case Exactly(payload=payload):
                found = PAYLOAD.write(payload, w)
                return {"text": found} if found in ("reply", "closed", ANY) else found
            case ByRule(rule=rule):
                return "reply" if rule is None else {"rule": rule}
            case Frame(body=body, header=header) if header is not None:
                return {"frame": BODY.write(body, w), "header": BODY.write(header, w)}
            case Until(delimiter, matches) if matches is not None:
                return {**BODY.form_of(matches, w), "until": Bytes().write(delimiter, w)}
            case Frame(body=body, answers=False) if isinstance(body, PATTERNS):
                return BODY.write(body, w)
            case Frame(body=body):
                return {"frame": BODY.write(body, w)}
            case Answer(framer=framer, written=written):
                return {framer: written}
            case Closed():
                return "closed"
            case Listed(replies=replies):
                return [REPLY.write(one, w) for one in replies]
            case Skipping(reply=inner, skip=skip):
                return {**_mapping(self.write(inner, w)), "skip": OneFrame().write(skip, w)}
            case AnyOrder(replies=replies, skip=skip):
                found = {"any_order": [OneFrame().write(one, w) for one in replies]}
                return found if skip is None else {**found, "skip": OneFrame().write(skip, w)}
            case OneOf(options=options, names=names, which=which):
                item = A_REPLY if self is REPLY else A_BODY
                found = {"one_of": Options(item).write((options, names), w)}
                return found if which is None else {**found, "save": which}
            case Saved(reply=inner, name=name):
                return {**_mapping(self.write(inner, w)), "save": name}
        written = self.form_of(value, w)
        return self._simple(value, w) if written is None else written

    def _simple(self, value: Any, w: Writing) -> Any:
        form = next(one for one in self.forms.values() if one.cls is type(value))
        own = tuple(key for key in form.beside if key.name not in BESIDE)
        return replace(form, beside=own).written(value, w)

    def form_of(self, value: Any, w: Writing) -> Any:
        """What a pattern is written as."""
        match value:
            case Regex(pattern=pattern):
                return {"regex": pattern}
            case Anything():
                return ANY
            case StartsWith(payload=payload):
                return {"starts_with": PAYLOAD.write(payload, w)}
            case Contains(payload=payload):
                return {"contains": PAYLOAD.write(payload, w)}
            case Not(body=body):
                return {"not": BODY.write(body, w)}
            case AnyNumber(bytes=None):
                return {"varint": ANY}
            case AnyNumber(bytes=size, order=order):
                return {"int": ANY, "bytes": size, "order": order}
            case Counted(body=body, how=how):
                return {**FORM["sized"].written(how, w), "sized": PART.write(body, w)}
            case Parts(parts=found):
                return {"join": [PART.write(one, w) for one in found]}
        return None


PATTERNS = (Regex, StartsWith, Contains, Not, Anything)


def _mapping(written: Any) -> dict[str, Any]:
    """What stands beside a key needs a mapping."""
    if isinstance(written, dict):
        return written
    return {ANY: True} if written == ANY else {"text": written}


def _open(form: Form) -> Form:
    """A payload form as a schema has it where it may hold what is not known beforehand."""
    kinds: dict[str, Type] = {"join": Items(A_PART, ""), "sized": A_PART}
    if form.name in ("int", "varint"):
        return replace(form, type=composing.NumberOrAny(form.type))
    return replace(form, type=kinds.get(form.name, form.type))


class FrameBody(AnyReply):
    """What one frame holds; it may be empty."""

    word = "body"
    unknown: ClassVar[Mapping[str, Callable[..., Any]]] = {**AnyReply.unknown, "join": body_join}

    def read(self, r: Reading, node: Node, what: str) -> Any:
        word = node.value if isinstance(node, ScalarNode) else None
        refused = [word] if word == "closed" else []
        if isinstance(node, MappingNode):
            refused = [
                entry.key
                for entry in node.entries
                if entry.key in NO_BODY or (entry.key == "until" and "until" not in self.forms)
            ]
        if refused:
            message = f"{quoted(str(refused[0]))} is no body of a frame; write a text, or one of"
            return r.refuse(node, f"{message} {', '.join(self.forms)}")
        found = Forms.read(self, r, node, self.what)
        if isinstance(found, ByRule):
            where = node.entries[0].value.where if isinstance(node, MappingNode) else node.where
            return answer_of(r, where, found)
        return found

    def exact(self, r: Reading, where: Position, payload: Payload | None) -> Exactly | None:
        return exact_body(r, where, payload)

    def scalar(self, r: Reading, node: ScalarNode, what: str) -> Any:
        return Anything() if node.value == ANY else super().scalar(r, node, what)

    def listed(self, r: Reading, node: ListNode, what: str) -> Any:
        return payloads.AnyPayload.listed(self, r, node, what)

    def schema(self, s: Schemas) -> Schema:
        told = "What the target's rule makes of the frame's body, or anything."
        rules, s.rules = s.rules, [rule for rule in s.rules if rule != "sink"]
        found = self._options(s, told, ["reply", ANY], {"not": {"const": "closed"}})
        s.rules = rules
        return {"anyOf": found}


class JoinPart(FrameBody):
    """A part of a `join`, in which words other than `any` are texts."""

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, ScalarNode) and node.value != ANY:
            text = payloads.AnyPayload.scalar(self, r, node, what)
            return self.exact(r, node.where, text)
        if isinstance(node, MappingNode) and any(one.key == "frame" for one in node.entries):
            message = "a frame is no part of this 'join'; write a list, [{frame: ...}, ...]"
            return r.refuse(node, message)
        return super().read(r, node, what)


REPLY = AnyReply("a reply", FORMS, "reply")
BODY = FrameBody("a frame's body", INSIDE, "body", plugins=False)
PART = JoinPart("a part", PART_FORMS, "part", plugins=False)
A_REPLY.stands_for(REPLY)
A_BODY.stands_for(BODY)
A_PART.stands_for(PART)
