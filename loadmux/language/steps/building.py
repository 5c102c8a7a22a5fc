"""What the keys of a step come to: each action has what builds a step from its fields.

A step is named here, for its row in the report: as the file calls it, or by its action, its sockets
and its number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from loadmux.checking.frozen import dataclass
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.references import Reference
from loadmux.language.grammar.shapes import Fields, Key
from loadmux.language.meaning.contents import spoken_in
from loadmux.language.meaning.expected import Answer, Reply, by_end, every
from loadmux.language.meaning.stepvalues import (
    Exchange,
    Expect,
    For,
    OnSockets,
    Send,
    SocketAction,
    Step,
    Together,
    Transaction,
)
from loadmux.language.steps import actions, connecting
from loadmux.language.steps.sides import sides_of
from loadmux.language.text.nodes import kind_of
from loadmux.language.text.yamltree import MappingNode, Node
from loadmux.plugins.payloads import Urgent
from loadmux.units import quoted

NOT_OPENING = frozenset({"connect", "close", "reset"})
"""Actions that make no sense on a connection that is only just made."""
Build = Callable[[Reading, Fields, "Action", int], "Step | None"]


@dataclass(frozen=True)
class Action(Key):
    """An action; `takes` are the modifiers that may stand beside it, `needs` those that must.

    A step of it is a `cls(where, NAME, VALUE, *NEEDED)`, unless `build` reads it otherwise; its
    fields after the name are what is written. `on_sockets`: its row in the report has a time.
    """

    cls: Any = None
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    build: Build | None = None
    on_sockets: bool = False


@dataclass(frozen=True)
class Modifier(Key):
    """A key beside an action; `belongs` says to which, where it stands beside another."""

    belongs: str = ""


def _sends_frame(node: Node | None) -> bool:
    """Whether a `send` is one frame."""
    return isinstance(node, MappingNode) and any(entry.key == "frame" for entry in node.entries)


def sockets_of(r: Reading, fields: Fields, send: Node | None = None) -> Reference | None:
    """The sockets of a step with `on`, or by default; `send` is what it sends."""
    found: Reference | None = fields.get("on")
    if "on" not in fields and r.sockets.known and "on" not in fields.meant:
        found = r.sockets.default()
        if found is None:
            message = "no socket is called 'main', so a step must say 'on:' with one or more of"
            r.add(fields.where, f"{message} {r.sockets.listed()}, or all")
    r.wire = r.sockets.wire(found, _sends_frame(send))
    return found


def row_name(r: Reading, fields: Fields, default: str, *, on_sockets: bool) -> str:
    name: str = fields.get("name") or r.row_prefix + default
    (r.row_names if on_sockets else r.untimed).add(name)
    return name


def _send(r: Reading, fields: Fields) -> Send | None:
    payload, pieces, gap, until = (fields.get(key) for key in ("send", "pieces", "gap", "until"))
    for key in ("expect", "pieces", "gap") if until else ():
        if key in fields:
            text = f"'until: full' sends the whole again and again; leave '{key}' out"
            if key == "expect":
                text = "'until: full' ends when nothing more is taken; expect in a step of its own"
            r.add(fields.where_of(key), text)
    urgent = isinstance(payload, Urgent)
    payload = payload.payload if isinstance(payload, Urgent) else payload
    for key in ("pieces", "gap", "until", "at_most") if urgent else ():
        if key in fields:
            r.add(fields.where_of(key), f"'urgent' is sent at once; leave '{key}' out")
    return (
        None
        if payload is None
        else Send(payload, pieces, gap, urgent, until, fields.get("at_most"), fields.get("oneway"))
    )


def exchange(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    reference = sockets_of(r, fields, fields.node("send"))
    send = expect = None
    if "send" in fields:
        send = _send(r, fields)
    if "expect" in fields:
        places = () if reference is None else reference.sockets
        r.targets = [r.sockets.flat[place].to for place in places]
        r.sent = "send" in fields
        reply, save = fields.get("expect"), fields.get("save")
        r.sent = False
        expect = None if reply is None else Expect(reply, save)
    within = fields.get("within")
    if expect is not None and by_end(expect.reply):
        connecting.refuse(r, fields.where_of("expect"), "an end cannot be expected in it")
    _check_forms(r, fields, send, expect)
    both = "send" in fields and "expect" in fields
    kind = "exchange" if both else action.name
    if reference is None:
        row_name(r, fields, f"{kind} #{number}", on_sockets=True)
        return None
    name = row_name(r, fields, f"{kind} {reference.label} #{number}", on_sockets=True)
    return Exchange(fields.where, name, reference.sockets, send, expect, within)


def _check_forms(r: Reading, fields: Fields, send: Send | None, expect: Expect | None) -> None:
    """What a framer's forms ask of the step that they stand in."""
    payload = None if send is None else send.payload
    spoken = list(spoken_in(payload))
    alone = next((one for one in spoken if one.form.alone), None)
    if alone is not None and alone is not payload:
        text = f"{quoted(alone.framer)} is sent by itself, and answered before the next one"
        r.add(fields.where_of("send"), f"{text}; give each a step of its own")
    elif alone is not None and "expect" not in fields:
        text = f"{quoted(alone.framer)} is answered in the step that sends it"
        r.add(fields.where_of("send"), f"{text}; write 'expect:' beside it")
    elif alone is not None and expect is not None and _other_protocol(alone.framer, expect.reply):
        text = f"{quoted(alone.framer)} is answered in the step that sends it"
        r.add(fields.where_of("expect"), f"{text}; expect {{{alone.framer}: ...}}")


