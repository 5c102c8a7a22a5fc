"""One step alone, read while the run is on: what a Python scenario asks for, by the same checks.

The values are those that YAML would give (texts, numbers, lists, mappings), and bytes for a payload
or reply of exactly these bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from loadmux.errors import Position
from loadmux.loader import transports
from loadmux.loader.branches import Branches
from loadmux.loader.files import Files
from loadmux.loader.forms import Forms
from loadmux.loader.names import Names
from loadmux.loader.payloads import Payloads
from loadmux.loader.reader import Mistakes
from loadmux.loader.sockets import Sockets
from loadmux.loader.steps import Steps
from loadmux.loader.values import node_of
from loadmux.registry import Registry, RuleNames
from loadmux.scenario import Scenario, Step
from loadmux.yamltree import ListNode


def read_step(
    scenario: Scenario,
    variables: Collection[str],
    step: Mapping[str, object],
    registry: Registry,
) -> Step:
    """The step that the mapping says; `variables` are the names that have a value by now.

    `registry` keeps what was loaded of plugins. Raises ValueError with what is wrong, in one line.
    """
    mistakes, here = Mistakes(), Position(scenario.path, 1, 1)
    names, folder = Names(mistakes), Path(scenario.path).parent
    for name in (*scenario.variables, *variables):
        names.define(here, name)
    names.feeders.update({name: tuple(one.columns) for name, one in scenario.feeders.items()})
    forms = Forms(registry, mistakes, names)
    sockets = Sockets.declared(mistakes, scenario.sockets, forms)
    unruled = {name for name, one in scenario.servers.items() if one.rule is None}
    payloads = Payloads(mistakes, names, Files(folder), RuleNames(registry), unruled, forms)
    branches = Branches(mistakes, names, str(folder.resolve()), lambda i: sockets.flat[i].name)
    steps = Steps(mistakes, sockets, names, payloads, branches, forms)
    node = node_of(step, None, here, mistakes)
    found = steps.read_all(ListNode(here, (node,)), "a step", needed=True)
    names.finish()
    if not mistakes.errors:
        transports.check_step(scenario, found[0], mistakes)
    if mistakes.errors:
        raise ValueError("; ".join(error.message for error in mistakes.errors))
    return found[0]
