"""The forms of a reply, of a frame's body and of a part of `join`: names, and how each is read.

The payload forms are among those of a reply; they are added in `replies`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loadmux.language.grammar.contract import Forward, Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.regexes import Expression
from loadmux.language.grammar.shapes import Form, Key
from loadmux.language.grammar.types import Choice, Duration, Items, NewName, Size, Yes
from loadmux.language.meaning.contents import is_empty
from loadmux.language.meaning.expected import (
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
    Not,
    OneOf,
    Parts,
    Reply,
    Silence,
    StartsWith,
    Until,
    WasReset,
    is_frame,
)
from loadmux.language.messages import composing, payloads, plugged
from loadmux.language.messages.composing import framed_or_datagram
from loadmux.language.messages.foretelling import (
    foretold,
    frame_of,
    header_of,
)
from loadmux.language.messages.payloadforms import EXPECTED, framing_of
from loadmux.language.messages.payloads import PAYLOAD, Bytes
from loadmux.language.text.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode

A_REPLY, A_BODY, A_PART = Forward("reply"), Forward("body"), Forward("reply")
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


def _pattern(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
    """What asks something of all of a frame or datagram; with `until` of what came up to it."""
    body: Body | None = INSIDE_FORM[form.key].read(r, form, {})
    if "until" in others:
        delimiter = Bytes().read(r, others["until"], "'until'")
        return None if delimiter is None or body is None else Until(delimiter, body)
    framing = framed_or_datagram(r, form, "; or write 'until: BYTES' beside it")
    return None if framing is None or body is None else Frame(body, framing)


def _frame(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
    framing = framing_of(r, form)
    header = headed = None
    if "header" in others:
        header = A_BODY.read(r, others["header"], "a frame's header")
        headed = header_of(r, others["header"].where, header, framing)
    body = A_BODY.read(r, form.value, "a frame's body")
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
    body: Body | None = INSIDE_FORM[form.key].read(r, form, {})
    if "until" not in others:
        return body
    delimiter = Bytes().read(r, others["until"], "'until'")
    return None if delimiter is None or body is None else Until(delimiter, body)


def _not(r: Reading, form: Entry, others: Mapping[str, Node]) -> Body | None:
    """Not this body; a frame that is meant by `{frame: ...}` is one, too."""
    node = form.value
    if isinstance(node, MappingNode) and [entry.key for entry in node.entries] == ["frame"]:
        node = node.entries[0].value
    found = A_BODY.read(r, node, "what must not come")
    return None if found is None else Not(found)


class OneFrame(Type):
    """One frame: `{frame: ...}`, a protocol's form, or the body of a frame alone."""

    word = "reply"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        whole = isinstance(node, MappingNode) and (
            any(entry.key in ("frame", "one_of", "any_order", "skip") for entry in node.entries)
            or plugged.named(r, node, "framers") is not None
        )
        if whole or (isinstance(node, ScalarNode) and node.value == "closed"):
            found = A_REPLY.read(r, node, what)
            if found is None or is_frame(found):
                return found
            message = "this is not one frame; write {frame: ...}, or what its body is"
            return r.refuse(node, message)
        framing = framed_or_datagram(r, Entry(node.where, what.strip("'"), node))
        body = A_BODY.read(r, node, what)
        if framing is None or body is None:
            return None
        return frame_of(r, node.where, body, framing)

    def schema(self, s: Schemas) -> Schema:
        return A_REPLY.schema(s)

    def write(self, value: Any, w: Writing) -> Any:
        alone = isinstance(value, Frame) and value.header is None
        if alone and isinstance(value.body, Exactly):
            return A_BODY.write(value.body, w)
        return A_REPLY.write(value, w)


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


def join(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
    found = Items(A_PART, "a part of 'join'").read(r, form.value, "'join'")
    return None if found is None else composing.joined(r, form, Parts(found))


def body_join(r: Reading, form: Entry, others: Mapping[str, Node]) -> Body | None:
    found = Items(A_PART, "a part of 'join'").read(r, form.value, "'join'")
    return None if found is None else composing.parts_of_body(r, form.where, Parts(found))


def number(r: Reading, form: Entry, others: Mapping[str, Node]) -> Body | None:
    return composing.any_number(r, form, others)


def counted(r: Reading, form: Entry, others: Mapping[str, Node]) -> Body | None:
    body = A_PART.read(r, form.value, "what 'sized' holds")
    how = composing.how_counted(r, form, others)
    return None if body is None or how is None else Counted(body, how)


class Foretold(Type):
    """A payload that is known before it comes, at least one byte."""

    word = "payload"

    def schema(self, s: Schemas) -> Schema:
        payloads.expected_definition(s)
        return {"$ref": f"#/$defs/{EXPECTED}", "not": {"const": ""}}


HEADER_KEY = Key(
    "header",
    A_BODY,
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
FRAME_FORM = Form("frame", A_BODY, "One frame with this body, as the socket's `framing` says: a"
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
    Form("not", A_BODY, "One frame or datagram that is not this; or what was read, as"
        " `starts_with`.", reads=_pattern, beside=(UNTIL_KEY,),
        examples=("sockets: {main: {framing: line}}\n"
            "steps: [{send: {frame: OK 5}, expect: {not: {starts_with: ERR}}}]",)),
    Form("one_of", Options(A_REPLY), "The first of these replies that fits wholly, a list or"
        " names with replies: `save` is then the name of the one that came. If none fits, the fault"
        " is told of the nearest.", reads=_one_of(A_REPLY), cls=OneOf,
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


def with_beside(form: Form) -> Form:
    ends = ("closed", "reset", "silence", "rule")
    return form if form.name in ends else replace(form, beside=(*form.beside, SAVE, SKIP))


FORMS = tuple(map(with_beside, _FORMS))
KEYS = (*FORMS, SAVE, SKIP)
# fmt: off
BODY_REGEX = Form("regex", Expression(), "The body matches this regular expression wholly.")
BODY_FORMS = (
    Form("any", Yes(), "Any body.", make=lambda true: Anything(), cls=Anything),
    Form("starts_with", Foretold(), "A body that begins so.", reads=_asked(StartsWith)),
    Form("contains", Foretold(), "A body in which this stands.", reads=_asked(Contains)),
    Form("not", A_BODY, "A body that is not this.", reads=_not),
    Form("one_of", Options(A_BODY), "The first of these that fits.",
        reads=_one_of(A_BODY), cls=OneOf),
)
# fmt: on
INSIDE = tuple(
    form if form is RULE else replace(form, beside=(*form.beside, SAVE))
    for form in (BODY_REGEX, RULE, LENGTH, *BODY_FORMS)
)
INSIDE_FORM = {form.name: form for form in INSIDE}
UNTIL_FORM = next(form for form in FORMS if form.name == "until")
ASKING = ("regex", "starts_with", "contains", "not")
PART_FORMS = (
    *(
        replace(form, reads=_part_pattern, beside=(UNTIL_KEY, *form.beside))
        for form in INSIDE
        if form.name in ASKING
    ),
    *(form for form in INSIDE if form.name not in (*ASKING, "rule")),
    UNTIL_FORM,
)
