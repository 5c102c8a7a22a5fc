"""One step of a scenario: an action of the `stepkeys`, with the modifiers that belong to it.

What it comes to is said in `building`. Steps are read in the order in which a user carries them out
(`before`, `steps`, `after`, each in document order, nested ones after their parent), for two things
hang on it: the number in a step's default name, and which `${name}`s it may use.
"""

from __future__ import annotations

from typing import Any, cast

from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.regexes import may_capture
from loadmux.language.grammar.shapes import Fields, Key, Needs, present
from loadmux.language.meaning.stepvalues import Exchange, For, OnSockets, Performed, Step, Together
from loadmux.language.messages import plugged
from loadmux.language.messages.replies import REPLY
from loadmux.language.steps import actions
from loadmux.language.steps.building import (
    Action,
    Modifier,
    plain_step,
    row_name,
    sockets_of,
)
from loadmux.language.steps.stepkeys import (
    ACTIONS,
    AT_MOST,
    BESIDE_PLUGINS,
    GAP,
    INCLUDE,
    KEYS,
    ON,
    ONEWAY,
    OTHERS,
    OWNERS,
)
from loadmux.language.steps.steplists import A_STEP, DO
from loadmux.language.text import nodes
from loadmux.language.text.hints import meant
from loadmux.language.text.nodes import kind_of
from loadmux.language.text.values import plain
from loadmux.language.text.yamltree import Entry, MappingNode, Node
from loadmux.plugins.payloads import Urgent
from loadmux.units import quoted

DEFINING = frozenset({"save", "set", "for", "repeat", "do", "together", "transaction"})
"""Keys that can define names, by themselves or by what is in them."""


