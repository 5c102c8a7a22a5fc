"""What plugins read of a scenario: framings, payload and reply forms, actions.

A plugin sees YAML values as `Spec`s: each reader reports what is wrong at its place and raises
`Refused`, so that a plugin need not go on without a value. Whatever else a plugin raises is one
mistake in its name. What it returns must be what its contract says, equal to itself once pickled.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import NoReturn, TypeVar

from loadmux.framing import Framing
from loadmux.loader import frames, reader
from loadmux.loader.frames import Wire
from loadmux.loader.hints import nearest
from loadmux.loader.names import Names
from loadmux.loader.reader import Fields, Mistakes, kind_of
from loadmux.loader.values import plain
from loadmux.plugins import (
    Action,
    Framer,
    Group,
    Incoming,
    Outgoing,
    Refused,
    Spec,
    Surroundings,
    told,
)
from loadmux.registry import BUILT_IN, PluginError, Registry
from loadmux.rules import MAX_FRAME
from loadmux.scenario import Answer, Payload, Regex, Spoken, Text
from loadmux.units import quoted
from loadmux.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode

ReadPayload = Callable[[Node, bool], Payload | None]
ConstantOf = Callable[[Payload], bytes | None]
SizeOf = Callable[[Payload], int]

T = TypeVar("T")

SOMEWHERE = Surroundings("localhost", Random(0))


class NodeSpec(Spec):
    """A node of the file; `sent`: `${sent}` has a value here."""

    def __init__(self, forms: Forms, node: Node, what: str, sent: bool = False) -> None:
        self._forms = forms
        self._mistakes = forms.mistakes
        self._node = node
        self._what = what
        self._sent = sent
        self.kind = kind(node)

    def refuse(self, message: str) -> NoReturn:
        self._mistakes.add(self._node.where, message)
        raise Refused(message)

    def _found(self, value: T | None) -> T:
        if value is None:
            raise Refused(self._what)
        return value

    def _inner(self, node: Node, what: str) -> Spec:
        return NodeSpec(self._forms, node, what, self._sent)

    def fields(self, keys: Collection[str]) -> Mapping[str, Spec]:
        if not isinstance(self._node, MappingNode):
            self.refuse(f"{self._what} must be a mapping, not {kind_of(self._node)}")
        fields = Fields(self._mistakes, self._node, self._what, keys)
        if fields.refused:
            raise Refused(self._what)
        return {one.key: self._inner(one.value, f"'{one.key}'") for one in fields.among(keys)}

    def entries(self) -> Mapping[str, Spec]:
        if not isinstance(self._node, MappingNode):
            self.refuse(f"{self._what} must be a mapping, not {kind_of(self._node)}")
        if self._node.incomplete:
            raise Refused(self._what)
        return {one.key: self._inner(one.value, f"'{one.key[:60]}'") for one in self._node.entries}

    def items(self) -> Sequence[Spec]:
        nodes = self._found(reader.items(self._mistakes, self._node, self._what))
        return [self._inner(node, f"an item of {self._what}") for node in nodes]

    def text(self) -> Text:
        written = self._found(reader.constant(self._mistakes, self._node, self._what))
        return self._forms.names.text(self._node.where, written, sent=self._sent)

    def constant(self) -> str:
        written = self._found(reader.constant(self._mistakes, self._node, self._what))
        if "${" in written.replace("$${", ""):
            self.refuse(f"{self._what} must be constant, without ${{...}}")
        return written.replace("$${", "${")

    def payload(self) -> Payload:
        found: Payload | None = self._forms.read_payload(self._node, self._sent)
        if found is None:
            raise Refused(self._what)
        return found

    def integer(self, least: int = 0) -> int:
        return self._found(reader.integer(self._mistakes, self._node, self._what, least))

    def boolean(self) -> bool:
        return self._found(reader.boolean(self._mistakes, self._node, self._what))

    def size(self) -> int:
        return self._found(reader.size(self._mistakes, self._node, self._what))

    def duration(self) -> float:
        return self._found(reader.duration(self._mistakes, self._node, self._what))

    def regex(self) -> Regex:
        return self._found(frames.regex(self._mistakes, self._forms.names, self._node))

    def define(self) -> str:
        name = self._found(reader.text(self._mistakes, self._node, self._what))
        if not self._forms.names.check(self._node.where, name, "the name"):
            raise Refused(name)
        self._forms.names.define(self._node.where, name)
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


class Forms:
    """Reads what plugins have to read; the plugins that a file uses are in `registry.used`."""

    def __init__(self, registry: Registry, mistakes: Mistakes, names: Names) -> None:
        self.registry = registry
        self.mistakes = mistakes
        self.names = names
        self.read_payload: ReadPayload = lambda node, sent: None
        self.constant_of: ConstantOf = lambda payload: None
        self.size_of: SizeOf = lambda payload: 0

    def named(self, node: Node, group: Group, known: Collection[str] = ()) -> Entry | None:
        """The entry of a mapping whose key is a plugin's name; `known` are keys of the language."""
        if not isinstance(node, MappingNode):
            return None
        strange = [one for one in node.entries if one.key not in known]
        strange = [one for one in strange if one.key not in BUILT_IN[group]]
        return next((one for one in strange if one.key in self.registry.names(group)), None)

    def near(self, name: str, group: Group) -> str:
        """`; did you mean 'NAME'?` for a plugin's name, or nothing."""
        found = nearest(name, self.registry.names(group))
        return "" if found is None else f"; did you mean {quoted(found)}?"

    def alone(self, node: Node, form: Entry, keys: Collection[str] = ()) -> bool:
        """Whether a form stands by itself in its mapping, but for `keys`."""
        assert isinstance(node, MappingNode)
        for entry in node.entries:
            if entry is not form and entry.key not in keys:
                message = f"{quoted(form.key)} stands alone; take {quoted(entry.key)} out"
                self.mistakes.add(entry.where, message)
                return False
        return True

    # --- framers ----------------------------------------------------------------------------

    def framing(self, name: str, node: Node, options: Node | None, most: int) -> Framing | None:
        """What `framing: NAME` or `framing: {NAME: options}` means."""
        framer = self._framer(node, name)
        if framer is None:
            return None
        told_true = isinstance(options, ScalarNode) and options.value is True
        spec = None if options is None or told_true else NodeSpec(self, options, f"'{name}'")
        return self._read(
            "framers", name, node, framer.framing, lambda: framer.read_framing(spec, most)
        )

    def spoken(self, form: Entry, wire: Wire, sent: bool) -> Spoken | None:
        """The payload form `{NAME: ...}`."""
        framer = self._framer(form, form.key)
        if framer is None or self._framing_for(framer, form, wire) is None:
            return None
        spec = NodeSpec(self, form.value, f"'{form.key}'", sent)
        read = self._read(
            "framers", form.key, form.value, Outgoing, lambda: framer.read_payload(spec)
        )
        if read is None or not self._encodes(form, read):
            return None
        return Spoken(form.key, read, plain(form.value))

    def answer(self, form: Entry, wire: Wire, sent: bool) -> Answer | None:
        """The reply form `{NAME: ...}`."""
        framer = self._framer(form, form.key)
        framing = None if framer is None else self._framing_for(framer, form, wire)
        if framer is None or framing is None:
            return None
        spec = NodeSpec(self, form.value, f"'{form.key}'", sent)
        read = self._read(
            "framers", form.key, form.value, Incoming, lambda: framer.read_reply(spec)
        )
        if read is None:
            self.names.give_up()
            return None
        over = self._read("framers", form.key, form.value, Framing, lambda: read.over(framing))
        if over is None:
            return None
        over = self._holding(form, read, over)
        return None if over is None else Answer(form.key, read, over, plain(form.value))

    def _holding(self, form: Entry, read: Incoming, framing: Framing) -> Framing | None:
        """The framing for a reply that may be known to be large."""
        sizes = [self.size_of(part) for part in read.payloads()]
        try:
            return framing.holding(read.least(sizes))
        except ValueError as error:
            self.mistakes.add(form.value.where, f"this reply can never come: {error}")
        return None

    def _framer(self, node: Node | Entry, name: str) -> Framer | None:
        try:
            return self.registry.framer(name)
        except PluginError as error:
            self.mistakes.add(node.where, str(error))
            self.names.give_up()
            return None

    def _framing_for(self, framer: Framer, form: Entry, wire: Wire) -> Framing | None:
        if isinstance(wire.framing, framer.framing):
            return wire.framing
        if framer.own_socket or wire.framing is not None:
            self.names.give_up()
            if wire.framing is not None or wire.reason:
                has = "none" if wire.framing is None else "another"
                text = f"{quoted(form.key)} is spoken on a socket with 'framing: {form.key}'"
                self.mistakes.add(form.where, f"{text}; this one has {has}")
            return None
        return self._read(
            "framers",
            form.key,
            form.value,
            framer.framing,
            lambda: framer.read_framing(None, MAX_FRAME),
        )

    def _encodes(self, form: Entry, outgoing: Outgoing) -> bool:
        """Whether it can be encoded, where that is known now."""
        plugin = self.registry.used["framers", form.key]
        try:
            parts = [self.constant_of(part) for part in outgoing.payloads()]
            known = [part for part in parts if part is not None]
            if len(known) == len(parts) and not outgoing.encode(known, SOMEWHERE):
                self.mistakes.add(form.value.where, "there is nothing to send")
                return False
        except ValueError as error:
            self.mistakes.add(form.value.where, f"{quoted(form.key)}: {error}")
            return False
        except Exception as error:
            self.mistakes.add(form.value.where, told(plugin, error))
            return False
        return True

    # --- steps ------------------------------------------------------------------------------

    def action(self, entry: Entry) -> Action | None:
        """What the value of an action of a plugin means."""
        try:
            step = self.registry.step(entry.key)
        except PluginError as error:
            self.mistakes.add(entry.where, str(error))
            self.names.give_up()
            return None
        spec = NodeSpec(self, entry.value, f"'{entry.key}'")
        found = self._read("steps", entry.key, entry.value, Action, lambda: step.read(spec))
        if found is None:
            self.names.give_up()
        return found

    # --- whatever a plugin returns ----------------------------------------------------------

    def _read(
        self, group: Group, name: str, node: Node, wanted: type[T], read: Callable[[], T]
    ) -> T | None:
        """What `read` gives, if it is what the contract says; every failure is one mistake."""
        plugin = self.registry.used[group, name]
        try:
            found = read()
            reason = self._unfit(found, wanted)
        except Refused:
            return None
        except Exception as error:
            self.mistakes.add(node.where, told(plugin, error))
            return None
        if reason:
            self.mistakes.add(node.where, f"plugin {plugin}: {reason}")
            return None
        return found

    def _unfit(self, found: object, wanted: type) -> str:
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


def rule(mistakes: Mistakes, node: Node, rules: Collection[str], registry: Registry) -> str | None:
    """The name of a rule; one of a plugin is loaded, so that what is wrong with it is known."""
    name = reader.choice(mistakes, node, "rule", rules)
    if name is None or name in BUILT_IN["rules"] or name not in registry.names("rules"):
        return name
    try:
        registry.rule(name)
    except PluginError as error:
        mistakes.add(node.where, str(error))
        return None
    return name
