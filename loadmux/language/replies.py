"""What a step expects: the REPLY forms of the language, which the payload forms are among.

The body of a frame (`BODY`) has fewer forms than a reply (`REPLY`), and may be empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadmux.checking.checked import unchecked
from loadmux.checking.framing import Fixed, Framing
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.errors import Position
from loadmux.language import patterns, payloads, plugged
from loadmux.language.contents import constant, is_empty, parts, size_of
from loadmux.language.payloads import (
    PAYLOAD,
    PLAIN,
    Bytes,
    bounded,
    fitting,
    framing_of,
    header_fits,
)
from loadmux.language.reading import Reading
from loadmux.language.regexes import Expression
from loadmux.language.scenario import (
    Answer,
    ByRule,
    Closed,
    Exactly,
    Frame,
    Length,
    Reply,
    Silence,
    Until,
    WasReset,
)
from loadmux.language.shapes import Form, Forms, Key
from loadmux.language.types import Choice, Duration, Schema, Schemas, Size, Type, Writing, Yes
from loadmux.language.yamltree import Entry, MappingNode, Node, ScalarNode
from loadmux.plugins.payloads import Data, Framed, Payload, Picked, Random, Regex, Spoken, Text
from loadmux.units import quoted

LONGEST_ANSWER = 4
"""Bytes that a rule makes of one: `received` answers a zero with `\\x00`."""
NO_BODY = ("frame", "until", "closed", "reset", "silence")


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


# --- what a reply comes to ----------------------------------------------------------------------


def by_rule(r: Reading, where: Position) -> ByRule | None:
    """The word `reply`: by the rule of the targets of the step's sockets."""
    unruled = [name for name in r.targets if name in r.unruled]
    if not unruled:
        return ByRule(None)
    name = unruled[0]
    whose = f"the rule of the target {quoted(name)}" if name else "the target's rule"
    given = f"{name}=" if name else ""
    message = f"'reply' needs to know {whose}; write 'reply: RULE' in the target, or give"
    r.add(where, f"{message} --reply {given}RULE (one of {', '.join(r.options.rules)})")
    return None


def _foretold(r: Reading, where: Position, payload: Payload) -> bool:
    if not bounded(r, where, payload):
        return False
    found = list(parts(payload))
    if any(isinstance(one, Spoken) for one in found):
        r.add(where, "what a plugin sends cannot stand in a reply")
        return False
    if any(isinstance(one, Picked) for one in found):
        r.add(where, "a 'pick' cannot be foretold; 'set' it first, and send and expect its name")
        return False
    if any(isinstance(one, Random) for one in found):
        r.add(where, "'random' bytes cannot be foretold; expect {length: SIZE} or 'reply'")
        return False
    return True


def _exactly(r: Reading, where: Position, payload: Payload | None) -> Exactly | None:
    if payload is None or not _foretold(r, where, payload):
        return None
    if any(isinstance(one, Framed) and not _certain(one) for one in parts(payload)):
        r.add(where, "a frame of this framing is no fixed bytes; expect {frame: ...} by itself")
    elif is_empty(payload):
        r.add(where, "there is nothing to expect; for silence write {silence: DURATION}")
    else:
        return Exactly(payload)
    return None


def _certain(frame: Framed) -> bool:
    """Whether the bytes of a frame are known; where a varint could be longer, the shortest is."""
    framing = unchecked(frame.framing)
    if frame.header is not None or framing.certain:
        return True
    return isinstance(framing, LengthPrefixed) and not framing.beside


def _exact_body(r: Reading, where: Position, payload: Payload | None) -> Exactly | None:
    if payload is None or not _foretold(r, where, payload):
        return None
    return Exactly(payload)


def _answer(r: Reading, where: Position, found: ByRule | None) -> ByRule | None:
    """A rule as a frame's body: it answers the body of the frame that the step sends."""
    if found is None:
        return None
    if not r.wire.answers:
        message = "a rule in a 'frame' answers the frame that the same step sends; write 'send:"
        r.add(where, f"{message} {{frame: ...}}' beside it")
    elif found.rule == "sink":
        r.add(where, "the rule 'sink' answers nothing, so no frame would come")
    else:
        return found
    return None


