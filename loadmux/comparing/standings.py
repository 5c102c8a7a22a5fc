"""Who comes before whom at one point of a comparison, as far as that was shown.

Those that cannot be told apart from the best of their group share its place. Whom the generator
limited, and who was wrong, has none.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from loadmux.comparing.contest import METRICS, Contest, Metric, Out
from loadmux.comparing.paired import Ratio
from loadmux.report.baseline import Spread

FALLING: frozenset[Metric] = frozenset({"p50", "p99", "cpu"})
"""Metrics of which less is better."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entrant at a point. `place` counts from 1, None: not ranked.

    `beside` compares what ranks with the first of its group or, for that one, with the first of the
    group before; `cpu` compares the CPU with the same. `against` is who that is, by number.
    """

    entrant: int
    place: int | None
    figures: Mapping[Metric, Spread]
    beside: Ratio | None = None
    cpu: Ratio | None = None
    against: int | None = None
    limited: bool = False
    out: Out | None = None
    idle_gone: int = 0


def spread(values: list[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def spreads(contest: Contest, entrant: int, point: int) -> dict[Metric, Spread]:
    """Over all rounds, those included that the generator limited."""
    taken = contest.taken.get((entrant, point), {}).values()
    found: dict[Metric, Spread] = {}
    for metric in METRICS:
        values = [value for one in taken if (value := one.of(metric)) is not None]
        if values:
            found[metric] = spread(values)
    return found


def standings(contest: Contest, point: int) -> list[Row]:
    """All entrants at this point, the ranked ones first, in their order."""
    ranked: list[Row] = []
    others: list[Row] = []
    for entrant in range(len(contest.entrants)):
        if (entrant, point) in contest.skipped:
            continue
        out = contest.out.get((entrant, point))
        limited = contest.disqualified(entrant, point)
        found = spreads(contest, entrant, point)
        taken = contest.taken.get((entrant, point), {}).values()
        gone = max((one.idle_gone for one in taken), default=0)
        row = Row(entrant, None, found, limited=limited, out=out, idle_gone=gone)
        fit = found and out is None and not limited and not gone
        (ranked if fit else others).append(row)
    metric = contest.leading
    sign = 1 if metric in FALLING else -1
    ranked.sort(key=lambda row: sign * row.figures[metric].median)
    return _placed(contest, point, ranked) + others


def _placed(contest: Contest, point: int, rows: list[Row]) -> list[Row]:
    placed: list[Row] = []
    leader: int | None = None
    place = 0
    for number, row in enumerate(rows, 1):
        beside = cpu = None
        against = leader
        if leader is not None:
            beside = contest.ratio(row.entrant, leader, point, contest.leading)
            cpu = contest.ratio(row.entrant, leader, point, "cpu")
        if leader is None or (beside is not None and beside.differs):
            leader, place = row.entrant, number
        placed.append(Row(row.entrant, place, row.figures, beside, cpu, against))
    return placed
