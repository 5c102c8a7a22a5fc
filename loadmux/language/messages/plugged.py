"""What plugins read of a scenario: framings, payload and reply forms, actions.

A plugin sees YAML values as `Spec`s: each reader reports what is wrong at its place and raises
`Refused`, so that a plugin need not go on without a value. Whatever else a plugin raises is one
mistake in its name. What it returns must be what its contract says, equal to itself once pickled.
A schema knows the names of plugins, not their values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from loadmux.checking.events import Events
from loadmux.checking.framing import Framing
from loadmux.checking.verifying import MAX_FRAME
from loadmux.language.grammar.contract import Schema, Type
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.regexes import Expression
from loadmux.language.grammar.shapes import Fields, Key
from loadmux.language.grammar.types import Boolean, Constant, Duration, Integer, Size
from loadmux.language.meaning.contents import constant, size_of
from loadmux.language.meaning.expected import Answer
from loadmux.language.text import nodes
from loadmux.language.text.nodes import kind_of
from loadmux.language.text.values import plain
from loadmux.language.text.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode
from loadmux.plugins.contracts import GROUPS, Action, Framer, Group, Incoming, Refused, Spec, told
from loadmux.plugins.payloads import Outgoing, Payload, Regex, Spoken, Surroundings, Text
from loadmux.plugins.registry import BUILT_IN, PluginError, Registry
from loadmux.units import quoted

T = TypeVar("T")


class NodeSpec(Spec):
    """A node of the file; `${sent}` has a value in it where it has one in the step."""

    def __init__(self, r: Reading, node: Node, what: str) -> None:
        self._r = r
        self._node = node
        self._what = what
        self.kind = kind(node)

    def refuse(self, message: str) -> NoReturn:
        self._r.add(self._node.where, message)
        raise Refused(message)

    def _found(self, value: T | None) -> T:
        if value is None:
            raise Refused(self._what)
        return value

    def _read(self, kind: Type) -> Any:
        return self._found(kind.read(self._r, self._node, self._what))

    def fields(self, keys: Collection[str]) -> Mapping[str, Spec]:
        node = self._mapping()
        declared = {key: Key(key, Type(), "") for key in keys}
        fields = Fields(self._r, node, self._what, declared)
        if fields.refused:
            raise Refused(self._what)
        return {one.key: NodeSpec(self._r, one.value, f"'{one.key}'") for one in node.entries}

    def entries(self) -> Mapping[str, Spec]:
        node = self._mapping()
        if node.incomplete:
            raise Refused(self._what)
        return {one.key: NodeSpec(self._r, one.value, f"'{one.key[:60]}'") for one in node.entries}

    def _mapping(self) -> MappingNode:
        if not isinstance(self._node, MappingNode):
            self.refuse(f"{self._what} must be a mapping, not {kind_of(self._node)}")
        return self._node

    def items(self) -> Sequence[Spec]:
        found = self._found(nodes.items(self._r.mistakes, self._node, self._what))
        return [NodeSpec(self._r, node, f"an item of {self._what}") for node in found]

    def text(self) -> Text:
        written = self._read(Constant())
        return self._r.names.text(self._node.where, written, sent=self._r.sent)

    def constant(self) -> str:
        written: str = self._read(Constant())
        if "${" in written.replace("$${", ""):
            self.refuse(f"{self._what} must be constant, without ${{...}}")
        return written.replace("$${", "${")

    def payload(self) -> Payload:
        found: Payload | None = self._r.read_payload(self._node)
        if found is None:
            raise Refused(self._what)
        return found

    def integer(self, least: int = 0) -> int:
        found: int = self._read(Integer(least))
        return found

    def boolean(self) -> bool:
        found: bool = self._read(Boolean())
        return found

    def size(self) -> int:
        found: int = self._read(Size())
        return found

    def duration(self) -> float:
        found: float = self._read(Duration())
        return found

    def regex(self, replaced: bool = False) -> Regex:
        found: Regex = self._read(Expression())
        if found.texts and not replaced:
            self.refuse("nothing is replaced in this regex; for a literal '${' write '\\\\$\\\\{'")
        return found

    def define(self) -> str:
        name = self._found(nodes.text(self._r.mistakes, self._node, self._what))
        if not self._r.names.check(self._node.where, name, "the name"):
            raise Refused(name)
        self._r.names.define(self._node.where, name)
        return name


def kind(node: Node) -> str:
    """The `kind` of a Spec."""
    if isinstance(node, MappingNode):
        return "mapping"
    if isinstance(node, ListNode):
        return "list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return "boolean"
    return "text" if isinstance(node.value, str) else "number"


def named(r: Reading, node: MappingNode, group: Group, known: Collection[str] = ()) -> Entry | None:
    """The entry of a mapping whose key is a plugin's name; `known` are keys of the language."""
    strange = [one for one in node.entries if one.key not in known]
    strange = [one for one in strange if one.key not in BUILT_IN[group]]
    return next((one for one in strange if one.key in r.registry.names(group)), None)


