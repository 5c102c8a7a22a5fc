"""The steps that YAML alone cannot carry out one after the other: `together`, `barrier`, `call`.

One reader for a connection: branches that run at once may not share a socket, and what one of them
saves is no value for another, which may come too early. Both are told here, before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from loadmux import usercode
from loadmux.errors import Position
from loadmux.loader import reader
from loadmux.loader.names import Names
from loadmux.loader.reader import Mistakes, kind_of
from loadmux.scenario import Exchange, Function, OnSockets, Performed, Step, flat
from loadmux.units import quoted
from loadmux.yamltree import FunctionNode, ListNode, Node

FUNCTION = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*(?:\.[^\W\d]\w*)*)")
FUNCTION_FORM = "write PACKAGE.MODULE:FUNCTION"

ReadSteps = Callable[[Node], tuple[Step, ...]]


class Branches:
    """Reads what stands after `together` and `call`.

    `folder` is where modules are looked for first. `inside`: a `together` is being read.
    """

    def __init__(
        self, mistakes: Mistakes, names: Names, folder: str, socket_names: Callable[[int], str]
    ) -> None:
        self.inside = False
        self._mistakes = mistakes
        self._names = names
        self._folder = folder
        self._socket_name = socket_names

    def together(self, node: Node, read: ReadSteps) -> tuple[tuple[Step, ...], ...] | None:
        if not isinstance(node, ListNode) or not node.items:
            shown = "an empty list" if isinstance(node, ListNode) else kind_of(node)
            message = f"'together' must be a list of branches, not {shown}"
            self._mistakes.add(node.where, f"{message}; write [[steps], [steps]]")
            self._names.give_up()
            return None
        outer, self.inside = self.inside, True
        apart = self._names.begin_branches()
        branches = []
        for item in node.items:
            if not isinstance(item, ListNode):
                message = f"a branch of 'together' must be a list of steps, not {kind_of(item)}"
                self._mistakes.add(item.where, f"{message}; write [[steps], [steps]]")
                self._names.give_up()
                continue
            branches.append(read(item))
            self._names.next_branch(apart)
        self._names.end_branches(apart)
        self.inside = outer
        self._check_sockets(branches)
        return tuple(branches)

    def _check_sockets(self, branches: Sequence[Sequence[Step]]) -> None:
        owners: dict[int, tuple[int, Position]] = {}
        for number, branch in enumerate(branches):
            told: set[int] = set()
            for socket, where in sockets_of(branch):
                owner, first = owners.setdefault(socket, (number, where))
                if owner != number and socket not in told:
                    told.add(socket)
                    self._mistakes.add(
                        where,
                        f"two branches use the socket {quoted(self._socket_name(socket))} at once"
                        f" (the other one at line {first.line}); give each branch its own sockets",
                    )

    def call(self, node: Node) -> Function | None:
        if isinstance(node, FunctionNode):
            return self._given(node)
        text = reader.text(self._mistakes, node, "'call'")
        if text is None:
            return None
        match = FUNCTION.fullmatch(text)
        if match is None:
            self._mistakes.add(node.where, f"{quoted(text)} names no function; {FUNCTION_FORM}")
            return None
        function = Function(self._folder, match[1], match[2])
        try:
            with usercode.borrowed(self._folder):
                usercode.find(function)
        except ValueError as error:
            self._mistakes.add(node.where, str(error))
        return function

    def _given(self, node: FunctionNode) -> Function:
        """A function itself, of which the other processes need the name."""
        module = str(getattr(node.function, "__module__", ""))
        try:
            usercode.check(node.function, node.text)
            if "<" in node.text:
                raise ValueError(f"{node.text!r} must stand at the top level of a module")
        except ValueError as error:
            self._mistakes.add(node.where, str(error))
        if module != usercode.name_of(node.where.path):
            return Function(self._folder, module, node.text)
        return Function(self._folder, "", node.text, str(Path(node.where.path).resolve()))


def sockets_of(steps: Sequence[Step]) -> Iterator[tuple[int, Position]]:
    """The sockets that these steps use, nested ones included, each with the step's place."""
    for step in flat(steps):
        if isinstance(step, Exchange | OnSockets | Performed):
            for socket in step.sockets:
                yield socket, step.where
