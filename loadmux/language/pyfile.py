"""A Python scenario: runs the file and turns what it told `@scenario` into the tree of a file.

The keywords are the keys of a scenario file; those of `load` may stand beside the others. The
decorated function becomes the one step. From the tree on all is as with YAML, and a mistake is told
with the line and column of the value in the source.
"""

from __future__ import annotations

import ast
from pathlib import Path
from types import FunctionType, ModuleType

from loadmux.errors import Position, ScenarioError, ScenarioErrors, ScriptFailed
from loadmux.language.keys.file import SCENARIO
from loadmux.language.keys.load import LOAD
from loadmux.language.sources import usercode
from loadmux.language.sources.usercode import MARK, Definition
from loadmux.language.text.hints import meant
from loadmux.language.text.nodes import Mistakes
from loadmux.language.text.values import node_of
from loadmux.language.text.yamltree import Entry, FunctionNode, ListNode, MappingNode, Node

KEYS, LOAD_KEYS = SCENARIO.keys, LOAD.keys
EVERY_KEY = (*KEYS, *LOAD_KEYS)
LISTS_OF_STEPS = ("before", "after")


def read(
    path: str, text: str, function: str | None = None
) -> tuple[MappingNode, list[ScenarioError]]:
    """The tree of the Python file at `path`, whose text is `text`, and the mistakes in it so far.

    `function`: the name of the scenario, where the file may hold several. Raises ScenarioErrors
    where there is no tree.
    """
    tree = _parse(path, text)
    full = str(Path(path).resolve())
    try:
        with usercode.borrowed(str(Path(full).parent)):
            module = usercode.import_file(full)
    except ScriptFailed as error:
        line = error.where.rpartition(":")
        inside = line[0] == full
        message = error.what if inside else f"{error.what} ({error.where})"
        raise _mistake(path, int(line[2]) if inside else 1, message) from None
    found, definition = _scenario(path, module, function)
    mistakes = Mistakes()
    root = _tree(path, found, definition, _decorator(tree, found, definition), mistakes)
    return root, mistakes.errors


def _parse(path: str, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        where = Position(path, error.lineno or 1, error.offset or 1)
        raise ScenarioErrors([ScenarioError(where, f"SyntaxError: {error.msg}")]) from None
    except ValueError as error:
        raise _mistake(path, 1, str(error)) from None


def _mistake(path: str, line: int, message: str) -> ScenarioErrors:
    return ScenarioErrors([ScenarioError(Position(path, max(1, line), 1), message)])


def _scenario(path: str, module: ModuleType, wanted: str | None) -> tuple[FunctionType, Definition]:
    """The one decorated function of a module, or that of the wanted name."""
    found: dict[int, tuple[FunctionType, Definition]] = {}
    for value in vars(module).values():
        definition = getattr(value, MARK, None) if isinstance(value, FunctionType) else None
        if isinstance(definition, Definition) and value.__module__ == module.__name__:
            found[id(value)] = (value, definition)
    named = (one for one in found.values() if wanted in (None, one[0].__name__))
    every = sorted(named, key=lambda one: one[1].line)
    if not every:
        message = "no scenario here; put @scenario(...) of loadmux.scripting on an 'async def'"
        raise _mistake(path, 1, message)
    if len(every) > 1:
        two = " and ".join(repr(function.__name__) for function, _ in every[:2])
        raise _mistake(path, every[1][1].line, f"a file holds one scenario, and {two} are two")
    return every[0]


def _decorator(tree: ast.Module, function: FunctionType, definition: Definition) -> ast.Call | None:
    """The call `scenario(...)` above the function, if it stands there literally."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef) and node.name == function.__name__:
            for one in node.decorator_list:
                keys = {keyword.arg for keyword in one.keywords} if isinstance(one, ast.Call) else 0
                if isinstance(one, ast.Call) and keys == set(definition.keywords):
                    return one
    return None


def _tree(
    path: str,
    function: FunctionType,
    definition: Definition,
    call: ast.Call | None,
    mistakes: Mistakes,
) -> MappingNode:
    where = Position(path, definition.line, 1)
    sources = {} if call is None else {one.arg: one for one in call.keywords}
    entries: list[Entry] = []
    load: list[Entry] = []
    for key, value in definition.keywords.items():
        keyword = sources.get(key)
        source = None if keyword is None else keyword.value
        at = where if keyword is None else Position(path, keyword.lineno, keyword.col_offset + 1)
        if key in LISTS_OF_STEPS and callable(value):
            value = [value]
        node = node_of(value, source, at, mistakes)
        if key == "steps":
            mistakes.add(at, "the function is the steps; leave 'steps' out")
        elif key == "load" and isinstance(node, MappingNode):
            load += node.entries
        elif key in LOAD_KEYS or (key not in KEYS and meant(key, EVERY_KEY) in LOAD_KEYS):
            load.append(Entry(at, key, node))
        else:
            entries.append(Entry(at, key, node))
    if load:
        entries.append(Entry(load[0].where, "load", _unique(load, mistakes)))
    return MappingNode(where, (*entries, Entry(where, "steps", _steps(where, function))))


def _unique(load: list[Entry], mistakes: Mistakes) -> MappingNode:
    """The keys of `load` and those beside it, each once."""
    known: dict[str, Entry] = {}
    for entry in load:
        if known.setdefault(entry.key, entry) is not entry:
            mistakes.add(entry.where, f"'{entry.key}' is given twice, in 'load' and beside it")
    return MappingNode(load[0].where, tuple(known.values()))


def _steps(where: Position, function: FunctionType) -> Node:
    name = function.__qualname__
    call = FunctionNode(where, name, name, function=function)
    return ListNode(where, (MappingNode(where, (Entry(where, "call", call),)),))
