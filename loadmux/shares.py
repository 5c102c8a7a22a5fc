"""Several scenarios in one run: how many of the users each gets, and what each is called.

Users are divided by weight, as Locust divides them among its user classes: in proportion, rounded
by largest remainder, so that the same command always gives the same numbers. Without `--users` and
without any `weight` there is nothing to divide: each scenario keeps its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loadmux.errors import UsageError
from loadmux.scenario import Scenario


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
    scenarios: Sequence[Scenario], users: int | None, spawn_rate: float | None
) -> tuple[Scenario, ...]:
    """The scenarios with their shares of `users` and `spawn_rate` (users a second), if given.

    Weights without `users` divide the sum of the files' own users. Raises UsageError where a
    scenario would get no user.
    """
    loads = [scenario.load for scenario in scenarios]
    if users is not None or any(scenario.weight is not None for scenario in scenarios):
        total = sum(load.users for load in loads) if users is None else users
        weights = [scenario.weight or 1 for scenario in scenarios]
        parts = split(total, weights)
        if 0 in parts:
            path, weight = scenarios[parts.index(0)].path, weights[parts.index(0)]
            raise UsageError(
                f"{path} gets none of {total} users (its weight is {weight} of {sum(weights)}):"
                " use more --users"
            )
        loads = [replace(load, users=part) for load, part in zip(loads, parts, strict=True)]
    if spawn_rate is not None:
        total = sum(load.users for load in loads)
        loads = [replace(load, spawn_rate=spawn_rate * load.users / total) for load in loads]
    pairs = zip(scenarios, loads, strict=True)
    return tuple(replace(scenario, load=load) for scenario, load in pairs)


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
