"""Rounds of a comparison until all is told apart or the budget is spent; no I/O of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic

from loadmux.comparing.contest import Cell, Contest, Figures, Out, Point, plan
from loadmux.comparing.entrants import Entrant
from loadmux.comparing.paired import LOOKS
from loadmux.comparing.standings import standings

Told = Callable[[Entrant, Point, Figures | Out, int], None]
Measure = Callable[[Entrant, Point], Figures | Out]
Done = Callable[[Contest], bool]
Plan = Callable[[Contest], Iterable[Sequence[Cell]]]


def compete(
    contest: Contest,
    measure: Measure,
    budget: float,
    stopped: Callable[[], bool],
    tell: Told,
    done: Done,
    planned: Plan = plan,
) -> None:
    """Rounds until it is `done`, or `budget` (seconds) is spent."""
    began, longest = monotonic(), 0.0
    while contest.rounds < LOOKS[-1]:
        for entrant, point in turns(contest, planned(contest)):
            begun = monotonic()
            if contest.taken and begun - began + longest > budget:
                contest.spent = True
                return
            one, at = contest.entrants[entrant], contest.points[point]
            found = measure(one, at)
            longest, contest.took = max(longest, monotonic() - begun), monotonic() - began
            if stopped():
                contest.interrupted = True
                return
            tell(one, at, found, contest.rounds)
            contest.take(entrant, point, found)
        contest.rounds += 1
        if not any(left(contest, point) > 1 for point in range(len(contest.points))):
            return
        if contest.rounds in LOOKS and done(contest):
            return


def turns(contest: Contest, blocks: Iterable[Sequence[Cell]]) -> Iterator[Cell]:
    """The turns of a round; who is out meanwhile has none."""
    for block in blocks:
        for entrant, point in block:
            if contest.asked(entrant, point):
                yield entrant, point
        contest.blocks += 1


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
