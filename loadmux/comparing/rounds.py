"""Rounds of a comparison until all is told apart or the budget is spent; no I/O of its own."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from loadmux.comparing.contest import Contest, Figures, Out, Point, order
from loadmux.comparing.entrants import Entrant
from loadmux.comparing.paired import LOOKS
from loadmux.comparing.standings import standings

Told = Callable[[Entrant, Point, Figures | Out, int], None]
Measure = Callable[[Entrant, Point], Figures | Out]
Done = Callable[[Contest], bool]


def compete(
    contest: Contest,
    measure: Measure,
    budget: float,
    stopped: Callable[[], bool],
    tell: Told,
    done: Done,
) -> None:
    """Rounds until it is `done`, or `budget` (seconds) is spent."""
    began, longest = monotonic(), 0.0
    entrants, points = contest.entrants, contest.points
    while contest.rounds < LOOKS[-1]:
        for entrant, point in order(len(entrants), len(points), contest.rounds):
            if (entrant, point) in contest.out.keys() | contest.skipped | contest.resting:
                continue
            begun = monotonic()
            if contest.taken and begun - began + longest > budget:
                contest.spent = True
                return
            found = measure(entrants[entrant], points[point])
            longest, contest.took = max(longest, monotonic() - begun), monotonic() - began
            if stopped():
                contest.interrupted = True
                return
            tell(entrants[entrant], points[point], found, contest.rounds)
            if isinstance(found, Out):
                contest.out[entrant, point] = found
            else:
                contest.taken.setdefault((entrant, point), {})[contest.rounds] = found
        contest.rounds += 1
        if not any(left(contest, point) > 1 for point in range(len(points))):
            return
        if contest.rounds in LOOKS and done(contest):
            return


def left(contest: Contest, point: int) -> int:
    """How many still take part at a point."""
    return sum((entrant, point) not in contest.out for entrant in range(len(contest.entrants)))


def settled(contest: Contest) -> bool:
    """Whether at every point each is told apart from the one before it, or as good as equal."""
    for point in range(len(contest.points)):
        for row in standings(contest, point):
            beside = row.beside
            if beside is not None and not (beside.differs or beside.alike):
                return False
    return True
