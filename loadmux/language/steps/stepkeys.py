"""The keys of a step: its actions, and what may, or must, stand beside each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadmux.language.grammar.shapes import Apart, Key, Needs
from loadmux.language.grammar.types import Boolean, Choice, Duration, Integer, NewName, Size, Words
from loadmux.language.meaning.stepvalues import (
    Barrier,
    Call,
    For,
    OnSockets,
    Repeat,
    Set,
    Together,
    Transaction,
    Wait,
)
from loadmux.language.messages.payloads import ToSend
from loadmux.language.messages.replies import REPLY
from loadmux.language.steps import actions
from loadmux.language.steps.building import (
    Action,
    Modifier,
    exchange,
    loop,
    on_sockets,
    together,
    transaction,
)
from loadmux.language.steps.steplists import DO, Branches

ON = actions.On()
# fmt: off
EXCHANGES = (
    Action("send", ToSend(), "What is sent, a payload; done when the kernel took every byte."
        " `{urgent: PAYLOAD}` is sent out of band (MSG_OOB), to a tcp target: TCP marks the last"
        " byte as urgent, and who does not ask for it inline never sees it in the stream.",
        takes=("pieces", "gap", "until", "at_most", "oneway", "on", "within"), build=exchange,
        on_sockets=True,
        examples=("- {send: hello, expect: reply}",)),
    Action("expect", REPLY, "The reply; read until it is complete, wrong or late. An `expect`"
        " without a `send` answers the oldest `send` on its socket that nothing has answered yet,"
        " and is an exchange timed from that send; by a rule it answers all of them. With none open"
        " (a greeting, a push, the rest of a reply that is read in parts) it is a *receive*: a row"
        " of its own, timed from when the wait began, that is in no total, no `rate`, and no"
        " threshold but those that name the step.", takes=("save", "on", "within"), build=exchange,
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
    more: dict[str, Any] = {"takes": takes, "build": on_sockets, "on_sockets": True}
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
        "- {send: hello, expect: reply}\n- {reset: main}", takes=("within", "pending")),
    _acts("stop_reading", "Let the server's replies pile up in the kernel.",
        "- {stop_reading: main}\n"
        "- {send: {random: 64KiB}}\n"
        "- {wait: 5ms}\n"
        "- {resume_reading: main}\n"
        "- {expect: reply}"),
    _acts("resume_reading", "Read again, after `stop_reading`."),
    _acts("cork", "Hold back what is sent from now on (TCP_CORK, see tcp(7)): it leaves in full"
        " segments, with the FIN of a `half_close`, at `uncork`, or after 200 ms. So what several"
        " steps send reaches the server at once. Only TCP does that; others pass it over.",
        "- {cork: main}\n"
        "- {send: hello}\n"
        "- {half_close: main}  # in the same segment\n"
        "- {expect: hello}\n"
        "- {expect: closed}"),
    _acts("uncork", "Send what `cork` has held back, and hold back no more.",
        "- {cork: main}\n"
        "- {send: the first half}\n"
        "- {send: ', and the other'}\n"
        "- {uncork: main}  # both leave at once\n"
        "- {expect: reply}"),
)
OTHERS = (
    Action("wait", actions.Time(), "Wait, without doing anything.", cls=Wait,
        examples=("- {wait: 5ms}\n- {send: hello, expect: reply}",)),
    Action("repeat", Integer(), "How often the steps of `do` are carried out.", cls=Repeat,
        takes=("do",), needs=("do",),
        examples=("- repeat: 3\n  do:\n    - {send: hello, expect: reply}\n    - {wait: 1ms}",)),
    Action("for", actions.Loop(), "`{NAME: LIST}`: the steps of `do` for each value of a list, or"
        " of one in `variables`; it is `${NAME}`.", cls=For, takes=("do",), needs=("do",),
        build=loop,
        examples=("variables: {colours: [red, green, blue]}\n"
            "steps:\n"
            '  - for: {colour: "${colours}"}\n'
            '    do: [{send: "a ${colour} balloon", expect: reply}]\n'
            "  - for: {number: [1, 2, 3]}\n"
            '    do: [{send: "number ${number}", expect: reply}]',)),
    Action("transaction", actions.RowName(), "A row of its own for"
        " the steps of `do`, called so: from the first one's begin to the last one's end, less the"
        " `wait`s. It is in no total; thresholds may name it. A fault in it counts as an error"
        " of the transaction, too.", cls=Transaction, takes=("do",), needs=("do",),
        build=transaction,
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
        cls=Together, build=together,
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
ACTIONS = {action.name: action for action in (*EXCHANGES, *ON_SOCKETS, *OTHERS)}
# fmt: off
NAME = Key("name", actions.RowName(), "The row in the report; by"
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
    Modifier("oneway", Boolean(), "Nothing answers what is sent: an `expect` that comes after it"
        " answers the next `send`, and is timed from that.", default=False,
        examples=("- {send: two halves of, oneway: true}\n"
            "- {send: \" one message\"}\n"
            "- {name: answer, expect: two halves of one message}  # timed from the second",)),
    Modifier("save", NewName("the name"), "Keeps the reply's bytes for `${NAME}`."),
    Modifier("do", DO, "The steps that are repeated, or that are one transaction."),
    Modifier("pending", Choice(("drop", "abandon")), "`drop`: what has come and no step has asked"
        " for is not judged, and what is owed is not awaited: a client that does not wait."
        " `abandon`: close(2) at once, as of a client that was killed. What the server still sends"
        " is answered by a RST, so that its next write fails (EPIPE).",
        examples=("- {send: hello}\n- {close: main, pending: drop}",
            "- {send: hello}\n- {close: main, pending: abandon}")),
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
ONEWAY = Apart("oneway", {"expect": "what is sent 'oneway' has no answer; leave 'expect' out"})
BESIDE_PLUGINS = {key: KEYS[key] for key in ("name", "on", "within")}