def alone(r: Reading, node: MappingNode, form: Entry, keys: Collection[str] = ()) -> bool:
    """Whether a form stands by itself in its mapping, but for `keys`."""
    for entry in node.entries:
        if entry is not form and entry.key not in keys:
            message = f"{quoted(form.key)} stands alone; take {quoted(entry.key)} out"
            r.add(entry.where, message)
            return False
    return True


# --- framers ------------------------------------------------------------------------------------


def framing(r: Reading, name: str, node: Node, options: Node | None, most: int) -> Framing | None:
    """What `framing: NAME` or `framing: {NAME: options}` means."""
    framer = _framer(r, node, name)
    if framer is None:
        return None
    told_true = isinstance(options, ScalarNode) and options.value is True
    spec = None if options is None or told_true else NodeSpec(r, options, f"'{name}'")
    return _read(r, "framers", name, node, framer.framing, lambda: framer.read_framing(spec, most))


def spoken(r: Reading, form: Entry) -> Spoken | None:
    """The payload form `{NAME: ...}`."""
    framer = _framer(r, form, form.key)
    streamed = isinstance(r.wire.framing, Events)  # a request over HTTP, answered by a stream
    if framer is None or (not streamed and _framing_for(r, framer, form) is None):
        return None
    spec = NodeSpec(r, form.value, f"'{form.key}'")
    read = _read(r, "framers", form.key, form.value, Outgoing, lambda: framer.read_payload(spec))
    if read is None or not _encodes(r, form, read):
        return None
    return Spoken(form.key, read, plain(form.value))


def answer(r: Reading, form: Entry) -> Answer | None:
    """The reply form `{NAME: ...}`."""
    framer = _framer(r, form, form.key)
    framing = None if framer is None else _framing_for(r, framer, form)
    if framer is None or framing is None:
        return None
    spec = NodeSpec(r, form.value, f"'{form.key}'")
    read = _read(r, "framers", form.key, form.value, Incoming, lambda: framer.read_reply(spec))
    if read is None:
        r.names.give_up()
        return None
    over = _read(r, "framers", form.key, form.value, Framing, lambda: read.over(framing))
    over = None if over is None else _holding(r, form, read, over)
    return None if over is None else Answer(form.key, read, over, plain(form.value))


def _holding(r: Reading, form: Entry, read: Incoming, framing: Framing) -> Framing | None:
    """The framing for a reply that may be known to be large."""
    try:
        return framing.holding(read.least([size_of(part) for part in read.payloads()]))
    except ValueError as error:
        r.add(form.value.where, f"this reply can never come: {error}")
    return None


def _framer(r: Reading, node: Node | Entry, name: str) -> Framer | None:
    try:
        return r.registry.framer(name)
    except PluginError as error:
        r.add(node.where, str(error))
        r.names.give_up()
        return None


def _framing_for(r: Reading, framer: Framer, form: Entry) -> Framing | None:
    wire = r.wire
    if isinstance(wire.framing, framer.framing):
        return wire.framing
    if framer.own_socket or wire.framing is not None:
        r.names.give_up()
        if wire.framing is not None or wire.reason:
            has = "none" if wire.framing is None else "another"
            text = f"{quoted(form.key)} is spoken on a socket with 'framing: {form.key}'"
            r.add(form.where, f"{text}; this one has {has}")
        return None
    read = framer.read_framing
    return _read(r, "framers", form.key, form.value, framer.framing, lambda: read(None, MAX_FRAME))


