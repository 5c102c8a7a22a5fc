"""How much load a server carries within its objectives: `search` driven by real trials.

The result is a value; what it looks like is `capacity_text`'s business. An interrupt and a spent
budget end the search early, and so does a target that is wrong: what was found until then is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Literal

from loadmux.comparing.bench import Bench, Measured
from loadmux.comparing.objectives import GENERATOR, ended_by, outcome
from loadmux.comparing.scaling import Law, fit
from loadmux.comparing.search import Answer, Outcome, Plan, Search, Trial
from loadmux.errors import UsageError
from loadmux.language.scenario import Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.thresholds import Threshold
from loadmux.report.model import Report
from loadmux.running.settings import Settings

Axis = Literal["rate", "users"]
TRIES = 3
OVERHEAD = 1.5
"""Seconds of a trial beside what is measured, before the first one has told."""


@dataclass(frozen=True, slots=True)
class Point:
    """A trial: what was offered, what came of it. Latencies are in seconds."""

    load: float
    seconds: float
    long: bool
    rate: float
    p50: float
    p99: float
    cpu: float | None
    margin: float
    limit: str

    @property
    def held(self) -> bool:
        return not self.limit


@dataclass
class Capacity:
    """`ended`: the run that left nothing to search. `spent`: the budget was, first.

    `unable` says why no higher load could be offered. `law` is for users only.
    """

    axis: Axis
    objectives: Sequence[Threshold]
    scenario: Scenario
    answer: Answer = field(default_factory=lambda: Answer(None, None))
    points: list[Point] = field(default_factory=list)
    seconds: float = 0.0
    spent: bool = False
    interrupted: bool = False
    unable: str = ""
    ended: Report | None = None
    law: Law | str | None = None

    @property
    def code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.ended is not None:
            return self.ended.verdict.code
        if self.answer.low is None:
            return ExitCode.THRESHOLD if self.answer.high is not None else ExitCode.INCONCLUSIVE
        return ExitCode.PASS if self.answer.held[1] else ExitCode.INCONCLUSIVE


Told = Callable[[Trial, Point], None]


def find(
    bench: Bench,
    axis: Axis,
    objectives: Sequence[Threshold],
    plan: Plan,
    budget: float,
    tell: Told,
) -> Capacity:
    """Search until the answer is as narrow as asked for, or `budget` (seconds) is spent.

    Raises LoadmuxError where not even the first trial can be made.
    """
    bench.scenario = replace(bench.scenario, thresholds=tuple(objectives))
    found = Capacity(axis, objectives, bench.scenario)
    search, began, overhead = Search(plan), monotonic(), OVERHEAD
    while (trial := search.next()) is not None:
        found.seconds = monotonic() - began
        if found.points and found.seconds + trial.seconds + overhead > budget:
            found.spent = True
            break
        try:
            measured, how = _offered(bench, axis, trial, objectives)
        except UsageError as error:
            if not found.points:
                raise
            found.unable = str(error)
            search.tell(Outcome(1.0, str(error)))
            continue
        overhead = max(measured.took - trial.seconds, 0.0)
        found.interrupted = interrupted(bench.settings)
        if ended_by(measured) or found.interrupted:
            found.ended = None if found.interrupted else measured.report
            break
        search.tell(how)
        found.points.append(_point(axis, trial, measured, how))
        tell(trial, found.points[-1])
    found.seconds = monotonic() - began
    found.answer = search.answer
    if axis == "users" and found.points:
        found.law = fit([(one.load, one.rate) for one in found.points])
    return found


def interrupted(settings: Settings) -> bool:
    return settings.interrupts.count > 0


def _offered(
    bench: Bench, axis: Axis, trial: Trial, objectives: Sequence[Threshold]
) -> tuple[Measured, Outcome]:
    """Make a trial; what only says that the generator was held up is made again."""
    for _ in range(TRIES):
        measured = _offer(bench, axis, trial)
        how = outcome(measured, objectives)
        if how.limit != GENERATOR or ended_by(measured) or interrupted(bench.settings):
            break
    return measured, how


def _offer(bench: Bench, axis: Axis, trial: Trial) -> Measured:
    if axis == "users":
        return bench.closed(int(trial.load), trial.seconds)
    return bench.open(trial.load, bench.scenario.load.users, trial.seconds)


def _point(axis: Axis, trial: Trial, measured: Measured, how: Outcome) -> Point:
    return Point(
        load=trial.load,
        seconds=measured.seconds,
        long=trial.long,
        rate=measured.rate if axis == "users" else measured.iterations,
        p50=measured.percentile(0.5),
        p99=measured.percentile(0.99),
        cpu=measured.cpu,
        margin=how.margin,
        limit=how.limit,
    )
