"""The steps of a scenario: one action each, with the modifiers that belong to it.

Steps are read in the order in which a user carries them out (`before`, `steps`, `after`, each in
document order, nested ones after their parent), for two things hang on it: the number in a step's
default name, and which `${name}`s it may use.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import cast, get_args

from loadmux.loader import frames, reader
from loadmux.loader.branches import Branches, sockets_of
from loadmux.loader.forms import Forms
from loadmux.loader.hints import meant
from loadmux.loader.names import Names
from loadmux.loader.payloads import Payloads
from loadmux.loader.reader import Fields, Mistakes, kind_of
from loadmux.loader.sockets import Reference, Sockets
from loadmux.loader.values import plain
from loadmux.scenario import (
    Answer,
    Barrier,
    Call,
    Distribution,
    Exchange,
    Expect,
    Exponential,
    Fixed,
    For,
    Framed,
    Joined,
    Normal,
    OnSockets,
    Payload,
    Performed,
    Repeat,
    Repeated,
    Send,
    Set,
    SocketAction,
    Spoken,
    Step,
    Text,
    Together,
    Uniform,
    Wait,
)
from loadmux.thresholds import CONNECT
from loadmux.units import SIZE_FORMS, quoted
from loadmux.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode

SOCKET_ACTIONS: tuple[str, ...] = get_args(SocketAction)
UNTIMED = ("wait", "repeat", "for", "set", "together", "barrier", "call")
ACTIONS = ("send", "expect", *SOCKET_ACTIONS, *UNTIMED)
EXCHANGE = ("send", "expect")
# What each modifier that is not everybody's belongs to, and how to say so.
MODIFIERS = {
    "pieces": (("send",), "'pieces' belongs to a 'send'"),
    "gap": (("send",), "'gap' belongs to a 'send'"),
    "save": (("expect",), "'save' belongs to an 'expect'"),
    "do": (("repeat", "for"), "'do' belongs to a 'repeat' or a 'for'"),
    "on": (EXCHANGE, "'on' belongs to a 'send' or an 'expect'"),
    "within": ((*EXCHANGE, *SOCKET_ACTIONS), "'within' belongs to an action on a socket"),
}
KEYS = (*ACTIONS, "name", *MODIFIERS)
DEFINING = frozenset({"save", "set", "for", "repeat", "do", "together"})
EACH_BYTE = "each_byte"
WAIT_FORMS = ("uniform", "exponential", "normal")


class Steps:
    """Reads steps.

    `row_names`: what the report calls the steps on sockets; `untimed`: what the others are called.
    `complete`: every step could be read, so that no other name exists.
    """

    def __init__(
        self,
        mistakes: Mistakes,
        sockets: Sockets,
        names: Names,
        payloads: Payloads,
        branches: Branches,
        forms: Forms,
    ) -> None:
        self.row_names: set[str] = set()
        self.untimed: set[str] = set()
        self.complete = True
        self._mistakes = mistakes
        self._sockets = sockets
        self._names = names
        self._payloads = payloads
        self._branches = branches
        self._forms = forms
        self._count = 0

    def read_all(self, node: Node, what: str, *, needed: bool) -> tuple[Step, ...]:
        """The steps of a list; `needed` refuses an empty one."""
        nodes = reader.items(self._mistakes, node, what)
        if nodes is None:
            self._names.give_up()
            self.complete = False
            return ()
        if needed and not nodes:
            self._mistakes.add(node.where, f"{what} needs at least one step")
        found = [self._step(item) for item in nodes]
        return tuple(step for step in found if step is not None)

    # --- one step ---------------------------------------------------------------------------

    def _step(self, node: Node) -> Step | None:
        self._count += 1
        number = self._count
        if not isinstance(node, MappingNode):
            message = (
                f"a step must be a mapping, not {kind_of(node)}; write 'send: ...' or another of"
            )
            self._mistakes.add(node.where, f"{message} {', '.join(ACTIONS)}")
            self.complete = False
            return None
        plugin = self._forms.named(node, "steps", KEYS)
        if plugin is not None:
            return self._perform(node, plugin, number)
        fields = Fields(self._mistakes, node, "a step", KEYS)
        action = self._action(fields)
        if fields.refused or action is None:
            self._lose(node)
        if action is None:
            return None
        before = len(self._mistakes)
        self._check_modifiers(fields, action)
        if action in EXCHANGE:
            step = self._exchange(fields, number)
        elif action in SOCKET_ACTIONS:
            step = self._on_sockets(fields, cast(SocketAction, action), number)
        else:
            step = self._without_sockets(fields, action, number)
        if len(self._mistakes) > before:
            self.complete = False
        return step

    def _lose(self, node: Node) -> None:
        """A step cannot be read: if it may have defined names, no unknown name is a mistake."""
        if not isinstance(node, MappingNode) or node.incomplete or defines(node):
            self._names.give_up()
        self.complete = False

    def _action(self, fields: Fields) -> str | None:
        actions = fields.among(ACTIONS)
        keys = [entry.key for entry in actions]
        if len(keys) == 1 or sorted(keys) == ["expect", "send"]:
            return keys[0]
        if keys:
            extra = actions[2] if set(keys[:2]) == set(EXCHANGE) else actions[1]
            named = " and ".join(f"'{key}'" for key in keys)
            self._mistakes.add(
                extra.where, f"a step has one action, this one has {named}; split it"
            )
        elif not fields.refused:
            self._mistakes.add(fields.where, f"a step needs an action, one of {', '.join(ACTIONS)}")
        return None

    def _check_modifiers(self, fields: Fields, action: str) -> None:
        for entry in fields.among(MODIFIERS):
            owners, message = MODIFIERS[entry.key]
            if any(owner in fields for owner in owners):
                continue
            if entry.key == "on" and action in SOCKET_ACTIONS:
                message = (
                    f"'{action}' names its sockets itself; write '{action}: SOCKET' without 'on'"
                )
            self._mistakes.add(entry.where, message)
        alone = "gap" in fields and "pieces" not in fields and "pieces" not in fields.meant
        if alone and "send" in fields:
            message = "'gap' needs 'pieces': it is the time between them"
            self._mistakes.add(fields.where_of("gap"), message)

    def _name(self, fields: Fields, default: str) -> str:
        node = fields.value("name")
        name = default if node is None else reader.label(self._mistakes, node, "'name'")
        if node is not None and name == CONNECT:
            message = "'connect' is the name of the row of all connects; choose another name"
            self._mistakes.add(node.where, message)
        rows = self.untimed if fields.among(UNTIMED) else self.row_names
        rows.add(name or default)
        return name or default

    # --- sockets ----------------------------------------------------------------------------

    def _exchange(self, fields: Fields, number: int) -> Step | None:
        on = fields.value("on")
        reference = self._default(fields) if on is None else self._sockets.refer(on, "'on'")
        self._payloads.wire = self._sockets.wire(reference, fields.value("send"))
        send = self._send(fields) if "send" in fields else None
        expect = self._expect(fields, reference) if "expect" in fields else None
        within = fields.read("within", reader.positive_duration)
        both = "send" in fields and "expect" in fields
        action = "exchange" if both else "send" if "send" in fields else "expect"
        self._check_forms(fields, send, expect)
        if reference is None:
            self._name(fields, f"{action} #{number}")
            return None
        name = self._name(fields, f"{action} {reference.label} #{number}")
        return Exchange(fields.where, name, reference.sockets, send, expect, within)

    def _check_forms(self, fields: Fields, send: Send | None, expect: Expect | None) -> None:
        """What a framer's forms ask of the step that they stand in."""
        payload = None if send is None else send.payload
        alone = next((one for one in spoken_in(payload) if one.form.alone), None)
        if alone is not None and alone is not payload:
            text = f"{quoted(alone.framer)} is sent by itself, and answered before the next one"
            self._mistakes.add(fields.where_of("send"), f"{text}; give each a step of its own")
        elif alone is not None and "expect" not in fields:
            text = f"{quoted(alone.framer)} is answered in the step that sends it"
            self._mistakes.add(fields.where_of("send"), f"{text}; write 'expect:' beside it")
        reply = None if expect is None else expect.reply
        if not isinstance(reply, Answer) or not reply.form.answers:
            return
        asked = any(one.framer == reply.framer for one in spoken_in(payload))
        if not asked and (send is not None or "send" not in fields):
            text = f"this answers what the same step sends; write 'send: {{{reply.framer}: ...}}'"
            self._mistakes.add(fields.where_of("expect"), f"{text} beside it")

    def _perform(self, node: MappingNode, plugin: Entry, number: int) -> Step | None:
        """The action of a plugin."""
        before = len(self._mistakes)
        keys = (plugin.key, "name", "on", "within")
        fields = Fields(self._mistakes, node, f"a {quoted(plugin.key)} step", keys)
        on = fields.value("on")
        reference = self._default(fields) if on is None else self._sockets.refer(on, "'on'")
        self._payloads.wire = self._sockets.wire(reference, None)
        action = self._forms.action(plugin)
        within = fields.read("within", reader.positive_duration)
        label = "" if reference is None else f" {reference.label}"
        name = self._name(fields, f"{plugin.key}{label} #{number}")
        if len(self._mistakes) > before or fields.refused:
            self._names.give_up()
            self.complete = False
        if reference is None or action is None:
            return None
        written = plain(plugin.value)
        return Performed(fields.where, name, plugin.key, reference.sockets, action, within, written)

    def _default(self, fields: Fields) -> Reference | None:
        if not self._sockets.known or "on" in fields.meant:
            return None
        default = self._sockets.default()
        if default is None:
            message = "no socket is called 'main', so a step must say 'on:' with one or more of"
            self._mistakes.add(fields.where, f"{message} {self._sockets.listed()}, or all")
        return default

    def _on_sockets(self, fields: Fields, action: SocketAction, number: int) -> Step | None:
        reference = self._sockets.refer(self._needed(fields, action), f"'{action}'")
        within = fields.read("within", reader.positive_duration)
        if reference is None:
            self._name(fields, f"{action} #{number}")
            return None
        name = self._name(fields, f"{action} {reference.label} #{number}")
        return OnSockets(fields.where, name, action, reference.sockets, within)

    def _send(self, fields: Fields) -> Send | None:
        payload = self._payloads.to_send(self._needed(fields, "send"))
        pieces = fields.value("pieces")
        sizes = () if pieces is None else self._pieces(pieces)
        gap = fields.read("gap", reader.duration)
        return None if payload is None else Send(payload, sizes, gap or 0.0)

    def _pieces(self, node: Node) -> tuple[int, ...]:
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            if node.value == EACH_BYTE:
                return (1,)
            if not node.value[:1].isdigit():
                hint = reader.suggestion(node.value, [EACH_BYTE], f"{SIZE_FORMS}, a list, or")
                self._mistakes.add(node.where, f"{quoted(node.value)} are no pieces{hint}")
                return ()
        if isinstance(node, ListNode) and not node.items:
            self._mistakes.add(node.where, f"'pieces' holds no size; {SIZE_FORMS}")
        nodes = node.items if isinstance(node, ListNode) else (node,)
        sizes = [reader.size(self._mistakes, item, "a piece") for item in nodes]
        return tuple(size for size in sizes if size is not None)

    def _expect(self, fields: Fields, on: Reference | None) -> Expect | None:
        targets = [] if on is None else [self._sockets.flat[place].to for place in on.sockets]
        node = self._needed(fields, "expect")
        reply = self._payloads.to_expect(node, sent="send" in fields, targets=targets)
        save = fields.value("save")
        name = None if save is None else reader.text(self._mistakes, save, "'save'")
        if save is not None and name is None:
            self._names.give_up()
        if save is not None and name is not None:
            self._names.check(save.where, name, "the name")
            self._names.define(save.where, name)
        return None if reply is None else Expect(reply, name)

    def _needed(self, fields: Fields, key: str) -> Node:
        """The value of a key that is there."""
        return cast(Node, fields.value(key))

    # --- the rest ---------------------------------------------------------------------------

    def _without_sockets(self, fields: Fields, action: str, number: int) -> Step | None:
        node = self._needed(fields, action)
        name = self._name(fields, f"{action} #{number}")
        if action == "wait":
            time = self._wait(node)
            return None if time is None else Wait(fields.where, name, time)
        if action == "repeat":
            times = reader.count(self._mistakes, node, "'repeat'")
            do = self._do(fields, action)
            return None if times is None else Repeat(fields.where, name, times, do)
        if action == "for":
            return self._for(fields, node, name)
        if action in ("together", "barrier", "call"):
            return self._concurrent(fields, action, node, name)
        values = self._set(node)
        return None if values is None else Set(fields.where, name, values)

    def _concurrent(self, fields: Fields, action: str, node: Node, name: str) -> Step | None:
        where = fields.where
        if action == "together":
            needed = partial(self.read_all, what="a branch of 'together'", needed=True)
            branches = self._branches.together(node, needed)
            if branches is None:
                return None
            uses = [dict.fromkeys(socket for socket, _ in sockets_of(one)) for one in branches]
            return Together(where, name, branches, tuple(map(tuple, uses)))
        if action == "barrier":
            barrier = reader.label(self._mistakes, node, "'barrier'")
            if self._branches.inside:
                message = "a 'barrier' cannot stand in a branch of 'together': the whole user waits"
                self._mistakes.add(node.where, message)
            return None if barrier is None else Barrier(where, name, barrier)
        # What a function does on sockets has rows that only the run will show.
        self.complete = False
        function = self._branches.call(node)
        return None if function is None else Call(where, name, function)

    def _do(self, fields: Fields, action: str) -> tuple[Step, ...]:
        node = fields.value("do")
        if node is not None:
            return self.read_all(node, "'do'", needed=True)
        if "do" not in fields.meant:
            message = f"'{action}' needs 'do: [steps]' beside it"
            self._mistakes.add(fields.where_of(action), message)
        return ()

    def _wait(self, node: Node) -> Distribution | None:
        if isinstance(node, ListNode):
            message = "'wait' must be a duration or a mapping, not a list; write {uniform: [A, B]}"
            self._mistakes.add(node.where, message)
            return None
        if isinstance(node, ScalarNode):
            seconds = reader.duration(self._mistakes, node, "'wait'")
            return None if seconds is None else Fixed(seconds)
        fields = Fields(self._mistakes, node, "a 'wait'", WAIT_FORMS)
        forms = fields.among(WAIT_FORMS)
        if len(forms) == 1:
            return self._distribution(forms[0])
        if forms or not fields.refused:
            message = f"'wait' needs a duration or one of {', '.join(WAIT_FORMS)}"
            self._mistakes.add(node.where, message)
        return None

    def _distribution(self, form: Entry) -> Distribution | None:
        if form.key == "exponential":
            mean = reader.positive_duration(self._mistakes, form.value, "'exponential'")
            return None if mean is None else Exponential(mean)
        forms = "[A, B]" if form.key == "uniform" else "[MEAN, SD]"
        pair = reader.pair(self._mistakes, form.value, f"'{form.key}'", f"{{{form.key}: {forms}}}")
        if pair is None:
            return None
        first, second = (reader.duration(self._mistakes, node, f"'{form.key}'") for node in pair)
        if first is None or second is None:
            return None
        if form.key == "normal":
            return Normal(first, second)
        if first > second:
            self._mistakes.add(
                form.value.where, "'uniform' goes from the shorter to the longer time"
            )
            return None
        return Uniform(first, second)

    def _for(self, fields: Fields, node: Node, name: str) -> Step | None:
        if not isinstance(node, MappingNode) or len(node.entries) != 1 or node.incomplete:
            many = isinstance(node, MappingNode) and len(node.entries) != 1
            shown = "one with more or less than one name" if many else kind_of(node)
            self._refuse(node, f"'for' must be a mapping, not {shown}; write {{NAME: [...]}}")
            self._do(fields, "for")
            return None
        entry = node.entries[0]
        values = self._values(entry.value)
        self._names.check(entry.where, entry.key, "the variable")
        outer = self._names.begin_loop(entry.key)
        do = self._do(fields, "for")
        self._names.end_loop(entry.key, outer)
        return None if values is None else For(fields.where, name, entry.key, values, do)

    def _refuse(self, node: Node, message: str) -> None:
        """Something that defines names is none; where a merge key is why, that is known already."""
        if not (isinstance(node, MappingNode) and node.incomplete):
            self._mistakes.add(node.where, message)
        self._names.give_up()
        self.complete = False

    def _values(self, node: Node) -> tuple[Text, ...] | None:
        """What a `for` goes through: a list, or `${name}` of a list in `variables`."""
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            name = node.value.removeprefix("${").removesuffix("}")
            if node.value == f"${{{name}}}" and name in self._names.lists:
                return self._names.lists[name]
            if self._names.incomplete:
                return None
            lists = ["${" + known + "}" for known in self._names.lists]
            hint = reader.suggestion("${" + name + "}", lists, "lists in 'variables' are")
            message = f"'for' goes through a list, and {quoted(node.value)} is none"
            self._mistakes.add(node.where, message + (hint or "; write {NAME: [A, B]}"))
            return None
        nodes = reader.items(self._mistakes, node, "what 'for' goes through")
        if nodes is None:
            return None
        values = [self._value(item) for item in nodes]
        return tuple(value for value in values if value is not None)

    def _set(self, node: Node) -> dict[str, Text] | None:
        if not isinstance(node, MappingNode) or not node.entries or node.incomplete:
            shown = "an empty one" if isinstance(node, MappingNode) else kind_of(node)
            self._refuse(node, f"'set' must be a mapping, not {shown}; write {{NAME: VALUE}}")
            return None
        values = {entry.key: self._value(entry.value) for entry in node.entries}
        for entry in node.entries:
            self._names.check(entry.where, entry.key, "the variable")
            self._names.define(entry.where, entry.key)
        return {name: value for name, value in values.items() if value is not None}

    def _value(self, node: Node) -> Text | None:
        """A text with `${name}`s, or a number or boolean as it is written."""
        constant = reader.constant(self._mistakes, node, "a value")
        return None if constant is None else self._names.text(node.where, constant)


def spoken_in(payload: Payload | None) -> Iterator[Spoken]:
    """The payload forms of framers in a payload."""
    match payload:
        case Spoken():
            yield payload
        case Repeated(payload=inner) | Framed(payload=inner):
            yield from spoken_in(inner)
        case Joined(payloads=parts):
            for part in parts:
                yield from spoken_in(part)


def defines(step: MappingNode) -> bool:
    """Whether a step's keys, as they are or as they may have been meant, can define a name."""
    keys = [entry.key for entry in step.entries]
    captures = any(frames.may_capture(entry.value) for entry in step.entries)
    return captures or any(
        key in DEFINING or meant(key, KEYS, "a step") in DEFINING for key in keys
    )
