"""What a step sends and expects: the PAYLOAD and REPLY forms of the language.

A mapping has exactly one form; anything else in it is a mistake. `file`s are read now, so that a
missing one is known before anything is sent. Constants that could not be held in memory are
refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Iterator

from loadmux.errors import Position
from loadmux.framing import Fixed, Framing
from loadmux.loader import frames, hints, reader
from loadmux.loader.files import Files
from loadmux.loader.forms import Forms
from loadmux.loader.forms import rule as rule_named
from loadmux.loader.frames import Wire
from loadmux.loader.names import Names
from loadmux.loader.reader import Mistakes, kind_of
from loadmux.scenario import (
    ByRule,
    Closed,
    Data,
    Exactly,
    Frame,
    Framed,
    Joined,
    Length,
    Payload,
    Random,
    Regex,
    Repeated,
    Reply,
    Silence,
    Spoken,
    Text,
    Until,
    Variable,
    WasReset,
)
from loadmux.units import quoted
from loadmux.yamltree import Entry, MappingNode, Node, ScalarNode

LARGEST_PAYLOAD = 2**30
LARGEST_DELIMITER = 2**16
LONGEST_ANSWER = 4
"""Bytes that a rule makes of one: `received` answers a zero with `\\x00`."""

PLAIN_FORMS = ("text", "hex", "base64", "file", "random", "repeat", "join")
PAYLOAD_FORMS = (*PLAIN_FORMS, "frame")
REPLY_FORMS = ("frame", "regex", "rule", "length", "until", "closed", "reset", "silence")
BODY_FORMS = ("regex", "rule", "length", *PLAIN_FORMS)
NO_BODY = ("frame", "until", "closed", "reset", "silence")


class Payloads:
    """Reads payloads and replies; `unruled` are the targets whose reply rule nobody knows.

    `wire` is the framing of the sockets of the step that is being read.
    """

    def __init__(
        self,
        mistakes: Mistakes,
        names: Names,
        files: Files,
        rules: Collection[str],
        unruled: Collection[str],
        forms: Forms,
    ) -> None:
        self._mistakes = mistakes
        self._names = names
        self._files = files
        self._rules = rules
        self._unruled = unruled
        self._forms = forms
        forms.read_payload = lambda node, sent: self._payload(node, "a payload", sent=sent)
        forms.constant_of = _constant
        forms.size_of = size_of
        self._sent = 0
        self.wire = Wire(reason="a step's sockets say so, and this is no step")

    # --- what a step may ask for ------------------------------------------------------------

    def to_send(self, node: Node) -> Payload | None:
        """A payload with at least one byte to send."""
        payload = self._payload(node, "a payload")
        self._sent = 0 if payload is None else size_of(payload)
        if payload is None or not self._bounded(node.where, payload):
            return None
        if _is_empty(payload):
            self._mistakes.add(
                node.where, "there is nothing to send; 'send' needs at least one byte"
            )
            return None
        return payload

    def to_expect(self, node: Node, *, sent: bool, targets: Collection[str]) -> Reply | None:
        """A reply; `sent` says whether the step sends, so that `${sent}` has a value.

        `targets` are those of the step's sockets.
        """
        if isinstance(node, ScalarNode) and node.value == "reply":
            return self._by_rule(node.where, targets)
        if isinstance(node, ScalarNode) and node.value == "closed":
            return Closed()
        if not isinstance(node, MappingNode):
            return self._exactly(node.where, self._payload(node, "a reply", sent=sent))
        plugin = self._forms.named(node, "framers")
        if plugin is not None:
            alone = self._forms.alone(node, plugin)
            return self._forms.answer(plugin, self.wire, sent) if alone else None
        form = self._form(node, "a reply", (*REPLY_FORMS, *PLAIN_FORMS))
        if form is None:
            return None
        if form.key == "frame":
            return self._frame(form, sent, targets)
        if form.key == "regex":
            return self._regex(node, form)
        if form.key in REPLY_FORMS:
            return self._reply_form(form)
        return self._exactly(node.where, self._payload_form(node, form, sent))

    # --- replies ----------------------------------------------------------------------------

    def _reply_form(self, form: Entry) -> Reply | None:
        key, node = form.key, form.value
        if key == "rule":
            rule = rule_named(self._mistakes, node, self._rules, self._forms.registry)
            return None if rule is None else ByRule(rule)
        if key == "length":
            size = reader.size(self._mistakes, node, "'length'")
            return None if size is None else Length(size)
        if key == "silence":
            seconds = reader.positive_duration(self._mistakes, node, "'silence'")
            return None if seconds is None else Silence(seconds)
        if key == "until":
            delimiter = self.constant(node, "'until'")
            return None if delimiter is None else Until(delimiter)
        if isinstance(node, ScalarNode) and node.value is True:
            return Closed() if key == "closed" else WasReset()
        self._mistakes.add(node.where, f"'{key}' can only be true, not {kind_of(node)}")
        return None

    def _by_rule(self, where: Position, targets: Collection[str]) -> Reply | None:
        unruled = [name for name in targets if name in self._unruled]
        if not unruled:
            return ByRule(None)
        name = unruled[0]
        whose = f"the rule of the target {quoted(name)}" if name else "the target's rule"
        given = f"{name}=" if name else ""
        self._mistakes.add(
            where,
            f"'reply' needs to know {whose}; write 'reply: RULE' in the target, or give"
            f" --reply {given}RULE (one of {', '.join(self._rules)})",
        )
        return None

    def constant(self, node: Node, what: str) -> bytes | None:
        """A delimiter: bytes, at least one, that are known when the file is loaded."""
        payload = self._payload(node, what, PLAIN_FORMS)
        if payload is None or not self._bounded(node.where, payload, LARGEST_DELIMITER):
            return None
        found = _constant(payload)
        if found is None:
            message = f"{what} needs constant bytes, without ${{...}} or 'random'"
            self._mistakes.add(node.where, message)
        elif not found:
            self._mistakes.add(node.where, f"{what} needs at least one byte")
        return found or None

    def _exactly(self, where: Position, payload: Payload | None) -> Exactly | None:
        if payload is None or not self._foretold(where, payload):
            return None
        if not all(framing.canonical for framing in _framings(payload)):
            message = "a frame of this framing is no fixed bytes; expect {frame: ...} by itself"
            self._mistakes.add(where, message)
        elif _is_empty(payload):
            message = "there is nothing to expect; for silence write {silence: DURATION}"
            self._mistakes.add(where, message)
        else:
            return Exactly(payload)
        return None

    def _foretold(self, where: Position, payload: Payload) -> bool:
        if not self._bounded(where, payload):
            return False
        if _any_leaf(payload, lambda leaf: isinstance(leaf, Spoken)):
            self._mistakes.add(where, "what a plugin sends cannot stand in a reply")
            return False
        if _holds_random(payload):
            message = "'random' bytes cannot be foretold; expect {length: SIZE} or 'reply'"
            self._mistakes.add(where, message)
            return False
        return True

    # --- frames -----------------------------------------------------------------------------

    def _framing(self, form: Entry, instead: str = "") -> Framing | None:
        """The framing of the step's sockets, which `form` needs."""
        if self.wire.framing is None and self.wire.reason:
            message = f"'{form.key}' needs to know where a frame ends: {self.wire.reason}{instead}"
            self._mistakes.add(form.where, message)
        return self.wire.framing

    def _regex(self, node: MappingNode, form: Entry) -> Reply | None:
        regex = frames.regex(self._mistakes, self._names, form.value)
        until = next((entry.value for entry in node.entries if entry.key == "until"), None)
        if until is not None:
            delimiter = self.constant(until, "'until'")
            return None if delimiter is None or regex is None else Until(delimiter, regex)
        framing = self._framing(form, "; or write 'until: BYTES' beside it")
        return None if framing is None or regex is None else Frame(regex, framing)

    def _frame(self, form: Entry, sent: bool, targets: Collection[str]) -> Reply | None:
        framing = self._framing(form)
        body = self._body(form.value, sent, targets)
        if framing is None or body is None:
            return None
        where, answers = form.value.where, self.wire.answers and framing.symmetric
        if isinstance(body, Exactly) and framing.symmetric:
            fitting = self._fitting(where, body.payload, framing)
            return None if fitting is None else Frame(body, fitting, answers)
        if isinstance(body, ByRule) and not framing.symmetric:
            message = "with this framing a server's frames are not like ours; a rule cannot answer"
            self._mistakes.add(where, message)
            return None
        if isinstance(body, ByRule):
            return Frame(body, self._answering(framing), answers)
        if isinstance(body, Length):
            awaited = self._awaited(where, body.size, framing)
            return None if awaited is None else Frame(body, awaited, answers)
        return Frame(body, framing, answers)

    def _body(
        self, node: Node, sent: bool, targets: Collection[str]
    ) -> Exactly | ByRule | Length | Regex | None:
        """What a frame holds; it may be empty."""
        word = node.value if isinstance(node, ScalarNode) else None
        if word == "reply":
            found = self._by_rule(node.where, targets)
            return self._answer(node.where, found)
        refused = [word] if word == "closed" else []
        if isinstance(node, MappingNode):
            refused = [entry.key for entry in node.entries if entry.key in NO_BODY]
        if refused:
            message = f"{quoted(str(refused[0]))} is no body of a frame; write a text, or one of"
            self._mistakes.add(node.where, f"{message} {', '.join(BODY_FORMS)}")
            return None
        if not isinstance(node, MappingNode):
            return self._exact_body(node.where, self._payload(node, "a frame's body", sent=sent))
        form = self._form(node, "a frame's body", BODY_FORMS)
        if form is None:
            return None
        if form.key == "regex":
            return frames.regex(self._mistakes, self._names, form.value)
        if form.key in PLAIN_FORMS:
            return self._exact_body(node.where, self._payload_form(node, form, sent))
        found = self._reply_form(form)
        return found if isinstance(found, Length) else self._answer(form.value.where, found)

    def _exact_body(self, where: Position, payload: Payload | None) -> Exactly | None:
        known = payload is not None and self._foretold(where, payload)
        return Exactly(payload) if payload is not None and known else None

    def _answer(self, where: Position, found: Reply | None) -> ByRule | None:
        """A rule as a frame's body: it answers the body of the frame that the step sends."""
        if not isinstance(found, ByRule):
            return None
        if not self.wire.answers:
            message = "a rule in a 'frame' answers the frame that the same step sends; write 'send:"
            self._mistakes.add(where, f"{message} {{frame: ...}}' beside it")
        elif found.rule == "sink":
            self._mistakes.add(where, "the rule 'sink' answers nothing, so no frame would come")
        else:
            return found
        return None

    def _framed(self, form: Entry, sent: bool) -> Payload | None:
        """The payload form: a body in the frame of the step's sockets."""
        framing = self._framing(form)
        payload = self._payload(form.value, "a frame's body", sent=sent)
        if framing is None or payload is None or not self._bounded(form.where, payload):
            return None
        fitting = self._fitting(form.value.where, payload, framing)
        return None if fitting is None else Framed(payload, fitting)

    def _fitting(self, where: Position, payload: Payload, framing: Framing) -> Framing | None:
        """The framing for a body, None where it cannot be framed, as far as it is known."""
        constant = _constant(payload)
        try:
            framing = framing.holding(size_of(payload))
            if constant is not None:
                framing.encode(constant)
        except ValueError as error:
            self._mistakes.add(where, f"this body cannot be framed: {error}")
            return None
        return framing

    def _awaited(self, where: Position, size: int, framing: Framing) -> Framing | None:
        """The framing for a body of `size` bytes; None where none can come."""
        try:
            if isinstance(framing, Fixed) and size < framing.size:
                raise ValueError(f"every frame has {framing.size} bytes ('fixed')")
            return framing.holding(size)
        except ValueError as error:
            self._mistakes.add(where, f"this reply can never come: {error}")
        return None

    def _answering(self, framing: Framing) -> Framing:
        """The framing for what a rule makes of the frame that the step sends."""
        try:
            return framing.holding(LONGEST_ANSWER * self._sent)
        except ValueError:
            return framing

    # --- payloads ---------------------------------------------------------------------------

    def _payload(
        self,
        node: Node,
        what: str,
        forms: Collection[str] = PAYLOAD_FORMS,
        *,
        sent: bool = False,
    ) -> Payload | None:
        if isinstance(node, ScalarNode):
            reader.doubt_escapes(self._mistakes, node)
            text = reader.any_text(self._mistakes, node, what)
            return None if text is None else self._names.text(node.where, text, sent=sent)
        if not isinstance(node, MappingNode):
            message = f"{what} must be a text or a mapping, not a list; write {{join: [...]}}"
            self._mistakes.add(node.where, message)
            return None
        plugin = self._forms.named(node, "framers") if forms is PAYLOAD_FORMS else None
        if plugin is not None:
            alone = self._forms.alone(node, plugin)
            return self._forms.spoken(plugin, self.wire, sent) if alone else None
        form = self._form(node, what, forms)
        return None if form is None else self._payload_form(node, form, sent)

    def _payload_form(self, node: MappingNode, form: Entry, sent: bool) -> Payload | None:
        if form.key == "repeat":
            return self._repeated(node, form, sent)
        if form.key == "join":
            return self._joined(form.value, sent)
        if form.key == "frame":
            return self._framed(form, sent)
        if form.key == "text":
            reader.doubt_escapes(self._mistakes, form.value)
            text = reader.any_text(self._mistakes, form.value, "'text'")
            return None if text is None else self._names.text(form.value.where, text, sent=sent)
        if form.key == "random":
            size = reader.size(self._mistakes, form.value, "'random'", LARGEST_PAYLOAD)
            return None if size is None else Random(size)
        data = self._data(form)
        return None if data is None else Data(data)

    def _form(self, node: MappingNode, what: str, forms: Collection[str]) -> Entry | None:
        """The one form that a mapping is, after its other keys were judged."""
        found = [entry for entry in node.entries if entry.key in forms]
        if any(entry.key == "regex" for entry in found):
            found = [entry for entry in found if entry.key != "until"]
        repeats = any(entry.key == "repeat" for entry in found)
        known = (*forms, "times") if repeats else tuple(forms)
        strange = [entry for entry in node.entries if entry.key not in known]
        for entry in strange:
            hint = hints.hint(entry.key, known, what, "its forms are")
            if hint.startswith("; its forms") and "frame" in forms:
                hint = self._forms.near(entry.key, "framers") or hint
            self._mistakes.add(entry.where, f"unknown key {quoted(entry.key)} in {what}{hint}")
        if len(found) == 1:
            return found[0]
        if frames.may_capture(node):
            self._names.give_up()
        if found:
            keys = " and ".join(f"'{entry.key}'" for entry in found)
            self._mistakes.add(found[1].where, f"{what} has one form, this one has {keys}")
        elif not strange and not node.incomplete:
            self._mistakes.add(node.where, f"{what} needs a form, one of {', '.join(forms)}")
        return None

    def _repeated(self, node: MappingNode, form: Entry, sent: bool) -> Payload | None:
        payload = self._payload(form.value, "a payload", sent=sent)
        fields = {entry.key: entry.value for entry in node.entries}
        if "times" not in fields:
            if len(fields) > 1:
                return None
            self._mistakes.add(form.where, "'repeat' needs 'times'; write {repeat: ..., times: N}")
            return None
        times = reader.count(self._mistakes, fields["times"], "'times'")
        return None if payload is None or times is None else Repeated(payload, times)

    def _joined(self, node: Node, sent: bool) -> Payload | None:
        nodes = reader.items(self._mistakes, node, "'join'")
        if nodes is None:
            return None
        payloads = [self._payload(item, "a payload", sent=sent) for item in nodes]
        whole = tuple(payload for payload in payloads if payload is not None)
        return Joined(whole) if len(whole) == len(payloads) else None

    def _data(self, form: Entry) -> bytes | None:
        """`hex`, `base64` and `file`: bytes known when the file is loaded."""
        node = form.value
        if not isinstance(node, ScalarNode) or node.value is None or isinstance(node.value, bool):
            self._mistakes.add(node.where, f"'{form.key}' must be a text, not {kind_of(node)}")
            return None
        convert: dict[str, Callable[[str], bytes]] = {
            "hex": _hex,
            "base64": _base64,
            "file": self._files.read,
        }
        written = reader.literal(self._mistakes, node.where, node.text, f"'{form.key}'")
        if written is None:
            return None
        try:
            return convert[form.key](written)
        except ValueError as error:
            self._mistakes.add(node.where, str(error))
            return None

    def _bounded(self, where: Position, payload: Payload, most: int = LARGEST_PAYLOAD) -> bool:
        if size_of(payload) <= most:
            return True
        self._mistakes.add(where, f"too large: more than {most} bytes")
        return False


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        message = f"{quoted(text)} is not hex; write pairs of 0-9 and a-f such as 'de ad be ef'"
        raise ValueError(message) from None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{quoted(text)} is not base64; write it as in 'aGVsbG8='") from None


