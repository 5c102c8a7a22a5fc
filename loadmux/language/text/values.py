"""Python values as the tree that a scenario file is, each with the place where it was written.

So one set of checks serves both languages. A value that stands literally in the source (a dict, a
list, a text) knows its own line and column, any other has that of what it is part of. A function
stands for a `call` of it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePath

from loadmux.errors import Position
from loadmux.language.text.nodes import Mistakes
from loadmux.language.text.yamltree import (
    Entry,
    FunctionNode,
    ListNode,
    MappingNode,
    Node,
    ScalarNode,
)


def node_of(value: object, source: ast.expr | None, where: Position, mistakes: Mistakes) -> Node:
    """The node of `value`, which `source` is the expression of, if that is known."""
    where = place(source, where)
    inner = partial(node_of, mistakes=mistakes)
    if isinstance(value, Mapping):
        return _mapping(value, source, where, inner)
    if isinstance(value, list | tuple):
        known = isinstance(source, ast.List | ast.Tuple) and len(source.elts) == len(value)
        elements = source.elts if known else [None] * len(value)  # type: ignore[union-attr]
        return ListNode(
            where, tuple(inner(one, e, where) for one, e in zip(value, elements, strict=True))
        )
    if isinstance(value, bytes | bytearray):
        digits = ScalarNode(where, value.hex(), value.hex())
        return MappingNode(where, (Entry(where, "hex", digits),))
    if callable(value):
        name = getattr(value, "__qualname__", repr(value))
        call = FunctionNode(where, name, name, function=value)
        return MappingNode(where, (Entry(where, "call", call),))
    if isinstance(value, PurePath):
        value = str(value)
    if value is None or isinstance(value, bool | int | float | str):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return ScalarNode(where, text, value)
    mistakes.add(where, f"a value of type {type(value).__name__} means nothing in a scenario")
    return ScalarNode(where, "", None)


def plain(node: Node) -> object:
    """What a node says, as Python values; of a number what it is, not how it was written."""
    if isinstance(node, MappingNode):
        return {entry.key: plain(entry.value) for entry in node.entries}
    return [plain(item) for item in node.items] if isinstance(node, ListNode) else node.value


def place(source: ast.expr | None, otherwise: Position) -> Position:
    if source is None:
        return otherwise
    return Position(otherwise.path, source.lineno, source.col_offset + 1)


def _mapping(
    value: Mapping[object, object],
    source: ast.expr | None,
    where: Position,
    inner: Callable[[object, ast.expr | None, Position], Node],
) -> MappingNode:
    known = isinstance(source, ast.Dict) and len(source.keys) == len(value)
    entries = []
    for number, (key, one) in enumerate(value.items()):
        at = source.keys[number] if known else None  # type: ignore[union-attr]
        element = source.values[number] if known else None  # type: ignore[union-attr]
        entries.append(Entry(place(at, where), str(key), inner(one, element, where)))
    return MappingNode(where, tuple(entries))
