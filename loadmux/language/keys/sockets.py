"""The key `sockets`: the sockets of a user and their options."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loadmux.errors import Position
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.patterns import portable, whole
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.references import ALL, DEFAULT, NAME, Reference
from loadmux.language.grammar.shapes import Fields, Key, Keys
from loadmux.language.grammar.types import Boolean, Choice, Duration, Integer, Items, Size, Words
from loadmux.language.keys.tls import TLS
from loadmux.language.keys.unasked import ANSWER, UNEXPECTED
from loadmux.language.meaning.scenario import Pace, Socket, group_of
from loadmux.language.messages.framings import FRAMING, plugin_of
from loadmux.language.steps import connecting
from loadmux.language.steps.step import STEP
from loadmux.language.steps.steplists import Steps
from loadmux.language.text import nodes
from loadmux.language.text.nodes import kind_of, suggestion
from loadmux.language.text.values import plain
from loadmux.language.text.yamltree import ListNode, MappingNode, Node, ScalarNode
from loadmux.units import quoted

MOST_SOCKETS = 100_000
# setsockopt(2) takes an int.
LARGEST_BUFFER = 2**31 - 1
ON_CONNECT = Steps(STEP, needed=False)
CONNECTING = ("on_connect", "ignore", "answer")
"""Options that are read once the socket is declared."""
ADDRESS = r"^[0-9A-Fa-f:.]+(?:%[^/]+)?(?:/[0-9.]+)?$"


# --- options ------------------------------------------------------------------------------------


class To(Words):
    """The name of a target, among those in force; where they have none, nothing can be said."""

    def read(self, r: Reading, node: Node, what: str) -> Any:
        targets = r.sockets.targets
        unnamed = targets is not None and not any(targets)
        return None if unnamed else super().read(r, node, what)

    def made(self, r: Reading, node: Node, text: str, what: str) -> str:
        targets = r.sockets.targets
        if targets is None or text in targets:
            return text
        hint = suggestion(text, targets, "targets are")
        raise ValueError(f"unknown target {quoted(text)}{hint}")


class Count(Integer):
    """As many sockets as there may be, together with those before."""

    def read(self, r: Reading, node: Node, what: str) -> Any:
        count = Integer().read(r, node, what)
        if count is not None and len(r.sockets.flat) + count > MOST_SOCKETS:
            return r.refuse(node, f"more than {MOST_SOCKETS} sockets for each user")
        return count


def source(text: str) -> str:
    """An IP address, or a CIDR block of them, to bind from. Raises ValueError."""
    try:
        if "/" not in text:
            return str(ipaddress.ip_address(text))
        block = ipaddress.ip_network(text, strict=False)
    except ValueError:
        message = f"{quoted(text)} is not an IP address; write one such as 127.0.0.2"
        if "/" in text:
            message = f"{quoted(text)} is not a block of IP addresses; write 127.0.1.0/24"
        raise ValueError(message) from None
    if ipaddress.ip_interface(text).ip != block.network_address:
        message = f"{quoted(text)} is one address within a block; write {quoted(str(block))}"
        raise ValueError(f"{message}, or the address alone")
    return str(block)


class ReadOptions(Keys):
    def build(self, r: Reading, fields: Fields, node: Node) -> Pace | None:
        found: Pace | None = super().build(r, fields, node)
        return None if found is None else replace(found, where=node.where)


# fmt: off
PACE = ReadOptions("'read'", (
    Key("size", Size(LARGEST_BUFFER), "Bytes that are read at a time at most.",
        required="'read' needs 'size: SIZE', the most that is read at a time"),
    Key("gap", Duration(zero=False), "How long after one read the next one comes.",
        required="'read' needs 'gap: DURATION', how long after one read the next one comes"),
), Pace, remedy="write {size: 2KiB, gap: 10ms}")
# fmt: on


class SocketOptions(Keys):
    def written(self, name: str, every: Sequence[Socket], named: bool, w: Writing) -> Schema:
        """The options of a socket, or of a group; `named`: its target has a name."""
        one = every[0]
        special: Schema = {
            "to": one.to if named else None,
            "count": len(every) if one.name != name else None,
            **({} if one.written is None else {"framing": one.written}),
            "on_connect": _written_steps(name, one, w),
            **{key: None for key in ("ignore", "answer") if not getattr(one, key)},
        }
        found = {
            name: special[name] if name in special else key.of(one, w)
            for name, key in self.keys.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def _written_steps(name: str, one: Socket, w: Writing) -> object:
    within = replace(w, sockets=lambda places: name, own=True)
    return ON_CONNECT.write(one.on_connect, within) if one.on_connect else None


# fmt: off
OPTIONS = SocketOptions("a socket", (
    Key("to", To(), "Which of several targets it connects to."),
    Key("count", Count(most=MOST_SOCKETS), "A group of so many sockets: `on: NAME` is all of them,"
        " `on: NAME[0]` one.",
        examples=("sockets: {crowd: {count: 3}}\n"
            "steps:\n"
            "  - {on: crowd, send: hello, expect: reply}\n"
            '  - {on: "crowd[2]", send: bye, expect: reply}',)),
    Key("nodelay", Boolean(), "TCP_NODELAY: send small pieces at once.", default=True,
        examples=("sockets: {main: {nodelay: false}}",)),
    Key("receive_buffer", Size(LARGEST_BUFFER), "SO_RCVBUF in bytes; by default the kernel's"
        " choice.",
        examples=("sockets: {main: {receive_buffer: 4KiB, send_buffer: 16KiB}}\n"
            "steps: [{send: {random: 256KiB}, expect: reply}]",)),
    Key("send_buffer", Size(LARGEST_BUFFER), "SO_SNDBUF in bytes; by default the kernel's choice."),
    Key("source", Words(ADDRESS, source), "The address to connect from, or a block such as"
        " 127.0.1.0/24, used in turn.",
        examples=("sockets: {one: {source: 127.0.0.2}, other: {source: 127.0.1.0/24}}\n"
            "steps: [{on: all, send: hello, expect: reply}]",)),
    Key("linger", Duration(), "SO_LINGER: how long `close` waits for what is unsent; `0s` resets"
        " the connection.",
        examples=("sockets: {main: {linger: 1s}}\n"
            "steps: [{send: hello, expect: reply}, {close: main}]",)),
    Key("framing", FRAMING, "Where a message ends, for `frame` and `regex`."),
    Key("on_connect", ON_CONNECT, "Steps that are carried out on each new connection of"
        " this socket, before anything else on it: a PROXY header, a login, a handshake. They are"
        " for this socket alone (no `on`), and have rows of their own; their time is in no other"
        " step's latency. A fault in them is a fault of the iteration. They may use whatever the"
        " file gives a name.",
        default=(),
        examples=("sockets:\n"
            "  main:\n"
            "    on_connect:\n"
            '      - {name: login, send: "login ${user}", expect: reply}\n'
            "steps:\n"
            "  - {send: hello, expect: reply}\n"
            "  - {close: main}\n"
            "  - {send: hello again, expect: reply}  # on a new connection, after another login",)),
    Key("ignore", Items(UNEXPECTED, "a reply"), "Frames that may come at any time, each judged as"
        " a frame's body (of a UDP socket, a datagram). They are taken out wherever they come, are"
        " counted in the row `ignored SOCKET`, and are no fault. So none of them can be awaited.",
        default=(),
        examples=("sockets: {main: {framing: line, ignore: [{regex: 'TICK \\d+'}, keepalive]}}\n"
            "steps: [{send: {frame: hello}, expect: {frame: reply}}]",)),
    Key("answer", Items(ANSWER, "an answer"), "As `ignore`, and answered at once, also while the"
        " user waits or rests: `{to: REPLY, send: PAYLOAD}`. Names that `to` captures may stand in"
        " `send`.", default=(),
        examples=("sockets:\n"
            "  main:\n"
            "    framing: {delimiter: \"\\r\\n\"}\n"
            "    answer: [{to: {regex: 'PING (?P<token>.*)'}, send: {frame: \"PONG ${token}\"}}]\n"
            "steps: [{send: {frame: hello}, expect: {frame: reply}}]",)),
    Key("idle_close", Choice(("fault", "allowed")), "`allowed`: the server may end the connection"
        " in order while nothing is owed. The socket connects anew at its next use, with its"
        " `on_connect`; that is counted, and no fault. Where it ends just as a message comes, and"
        " its kernel refuses that (a RST: it was not read; over TLS nobody can tell), the message"
        " of a step that awaits its reply is sent again on the new connection, once.",
        default="fault",
        examples=("sockets: {main: {idle_close: allowed}}",)),
    Key("read", PACE, "A slow reader: at most `size` bytes are read at a time, and the next ones"
        " `gap` later.",
        examples=("sockets: {main: {read: {size: 2KiB, gap: 1ms}}}\n"
            "steps: [{send: {random: 16KiB}, expect: reply}]",)),
    Key("tls", TLS, "Options of TLS, for targets that speak it: `tls://` ones, and bundled ones"
        " with `tls: true`.",
        examples=("target: {bundled: epoll, tls: true}",
            'target: {url: "tls://127.0.0.1:8443", reply: echo}\n'
            "sockets: {main: {tls: {ca: ca.pem, server_name: localhost}}}",
            'target: {url: "tls://localhost:8443", reply: echo}\n'
            "sockets: {main: {tls: {cert: client.pem, key: client.pem, verify: false}}}")),
), definition="socket_options")
# fmt: on


# --- declarations -------------------------------------------------------------------------------


class AnySockets(Type):
    """A list of names, or names with options; declares them in `Reading.sockets`."""

    word = "names, or names with options"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        self.declare(r, node, node.where)
        return tuple(r.sockets.flat)

    def declare(self, r: Reading, node: Node | None, where: Position) -> None:
        """None declares the one socket `main`; `where` is at fault if it has several targets."""
        sockets = r.sockets
        several = sockets.targets is not None and len(sockets.targets) > 1
        if several and not isinstance(node, MappingNode):
            message = "with several targets each socket says which is its own; write 'sockets:"
            message += f" {{NAME: {{to: TARGET}}}}' ({_listed_targets(r)})"
            r.add(where if node is None else node.where, message)
            sockets.known = False
        elif node is None:
            sockets.declare(DEFAULT, Socket(DEFAULT, to=_only_target(r)))
        elif isinstance(node, ListNode):
            for item in node.items:
                _named(r, item)
        elif isinstance(node, MappingNode):
            sockets.known = not node.incomplete
            for entry in node.entries:
                _optioned(r, entry.key, entry.where, entry.value)
        else:
            message = f"'sockets' must be a list of names or a mapping, not {kind_of(node)}"
            r.add(node.where, f"{message}; write [first, second]")
            sockets.known = False
        if node is not None and not sockets.flat and sockets.known:
            message = "'sockets' names no socket; name at least one, or leave it out"
            r.add(node.where, message)
            sockets.known = False

    def schema(self, s: Schemas) -> Schema:
        name = {"pattern": whole(portable(NAME.pattern)), "not": {"const": ALL}}
        item = {"type": "string", **name}
        names = {"description": "Names of sockets.", "type": "array", "items": item}
        options = {
            "description": "Names of sockets, each with its options.",
            "type": "object",
            "minProperties": 1,
            "propertyNames": name,
            "additionalProperties": {"anyOf": [{"type": "null"}, s.of(OPTIONS)]},
        }
        return {"anyOf": [{**names, "minItems": 1, "uniqueItems": True}, options]}

    def write(self, value: Any, w: Writing) -> Any:
        if isinstance(value, list):
            return value
        sockets, named = value
        members: dict[str, list[Socket]] = {}
        for socket in sockets:
            members.setdefault(group_of(socket.name), []).append(socket)
        return {name: OPTIONS.written(name, every, named, w) for name, every in members.items()}


SOCKETS = AnySockets()


def _only_target(r: Reading) -> str:
    return next(iter(r.sockets.targets or ()), "")


def _listed_targets(r: Reading) -> str:
    return "targets are " + ", ".join(list(r.sockets.targets or ())[:30])


def _checked(r: Reading, name: str, where: Position) -> str | None:
    if NAME.fullmatch(name) is None:
        message = f"{quoted(name)} is no name for a socket; use letters, digits, '_', '-' and '.'"
    elif name == ALL:
        message = "'all' means every socket; choose another name"
    else:
        return name
    r.add(where, message)
    r.sockets.known = False
    return None


def _named(r: Reading, item: Node) -> None:
    """An item of a list of names."""
    if isinstance(item, MappingNode):
        message = "a list of sockets holds names; to give options, write 'sockets: {NAME: {...}}'"
        r.add(item.where, message)
        r.sockets.known = False
        return
    found = nodes.text(r.mistakes, item, "a socket's name")
    name = None if found is None else _checked(r, found, item.where)
    if name is None:
        r.sockets.known = False
    elif name in r.sockets:
        r.add(item.where, f"the socket {quoted(name)} is named twice")
    else:
        r.sockets.declare(name, Socket(name, to=_only_target(r)))


def _optioned(r: Reading, key: str, where: Position, node: Node) -> None:
    """One `NAME: options`; a name that is wrong still has its options checked."""
    name = _checked(r, key, where)
    count, found = None, dict[str, Any]()
    if isinstance(node, MappingNode):
        fields = Fields(r, node, OPTIONS.what, OPTIONS.keys)
        _check_to(r, fields.node("to"), name, node.where)
        found = OPTIONS.all(r, fields.without(CONNECTING))
        count = found.pop("count")
        framing = fields.node("framing")
        if framing is not None and plugin_of(r, framing) is not None:
            found["written"] = plain(framing)
        if found["framing"] is None and fields.there("framing"):
            r.sockets.doubtful.add(key)
        if "count" in fields and count is None:
            r.sockets.known = False
    else:
        if not (isinstance(node, ScalarNode) and node.value is None):
            message = f"a socket's options must be a mapping, not {kind_of(node)}"
            r.add(node.where, f"{message}; write {{nodelay: false}} or nothing")
        _check_to(r, None, name, node.where)
    found["to"] = found.get("to") or _only_target(r)
    if name is None:
        return
    r.sockets.declare(name, Socket(name, **found), count)
    if isinstance(node, MappingNode):
        _prepare(r, name, fields)


def _prepare(r: Reading, name: str, fields: Fields) -> None:
    """Read what is for the connections of a socket that is declared by now."""
    if not any(key in fields for key in CONNECTING):
        return
    places = r.sockets.places(name)
    own = Reference(places, name)
    r.wire = r.sockets.wire(Reference(places[:1], name), False)
    ignore, answer = (fields.get(key) or () for key in ("ignore", "answer"))
    with connecting.reading(r, Reference(places[:1], name)):
        r.targets = [r.sockets.flat[places[0]].to]
        steps = fields.get("on_connect")
    for place in own.sockets:
        mine = connecting.moved(steps or (), place)
        r.sockets.flat[place] = replace(
            r.sockets.flat[place], on_connect=mine, ignore=ignore, answer=answer
        )


def _check_to(r: Reading, node: Node | None, name: str | None, where: Position) -> None:
    """Whether a socket says, or need not say, which target is its own."""
    targets = r.sockets.targets
    if node is None and targets is not None and len(targets) > 1:
        message = f"the socket {quoted(name or '')} does not say which target is its own"
        r.add(where, f"{message}; write 'to:' ({_listed_targets(r)})")
    elif node is not None and targets is not None and not any(targets):
        message = "'to' chooses among the names of several targets; this target has none"
        r.add(node.where, f"{message}; leave 'to' out")