def _regex(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
    regex = Expression().read(r, form.value, "'regex'")
    if "until" in others:
        delimiter = Bytes().read(r, others["until"], "'until'")
        return None if delimiter is None or regex is None else Until(delimiter, regex)
    framing = framing_of(r, form, "; or write 'until: BYTES' beside it")
    return None if framing is None or regex is None else Frame(regex, framing)


def _frame(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
    framing = framing_of(r, form)
    header = headed = None
    if "header" in others:
        header = BODY.read(r, others["header"], "a frame's header")
        headed = _header(r, others["header"].where, header, framing)
    body = BODY.read(r, form.value, "a frame's body")
    if framing is None or body is None or headed is not header:
        return None
    where, answers = form.value.where, r.wire.answers and framing.symmetric
    fit: Framing | None = framing
    if isinstance(body, Exactly) and framing.symmetric:
        fit = fitting(r, where, body.payload, framing)
    elif isinstance(body, Exactly):
        fit = _coming(r, where, body.payload, framing)
    elif isinstance(body, ByRule) and not framing.symmetric:
        message = "with this framing a server's frames are not like ours; a rule cannot answer"
        r.add(where, message)
        return None
    elif isinstance(body, ByRule):
        fit = _answering(r, framing)
    elif isinstance(body, Length):
        fit = _awaited(r, where, body.size, framing)
    return None if fit is None else Frame(body, fit, answers, headed)


def _header(r: Reading, where: Position, found: Any, framing: Framing | None) -> Any:
    """What a header is asked; None where nothing can be."""
    if isinstance(found, ByRule):
        r.add(where, "a rule answers the body of a frame, not its header; write what it must be")
        return None
    payload = found.payload if isinstance(found, Exactly) else Text(())
    if not isinstance(found, Exactly) and framing is not None:
        payload = Data(bytes(framing.header_size))
    return found if header_fits(r, where, framing, payload) else None


def _coming(r: Reading, where: Position, payload: Payload, framing: Framing) -> Framing | None:
    """The framing for a body of the server's own kind; None where none can come."""
    known = constant(payload)
    try:
        if known is not None:
            framing.expected(known)
        return framing.holding(size_of(payload))
    except ValueError as error:
        r.add(where, f"this reply can never come: {error}")
    return None


def _awaited(r: Reading, where: Position, size: int, framing: Framing) -> Framing | None:
    """The framing for a body of `size` bytes; None where none can come."""
    try:
        if isinstance(framing, Fixed) and size < framing.size:
            raise ValueError(f"every frame has {framing.size} bytes ('fixed')")
        return framing.holding(size)
    except ValueError as error:
        r.add(where, f"this reply can never come: {error}")
    return None


def _answering(r: Reading, framing: Framing) -> Framing:
    """The framing for what a rule makes of the frame that the step sends."""
    try:
        return framing.holding(0 if r.sends is None else LONGEST_ANSWER * size_of(r.sends))
    except ValueError:
        return framing


# --- the forms ----------------------------------------------------------------------------------


class Body(Type):
    """What `frame` holds, declared below."""

    word = "body"

    def schema(self, s: Schemas) -> Schema:
        return s.of(BODY)


HEADER_KEY = Key(
    "header",
    Body(),
    "Beside `frame`: what the header holds; in place of the length any bytes.",
    examples=(
        "sockets: {main: {framing: {length_prefix: {bytes: 2, header: 4}}}}\n"
        "steps:\n"
        "  - send: {frame: hello, header: {hex: 0000 1234}}\n"
        "    expect: {frame: {length: 5}, header: {regex: '(?s)..\\x12(?P<id>.)'}}",
    ),
)
UNTIL = "Up to and with these bytes; beside `regex`, what it must match ends with them."
# fmt: off
FRAME_FORM = Form("frame", Body(), "One frame with this body, as the socket's `framing` says: a"
    " constant payload, `{length}`, `{regex}`, or `reply` and `{rule}` for the one frame that the"
    " same step sends.", reads=_frame, beside=(HEADER_KEY,),
    examples=("sockets: {main: {framing: line}}\n"
        "steps:\n"
        "  - {send: {frame: hello}, expect: {frame: reply}}\n"
        "  - {send: {frame: hello}, expect: {frame: {rule: echo}}}\n"
        '  - {send: {frame: "id 17"}, expect: {frame: {regex: \'id (?P<id>\\d+)\'}}}\n'
        '  - {send: {frame: "${id}"}, expect: {frame: {length: 2}}}',))
REGEX = Form("regex", Expression(), "One frame that matches this Python regular expression on bytes"
    " wholly (with `until`: what was read). Its named groups become variables.", reads=_regex,
    beside=(Key("until", Bytes(), UNTIL),),
    examples=("sockets: {main: {framing: line}}\n"
        "steps:\n"
        "  - {send: {frame: token 4711}, expect: {regex: 'token (?P<token>\\d+)'}}\n"
        '  - {send: "use ${token};", expect: {regex: \'use 4711;\', until: ";"}}',))
RULE = Form("rule", Rule(), "What this rule makes of what the socket has sent and not yet checked.",
    make=ByRule, examples=("- {send: hello, expect: {rule: echo}}",))
LENGTH = Form("length", Size(), "So many bytes, whatever they are.", cls=Length,
    examples=("- {send: {random: 64}, expect: {length: 64}}",))
FORMS = (
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
)
# fmt: on


class AnyReply(payloads.AnyPayload):
    """A reply, or with `body` a frame's: by the word `reply`, by a form, or exactly a payload."""

    word = "reply"

    def __init__(
        self, what: str, forms: tuple[Form, ...], definition: str, plugins: bool = True
    ) -> None:
        super().__init__((*forms, *PLAIN), plugins)
        self.what = what
        self.definition = definition

    def read(self, r: Reading, node: Node, what: str) -> Any:
        found = super().read(r, node, self.what)
        return _exactly(r, node.where, found) if isinstance(found, Payload) else found

    def scalar(self, r: Reading, node: ScalarNode, what: str) -> Any:
        if node.value == "reply":
            return by_rule(r, node.where)
        return Closed() if node.value == "closed" else super().scalar(r, node, what)

    def mapping(self, r: Reading, node: MappingNode, what: str) -> Any:
        plugin = plugged.named(r, node, "framers")
        if plugin is None:
            return super().mapping(r, node, what)
        return plugged.answer(r, plugin) if plugged.alone(r, node, plugin) else None

    def schema(self, s: Schemas) -> Schema:
        told = "What the target's rule makes of it, or an end in order."
        plugins = plugged.schemas("framers", s.framers, {}, plugged.REPLIES)
        options = self._options(s, told, ["reply", "closed"], {"minLength": 1})
        return {"anyOf": [*options, *plugins]}

    def _options(self, s: Schemas, told: str, words: list[str], text: Schema) -> list[Schema]:
        payloads.expected_definition(s)
        payloads.forms_in(s, payloads.EXPECTED)
        exact = {"description": "Exactly this text.", "type": "string", **text}
        exact |= {"pattern": patterns.text(), "patternErrorMessage": patterns.REPLACED}
        never = payloads.NOT_IN[payloads.EXPECTED]
        forms = [form for form in self.forms.values() if form.name not in never]
        word = {"description": told, "enum": words}
        return [word, exact, self.mapping_schema(s, forms)]

    def write(self, value: Any, w: Writing) -> Any:
        match value:
            case Exactly(payload=payload):
                found = PAYLOAD.write(payload, w)
                return {"text": found} if found in ("reply", "closed") else found
            case ByRule(rule=rule):
                return "reply" if rule is None else {"rule": rule}
            case Until(delimiter, Regex(pattern=pattern)):
                return {"regex": pattern, "until": Bytes().write(delimiter, w)}
            case Frame(body=body, header=header) if header is not None:
                return {"frame": BODY.write(body, w), "header": BODY.write(header, w)}
            case Frame(body=Regex(pattern=pattern), answers=False) | Regex(pattern=pattern):
                return {"regex": pattern}
            case Frame(body=body):
                return {"frame": BODY.write(body, w)}
            case Answer(framer=framer, written=written):
                return {framer: written}
            case Closed():
                return "closed"
        return super().write(value, w)


class FrameBody(AnyReply):
    """What one frame holds; it may be empty."""

    word = "body"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        word = node.value if isinstance(node, ScalarNode) else None
        refused = [word] if word == "closed" else []
        if isinstance(node, MappingNode):
            refused = [entry.key for entry in node.entries if entry.key in NO_BODY]
        if refused:
            message = f"{quoted(str(refused[0]))} is no body of a frame; write a text, or one of"
            return r.refuse(node, f"{message} {', '.join(self.forms)}")
        found = Forms.read(self, r, node, self.what)
        if isinstance(found, ByRule):
            where = node.entries[0].value.where if isinstance(node, MappingNode) else node.where
            return _answer(r, where, found)
        return _exact_body(r, node.where, found) if isinstance(found, Payload) else found

    def mapping(self, r: Reading, node: MappingNode, what: str) -> Any:
        return Forms.mapping(self, r, node, what)

    def schema(self, s: Schemas) -> Schema:
        told = "What the target's rule makes of the frame's body."
        rules, s.rules = s.rules, [rule for rule in s.rules if rule != "sink"]
        found = self._options(s, told, ["reply"], {"not": {"const": "closed"}})
        s.rules = rules
        return {"anyOf": found}


BODY_REGEX = Form("regex", Expression(), "The body matches this regular expression wholly.")
REPLY = AnyReply("a reply", FORMS, "reply")
BODY = FrameBody("a frame's body", (BODY_REGEX, RULE, LENGTH), "body", plugins=False)
