"""Loads a scenario file: text in, one frozen `Scenario` out, or every mistake in it at once.

The file's syntax is `yamltree`'s; in this package stands what the keys mean. Each part reads its
own keys, reports into one `Mistakes`, and goes on; nothing is returned while there is one mistake.
The command line's words (`Overrides`) are checked first and win over the file's.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from loadmux import yamltree
from loadmux.errors import Position, ScenarioError, ScenarioErrors
from loadmux.loader import flow, options
from loadmux.loader.file import File
from loadmux.loader.reader import Mistakes, kind_of
from loadmux.registry import Registry, RuleNames
from loadmux.rules import RULES
from loadmux.scenario import Overrides, Scenario
from loadmux.yamltree import MappingNode, Node, ScalarNode

__all__ = ["RULES", "load"]

LARGEST_FILE = 2**24


def load(
    path: Path | str,
    overrides: Overrides = Overrides(),  # noqa: B008 (frozen)
    *,
    text: str | None = None,
    models: Collection[str] = (),
    rules: Collection[str] | None = None,
    registry: Registry | None = None,
) -> Scenario:
    """The scenario in the file at `path`, or in `text`, which then is only called `path`.

    `models`: the names of the bundled targets, not checked when empty. `rules`: the reply rules;
    by default the built-in ones and those of plugins. `registry`: where plugins are looked for.
    Raises ScenarioErrors with all the mistakes of the file, UsageError for a wrong override.
    """
    name = str(path)
    registry = Registry() if registry is None else registry
    checked = options.check(overrides, models, RuleNames(registry) if rules is None else rules)
    tree, errors = yamltree.parse(name, _read(name) if text is None else text)
    mistakes = Mistakes()
    mistakes.extend(errors)
    if not isinstance(tree, MappingNode):
        raise ScenarioErrors([*errors, _no_mapping(name, tree)])
    scenario = File(name, tree, mistakes, checked, registry).read()
    if not mistakes.errors:
        flow.check(scenario, mistakes)
    if mistakes.errors:
        raise ScenarioErrors(mistakes.errors)
    return scenario


def _read(path: str) -> str:
    """The text of a file; raises ScenarioErrors where there is none."""
    start = Position(path, 1, 1)
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        message = f"cannot read the scenario: {reason.lower()}"
        raise ScenarioErrors([ScenarioError(start, message)]) from None
    if len(data) > LARGEST_FILE:
        message = f"the scenario is larger than {LARGEST_FILE} bytes"
        raise ScenarioErrors([ScenarioError(start, message)])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        index = len(data[: error.start].decode())
        where = yamltree.position(path, data.decode(errors="replace"), index)
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ScenarioErrors([ScenarioError(where, message)]) from None


def _no_mapping(path: str, tree: Node | None) -> ScenarioError:
    if tree is None or (isinstance(tree, ScalarNode) and tree.value is None):
        where = Position(path, 1, 1) if tree is None else tree.where
        message = "the scenario is empty; it needs at least a 'target:' and 'steps:'"
        return ScenarioError(where, message)
    message = f"a scenario is a mapping with keys such as 'steps:', not {kind_of(tree)}"
    return ScenarioError(tree.where, message)