class OneStep(Type):
    """A mapping with one action, or with `send` and `expect`, and what belongs to it."""

    word = "step"
    definition = "step"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        r.steps += 1
        number = r.steps
        if not isinstance(node, MappingNode):
            message = f"a step must be a mapping, not {kind_of(node)}; write 'send: ...' or another"
            r.add(node.where, f"{message} of {', '.join(ACTIONS)}")
            r.complete = False
            return None
        plugin = plugged.named(r, node, "steps", KEYS)
        if plugin is not None:
            return self._perform(r, node, plugin, number)
        fields = Fields(r, node, "a step", KEYS)
        action = self._action(r, fields)
        if fields.refused or action is None:
            if node.incomplete or defines(node):
                r.names.give_up()
            r.complete = False
        if action is None:
            return None
        before = len(r.mistakes)
        self._check_modifiers(r, fields, action)
        step = (action.build or plain_step)(r, fields, action, number)
        if len(r.mistakes) > before:
            r.complete = False
        return step

    def _action(self, r: Reading, fields: Fields) -> Action | None:
        entries = fields.among(ACTIONS)
        keys = [entry.key for entry in entries]
        if len(keys) == 1 or sorted(keys) == ["expect", "send"]:
            return ACTIONS[keys[0]]
        if keys:
            extra = entries[2] if set(keys[:2]) == {"send", "expect"} else entries[1]
            named = " and ".join(f"'{key}'" for key in keys)
            r.add(extra.where, f"a step has one action, this one has {named}; split it")
        elif not fields.refused:
            r.add(fields.where, f"a step needs an action, one of {', '.join(ACTIONS)}")
        return None

    def _check_modifiers(self, r: Reading, fields: Fields, action: Action) -> None:
        for entry in fields.among(OWNERS):
            owners = OWNERS[entry.key]
            if any(owner in fields for owner in owners):
                continue
            articles = {"expect": "an"}
            named = " or ".join(f"{articles.get(one, 'a')} '{one}'" for one in owners)
            belongs = cast(Modifier, KEYS[entry.key]).belongs or named
            message = f"'{entry.key}' belongs to {belongs}"
            if entry.key == "on" and isinstance(action.type, actions.On):
                message = f"'{action.name}' names its sockets itself; write '{action.name}: SOCKET'"
                message += " without 'on'"
            r.add(entry.where, message)
        if r.sockets.own is not None and "on" in fields and "on" in action.takes:
            own = quoted(r.sockets.own.label)
            message = f"the steps of 'on_connect' are for the socket {own} alone; leave 'on' out"
            r.add(fields.where_of("on"), message)
        if "send" in fields:
            GAP.check(r, fields)
            AT_MOST.check(r, fields)
            ONEWAY.check(r, fields)

    def _perform(self, r: Reading, node: MappingNode, plugin: Entry, number: int) -> Step | None:
        """The action of a plugin."""
        before = len(r.mistakes)
        keys = {plugin.key: Key(plugin.key, Type(), ""), **BESIDE_PLUGINS}
        fields = Fields(r, node, f"a {quoted(plugin.key)} step", keys)
        reference = sockets_of(r, fields)
        action = plugged.action(r, plugin)
        within = fields.get("within")
        label = "" if reference is None else f" {reference.label}"
        name = row_name(r, fields, f"{plugin.key}{label} #{number}", on_sockets=True)
        if len(r.mistakes) > before or fields.refused:
            r.lose_steps()
        if reference is None or action is None:
            return None
        written = plain(plugin.value)
        return Performed(fields.where, name, plugin.key, reference.sockets, action, within, written)

    # --- schema and writing -----------------------------------------------------------------

    def schema(self, s: Schemas) -> Schema:
        beside = {name: key.schema(s) for name, key in BESIDE_PLUGINS.items()}
        others = [name for name in ACTIONS if name not in ("send", "expect")]
        step: Schema = {
            "description": "One action, and what goes with it. `send` and `expect` together are one"
            " exchange, timed from just before the send until the last byte of the checked reply.",
            "type": "object",
            "properties": {name: key.schema(s) for name, key in KEYS.items()},
            "additionalProperties": False,
            "oneOf": [
                {"anyOf": present(("send", "expect"))},
                *present((*others, INCLUDE.name)),
            ],
            "dependentSchemas": {name: {"anyOf": present(of)} for name, of in OWNERS.items()},
        }
        GAP.put(step)
        AT_MOST.put(step)
        ONEWAY.put(step)
        for action in ACTIONS.values():
            for key in action.needs:
                Needs(action.name, (key,), "").put(step)
        plugins = plugged.schemas("steps", s.actions, beside)
        return {"anyOf": [step, *plugins]} if plugins else step

    def write(self, value: Any, w: Writing) -> Any:
        found = {"name": nodes.escaped(value.name), **self._written(value, w)}
        return {key: one for key, one in found.items() if one is not None}

    def _written(self, step: Step, w: Writing) -> Schema:
        within = KEYS["within"]
        match step:
            case Exchange(send=send, expect=expect):
                found = {"on": _written_on(step, w)}
                if send is not None:
                    sent = Urgent(send.payload) if send.urgent else send.payload
                    found["send"] = KEYS["send"].type.write(sent, w)
                    found["until"] = KEYS["until"].of(send, w)
                    found["at_most"] = KEYS["at_most"].of(send, w)
                    found["oneway"] = send.oneway or None
                    found["pieces"] = KEYS["pieces"].of(send, w)
                    found["gap"] = KEYS["gap"].of(send, w) if send.pieces else None
                if expect is not None:
                    found["expect"] = REPLY.write(expect.reply, w)
                    found["save"] = KEYS["save"].of(expect, w)
                return {**found, "within": within.of(step, w)}
            case OnSockets(action=action, sockets=sockets):
                pending = KEYS["pending"].of(step, w)
                found = {action: ON.write(sockets, w), "pending": pending}
                return {**found, "within": within.of(step, w)}
            case Performed(plugin=plugin, written=written):
                return {
                    **{plugin: written, "on": _written_on(step, w)},
                    "within": within.of(step, w),
                }
            case Together(branches=branches, background=background):
                return {"together": KEYS["together"].type.write((branches, background), w)}
            case For(variable=variable, values=values, do=do):
                loop = KEYS["for"].type.write((variable, values), w)
                return {"for": loop, "do": DO.write(do, w)}
        return self._generic(step, w)

    def _generic(self, step: Step, w: Writing) -> Schema:
        """The value is the third field of the step, what it needs stands under its own name."""
        action = next(one for one in OTHERS if one.cls is type(step))
        value = getattr(step, type(step).__match_args__[2])
        needs = {key: KEYS[key].of(step, w) for key in action.needs}
        return {action.name: action.type.write(value, w), **needs}


def _written_on(step: Exchange | Performed, w: Writing) -> object:
    return None if w.own else KEYS["on"].of(step, w)


STEP = OneStep()
A_STEP.stands_for(STEP)


def defines(step: MappingNode) -> bool:
    """Whether a step's keys, as they are or as they may have been meant, can define a name."""
    keys = [entry.key for entry in step.entries]
    captures = any(may_capture(entry.value) for entry in step.entries)
    return captures or any(
        key in DEFINING or meant(key, KEYS, "a step") in DEFINING for key in keys
    )
