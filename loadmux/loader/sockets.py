"""The sockets of a user: their names, groups and options, and what `on` and its kin refer to."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from loadmux.errors import Position
from loadmux.framing import Framing
from loadmux.loader import frames, reader, tls
from loadmux.loader.forms import Forms
from loadmux.loader.frames import Constant, Wire
from loadmux.loader.reader import Fields, Mistakes, kind_of, suggestion
from loadmux.loader.values import plain
from loadmux.scenario import Socket
from loadmux.units import quoted
from loadmux.yamltree import ListNode, MappingNode, Node, ScalarNode

ALL = "all"
DEFAULT = "main"
MOST_SOCKETS = 100_000
# setsockopt(2) takes an int.
LARGEST_BUFFER = 2**31 - 1

OPTIONS = (
    *("to", "count", "nodelay", "receive_buffer", "send_buffer", "source", "linger"),
    *("framing", "tls"),
)

NAME = re.compile(r"[\w.-]+")
_MEMBER = re.compile(r"([\w.-]+)\[([0-9]{1,9})\]")


@dataclass(frozen=True, slots=True)
class Reference:
    """Sockets by their place in `Scenario.sockets`, and how the file calls them."""

    sockets: tuple[int, ...]
    label: str


class Sockets:
    """The declared sockets; `known` is False where a mistake hides some: none is unknown then.

    `targets` are the names of what they may connect to, None where a mistake hides them.
    """

    def __init__(self, mistakes: Mistakes, forms: Forms) -> None:
        self.flat: list[Socket] = []
        self.targets: Collection[str] | None = None
        self._forms = forms
        self.known = True
        self._mistakes = mistakes
        self._places: dict[str, tuple[int, ...]] = {}
        self._groups: set[str] = set()
        self._doubtful: set[str] = set()

    @classmethod
    def declared(cls, mistakes: Mistakes, flat: Sequence[Socket], forms: Forms) -> Sockets:
        """The sockets of a scenario that was loaded before."""
        sockets = cls(mistakes, forms)
        for place, socket in enumerate(flat):
            member = _MEMBER.fullmatch(socket.name)
            name = socket.name if member is None else member[1]
            if member is not None:
                sockets._groups.add(name)
            sockets._places[name] = (*sockets._places.get(name, ()), place)
        sockets.flat = list(flat)
        return sockets

    # --- declaration ------------------------------------------------------------------------

    def declare_all(self, node: Node | None, where: Position, constant: Constant) -> None:
        """Reads the key `sockets`; None declares the one socket `main`.

        `where`: what is at fault if that socket does not know its target.
        """
        self._constant = constant
        several = self.targets is not None and len(self.targets) > 1
        if several and not isinstance(node, MappingNode):
            message = "with several targets each socket says which is its own; write 'sockets:"
            message += f" {{NAME: {{to: TARGET}}}}' ({self._listed_targets()})"
            self._mistakes.add(where if node is None else node.where, message)
            self.known = False
        elif node is None:
            self._declare(DEFAULT, Socket(DEFAULT, to=self._only_target()), None)
        elif isinstance(node, ListNode):
            for item in node.items:
                self._declare_name(item)
        elif isinstance(node, MappingNode):
            self.known = not node.incomplete
            for entry in node.entries:
                name = self._checked(entry.key, ScalarNode(entry.where, entry.key, entry.key))
                self._declare_with_options(name, entry.value)
        else:
            message = f"'sockets' must be a list of names or a mapping, not {kind_of(node)}"
            self._mistakes.add(node.where, f"{message}; write [first, second]")
            self.known = False
        if node is not None and not self.flat and self.known:
            self._mistakes.add(
                node.where, "'sockets' names no socket; name at least one, or leave it out"
            )
            self.known = False

    def _declare_name(self, item: Node) -> None:
        if isinstance(item, MappingNode):
            message = (
                "a list of sockets holds names; to give options, write 'sockets: {NAME: {...}}'"
            )
            self._mistakes.add(item.where, message)
            self.known = False
            return
        found = reader.text(self._mistakes, item, "a socket's name")
        name = None if found is None else self._checked(found, item)
        if name is None:
            self.known = False
        elif name in self._places:
            self._mistakes.add(item.where, f"the socket {quoted(name)} is named twice")
        else:
            self._declare(name, Socket(name, to=self._only_target()), None)

    # --- targets ----------------------------------------------------------------------------

    def _only_target(self) -> str:
        return next(iter(self.targets or ()), "")

    def _listed_targets(self) -> str:
        return "targets are " + ", ".join(list(self.targets or ())[:30])

    def _to(self, name: str | None, where: Position, node: Node | None) -> str:
        """The target of a socket with options; `where` is the socket's place."""
        targets = self.targets
        if targets is None:
            return ""
        if node is None:
            if len(targets) > 1:
                message = f"the socket {quoted(name or '')} does not say which target is its own"
                self._mistakes.add(where, f"{message}; write 'to:' ({self._listed_targets()})")
            return self._only_target()
        if not any(targets):
            message = "'to' chooses among the names of several targets; this target has none"
            self._mistakes.add(node.where, f"{message}; leave 'to' out")
            return ""
        found = reader.text(self._mistakes, node, "'to'")
        if found is None or found in targets:
            return found or ""
        hint = suggestion(found, targets, "targets are")
        self._mistakes.add(node.where, f"unknown target {quoted(found)}{hint}")
        return ""

    # --- names and options ------------------------------------------------------------------

    def _checked(self, name: str, node: Node) -> str | None:
        if NAME.fullmatch(name) is None:
            message = (
                f"{quoted(name)} is no name for a socket; use letters, digits, '_', '-' and '.'"
            )
        elif name == ALL:
            message = "'all' means every socket; choose another name"
        else:
            return name
        self._mistakes.add(node.where, message)
        return None

    def _declare(self, name: str, socket: Socket, count: int | None) -> None:
        begin = len(self.flat)
        if count is None:
            self.flat.append(socket)
        else:
            self._groups.add(name)
            self.flat += [dataclasses.replace(socket, name=f"{name}[{i}]") for i in range(count)]
        self._places[name] = tuple(range(begin, len(self.flat)))

    def _declare_with_options(self, name: str | None, node: Node) -> None:
        """One `NAME: options`; a name that is wrong (None) still has its options checked."""
        options, count = Socket(name or ""), None
        to = None
        if isinstance(node, MappingNode):
            to = next((entry.value for entry in node.entries if entry.key == "to"), None)
            fields = Fields(self._mistakes, node, "a socket", OPTIONS)
            options, count = self._options(options, fields), self._count(fields)
            if options.framing is None and ("framing" in fields or "framing" in fields.meant):
                self._doubtful.add(name or "")
            if "count" in fields and count is None:
                self.known = False
        elif not (isinstance(node, ScalarNode) and node.value is None):
            message = f"a socket's options must be a mapping, not {kind_of(node)}"
            self._mistakes.add(node.where, f"{message}; write {{nodelay: false}} or nothing")
        options = dataclasses.replace(options, to=self._to(name, node.where, to))
        if name is None:
            self.known = False
        else:
            self._declare(name, options, count)

    def _count(self, fields: Fields) -> int | None:
        node = fields.value("count")
        count = None if node is None else reader.count(self._mistakes, node, "'count'")
        if node is not None and count is not None and len(self.flat) + count > MOST_SOCKETS:
            self._mistakes.add(node.where, f"more than {MOST_SOCKETS} sockets for each user")
            return None
        return count

    def _options(self, socket: Socket, fields: Fields) -> Socket:
        framing = fields.value("framing")
        named = None if framing is None else frames.plugin_of(framing, self._forms)
        return dataclasses.replace(
            socket,
            nodelay=fields.read("nodelay", reader.boolean) is not False,
            receive_buffer=fields.read("receive_buffer", _buffer),
            send_buffer=fields.read("send_buffer", _buffer),
            source=fields.read("source", _source),
            linger=fields.read("linger", reader.duration),
            framing=fields.read("framing", self._framing),
            tls=fields.read("tls", tls.read),
            written=None if framing is None or named is None else plain(framing),
        )

    def _framing(self, mistakes: Mistakes, node: Node, what: str) -> Framing | None:
        return frames.read(mistakes, node, self._constant, self._forms)

    # --- reference --------------------------------------------------------------------------

    def wire(self, reference: Reference | None, send: Node | None) -> Wire:
        """The framing that a step's sockets have in common; `send` is what it sends."""
        answers = frames.sends_frame(send)
        if reference is None:
            return Wire(answers=answers)
        sockets = [self.flat[place] for place in reference.sockets]
        missing = next((one.name for one in sockets if one.framing is None), None)
        if missing is not None:
            name = missing.partition("[")[0]
            known = name not in self._doubtful
            reason = f"write 'sockets: {{{name}: {{framing: line}}}}' or another framing"
            return Wire(None, reason if known else "", answers)
        if any(one.framing != sockets[0].framing for one in sockets):
            reason = "its sockets have different framings; write a step for each"
            return Wire(None, reason, answers)
        return Wire(sockets[0].framing, "", answers)

    def refer(self, node: Node, what: str) -> Reference | None:
        """A socket, a group, one of a group, `all`, or a list of these."""
        nodes = node.items if isinstance(node, ListNode) else (node,)
        if not nodes:
            self._mistakes.add(node.where, f"{what} names no socket")
            return None
        found = [self._one(item, what) for item in nodes]
        places: dict[int, None] = {}
        labels: list[str] = []
        for item, reference in zip(nodes, found, strict=True):
            if reference is None:
                return None
            again = next((place for place in reference.sockets if place in places), None)
            if again is not None:
                name = quoted(self.flat[again].name)
                self._mistakes.add(item.where, f"{what} names the socket {name} twice")
                return None
            places.update(dict.fromkeys(reference.sockets))
            labels.append(reference.label)
        return Reference(tuple(places), ",".join(labels))

    def _one(self, node: Node, what: str) -> Reference | None:
        name = reader.text(self._mistakes, node, what)
        if name is None or not self.known:
            return None
        if name == ALL:
            return Reference(tuple(range(len(self.flat))), name)
        if name in self._places:
            return Reference(self._places[name], name)
        member = _MEMBER.fullmatch(name)
        if member is not None and member[1] in self._places:
            return self._member(node, member[1], int(member[2]), name)
        hint = suggestion(name, [*self._places, ALL], "sockets are")
        self._mistakes.add(node.where, f"unknown socket {quoted(name)}{hint}")
        return None

    def _member(self, node: Node, group: str, number: int, name: str) -> Reference | None:
        if group not in self._groups:
            message = f"{quoted(group)} is one socket, not a group; write {quoted(group)}"
        elif number >= len(self._places[group]):
            last = len(self._places[group]) - 1
            message = f"the group {quoted(group)} has only {group}[0] to {group}[{last}]"
        else:
            return Reference((self._places[group][number],), name)
        self._mistakes.add(node.where, message)
        return None

    def default(self) -> Reference | None:
        """What a step without `on` means: `main`, or the only socket or group; None if neither."""
        if DEFAULT in self._places:
            return Reference(self._places[DEFAULT], DEFAULT)
        if len(self._places) == 1:
            name, places = next(iter(self._places.items()))
            return Reference(places, name)
        return None

    def listed(self) -> str:
        return ", ".join(list(self._places)[:30])


def _buffer(mistakes: Mistakes, node: Node, what: str) -> int | None:
    return reader.size(mistakes, node, what, LARGEST_BUFFER)


def _source(mistakes: Mistakes, node: Node, what: str) -> str | None:
    """An IP address, or a CIDR block of them, to bind from."""
    found = reader.text(mistakes, node, what)
    if found is None:
        return None
    try:
        if "/" not in found:
            return str(ipaddress.ip_address(found))
        block = ipaddress.ip_network(found, strict=False)
    except ValueError:
        message = f"{quoted(found)} is not an IP address; write one such as 127.0.0.2"
        if "/" in found:
            message = f"{quoted(found)} is not a block of IP addresses; write 127.0.1.0/24"
        mistakes.add(node.where, message)
        return None
    if ipaddress.ip_interface(found).ip != block.network_address:
        message = f"{quoted(found)} is one address within a block; write {quoted(str(block))}"
        mistakes.add(node.where, f"{message}, or the address alone")
        return None
    return str(block)
