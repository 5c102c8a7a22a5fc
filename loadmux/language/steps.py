"""The steps of a scenario: one action each, with the modifiers that belong to it.

Steps are read in the order in which a user carries them out (`before`, `steps`, `after`, each in
document order, nested ones after their parent), for two things hang on it: the number in a step's
default name, and which `${name}`s it may use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from loadmux.language import actions, connecting, included, nodes, plugged
from loadmux.language.contents import spoken_in
from loadmux.language.expected import Reply, every
from loadmux.language.hints import meant
from loadmux.language.nodes import kind_of
from loadmux.language.payloads import ToSend
from loadmux.language.reading import Reading
from loadmux.language.references import Reference
from loadmux.language.regexes import may_capture
from loadmux.language.replies import REPLY
from loadmux.language.scenario import (
    Answer,
    Barrier,
    Call,
    Closed,
    Exchange,
    Expect,
    For,
    OnSockets,
    Performed,
    Repeat,
    Send,
    Set,
    SocketAction,
    Step,
    Together,
    Transaction,
    Wait,
    WasReset,
)
from loadmux.language.shapes import Fields, Key, Needs, present
from loadmux.language.sides import check_branches, sides_of
from loadmux.language.types import (
    Choice,
    Duration,
    Integer,
    NewName,
    Schema,
    Schemas,
    Size,
    Type,
    Words,
    Writing,
)
from loadmux.language.values import plain
from loadmux.language.yamltree import Entry, ListNode, MappingNode, Node
from loadmux.measuring.thresholds import CONNECT
from loadmux.plugins.payloads import Urgent
from loadmux.units import quoted

BACKGROUND = "background"
DEFINING = frozenset({"save", "set", "for", "repeat", "do", "together", "transaction"})
"""Keys that can define names, by themselves or by what is in them."""
NOT_OPENING = frozenset({"connect", "close", "reset"})
"""Actions that make no sense on a connection that is only just made."""


class Steps(Type):
    """A list of steps; `needed` refuses an empty one."""

    word = "list of steps"

    def __init__(self, *, needed: bool) -> None:
        self._needed = needed

    def read(self, r: Reading, node: Node, what: str) -> Any:
        items = nodes.items(r.mistakes, node, what)
        if items is None:
            r.lose_steps()
            return ()
        if self._needed and not items:
            r.add(node.where, f"{what} needs at least one step")
        found: list[Step] = []
        for item in items:
            for one in included.opened(r, item):
                step = STEP.read(r, one, "a step")
                found += [] if step is None else [step]
        return tuple(found)

    def schema(self, s: Schemas) -> Schema:
        told = "Steps, one after the other."
        found = s.refer(
            "steps", lambda s: {"description": told, "type": "array", "items": s.of(STEP)}
        )
        return {**found, "minItems": 1} if self._needed else found

    def write(self, value: Any, w: Writing) -> Any:
        return [STEP.write(step, w) for step in value]


class Branches(Type):
    """Lists of steps that run at once.

    Two may share a socket only where one sends and the other expects. What one of them saves is no
    value for another, which may come too early.
    """

    word = "list of lists of steps"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if not isinstance(node, ListNode) or not node.items:
            shown = "an empty list" if isinstance(node, ListNode) else kind_of(node)
            message = f"{what} must be a list of branches, not {shown}"
            r.add(node.where, f"{message}; write [[steps], [steps]]")
            r.names.give_up()
            return None
        outer, r.together = r.together, True
        apart = r.names.begin_branches()
        branches: list[Sequence[Step]] = []
        background: list[int] = []
        for item in node.items:
            steps = _background(item)
            if steps is not None:
                background.append(len(branches))
            elif not isinstance(item, ListNode):
                message = f"a branch of 'together' must be a list of steps, not {kind_of(item)}"
                r.add(item.where, f"{message}; write [[steps], [steps]] or {{background: [steps]}}")
                r.names.give_up()
                continue
            branches.append(DO.read(r, steps or item, "a branch of 'together'"))
            r.names.next_branch(apart)
        r.names.end_branches(apart)
        r.together = outer
        check_branches(r, branches)
        if len(background) == len(node.items):
            message = "one branch at least must end by itself; make it a list of steps"
            r.add(node.where, message)
        return tuple(branches), tuple(background)

    def schema(self, s: Schemas) -> Schema:
        steps = DO.schema(s)
        background = {
            "type": "object",
            "properties": {BACKGROUND: IN_BACKGROUND.schema(s)},
            "required": [BACKGROUND],
            "additionalProperties": False,
        }
        listed = {"type": "array", "items": {"anyOf": [steps, background]}, "minItems": 1}
        return {**listed, "contains": {"type": "array"}}

    def write(self, value: Any, w: Writing) -> Any:
        branches, background = value
        found = [DO.write(branch, w) for branch in branches]
        return [
            {BACKGROUND: steps} if number in background else steps
            for number, steps in enumerate(found)
        ]


def _background(item: Node) -> Node | None:
    """The steps of a `{background: [steps]}`."""
    if isinstance(item, MappingNode) and [one.key for one in item.entries] == [BACKGROUND]:
        return item.entries[0].value
    return None


# --- what is declared ---------------------------------------------------------------------------

DO = Steps(needed=True)
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


def _on(r: Reading, fields: Fields, send: Node | None = None) -> Reference | None:
    """The sockets of a step with `on`, or by default; `send` is what it sends."""
    found: Reference | None = fields.get("on")
    if "on" not in fields and r.sockets.known and "on" not in fields.meant:
        found = r.sockets.default()
        if found is None:
            message = "no socket is called 'main', so a step must say 'on:' with one or more of"
            r.add(fields.where, f"{message} {r.sockets.listed()}, or all")
    r.wire = r.sockets.wire(found, _sends_frame(send))
    return found


def _name(r: Reading, fields: Fields, default: str, *, on_sockets: bool) -> str:
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
        else Send(payload, pieces, gap, urgent, until, fields.get("at_most"))
    )


def _exchange(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    reference = _on(r, fields, fields.node("send"))
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
    if expect is not None and isinstance(expect.reply, Closed | WasReset):
        connecting.refuse(r, fields.where_of("expect"), "an end cannot be expected in it")
    _check_forms(r, fields, send, expect)
    both = "send" in fields and "expect" in fields
    kind = "exchange" if both else action.name
    if reference is None:
        _name(r, fields, f"{kind} #{number}", on_sockets=True)
        return None
    name = _name(r, fields, f"{kind} {reference.label} #{number}", on_sockets=True)
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


def _on_sockets(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    reference, within = fields.get(action.name), fields.get("within")
    label = "" if reference is None else f" {reference.label}"
    name = _name(r, fields, f"{action.name}{label} #{number}", on_sockets=True)
    kind = cast(SocketAction, action.name)
    if kind in NOT_OPENING:
        connecting.refuse(r, fields.where_of(kind), f"{quoted(kind)} cannot stand in it")
    if reference is None:
        return None
    pending = fields.get("pending")
    return OnSockets(fields.where, name, kind, reference.sockets, within, pending)


def _transaction(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    called = fields.get("transaction")
    name = _name(r, fields, called or f"transaction #{number}", on_sockets=True)
    (do,) = _needed(r, fields, action)
    return Transaction(fields.where, name, called, do) if called and do else None


def _for(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    name = _name(r, fields, f"for #{number}", on_sockets=False)
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


def _together(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    name = _name(r, fields, f"together #{number}", on_sockets=False)
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


def _plain(r: Reading, fields: Fields, action: Action, number: int) -> Step | None:
    name = _name(r, fields, f"{action.name} #{number}", on_sockets=False)
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


ON = actions.On()
# fmt: off
EXCHANGES = (
    Action("send", ToSend(), "What is sent, a payload; done when the kernel took every byte."
        " `{urgent: PAYLOAD}` is sent out of band (MSG_OOB), to a tcp target: TCP marks the last"
        " byte as urgent, and who does not ask for it inline never sees it in the stream.",
        takes=("pieces", "gap", "until", "at_most", "on", "within"), build=_exchange,
        on_sockets=True,
        examples=("- {send: hello, expect: reply}",)),
    Action("expect", REPLY, "The reply; read until it is complete, wrong or late. An `expect`"
        " without a `send` answers the oldest `send` on its socket that nothing has answered yet,"
        " and is an exchange timed from that send; by a rule it answers all of them. With none open"
        " (a greeting, a push, the rest of a reply that is read in parts) it is a *receive*: a row"
        " of its own, timed from when the wait began, that is in no total, no `rate`, and no"
        " threshold but those that name the step.", takes=("save", "on", "within"), build=_exchange,
        on_sockets=True,
        examples=("- {send: first}\n"
            "- {send: second}\n"
            "- {expect: firstsecond, save: answer}\n"
            '- {send: "you said ${answer}", expect: you said firstsecond}',
            '- {send: "5 bytes, and some more"}\n'
            "- {name: header, expect: {length: 7}}\n"
            "- {name: body, expect: {length: 15}}  # a receive: the header has answered the send")),
)
# fmt: on


def _acts(name: str, told: str, *examples: str, takes: tuple[str, ...] = ("within",)) -> Action:
    """An action on sockets that sends and expects nothing."""
    more: dict[str, Any] = {"takes": takes, "build": _on_sockets, "on_sockets": True}
    return Action(name, ON, told, cls=OnSockets, examples=examples, **more)


# fmt: off
ON_SOCKETS = (
    _acts("connect", "Connect now, timed. (Otherwise a socket connects at its first use.)",
        "- {connect: main}\n- {send: hello, expect: reply}"),
    _acts("start_tls", "TLS on a connection that is open, with the options `tls` of its socket;"
        " timed. For a tcp or unix target, once both sides have agreed on it in plain text."
        " Bytes that come between are a fault (`surplus`).",
        "target: tcp://127.0.0.1:587\n"
        "sockets: {main: {framing: line, tls: {ca: ca.pem, server_name: localhost}}}\n"
        "steps:\n"
        "  - {expect: {regex: '220 .*'}}\n"
        "  - {send: {frame: STARTTLS}, expect: {regex: '220 .*'}}\n"
        "  - {name: handshake, start_tls: main, within: 2s}\n"
        "  - {send: {frame: NOOP}, expect: {regex: '250 .*'}}\n"),
    _acts("half_close", "Shut down the sending side; what the server owes still comes.",
        "- {send: hello}\n- {half_close: main}\n- {expect: hello}\n- {expect: closed}"),
    _acts("close", "Close in order, once what the server still sends has been read. What a rule"
        " owes is awaited for the time-out; then comes FIN, and what follows is read to the end.",
        "- {send: hello, expect: reply}\n- {close: main}", takes=("within", "pending")),
    _acts("reset", "Close with a RST. What came before is judged.",
        "- {send: hello, expect: reply}\n- {reset: main}"),
    _acts("stop_reading", "Let the server's replies pile up in the kernel.",
        "- {stop_reading: main}\n"
        "- {send: {random: 64KiB}}\n"
        "- {wait: 5ms}\n"
        "- {resume_reading: main}\n"
        "- {expect: reply}"),
    _acts("resume_reading", "Read again, after `stop_reading`."),
)
OTHERS = (
    Action("wait", actions.Time(), "Wait, without doing anything.", cls=Wait,
        examples=("- {wait: 5ms}\n- {send: hello, expect: reply}",)),
    Action("repeat", Integer(), "How often the steps of `do` are carried out.", cls=Repeat,
        takes=("do",), needs=("do",),
        examples=("- repeat: 3\n  do:\n    - {send: hello, expect: reply}\n    - {wait: 1ms}",)),
    Action("for", actions.Loop(), "`{NAME: LIST}`: the steps of `do` for each value of a list, or"
        " of one in `variables`; it is `${NAME}`.", cls=For, takes=("do",), needs=("do",),
        build=_for,
        examples=("variables: {colours: [red, green, blue]}\n"
            "steps:\n"
            '  - for: {colour: "${colours}"}\n'
            '    do: [{send: "a ${colour} balloon", expect: reply}]\n'
            "  - for: {number: [1, 2, 3]}\n"
            '    do: [{send: "number ${number}", expect: reply}]',)),
    Action("transaction", actions.RowName(also={"not": {"const": CONNECT}}), "A row of its own for"
        " the steps of `do`, called so: from the first one's begin to the last one's end, less the"
        " `wait`s. It is in no total; thresholds may name it. A fault in it counts as an error"
        " of the transaction, too.", cls=Transaction, takes=("do",), needs=("do",),
        build=_transaction,
        examples=("steps:\n"
            "  - transaction: log in\n"
            "    do:\n"
            "      - {send: my name, expect: reply}\n"
            "      - {wait: 5ms}  # not counted\n"
            "      - {send: my password, expect: reply}\n"
            'thresholds: ["\'log in\': p(95) < 1s"]',)),
    Action("set", actions.Values(), "Variables from here on.", cls=Set,
        examples=('- set: {greeting: "hello from ${user}"}\n'
            '- {send: "${greeting}", expect: reply}',)),
    Action("together", Branches(), "Branches: lists of steps that run at once within the user, each"
        " with sockets of its own; done when all are. Two may use one socket if one only sends on"
        " it (or half-closes it) and the other only expects. What a branch saves has a value for"
        " the others only after it. A branch `{background: [steps]}` repeats its steps until all"
        " others have ended, and then ends after the step in hand, a `wait` at once: a heartbeat.",
        cls=Together, build=_together,
        examples=("sockets: [listener, speaker]\n"
            "steps:\n"
            "  - together:\n"
            "      - - {on: listener, send: one, expect: reply}\n"
            "        - {on: listener, send: two, expect: reply}\n"
            "      - - {on: speaker, send: hello, expect: reply, save: said}\n"
            '  - {on: listener, send: "they said ${said}", expect: they said hello}',
            "sockets: {main: {framing: line}}\n"
            "steps:\n"
            "  - together:  # a message a millisecond, whenever the answers come\n"
            "      - - repeat: 10\n"
            '          do: [{send: {frame: "I am ${user}"}}, {wait: 1ms}]\n'
            "      - - repeat: 10\n"
            '          do: [{name: answer, expect: {frame: "I am ${user}"}}]',
            )),
    Action("barrier", actions.BarrierName(), "Wait until every running user is at the barrier of"
        " this name. It needs a fixed number of users: no `rate`, ramps or `phases`.", cls=Barrier,
        examples=("steps:\n"
            "  - {send: hello, expect: reply}\n"
            "  - {barrier: everybody has said hello}\n"
            "  - {send: bye, expect: reply}\n"
            "load: {users: 5, iterations: 3}",)),
    Action("call", actions.Called(), "Calls `async def FUNCTION(user)`, looked for in the"
        " scenario's folder first (here in `helpers.py`); what a `user` can do stands in"
        " `loadmux help python`.", cls=Call,
        examples=("async def talk(user):\n"
            "    for number in range(user.random.randint(1, 3)):\n"
            '        await user["main"].exchange(f"number {number}", expect=f"number {number}")',
            '- {call: "helpers:talk"}\n'
            "- {send: hello, expect: reply}")),
)
# fmt: on
IN_BACKGROUND = Key(
    BACKGROUND,
    DO,
    "In place of a branch: its steps are repeated until all other branches have ended; it ends"
    " after the step in hand, a `wait` at once.",
    examples=(
        "sockets: [main, beat]\n"
        "steps:\n"
        "  - together:\n"
        "      - [{send: hello, expect: reply}, {wait: 20ms}, {send: bye, expect: reply}]\n"
        "      - background: [{on: beat, send: ping, expect: ping}, {wait: 5ms}]",
    ),
)
ACTIONS = {action.name: action for action in (*EXCHANGES, *ON_SOCKETS, *OTHERS)}
# fmt: off
NAME = Key("name", actions.RowName(also={"not": {"const": CONNECT}}), "The row in the report; by"
    " default the action, the sockets and the step's number.",
    examples=("- {name: login, send: hello, expect: reply, within: 200ms}",))
MODIFIERS = (
    Modifier("pieces", actions.Pieces(), "Cuts what is sent: a size, sizes (the last one repeats),"
        " or `each_byte`.", default=(),
        examples=("- {send: in two halves, pieces: 7, expect: reply}\n"
            '- {send: "in ever longer pieces", pieces: [1, 2, 3, 5], expect: reply}\n'
            "- {send: slowly, pieces: each_byte, gap: 1ms, expect: reply}",)),
    Modifier("gap", Duration(), "Pause between the pieces.", default=0.0),
    Modifier("until", Choice(("full",)), "`full`: sends it again and again until the socket has"
        " taken nothing for `within` (by default 1s), and reads nothing meanwhile; then the step is"
        " done. Half a message lies on the connection then, so the next one needs a new one.",
        examples=("target: {bundled: epoll, reply: echo}\n"
            "sockets: {main: {send_buffer: 16KiB, receive_buffer: 16KiB}}\n"
            "steps:\n"
            "  - {send: {repeat: tick, times: 1000}, until: full, within: 100ms}\n"
            "  - {close: main, pending: drop}",)),
    Modifier("at_most", Size(), "Ends `until: full` when so many bytes were taken, if it is not"
        " full by then; without it 1GiB are a mistake.",
        examples=("target: {bundled: epoll, reply: echo}\n"
            "steps:\n"
            "  - {send: {repeat: tick, times: 1000}, until: full, at_most: 64KiB, within: 100ms}\n"
            "  - {close: main, pending: drop}",)),
    Modifier("save", NewName("the name"), "Keeps the reply's bytes for `${NAME}`."),
    Modifier("do", DO, "The steps that are repeated, or that are one transaction."),
    Modifier("pending", Choice(("drop",)), "`drop`: what has come and no step has asked for is not"
        " judged, and what is owed is not awaited: a client that does not wait.",
        examples=("- {send: hello}\n- {close: main, pending: drop}",)),
    Modifier("on", ON, "Which sockets; with several, the send goes out on every one before the"
        " first reply is awaited. By default `main`, or the only one.", attribute="sockets",
        examples=("sockets: {a: , b: , crowd: {count: 2}}\n"
            "steps:\n"
            "  - {on: a, send: hello, expect: reply}\n"
            '  - {on: [a, "crowd[1]"], send: hello, expect: reply}\n'
            "  - {on: all, send: hello, expect: reply}",)),
    Modifier("within", Duration(zero=False), "Timeout of this step, instead of the scenario's.",
        belongs="an action on a socket"),
)
# fmt: on
INCLUDE = Key(
    "include",
    Words(),
    "Stands for the list of steps in a file, as if they stood here;"
    " it is looked for as the scenario's other files are, or beside the file that includes it.",
    examples=("- {include: login.yaml}\n- {send: hello, expect: reply}",),
)
KEYS: Mapping[str, Key] = {
    **ACTIONS,
    INCLUDE.name: INCLUDE,
    NAME.name: NAME,
    **{modifier.name: modifier for modifier in MODIFIERS},
}
OWNERS = {
    modifier.name: tuple(name for name, one in ACTIONS.items() if modifier.name in one.takes)
    for modifier in MODIFIERS
}
GAP = Needs("gap", ("pieces",), "'gap' needs 'pieces': it is the time between them")
AT_MOST = Needs("at_most", ("until",), "'at_most' needs 'until: full': it is when that ends")
BESIDE_PLUGINS = {key: KEYS[key] for key in ("name", "on", "within")}


# --- one step -----------------------------------------------------------------------------------


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
        step = (action.build or _plain)(r, fields, action, number)
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

    def _perform(self, r: Reading, node: MappingNode, plugin: Entry, number: int) -> Step | None:
        """The action of a plugin."""
        before = len(r.mistakes)
        keys = {plugin.key: Key(plugin.key, Type(), ""), **BESIDE_PLUGINS}
        fields = Fields(r, node, f"a {quoted(plugin.key)} step", keys)
        reference = _on(r, fields)
        action = plugged.action(r, plugin)
        within = fields.get("within")
        label = "" if reference is None else f" {reference.label}"
        name = _name(r, fields, f"{plugin.key}{label} #{number}", on_sockets=True)
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


def defines(step: MappingNode) -> bool:
    """Whether a step's keys, as they are or as they may have been meant, can define a name."""
    keys = [entry.key for entry in step.entries]
    captures = any(may_capture(entry.value) for entry in step.entries)
    return captures or any(
        key in DEFINING or meant(key, KEYS, "a step") in DEFINING for key in keys
    )
