"""`loadmux capacity`: a scenario's objectives, trial after trial, and the answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from loadmux import units
from loadmux.cli.answers import Answer, put_out, wanted_of
from loadmux.cli.answers import command as command_line
from loadmux.cli.running import repeat_command
from loadmux.cli.sources import scenarios_of, sources_of
from loadmux.comparing import capacity_forms, capacity_text, results
from loadmux.comparing.bench import Bench
from loadmux.comparing.capacity import Axis, Capacity, Point, find
from loadmux.comparing.search import Plan, Trial
from loadmux.errors import UsageError
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.stepvalues import Barrier
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.thresholds import Threshold
from loadmux.report import figures
from loadmux.running.generators.nursery import Nursery
from loadmux.running.interrupts import Interrupts
from loadmux.running.servers.starting import lying
from loadmux.running.settings import Settings

FIRST = {"rate": 50.0, "users": 1.0}
LOWEST = {"rate": 0.1, "users": 1.0}
HIGHEST = {"rate": 1e6, "users": 20_000.0}
SHORTEST = 0.2
SHORT = 3
"""A trial that only finds the place takes that part of one that decides."""
WORDS = {ExitCode.PASS: ("CAPACITY", "bold white on green")}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line's words: objectives, what is searched, between which loads, times."""

    objectives: Sequence[str]
    axis: Axis
    first: float | None
    last: float | None
    trial: str
    budget: str


def find_capacity(
    file: str,
    overrides: Overrides,
    fault: str | None,
    workers: int,
    wanted: Wanted,
    puts: tuple[bool, Path | None, Sequence[str]],
    interrupts: Interrupts,
) -> ExitCode:
    """Search and put out; the exit code. Raises LoadmuxError before it has begun.

    `puts`: whether quiet, the file of the JSON, and reports.
    """
    trial, budget = seconds("--trial", wanted.trial), seconds("--budget", wanted.budget)
    plan = plan_of(wanted, trial)
    overrides = replace(overrides, thresholds=tuple(wanted.objectives))
    scenarios = scenarios_of(sources_of([file]), overrides)
    if fault is not None:
        scenarios = lying(scenarios, fault)
    scenario = scenarios[0]
    objectives = objectives_of(scenario, wanted.objectives)
    out = wanted_of(*puts, capacity_forms.FORMS)
    if wanted.axis == "rate" and any(isinstance(one, Barrier) for one in scenario.every_step):
        raise UsageError("capacity: a 'barrier' needs a fixed number of users; search --users")
    with ExitStack() as stack:
        nursery = stack.enter_context(Nursery(interrupts))
        settings = Settings(workers, None, repeat_command, interrupts, nursery=nursery)
        bench = stack.enter_context(Bench(scenario, settings))
        tell = no_word if out.quiet else partial(tell_trial, wanted.axis)
        found = find(bench, wanted.axis, objectives, plan, budget, tell)
    found.command = command_line()
    return put_out(answer(found), out, interrupts)


def answer(found: Capacity) -> Answer:
    return Answer(
        found,
        found.code,
        WORDS,
        capacity_text.headline(found),
        lambda: capacity_text.lines(found),
        lambda: results.text(results.of_capacity(found)),
        lambda: capacity_forms.as_report(found),
        found.ended,
    )


def seconds(option: str, text: str) -> float:
    try:
        found = units.plain_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    if found < SHORTEST:
        raise UsageError(f"{option}: must be at least {SHORTEST * 1e3:.0f}ms")
    return found


def plan_of(wanted: Wanted, trial: float) -> Plan:
    """Raises UsageError where the bounds are none."""
    first = wanted.first or min(FIRST[wanted.axis], wanted.last or HIGHEST[wanted.axis])
    lowest = min(LOWEST[wanted.axis], first)
    highest = wanted.last or HIGHEST[wanted.axis]
    if wanted.axis == "users" and (first % 1 or highest % 1):
        raise UsageError("capacity --users: --from and --to are whole numbers")
    if first > highest:
        raise UsageError(f"capacity: --from {first:g} is more than --to {highest:g}")
    short = max(trial / SHORT, SHORTEST)
    whole = wanted.axis == "users"
    return Plan(first, lowest, highest, short=short, long=trial, whole=whole)


def objectives_of(scenario: Scenario, texts: Sequence[str]) -> tuple[Threshold, ...]:
    """The objectives of the command line, or else the file's own; and that nothing is wrong."""
    given = [one for one in scenario.thresholds if not texts or one.text in texts or one.implied]
    if all(one.metric in ("errors", "error_rate") for one in given):
        raise UsageError("capacity: say what is good enough: --slo 'p(99) < 5ms'")
    return tuple(given)


def no_word(trial: Trial, point: Point) -> None:
    pass


def tell_trial(axis: Axis, trial: Trial, point: Point) -> None:
    plain = figures.plain_for(sys.stderr.encoding)
    print(plain(capacity_text.trial_line(axis, trial, point)), file=sys.stderr, flush=True)
