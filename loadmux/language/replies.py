"""What a step expects: the REPLY forms of the language, which the payload forms are among.

The body of a frame (`BODY`) has fewer forms than a reply (`REPLY`), and may be empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from loadmux.errors import Position
from loadmux.language import composing, patterns, payloads, plugged
from loadmux.language.composing import ANY, framed_or_datagram, patterned
from loadmux.language.contents import is_empty
from loadmux.language.expected import (
    Answer,
    AnyNumber,
    AnyOrder,
    Anything,
    Body,
    ByRule,
    Closed,
    Contains,
    Counted,
    Exactly,
    Frame,
    Length,
    Listed,
    Not,
    OneOf,
    Parts,
    Reply,
    Saved,
    Silence,
    Skipping,
    StartsWith,
    Until,
    WasReset,
    is_frame,
)
from loadmux.language.foretelling import (
    answer_of,
    by_rule,
    exact_body,
    exactly,
    foretold,
    frame_of,
    header_of,
)
from loadmux.language.payloads import FORM, PAYLOAD, PLAIN, Bytes, framing_of
from loadmux.language.reading import Reading
from loadmux.language.regexes import Expression
from loadmux.language.shapes import Form, Forms, Key
from loadmux.language.types import (
    Choice,
    Duration,
    Items,
    NewName,
    Schema,
    Schemas,
    Size,
    Type,
    Writing,
    Yes,
)
from loadmux.language.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode
from loadmux.plugins.payloads import Payload, Regex
from loadmux.units import quoted

NO_BODY = ("frame", "closed", "reset", "silence", "any_order", "skip")
BESIDE = ("save", "skip")


class Rule(Choice):
    """The name of a reply rule, built in or a plugin's."""

    def __init__(self) -> None:
        super().__init__(())
        self.word = "rule"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        name = self.chosen(r, node, "rule", r.options.rules)
        return None if name is None else plugged.loaded_rule(r, node, name)

    def schema(self, s: Schemas) -> Schema:
        return {"enum": list(s.rules)}


# --- what is read of them -----------------------------------------------------------------------


