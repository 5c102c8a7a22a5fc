"""What a comparison has measured: entrants, points of a sweep, rounds; and in which order.

In each round every entrant is measured once at every point, by a server of its own that is started
for that; the first of a round is another one each time (A B C, C A B, ...). Only figures of the
same round are set against each other, for a machine is never the same for long.

An entrant that answers wrongly, cannot run here, or has not enough room for the connections is left
out from then on, and why is told. A figure is disqualified where the generator was the limit.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from loadmux.comparing import paired
from loadmux.comparing.entrants import Entrant
from loadmux.comparing.paired import Ratio
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report.model import Report

Axis = Literal["users", "idle", "rate", "size"]
Metric = Literal["rate", "p50", "p99", "cpu"]
METRICS: tuple[Metric, ...] = ("rate", "p50", "p99", "cpu")


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
    """

    rate: float
    p50: float
    p99: float
    cpu: float | None
    limited: bool = False
    idle_gone: int = 0

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
    """What was measured, by entrant, point and round.

    `skipped` are entrants at points that nobody asked for, `resting` those of which enough is
    known. `kept` is how many of the connections that were tried a model let in. `others` is how
    many cores were busy with what is none of ours, None where nobody tells.
    """

    entrants: Sequence[Entrant]
    points: Sequence[Point]
    axis: Axis
    scenario: str
    seconds: float
    taken: dict[tuple[int, int], dict[int, Figures]] = field(default_factory=dict)
    out: dict[tuple[int, int], Out] = field(default_factory=dict)
    rounds: int = 0
    took: float = 0.0
    spent: bool = False
    interrupted: bool = False
    pinned: str = ""
    others: float | None = None
    machine: Mapping[str, str] = field(default_factory=dict)
    skipped: frozenset[tuple[int, int]] = frozenset()
    resting: frozenset[tuple[int, int]] = frozenset()
    kept: dict[str, int] = field(default_factory=dict)

    @property
    def open_load(self) -> bool:
        return any(point.rate is not None for point in self.points)

    @property
    def leading(self) -> Metric:
        """What ranks: the rate, or under open load, which gives the rate, the latency."""
        return "p99" if self.open_load else "rate"

    def series(self, entrant: int, point: int, metric: Metric) -> dict[int, float]:
        """The figures of one entrant by round, without those that the generator limited."""
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


def order(entrants: int, points: int, number: int) -> list[tuple[int, int]]:
    """(entrant, point) in the order of a round: all at one point, then at the next one."""
    turn = [(place - number) % entrants for place in range(entrants)]
    places = range(points) if number % 2 == 0 else reversed(range(points))
    return [(entrant, point) for point in places for entrant in turn]
