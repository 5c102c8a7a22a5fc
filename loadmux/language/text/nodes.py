"""What messages about a file are made of: its mistakes, what a node is, which word was meant.

A wrong node is reported once, at its place, and whoever reads goes on without its value: so one
pass finds all the mistakes of a file, and one mistake gives one error.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from loadmux.errors import Notice, Position, ScenarioError
from loadmux.language.text.hints import nearest
from loadmux.language.text.yamltree import ListNode, MappingNode, Node, ScalarNode
from loadmux.units import quoted

REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
"""`$${`, or `${NAME}`; the last group is empty where the `}` is missing."""

_ESCAPE = re.compile(r"\\(?:[rnt0]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")
# What stands in quotes within a text (JSON, the repr of bytes) has backslashes of its own.
_INNER_QUOTES = re.compile(r"\"(?:[^\"\\]|\\.)*\"|b'(?:[^'\\]|\\.)*'")


class Mistakes:
    """The mistakes of one file; the same one met twice (through an alias) counts once."""

    def __init__(self) -> None:
        self._errors: dict[tuple[Position, str], ScenarioError] = {}
        self._notices: dict[Notice, None] = {}

    def add(self, where: Position, message: str) -> None:
        self._errors.setdefault((where, message), ScenarioError(where, message))

    def extend(self, errors: Iterable[ScenarioError]) -> None:
        for error in errors:
            self.add(error.where, error.message)

    def warn(self, where: Position, message: str) -> None:
        """Of something that is no mistake: the scenario loads all the same."""
        self._notices.setdefault(Notice(where, message))

    def __len__(self) -> int:
        return len(self._errors)

    @property
    def errors(self) -> list[ScenarioError]:
        return list(self._errors.values())

    @property
    def notices(self) -> tuple[Notice, ...]:
        return tuple(sorted(self._notices, key=lambda notice: notice.where))


def kind_of(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return quoted(node.text)
    if isinstance(node.value, str):
        return f"the text {quoted(node.text)}"
    return f"the number {quoted(node.text)}"


def is_nothing(node: Node) -> bool:
    """Whether nothing stands after the key."""
    return isinstance(node, ScalarNode) and node.value is None


def suggestion(name: str, names: Collection[str], otherwise: str) -> str:
    """`; did you mean 'X'?`, or `otherwise` with all the names."""
    near = nearest(name, names)
    if near is not None:
        return f"; did you mean {quoted(near)}?"
    listed = ", ".join(list(names)[:30]) + (", ..." if len(names) > 30 else "")
    return f"; {otherwise} {listed}" if names else ""


def text(mistakes: Mistakes, node: Node, what: str) -> str | None:
    """A string in which nothing is replaced; `$${` stands for a literal `${` here too."""
    found = any_text(mistakes, node, what)
    return None if found is None else literal(mistakes, node.where, found, what)


def literal(mistakes: Mistakes, where: Position, found: str, what: str) -> str | None:
    """`found` with `$${` resolved; a `${NAME}`, which nothing would replace here, is a mistake."""
    if "${" not in found:
        return found
    for match in REFERENCE.finditer(found):
        if match[1] is not None:
            message = f"{quoted(match[0])} is not replaced in {what}, which is no template; write"
            mistakes.add(where, f"{message} it without '${{}}', or $${{ for a literal '${{'")
            return None
    return found.replace("$${", "${")


def escaped(text: str) -> str:
    """What `literal` reads as `text`."""
    return text.replace("${", "$${")


def any_text(mistakes: Mistakes, node: Node, what: str) -> str | None:
    """A string; a number or boolean is none, for nobody sees what text it would become."""
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        return node.value
    if is_nothing(node):
        mistakes.add(node.where, f"{what} has no value; write a text")
        return None
    remedy = "; write it in quotes" if isinstance(node, ScalarNode) else ""
    mistakes.add(node.where, f"{what} must be a text, not {kind_of(node)}{remedy}")
    return None


def doubt_escapes(mistakes: Mistakes, node: Node) -> None:
    """Warns of `'\\r\\n'`, which only double quotes make a line end: the peer may wait for one."""
    if not isinstance(node, ScalarNode) or not node.raw or "\\" not in node.text:
        return
    found = _ESCAPE.search(_INNER_QUOTES.sub("", node.text))
    if found is not None:
        message = f"here {found[0]} is {len(found[0])} characters, no escape; write the text in"
        mistakes.warn(node.where, f"{message} double quotes")


def items(mistakes: Mistakes, node: Node, what: str) -> tuple[Node, ...] | None:
    """The items of a list."""
    if isinstance(node, ListNode):
        return node.items
    wrong = "has no value" if is_nothing(node) else f"must be a list, not {kind_of(node)}"
    mistakes.add(node.where, f"{what} {wrong}; write [A, B] or lines that begin with '- '")
    return None