def _pattern(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
    """What asks something of all of a frame or datagram; with `until` of what came up to it."""
    body: Body | None = BODY.forms[form.key].read(r, form, {})
    if "until" in others:
        delimiter = Bytes().read(r, others["until"], "'until'")
        return None if delimiter is None or body is None else Until(delimiter, body)
    framing = framed_or_datagram(r, form, "; or write 'until: BYTES' beside it")
    return None if framing is None or body is None else Frame(body, framing)


def _frame(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
    framing = framing_of(r, form)
    header = headed = None
    if "header" in others:
        header = BODY.read(r, others["header"], "a frame's header")
        headed = header_of(r, others["header"].where, header, framing)
    body = BODY.read(r, form.value, "a frame's body")
    if framing is None or body is None or headed is not header:
        return None
    return frame_of(r, form.value.where, body, framing, headed)


def _asked(cls: type[StartsWith | Contains]) -> Any:
    """Reads a payload that something is asked about."""

    def reads(r: Reading, form: Entry, others: Mapping[str, Node]) -> Body | None:
        payload = PAYLOAD.read(r, form.value, f"'{form.key}'")
        if payload is None or not foretold(r, form.value.where, payload):
            return None
        if is_empty(payload):
            return r.refuse(form.value, f"'{form.key}' needs at least one byte; or write any")
        return cls(payload)

    return reads


def _part_pattern(r: Reading, form: Entry, others: Mapping[str, Node]) -> Body | None:
    body: Body | None = BODY.forms[form.key].read(r, form, {})
    if "until" not in others:
        return body
    delimiter = Bytes().read(r, others["until"], "'until'")
    return None if delimiter is None or body is None else Until(delimiter, body)


def _not(r: Reading, form: Entry, others: Mapping[str, Node]) -> Body | None:
    """Not this body; a frame that is meant by `{frame: ...}` is one, too."""
    node = form.value
    if isinstance(node, MappingNode) and [entry.key for entry in node.entries] == ["frame"]:
        node = node.entries[0].value
    found = BODY.read(r, node, "what must not come")
    return None if found is None else Not(found)


# --- the forms ----------------------------------------------------------------------------------


class BodyType(Type):
    """What `frame` holds, declared below."""

    word = "body"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        return BODY.read(r, node, what)

    def schema(self, s: Schemas) -> Schema:
        return s.of(BODY)

    def write(self, value: Any, w: Writing) -> Any:
        return BODY.write(value, w)


class ReplyType(Type):
    """A reply within a reply."""

    word = "reply"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        return REPLY.read(r, node, what)

    def schema(self, s: Schemas) -> Schema:
        return s.of(REPLY)

    def write(self, value: Any, w: Writing) -> Any:
        return REPLY.write(value, w)


class OneFrame(Type):
    """One frame: `{frame: ...}`, a protocol's form, or the body of a frame alone."""

    word = "reply"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        whole = isinstance(node, MappingNode) and (
            any(entry.key in ("frame", "one_of", "any_order", "skip") for entry in node.entries)
            or plugged.named(r, node, "framers") is not None
        )
        if whole or (isinstance(node, ScalarNode) and node.value == "closed"):
            found = REPLY.read(r, node, what)
            if found is None or is_frame(found):
                return found
            message = "this is not one frame; write {frame: ...}, or what its body is"
            return r.refuse(node, message)
        framing = framed_or_datagram(r, Entry(node.where, what.strip("'"), node))
        body = BODY.read(r, node, what)
        if framing is None or body is None:
            return None
        return frame_of(r, node.where, body, framing)

    def schema(self, s: Schemas) -> Schema:
        return s.of(REPLY)

    def write(self, value: Any, w: Writing) -> Any:
        alone = isinstance(value, Frame) and value.header is None
        if alone and isinstance(value.body, Exactly):
            return BODY.write(value.body, w)
        return REPLY.write(value, w)


class Options(Type):
    """A list, or names with what they stand for: the values, and the names if there are any."""

    word = "list, or mapping of names"

    def __init__(self, item: Type) -> None:
        self._item = item

    def read(self, r: Reading, node: Node, what: str) -> Any:
        names: tuple[str, ...] = ()
        if isinstance(node, MappingNode) and not node.incomplete:
            names = tuple(entry.key for entry in node.entries)
            nodes_ = [entry.value for entry in node.entries]
        elif isinstance(node, ListNode):
            nodes_ = list(node.items)
        else:
            return r.refuse(node, f"{what} must be a list or names; write [A, B] or {{NAME: A}}")
        if not nodes_:
            return r.refuse(node, f"{what} holds nothing that could come; write [A, B]")
        found = [self._item.read(r, one, "a reply") for one in nodes_]
        return None if None in found else (tuple(found), names)

    def schema(self, s: Schemas) -> Schema:
        item = self._item.schema(s)
        named = {"type": "object", "additionalProperties": item, "minProperties": 1}
        return {"anyOf": [{"type": "array", "items": item, "minItems": 1}, named]}

    def write(self, value: Any, w: Writing) -> Any:
        options, names = value
        found = [self._item.write(one, w) for one in options]
        return dict(zip(names, found, strict=True)) if names else found


def _one_of(item: Type) -> Any:
    def reads(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
        read = Options(item).read(r, form.value, "'one_of'")
        named = isinstance(form.value, MappingNode) and "save" in others
        which = NewName("the name").read(r, others["save"], "'save'") if named else None
        if read is None or (named and which is None):
            return None
        return composing.one_of(r, form.where, OneOf(read[0], read[1], which))

    return reads


def _any_order(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
    if framed_or_datagram(r, form) is None:
        r.names.give_up()
        return None
    found = Items(OneFrame(), "a reply of 'any_order'").read(r, form.value, "'any_order'")
    return None if found is None else composing.any_order(r, form.where, found)


def _join(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
    found = Items(PartType(), "a part of 'join'").read(r, form.value, "'join'")
    return None if found is None else composing.joined(r, form, Parts(found))


def _body_join(r: Reading, form: Entry, others: Mapping[str, Node]) -> Body | None:
    found = Items(PartType(), "a part of 'join'").read(r, form.value, "'join'")
    return None if found is None else composing.parts_of_body(r, form.where, Parts(found))


def _number(r: Reading, form: Entry, others: Mapping[str, Node]) -> Body | None:
    return composing.any_number(r, form, others)


def _counted(r: Reading, form: Entry, others: Mapping[str, Node]) -> Body | None:
    body = PART.read(r, form.value, "what 'sized' holds")
    how = composing.how_counted(r, form, others)
    return None if body is None or how is None else Counted(body, how)


class Foretold(Type):
    """A payload that is known before it comes, at least one byte."""

    word = "payload"

    def schema(self, s: Schemas) -> Schema:
        payloads.expected_definition(s)
        return {"$ref": f"#/$defs/{payloads.EXPECTED}", "not": {"const": ""}}


class PartType(Type):
    """A part of a `join`."""

    word = "reply"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        return PART.read(r, node, what)

    def schema(self, s: Schemas) -> Schema:
        return s.of(PART)

    def write(self, value: Any, w: Writing) -> Any:
        return PART.write(value, w)


HEADER_KEY = Key(
    "header",
    BodyType(),
    "Beside `frame`: what the header holds; in place of the length any bytes.",
    examples=(
        "sockets: {main: {framing: {length_prefix: {bytes: 2, header: 4}}}}\n"
        "steps:\n"
        "  - send: {frame: hello, header: {hex: 0000 1234}}\n"
        "    expect: {frame: {length: 5}, header: {regex: '(?s)..\\x12(?P<id>.)'}}",
    ),
)
UNTIL = "Up to and with these bytes; beside `regex`, what it must match ends with them."
UNTIL_KEY = Key("until", Bytes(), UNTIL)
# fmt: off
FRAME_FORM = Form("frame", BodyType(), "One frame with this body, as the socket's `framing` says: a"
    " constant payload, `{length}`, `{regex}`, or `reply` and `{rule}` for the one frame that the"
    " same step sends.", reads=_frame, beside=(HEADER_KEY,),
    examples=("sockets: {main: {framing: line}}\n"
        "steps:\n"
        "  - {send: {frame: hello}, expect: {frame: reply}}\n"
        "  - {send: {frame: hello}, expect: {frame: {rule: echo}}}\n"
        '  - {send: {frame: "id 17"}, expect: {frame: {regex: \'id (?P<id>\\d+)\'}}}\n'
        '  - {send: {frame: "${id}"}, expect: {frame: {length: 2}}}',))
REGEX = Form("regex", Expression(), "One frame that matches this Python regular expression on bytes"
    " wholly (with `until`: what was read). Its named groups become variables.", reads=_pattern,
    beside=(UNTIL_KEY,),
    examples=("sockets: {main: {framing: line}}\n"
        "steps:\n"
        "  - {send: {frame: token 4711}, expect: {regex: 'token (?P<token>\\d+)'}}\n"
        '  - {send: "use ${token};", expect: {regex: \'use 4711;\', until: ";"}}',))
RULE = Form("rule", Rule(), "What this rule makes of what the socket has sent and not yet checked.",
    make=ByRule, examples=("- {send: hello, expect: {rule: echo}}",))
LENGTH = Form("length", Size(), "So many bytes, whatever they are.", cls=Length,
    examples=("- {send: {random: 64}, expect: {length: 64}}",))
_FORMS = (
    FRAME_FORM,
    REGEX,
    RULE,
    LENGTH,
    Form("until", Bytes(), UNTIL, cls=Until, attribute="delimiter",
        examples=('- {send: "one\\ntwo\\n"}\n'
            '- {expect: {until: "\\n"}, save: first}\n'
            "- {expect: {until: {hex: 0a}}}",)),
    Form("closed", Yes(), "The server closes in order (FIN): `closed`, or `{closed: true}`.",
        make=lambda true: Closed(),
        examples=("- {half_close: main}\n"
            "- {expect: closed}\n"
            "- {half_close: main}\n"
            "- {expect: {closed: true}}",)),
    Form("reset", Yes(), "The server resets the connection (RST).", make=lambda true: WasReset(),
        cls=WasReset,
        examples=('target: {bundled: epoll, fault: "reset:1"}\n'
            "steps: [{send: hello, expect: {reset: true}}]",)),
    Form("silence", Duration(zero=False), "Nothing arrives for so long.", cls=Silence,
        examples=("target: {bundled: epoll, reply: sink}\n"
            "steps: [{send: hello, expect: {silence: 20ms}}]",)),
    Form("any", Yes(), "Whatever comes: one frame or datagram, or of a stream at least one byte:"
        " `any`, or `{any: true}`. (The text is `{text: any}`.)", reads=composing.anything,
        cls=Anything,
        examples=("- {send: hello, expect: any, save: said}\n"
            '- {send: "you said ${said}", expect: [you said, {any: true}]}',)),
    Form("starts_with", Foretold(), "One frame or datagram that begins so; with `until` what was"
        " read up to there.", reads=_pattern, beside=(UNTIL_KEY,),
        examples=("sockets: {main: {framing: line}}\n"
            "steps:\n"
            "  - {send: {frame: 250 fine}, expect: {starts_with: '250'}}\n"
            '  - {send: "250 fine;", expect: {starts_with: "25", until: ";"}}',)),
    Form("contains", Foretold(), "One frame or datagram in which this stands; or what was read, as"
        " `starts_with`.", reads=_pattern, beside=(UNTIL_KEY,),
        examples=("sockets: {main: {framing: line}}\n"
            'steps: [{send: {frame: "user ${user} is in"}, expect: {contains: "r ${user}"}}]',)),
    Form("not", BodyType(), "One frame or datagram that is not this; or what was read, as"
        " `starts_with`.", reads=_pattern, beside=(UNTIL_KEY,),
        examples=("sockets: {main: {framing: line}}\n"
            "steps: [{send: {frame: OK 5}, expect: {not: {starts_with: ERR}}}]",)),
    Form("one_of", Options(ReplyType()), "The first of these replies that fits wholly, a list or"
        " names with replies: `save` is then the name of the one that came. If none fits, the fault"
        " is told of the nearest.", reads=_one_of(ReplyType()), cls=OneOf,
        examples=("sockets: {main: {framing: line}}\n"
            "steps:\n"
            "  - send: {frame: HIT 5}\n"
            "    expect:\n"
            "      one_of: {hit: {regex: 'HIT (?P<n>\\d+)'}, miss: {frame: MISS}}\n"
            "      save: what\n"
            '  - {send: "${what} ${n}", expect: {one_of: [miss, hit 5]}}',)),
    Form("any_order", Items(OneFrame(), "a reply of 'any_order'"), "So many frames or datagrams,"
        " each of these once, in any order; together one exchange. Each is `{frame: ...}`, a"
        " protocol's form, or the body alone.", reads=_any_order, cls=AnyOrder, attribute="replies",
        examples=("sockets: {main: {framing: line}}\n"
            "steps:\n"
            "  - send: {join: [{frame: 2 ok}, {frame: 1 ok}, {frame: 3 late}]}\n"
            "    expect: {any_order: [{frame: 1 ok}, {frame: 2 ok}, {regex: '3 (?P<how>.*)'}]}",)),
)
# fmt: on
# fmt: off
SAVE = Key("save", NewName("the name"), "Keeps what came of this part of a reply for `${NAME}`: of"
    " a frame its body, of an `int` or `varint` the number in decimal, of a `sized` what has the"
    " length, of names in `one_of` the name of the one that came.",
    examples=("- {send: id=17;, expect: [id=, {length: 2, save: id}, {until: ;, save: end}]}\n"
        '- {send: "${id}${end}", expect: 17;}',))
SKIP = Key("skip", OneFrame(), "Beside a framed reply: frames that match this one are passed over"
    " and counted until the awaited one comes. What fits both is passed over, unless the awaited"
    " one is exact bytes, or `skip` is `any`.",
    examples=("sockets: {main: {framing: line}}\n"
        "steps:\n"
        "  - send: {join: [{frame: TICK 1}, {frame: TICK 2}, {frame: answer}]}\n"
        "    expect: {frame: answer, skip: {starts_with: TICK}}",))
# fmt: on


def _with_beside(form: Form) -> Form:
    ends = ("closed", "reset", "silence", "rule")
    return form if form.name in ends else replace(form, beside=(*form.beside, SAVE, SKIP))


FORMS = tuple(map(_with_beside, _FORMS))
KEYS = (*FORMS, SAVE, SKIP)


class AnyReply(payloads.AnyPayload):
    """A reply, or with `body` a frame's: by the word `reply`, by a form, or exactly a payload.

    `unknown` are the readers of payload forms of which something is not known beforehand.
    """

    word = "reply"
    unknown: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "join": _join,
        "int": _number,
        "varint": _number,
        "sized": _counted,
    }

    def __init__(
        self, what: str, forms: tuple[Form, ...], definition: str, plugins: bool = True
    ) -> None:
        super().__init__((*forms, *map(_with_beside, PLAIN)), plugins)
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
        payloads.forms_in(s, payloads.EXPECTED)
        exact = {"description": "Exactly this text.", "type": "string", **text}
        exact |= {"pattern": patterns.text(), "patternErrorMessage": patterns.REPLACED}
        never = payloads.NOT_IN[payloads.EXPECTED]
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
                item = ReplyType() if self is REPLY else BodyType()
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
    kinds: dict[str, Type] = {"join": Items(PartType(), ""), "sized": PartType()}
    if form.name in ("int", "varint"):
        return replace(form, type=composing.NumberOrAny(form.type))
    return replace(form, type=kinds.get(form.name, form.type))


class FrameBody(AnyReply):
    """What one frame holds; it may be empty."""

    word = "body"
    unknown: ClassVar[Mapping[str, Callable[..., Any]]] = {**AnyReply.unknown, "join": _body_join}

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


# fmt: off
BODY_REGEX = Form("regex", Expression(), "The body matches this regular expression wholly.")
BODY_FORMS = (
    Form("any", Yes(), "Any body.", make=lambda true: Anything(), cls=Anything),
    Form("starts_with", Foretold(), "A body that begins so.", reads=_asked(StartsWith)),
    Form("contains", Foretold(), "A body in which this stands.", reads=_asked(Contains)),
    Form("not", BodyType(), "A body that is not this.", reads=_not),
    Form("one_of", Options(BodyType()), "The first of these that fits.",
        reads=_one_of(BodyType()), cls=OneOf),
)
# fmt: on
INSIDE = tuple(
    form if form is RULE else replace(form, beside=(*form.beside, SAVE))
    for form in (BODY_REGEX, RULE, LENGTH, *BODY_FORMS)
)
UNTIL_FORM = next(form for form in FORMS if form.name == "until")
REPLY = AnyReply("a reply", FORMS, "reply")
BODY = FrameBody("a frame's body", INSIDE, "body", plugins=False)
ASKING = ("regex", "starts_with", "contains", "not")
PART = JoinPart(
    "a part",
    (
        *(
            replace(form, reads=_part_pattern, beside=(UNTIL_KEY, *form.beside))
            for form in INSIDE
            if form.name in ASKING
        ),
        *(form for form in INSIDE if form.name not in (*ASKING, "rule")),
        UNTIL_FORM,
    ),
    "part",
    plugins=False,
)