def _other_protocol(framer: str, reply: Reply) -> bool:
    """Whether a reply is of another protocol than what is sent."""
    return any(isinstance(one, Answer) and one.framer != framer for one in every(reply))


def on_sockets(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    reference, within = fields.get(action.name), fields.get("within")
    label = "" if reference is None else f" {reference.label}"
    name = row_name(r, fields, f"{action.name}{label} #{number}", on_sockets=True)
    kind = cast(SocketAction, action.name)
    if kind in NOT_OPENING:
        connecting.refuse(r, fields.where_of(kind), f"{quoted(kind)} cannot stand in it")
    if reference is None:
        return None
    pending = fields.get("pending")
    return OnSockets(fields.where, name, kind, reference.sockets, within, pending)


def transaction(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    called = fields.get("transaction")
    name = row_name(r, fields, called or f"transaction #{number}", on_sockets=True)
    (do,) = _needed(r, fields, action)
    return Transaction(fields.where, name, called, do) if called and do else None


def loop(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    name = row_name(r, fields, f"for #{number}", on_sockets=False)
    node = cast(Node, fields.node("for"))
    if not isinstance(node, MappingNode) or len(node.entries) != 1 or node.incomplete:
        many = isinstance(node, MappingNode) and len(node.entries) != 1
        shown = "one with more or less than one name" if many else kind_of(node)
        message = f"'for' must be a mapping, not {shown}; write {{NAME: [...]}}"
        actions.no_names(r, node, message)
        _needed(r, fields, action)
        return None
    entry = node.entries[0]
    values = actions.Listed().read(r, entry.value, "")
    r.names.check(entry.where, entry.key, "the variable")
    outer = r.names.begin_loop(entry.key)
    (do,) = _needed(r, fields, action)
    r.names.end_loop(entry.key, outer)
    return None if values is None else For(fields.where, name, entry.key, values, do or ())


def together(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    name = row_name(r, fields, f"together #{number}", on_sockets=False)
    found = fields.get("together")
    if found is None:
        return None
    branches, background = found
    sides = [sides_of(branch) for branch in branches]
    heard = {i for one in sides for i, (side, _) in one.items() if side == "expect"}
    said = [[i for i, (side, _) in one.items() if side == "send" and i in heard] for one in sides]
    uses = [[i for i in one if i not in own] for one, own in zip(sides, said, strict=True)]
    says = tuple(map(tuple, said)) if heard and any(said) else ()
    return Together(fields.where, name, branches, tuple(map(tuple, uses)), says, background)


def plain_step(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    name = row_name(r, fields, f"{action.name} #{number}", on_sockets=False)
    value = fields.get(action.name)
    found = [value, *_needed(r, fields, action)]
    made: Step = action.cls(fields.where, name, *found)
    return None if None in found else made


def _needed(r: Reading, fields: Fields, action: Action) -> list[Any]:
    """The values of the modifiers that must be there."""
    for key in action.needs:
        if not fields.there(key):
            shown = f"'{key}: {'[steps]' if key == 'do' else 'VALUE'}'"
            r.add(fields.where_of(action.name), f"'{action.name}' needs {shown} beside it")
    return [fields.get(key) if key in fields else None for key in action.needs]
