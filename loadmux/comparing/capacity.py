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
from loadmux.comparing.gathering import gathered
from loadmux.comparing.objectives import GENERATOR, PORTS, ended_by, outcome
from loadmux.comparing.scaling import Law, fit
from loadmux.comparing.search import Answer, Outcome, Plan, Search, Trial
from loadmux.errors import UsageError
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.thresholds import Threshold
from loadmux.report.model import Report
from loadmux.running.servers.watching import pause
from loadmux.running.settings import Settings

Axis = Literal["rate", "users"]
TRIES = 3
TIME_WAIT = 61.0
"""Seconds after a close in which its port is not free; Linux has 60, which nothing changes."""
LOOK_EVERY = 0.2
OURS = (GENERATOR, PORTS)
"""Limits that are not the server's."""
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

    `unable` says why no higher load could be offered. `law` is for users only. `reports` are by
    load, and whether of its long trials. `command` repeats the search.
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
    reports: dict[tuple[float, bool], Report] = field(default_factory=dict)
    command: str = ""

    def take(self, trial: Trial, measured: Measured, how: Outcome) -> Point:
        """What a trial has told."""
        key = trial.load, trial.long
        self.reports[key] = gathered(self.reports.get(key), measured.alone)
        self.points.append(_point(self.axis, trial, measured, how))
        return self.points[-1]

    def report_of(self, load: float) -> Report | None:
        """All long trials of a load as one run, the short ones where there is no other."""
        return self.reports.get((load, True)) or self.reports.get((load, False))

    @property
    def code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.ended is not None:
            return self.ended.verdict.code
        if self.answer.low is None:
            broke = self.answer.high is not None and self.answer.limit not in OURS
            return ExitCode.THRESHOLD if broke else ExitCode.INCONCLUSIVE
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
            measured, how = _offered(bench, axis, trial, objectives, began + budget)
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
        tell(trial, found.take(trial, measured, how))
        if how.limit == PORTS and monotonic() + TIME_WAIT > began + budget:
            found.unable, found.spent = PORTS, True  # no other load has ports before that, either
            break
    found.seconds = monotonic() - began
    found.answer = search.answer
    if axis == "users" and found.points:
        of_the_server = [one for one in found.points if one.limit not in OURS]
        found.law = fit([(one.load, one.rate) for one in of_the_server])
    return found


def interrupted(settings: Settings) -> bool:
    return settings.interrupts.count > 0


def _offered(
    bench: Bench, axis: Axis, trial: Trial, objectives: Sequence[Threshold], due: float
) -> tuple[Measured, Outcome]:
    """Make a trial; what only says that the generator was held up is made again, and what found no
    free port after those of the trials before it are free again, if that is before `due`.
    """
    for _ in range(TRIES):
        measured = _offer(bench, axis, trial)
        how = outcome(measured, objectives)
        if how.limit == PORTS and ports_freed(bench.settings, due):
            continue
        if how.limit != GENERATOR or ended_by(measured) or interrupted(bench.settings):
            break
    return measured, how


def ports_freed(settings: Settings, due: float) -> bool:
    """Wait until the kernel has given ports free; False where that is not before `due`."""
    end = monotonic() + TIME_WAIT
    while end < due and not interrupted(settings):
        if monotonic() > end:
            return True
        pause(LOOK_EVERY)
    return False


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
