"""One step alone, read while the run is on: what a Python scenario asks for, by the same checks.

The values are those that YAML would give (texts, numbers, lists, mappings), and bytes for a payload
or reply of exactly these bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from loadmux.errors import Position
from loadmux.language import transports
from loadmux.language.grammar import options
from loadmux.language.grammar.reading import Reading
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.stepvalues import Step
from loadmux.language.messages.payloads import PAYLOAD
from loadmux.language.sources.files import Files
from loadmux.language.steps.step import STEP
from loadmux.language.steps.steplists import Steps
from loadmux.language.text.nodes import Mistakes
from loadmux.language.text.values import node_of
from loadmux.language.text.yamltree import ListNode
from loadmux.plugins.registry import Registry, RuleNames


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
    checked = options.check(Overrides(), (), RuleNames(registry))
    files = Files(Path(scenario.path).parent)
    reading = Reading(scenario.path, mistakes, checked, files, registry)
    reading.read_payload = lambda node: PAYLOAD.read(reading, node, "a payload")
    for name in (*scenario.variables, *variables):
        reading.names.define(here, name)
    feeders = {name: tuple(one.columns) for name, one in scenario.feeders.items()}
    reading.names.feeders.update(feeders)
    reading.sockets.declare_again(scenario.sockets)
    servers = scenario.servers.items()
    reading.unruled = {name for name, one in servers if one.rule is None}
    reading.datagrams = {name for name, one in servers if one.scheme == "udp"}
    node = node_of(step, None, here, mistakes)
    found: tuple[Step, ...] = Steps(STEP, needed=True).read(
        reading, ListNode(here, (node,)), "a step"
    )
    reading.names.finish()
    if not mistakes.errors:
        transports.check_step(scenario, found[0], mistakes)
    if mistakes.errors:
        raise ValueError("; ".join(error.message for error in mistakes.errors))
    return found[0]