def _encodes(r: Reading, form: Entry, outgoing: Outgoing) -> bool:
    """Whether it can be encoded, where that is known now."""
    plugin = r.registry.used["framers", form.key]
    try:
        parts = [constant(part) for part in outgoing.payloads()]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts) and not outgoing.encode(known, _somewhere()):
            r.add(form.value.where, "there is nothing to send")
            return False
    except ValueError as error:
        r.add(form.value.where, f"{quoted(form.key)}: {error}")
        return False
    except Exception as error:
        r.add(form.value.where, told(plugin, error))
        return False
    return True


# --- steps, rules, and whatever a plugin returns ------------------------------------------------


def action(r: Reading, entry: Entry) -> Action | None:
    """What the value of an action of a plugin means."""
    try:
        step = r.registry.step(entry.key)
    except PluginError as error:
        r.add(entry.where, str(error))
        r.names.give_up()
        return None
    spec = NodeSpec(r, entry.value, f"'{entry.key}'")
    found = _read(r, "steps", entry.key, entry.value, Action, lambda: step.read(spec))
    if found is None:
        r.names.give_up()
    return found


def loaded_rule(r: Reading, node: Node, name: str) -> str | None:
    """The name of a rule; one of a plugin is loaded, so that what is wrong with it is known."""
    if name in BUILT_IN["rules"] or name not in r.registry.names("rules"):
        return name
    try:
        r.registry.rule(name)
    except PluginError as error:
        return r.refuse(node, str(error))
    return name


def _read(
    r: Reading, group: Group, name: str, node: Node, wanted: type[T], read: Callable[[], T]
) -> T | None:
    """What `read` gives, if it is what the contract says; every failure is one mistake."""
    plugin = r.registry.used[group, name]
    try:
        found = read()
        reason = _unfit(found, wanted)
    except Refused:
        return None
    except Exception as error:
        return r.refuse(node, told(plugin, error))
    if reason:
        return r.refuse(node, f"plugin {plugin}: {reason}")
    return found


def _somewhere() -> Surroundings:
    """Where something is sent only to see what it is."""
    from random import Random

    return Surroundings("localhost", Random(0))


def _unfit(found: object, wanted: type) -> str:
    import pickle

    if not isinstance(found, wanted):
        return f"it returned {type(found).__name__!r}, not a {wanted.__name__!r}"
    try:
        again = pickle.loads(pickle.dumps(found))
    except Exception as error:
        name = type(found).__name__
        return f"its {name!r} cannot travel to the generator processes: {error}"
    if again != found:
        return f"its {type(found).__name__!r} is not equal to itself once pickled"
    return ""


# --- schema -------------------------------------------------------------------------------------

PAYLOADS = {
    "http": "An HTTP request: its path, or {method, path, headers, body}.",
    "resp": "A Redis command: a list of its words.",
    "websocket": "A WebSocket message: a text, {binary}, {ping} or {close: CODE}.",
}
REPLIES = {
    "http": "An HTTP response: its status, or {status, headers, body}.",
    "resp": "A Redis reply: text, number, null, a list, {error}, {map}, {regex}, {any: true}.",
    "websocket": "A WebSocket message, as it is sent, or {pong: PAYLOAD}.",
}


def names(registry: Registry, group: Group) -> list[str]:
    """The names that plugins add; what the language has is never a plugin's."""
    return [name for name in registry.names(group) if name not in BUILT_IN[group]]


def schemas(
    group: Group, names: Collection[str], beside: Schema, described: Mapping[str, str] | None = None
) -> list[Schema]:
    """A mapping with the name of a plugin, and what may stand beside it."""
    ours = described or {}
    return [
        {
            "type": "object",
            "properties": {
                name: {
                    "description": ours.get(name)
                    or f"What the {GROUPS[group]} {name!r} of a plugin takes."
                },
                **beside,
            },
            "required": [name],
            "additionalProperties": False,
        }
        for name in names
    ]
