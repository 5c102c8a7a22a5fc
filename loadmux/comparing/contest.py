"""What a comparison has measured: entrants, points of a sweep, rounds; and in which order.

In each round every entrant is measured once at every point, by a server of its own that is started
for that. What is compared is measured right after each other, in a block of its own; only figures
of the same block are set against each other, for a machine is never the same for long. The order
within a block is drawn, and the next round has the reverse of it: so none profits from its place,
nor from a machine that gets slower, and twins differ either way with the same probability
(A. Abedi, T. Brecht: Conducting Repeatable Experiments in Highly Variable Cloud Computing
Environments, ICPE 2017).

An entrant that answers wrongly, cannot run here, or has not enough room for the connections is left
out from then on, and why is told. A figure is disqualified where the generator was the limit.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from loadmux.comparing import paired
from loadmux.comparing.entrants import Entrant
from loadmux.comparing.gathering import gathered
from loadmux.comparing.paired import Ratio
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.histogram import Histogram
from loadmux.report.model import Report

Axis = Literal["users", "idle", "rate", "size"]
Metric = Literal["rate", "p50", "p99", "cpu"]
METRICS: tuple[Metric, ...] = ("rate", "p50", "p99", "cpu")
Cell = tuple[int, int]
"""An entrant at a point, by their numbers."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one measurement is made under; `rate` None is closed load, `label` its name if any."""

    value: float
    users: int
    idle: int = 0
    rate: float | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one measurement: exchanges a second, latencies and CPU an exchange in seconds.

    `limited`: by the generator. `idle_gone`: idle connections that the server did not keep.
    `report` is of the run that was measured, None where the figures were read from a file.
    """

    rate: float
    p50: float
    p99: float
    cpu: float | None
    limited: bool = False
    idle_gone: int = 0
    report: Report | None = field(default=None, compare=False, repr=False)

    def of(self, metric: Metric) -> float | None:
        value: float | None = getattr(self, metric)
        return value


@dataclass(frozen=True, slots=True)
class Out:
    """Why an entrant takes part no more; `report` has the fault of one that was wrong."""

    reason: str
    wrong: bool = False
    report: Report | None = None


@dataclass
class Contest:
    """What was measured, by entrant, point and the number of the block.

    `rounds` counts those that are complete, `blocks` those that were begun. `skipped` are entrants
    at points that nobody asked for, `resting` the claims that are decided. `kept` is how many of
    the connections that were tried a model let in. `others` is how many cores were busy with what
    is none of ours, None where nobody tells. `latencies` and `reports` are of all rounds of an
    entrant at a point; those of a file have no reports. `command` repeats the comparison.
    """

    entrants: Sequence[Entrant]
    points: Sequence[Point]
    axis: Axis
    scenario: str
    seconds: float
    taken: dict[Cell, dict[int, Figures]] = field(default_factory=dict)
    out: dict[Cell, Out] = field(default_factory=dict)
    rounds: int = 0
    blocks: int = 0
    took: float = 0.0
    spent: bool = False
    interrupted: bool = False
    pinned: str = ""
    others: float | None = None
    machine: Mapping[str, str] = field(default_factory=dict)
    skipped: frozenset[Cell] = frozenset()
    resting: frozenset[str] = frozenset()
    kept: dict[str, int] = field(default_factory=dict)
    latencies: dict[Cell, Histogram] = field(default_factory=dict)
    reports: dict[Cell, Report] = field(default_factory=dict)
    command: str = ""

    def take(self, entrant: int, point: int, found: Figures | Out) -> None:
        """What one turn of this block has told."""
        cell = entrant, point
        if found.report is not None:
            self.reports[cell] = gathered(self.reports.get(cell), found.report)
        if isinstance(found, Out):
            self.out[cell] = found
            return
        if found.report is not None:
            latencies = found.report.stats.total.histogram
            self.latencies.setdefault(cell, Histogram()).merge(latencies)
        self.taken.setdefault(cell, {})[self.blocks] = replace(found, report=None)

    def asked(self, entrant: int, point: int) -> bool:
        """Whether an entrant still takes part at a point."""
        return (entrant, point) not in self.out and (entrant, point) not in self.skipped

    @property
    def open_load(self) -> bool:
        return any(point.rate is not None for point in self.points)

    @property
    def leading(self) -> Metric:
        """What ranks: the rate, or under open load, which gives the rate, the latency."""
        return "p99" if self.open_load else "rate"

    def series(self, entrant: int, point: int, metric: Metric) -> dict[int, float]:
        """The figures of one entrant by block, without those that the generator limited."""
        found = {}
        for number, one in self.taken.get((entrant, point), {}).items():
            value = one.of(metric)
            if value is not None and (not one.limited or metric == "cpu"):
                found[number] = value
        return found

    def disqualified(self, entrant: int, point: int) -> bool:
        """Whether the generator was the limit in most rounds."""
        taken = self.taken.get((entrant, point), {}).values()
        return bool(taken) and statistics.mean(one.limited for one in taken) >= 0.5

    def ratio(self, ours: int, other: int, point: int, metric: Metric) -> Ratio | None:
        return paired.ratio(self.series(ours, point, metric), self.series(other, point, metric))

    @property
    def code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if any(one.wrong for one in self.out.values()):
            return ExitCode.FAIL
        return ExitCode.PASS if any(self.taken.values()) else ExitCode.INCONCLUSIVE


def in_order(cells: Sequence[Cell], number: int) -> list[Cell]:
    """Those of a block in the order of this round."""
    drawn = sorted(cells)
    random.Random(f"{number // 2} {drawn}").shuffle(drawn)
    return drawn if number % 2 == 0 else drawn[::-1]


def plan(contest: Contest) -> list[list[Cell]]:
    """The blocks of the next round: all entrants at one point, then at the next one."""
    entrants, points = range(len(contest.entrants)), range(len(contest.points))
    places = points if contest.rounds % 2 == 0 else reversed(points)
    return [
        in_order([(one, place) for one in entrants if contest.asked(one, place)], contest.rounds)
        for place in places
    ]
