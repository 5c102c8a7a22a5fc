"""What other tests of the loader give it, as plain values and as texts, for tests of the schema."""

from __future__ import annotations

import importlib.util
from itertools import product
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from loadmux.language.text import yamltree
from loadmux.language.text.yamltree import ListNode, MappingNode, Node

HERE = Path(__file__).resolve().parents[1] / "language"


def plain(node: Node | None) -> Any:
    """A tree as the values that a JSON Schema speaks of."""
    if isinstance(node, MappingNode):
        return {entry.key: plain(entry.value) for entry in node.entries}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return None if node is None else node.value


def values(path: str | Path) -> Any:
    """What a YAML file holds."""
    tree, errors = yamltree.parse(str(path), Path(path).read_text())
    assert not errors
    return plain(tree)


def module(name: str) -> ModuleType:
    """A test module of tests/language."""
    spec = importlib.util.spec_from_file_location(f"cases_of_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def mistakes() -> dict[str, list[str]]:
    """Every text that test_mistakes has refused, and the lines that are told of it."""
    tests = module("test_mistakes")
    original, found = tests.mistakes_of, dict[str, list[str]]()

    def recorded(text: str) -> list[str]:
        lines: list[str] = original(text)
        found[text] = lines
        return lines

    tests.mistakes_of = recorded  # type: ignore[attr-defined]
    for name, test in vars(tests).items():
        if name.startswith("test_") and isinstance(test, FunctionType):
            _run(test)
    return found


def _run(test: FunctionType) -> None:
    """Call a test with all its parameters, if it needs nothing else."""
    names, columns = list[str](), list[list[tuple[Any, ...]]]()
    for mark in getattr(test, "pytestmark", []):
        given, rows = mark.args
        own = [given] if isinstance(given, str) else list(given)
        names += own
        columns.append([(row,) if len(own) == 1 else tuple(row) for row in rows])
    arguments = set(test.__code__.co_varnames[: test.__code__.co_argcount])
    if arguments == set(names):
        for rows in product(*columns):
            test(**dict(zip(names, [value for row in rows for value in row], strict=True)))
