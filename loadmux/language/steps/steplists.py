"""Lists of steps: those that follow each other, and branches that run at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loadmux.language.grammar.contract import Forward, Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Key
from loadmux.language.meaning.stepvalues import Step
from loadmux.language.steps import included
from loadmux.language.steps.sides import check_branches
from loadmux.language.text import nodes
from loadmux.language.text.nodes import kind_of
from loadmux.language.text.yamltree import ListNode, MappingNode, Node

A_STEP = Forward("step")
BACKGROUND = "background"


class Steps(Type):
    """A list of steps; `needed` refuses an empty one."""

    word = "list of steps"

    def __init__(self, step: Type, *, needed: bool) -> None:
        self._step, self._needed = step, needed

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
                step = self._step.read(r, one, "a step")
                found += [] if step is None else [step]
        return tuple(found)

    def schema(self, s: Schemas) -> Schema:
        told = "Steps, one after the other."
        found = s.refer(
            "steps", lambda s: {"description": told, "type": "array", "items": s.of(self._step)}
        )
        return {**found, "minItems": 1} if self._needed else found

    def write(self, value: Any, w: Writing) -> Any:
        return [self._step.write(step, w) for step in value]


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


DO = Steps(A_STEP, needed=True)
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
