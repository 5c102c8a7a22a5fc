"""Which servers a scenario starts for itself, and whether they can serve it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from loadmux.errors import TargetFailed, UsageError
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Target
from loadmux.running.interrupts import Interrupts
from loadmux.running.servers.bundled import TargetProcess
from loadmux.running.servers.commands import CommandProcess
from loadmux.running.servers.description import describe
from loadmux.running.servers.processes import ServerProcess

_told = cache(describe)
"""What a model says of itself does not change: many runs need not start it each time to ask."""


def servers_of(
    scenario: Scenario, interrupts: Interrupts | None = None, held: Collection[str] = ()
) -> Iterator[tuple[str, ServerProcess]]:
    """The servers by the names of their targets but those `held`; each starts as its block begins.

    Raises what `fitted` does, and TargetFailed where a port is taken.
    """
    for name, target in scenario.servers.items():
        if name in held:
            continue
        if target.bundled is not None:
            yield name, TargetProcess(fitted(name, target, scenario), interrupts)
        elif target.command is not None:
            folder = Path(scenario.path).parent
            yield name, CommandProcess(target.command, folder, interrupts)


def lying(scenarios: Sequence[Scenario], fault: str) -> tuple[Scenario]:
    """The scenario with its bundled target told to lie in this way. Raises UsageError."""
    scenario = scenarios[0]
    servers = dict(scenario.servers)
    if len(servers) > 1 or len(scenarios) > 1:
        raise UsageError("--fault: there are several targets; write 'fault: NAME' in one of them")
    for name, target in servers.items():
        if target.bundled is None:
            raise UsageError("--fault: only a bundled target can be told to lie")
        servers[name] = replace(target, options={**target.options, "fault": fault})
    return (scenario.with_servers(servers),)


def connections(name: str, scenario: Scenario) -> int:
    """How many connections a scenario opens to its target of this name."""
    return scenario.load.users * sum(one.to == name for one in scenario.sockets)


def fitted(name: str, target: Target, scenario: Scenario) -> Target:
    """A bundled target, called `name`, that can serve all the connections to it at once.

    A pool whose size was not chosen gets a worker for each. Raises UsageError where the model
    cannot serve so many: a right server would be blamed for clients that wait in its backlog.
    Raises TargetFailed where the model cannot run on this machine.
    """
    assert target.bundled is not None
    told = _told(target.bundled)
    if told.reason is not None:
        raise TargetFailed(f"target {target.bundled} cannot run here: {told.reason}")
    wanted = connections(name, scenario)
    most = told.at_once or told.pool
    if most is None or "workers" in target.options:
        return target
    if wanted > most:
        users = scenario.load.users
        raise UsageError(
            f"target {target.bundled} serves {most} at once, and this scenario opens {wanted}"
            f" connections ({users} times {wanted // users}): use fewer --users, or another model"
        )
    if told.at_once:
        return target
    return replace(target, options={**target.options, "workers": str(wanted)})
