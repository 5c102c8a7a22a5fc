"""The sockets of a user by name: what `on` and its kin refer to, and the framing they have."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence

from loadmux.checking.framing import Framing
from loadmux.checking.frozen import dataclass
from loadmux.language.meaning.scenario import MEMBER, Socket, group_of
from loadmux.language.text.nodes import Mistakes, suggestion, text
from loadmux.language.text.yamltree import ListNode, Node
from loadmux.units import quoted

ALL = "all"
DEFAULT = "main"
NAME = re.compile(r"[\w.-]+")
"""How sockets are called."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Sockets by their place in `Scenario.sockets`, and how the file calls them."""

    sockets: tuple[int, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Wire:
    """The framing of a step's sockets; None for `reason`, which is empty if that is told elsewhere.

    `answers`: the step sends one frame, so that a rule can say what answers it. `unframed`: none of
    them has a framing.
    """

    framing: Framing | None = None
    reason: str = ""
    answers: bool = False
    unframed: bool = False


class Sockets:
    """The declared sockets; `known` is False where a mistake hides some: none is unknown then.

    `targets` are the names of what they may connect to, None where a mistake hides them.
    `doubtful` are those whose framing is written, but wrong. `own` is the only one that the steps
    which are read now may use, those of its `on_connect`.
    """

    def __init__(self, mistakes: Mistakes) -> None:
        self.flat: list[Socket] = []
        self.targets: Collection[str] | None = None
        self.known = True
        self.doubtful: set[str] = set()
        self.own: Reference | None = None
        self._mistakes = mistakes
        self._places: dict[str, tuple[int, ...]] = {}
        self._groups: set[str] = set()
        self._wires: dict[tuple[tuple[int, ...], bool], Wire] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def declare(self, name: str, socket: Socket, count: int | None = None) -> None:
        """`count`: a group of so many."""
        begin = len(self.flat)
        if count is None:
            self.flat.append(socket)
        else:
            self._groups.add(name)
            self.flat += [dataclasses.replace(socket, name=f"{name}[{i}]") for i in range(count)]
        self._places[name] = tuple(range(begin, len(self.flat)))

    def places(self, name: str) -> tuple[int, ...]:
        """Of a declared socket or group."""
        return self._places[name]

    def declare_again(self, flat: Sequence[Socket]) -> None:
        """The sockets of a scenario that was loaded before."""
        for place, socket in enumerate(flat):
            name = group_of(socket.name)
            if name != socket.name:
                self._groups.add(name)
            self._places[name] = (*self._places.get(name, ()), place)
        self.flat = list(flat)

    def wire(self, reference: Reference | None, answers: bool) -> Wire:
        """The framing that a step's sockets have in common; `answers` as in Wire."""
        if reference is None:
            return Wire(answers=answers)
        key = reference.sockets, answers
        if key not in self._wires:
            self._wires[key] = self._common(*key)
        return self._wires[key]

    def _common(self, places: tuple[int, ...], answers: bool) -> Wire:
        sockets = [self.flat[place] for place in places]
        missing = next((one.name for one in sockets if one.framing is None), None)
        if missing is not None:
            name = missing.partition("[")[0]
            reason = f"write 'sockets: {{{name}: {{framing: line}}}}' or another framing"
            unframed = all(one.framing is None for one in sockets)
            return Wire(None, "" if name in self.doubtful else reason, answers, unframed)
        if any(one.framing != sockets[0].framing for one in sockets):
            reason = "its sockets have different framings; write a step for each"
            return Wire(None, reason, answers)
        return Wire(sockets[0].framing, "", answers)

    def refer(self, node: Node, what: str) -> Reference | None:
        """A socket, a group, one of a group, `all`, or a list of these."""
        if not isinstance(node, ListNode):
            return self._one(node, what)
        if not node.items:
            self._mistakes.add(node.where, f"{what} names no socket")
            return None
        found = [self._one(item, what) for item in node.items]
        places: dict[int, None] = {}
        labels: list[str] = []
        for item, reference in zip(node.items, found, strict=True):
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
        name = text(self._mistakes, node, what)
        if name is None or not self.known:
            return None
        if self.own is not None:
            return self._own(node, name, self.own)
        if name == ALL:
            return Reference(tuple(range(len(self.flat))), name)
        if name in self._places:
            return Reference(self._places[name], name)
        member = MEMBER.fullmatch(name)
        if member is not None and member[1] in self._places:
            return self._member(node, member[1], int(member[2]), name)
        hint = suggestion(name, [*self._places, ALL], "sockets are")
        self._mistakes.add(node.where, f"unknown socket {quoted(name)}{hint}")
        return None

    def _own(self, node: Node, name: str, own: Reference) -> Reference | None:
        if name == own.label:
            return own
        message = f"the steps of 'on_connect' are for the socket {quoted(own.label)} alone"
        self._mistakes.add(node.where, f"{message}, not {quoted(name)}")
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
        if self.own is not None:
            return self.own
        if DEFAULT in self._places:
            return Reference(self._places[DEFAULT], DEFAULT)
        if len(self._places) == 1:
            name, places = next(iter(self._places.items()))
            return Reference(places, name)
        return None

    def listed(self) -> str:
        return ", ".join(list(self._places)[:30])
