"""Several scenarios in one run: how much of the load each gets, and what each is called.

Load is divided by weight, as Locust divides users among its user classes: in proportion, users
rounded by largest remainder, so that the same command always gives the same numbers. `--users` and
`--rate` are for all scenarios together; weights without them divide the sum of what the files say,
users of closed load, rate and `max_users` of open load each for itself, as one cannot stand in for
the other. A scenario keeps the course of its phases: each grows or shrinks as the highest does.
Without `--users`, `--rate` and any `weight` there is nothing to divide: each keeps its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loadmux.driver.pacer import Rate, Users
from loadmux.errors import UsageError
from loadmux.language.meaning.scenario import Load, Scenario


def split(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in proportion to `weights`; what is left over goes to the largest remainders.

    Of equal remainders the first ones get it. The parts add up to `total`.
    """
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def shared(
    scenarios: Sequence[Scenario],
    users: int | None,
    rate: float | None,
    spawn_rate: float | None,
) -> tuple[Scenario, ...]:
    """The scenarios with their shares of `users`, `rate` and `spawn_rate` (a second), if given.

    What is given stands in each scenario's own load already, whole, as if that one were alone.
    Raises UsageError where a scenario would get no user.
    """
    loads = [scenario.load for scenario in scenarios]
    weights = [scenario.weight or 1 for scenario in scenarios]
    weighted = any(scenario.weight is not None for scenario in scenarios)
    everyone = range(len(loads))
    paced = [i for i in everyone if loads[i].open]
    unpaced = [i for i in everyone if not loads[i].open]
    for group in [everyone] if users is not None else [paced, unpaced] if weighted else []:
        total = sum(loads[i].users for i in group) if users is None else users
        parts = split(total, [weights[i] for i in group])
        for i, part in zip(group, parts, strict=True):
            if not part:
                raise UsageError(
                    f"{scenarios[i].path} gets none of {total} users (its weight is {weights[i]} of"
                    f" {sum(weights[i] for i in group)}): use more --users"
                )
            loads[i] = with_users(loads[i], part)
    if rate is not None or weighted:
        most = sum(peak(loads[i]) for i in paced) if rate is None else rate
        whole = sum(weights[i] for i in paced)
        for i in paced:
            loads[i] = with_rate(loads[i], most * weights[i] / whole)
    if spawn_rate is not None:
        total = sum(load.users for load in loads)
        loads = [replace(load, spawn_rate=spawn_rate * load.users / total) for load in loads]
    pairs = zip(scenarios, loads, strict=True)
    return tuple(replace(scenario, load=load) for scenario, load in pairs)


def with_users(load: Load, users: int) -> Load:
    """The load with so many users at most, and as much more or fewer in each of its phases.

    Rounded up, so that no phase loses its last user.
    """

    def part(number: int) -> int:
        return -(-number * users // load.users)

    phases = []
    for phase in load.phases:
        pacer = phase.pacer
        if isinstance(pacer, Users):
            pacer = replace(pacer, first=part(pacer.first), last=part(pacer.last))
        phases.append(replace(phase, pacer=pacer, users=part(phase.users)))
    return replace(load, users=users, phases=tuple(phases))


def with_rate(load: Load, rate: float) -> Load:
    """The open load with so many iterations a second at most, in its phases to scale."""
    times = rate / peak(load)
    phases = []
    for phase in load.phases:
        pacer = phase.pacer
        if isinstance(pacer, Rate):
            pacer = replace(pacer, first=pacer.first * times, last=pacer.last * times)
        phases.append(replace(phase, pacer=pacer))
    return replace(load, phases=tuple(phases))


def peak(load: Load) -> float:
    """The most iterations a second that any phase of an open load starts."""
    pacers = [phase.pacer for phase in load.phases]
    return max(max(one.first, one.last) for one in pacers if isinstance(one, Rate))


def labels(scenarios: Sequence[Scenario]) -> list[str]:
    """What tells the scenarios' rows apart in a report: "" for the only one, else its name.

    A name that was there before gets a number.
    """
    if len(scenarios) == 1:
        return [""]
    found: list[str] = []
    for scenario in scenarios:
        label, number = scenario.name, 1
        while label in found:
            number += 1
            label = f"{scenario.name} {number}"
        found.append(label)
    return found
