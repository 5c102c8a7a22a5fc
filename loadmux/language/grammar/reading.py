"""What is known of a file while it is read; every part of the language is read through one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from loadmux.errors import Position
from loadmux.language.grammar.names import Names
from loadmux.language.grammar.options import Options
from loadmux.language.grammar.references import Sockets, Wire
from loadmux.language.sources.files import Files
from loadmux.language.text.hints import nearest
from loadmux.language.text.nodes import Mistakes
from loadmux.language.text.yamltree import Node
from loadmux.plugins.contracts import Group
from loadmux.plugins.payloads import Payload
from loadmux.plugins.registry import Registry
from loadmux.units import quoted

T = TypeVar("T")
NO_STEP = Wire(reason="a step's sockets say so, and this is no step")


class Reading:
    """What the steps before have told, and what the step that is read now may ask for.

    `unruled`: targets whose reply rule nobody knows. `datagrams`: those that speak UDP. `wire`,
    `targets`: of the step's sockets.
    `sent`: `${sent}` has a value here, `sends` is what it is. `row_names`: what the report calls
    the steps on sockets, `untimed` what the others are called. `complete`: every step could be
    read, so that no other name exists. `together`: a branch is being read. `row_prefix` begins the
    rows of steps that are given no name.
    `including`: the files whose steps are being read, `included` is how many there were so far.
    """

    def __init__(
        self, path: str, mistakes: Mistakes, options: Options, files: Files, registry: Registry
    ) -> None:
        self.path = path
        self.folder = Path(path).parent
        self.mistakes = mistakes
        self.options = options
        self.files = files
        self.registry = registry
        self.names = Names(mistakes)
        self.sockets = Sockets(mistakes)
        self.unruled: Collection[str] = ()
        self.datagrams: Collection[str] = ()
        self.wire = NO_STEP
        self.targets: Collection[str] = ()
        self.sent = False
        self.sends: Payload | None = None
        self.row_names: set[str] = set()
        self.untimed: set[str] = set()
        self.complete = True
        self.together = False
        self.row_prefix = ""
        self.steps = 0
        self.including: list[str] = []
        self.included = 0
        self.read_payload: Callable[[Node], Payload | None] = lambda node: None

    def add(self, where: Position, message: str) -> None:
        """Report a mistake."""
        self.mistakes.add(where, message)

    def refuse(self, node: Node, message: str) -> T | None:
        """Report a wrong node, of which there is no value."""
        self.mistakes.add(node.where, message)
        return None

    def near(self, name: str, group: Group) -> str:
        """`; did you mean 'NAME'?` for a plugin's name, or nothing."""
        found = nearest(name, self.registry.names(group))
        return "" if found is None else f"; did you mean {quoted(found)}?"

    def lose_steps(self) -> None:
        """A step cannot be read, and may have defined names: no unknown one is a mistake now."""
        self.names.give_up()
        self.complete = False