# --- what a payload comes to --------------------------------------------------------------------


def size_of(payload: Payload) -> int:
    """Bytes, the values of variables not counted."""
    match payload:
        case Text(parts):
            return sum(len(part.encode()) for part in parts if isinstance(part, str))
        case Data(data):
            return len(data)
        case Random(size):
            return size
        case Repeated(inner, times):
            return size_of(inner) * times
        case Joined(payloads):
            return sum(map(size_of, payloads))
        case Framed(inner, framing):
            return size_of(inner) + _overhead(framing)
        case Spoken():
            return 1


def _overhead(framing: Framing) -> int:
    """Bytes that a frame has even without a body; 0 where every frame has one."""
    try:
        return len(framing.encode(b""))
    except ValueError:
        return 0


def _is_empty(payload: Payload) -> bool:
    """Whether it can never hold a byte."""
    return size_of(payload) == 0 and not _any_leaf(payload, _has_variable)


def _holds_random(payload: Payload) -> bool:
    return _any_leaf(payload, lambda leaf: isinstance(leaf, Random))


def _has_variable(leaf: Payload) -> bool:
    return isinstance(leaf, Text) and any(isinstance(part, Variable) for part in leaf.parts)


def _any_leaf(payload: Payload, holds: Callable[[Payload], bool]) -> bool:
    match payload:
        case Repeated(inner, _):
            return _any_leaf(inner, holds)
        case Joined(payloads):
            return any(_any_leaf(inner, holds) for inner in payloads)
        case Framed(inner, _):
            return _any_leaf(inner, holds)
    return holds(payload)


def _framings(payload: Payload) -> Iterator[Framing]:
    """The framings of all frames in a payload."""
    match payload:
        case Repeated(inner, _):
            yield from _framings(inner)
        case Joined(payloads):
            for each in payloads:
                yield from _framings(each)
        case Framed(inner, framing):
            yield framing
            yield from _framings(inner)


def _constant(payload: Payload) -> bytes | None:
    """Its bytes, None where they are not the same each time."""
    match payload:
        case Text(parts):
            texts = [part for part in parts if isinstance(part, str)]
            return "".join(texts).encode() if len(texts) == len(parts) else None
        case Data(data):
            return data
        case Random():
            return None
        case Repeated(inner, times):
            unit = _constant(inner)
            return None if unit is None else unit * times
        case Joined(payloads):
            units_ = [_constant(inner) for inner in payloads]
            return None if None in units_ else b"".join(u for u in units_ if u is not None)
        case Framed(inner, framing):
            body = _constant(inner)
            return None if body is None else framing.encode(body)
        case Spoken():
            return None
