"""What the literature says of IO models, each as two figures that test it on this machine.

A claim is that one figure is more (or less) than another one times a bound. It is *shown* where the
interval of their ratio lies on that side, *refuted* where it lies on the other, and *undecided*
where it has the bound within it: by the same tests as a comparison (`paired`), of figures that were
measured right after each other. That one is faster is refuted, too, where the interval is within
`EQUAL` of 1. What a machine cannot show, for it has too few cores, is *not here*.

Which of two servers of a single thread is faster their CPU for an exchange says: that is what a
core can carry of them. In a rate there is as much of the generator as of the server, for the one
costs as much as the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from loadmux.comparing import paired
from loadmux.comparing.contest import Cell, Contest, Metric, Point, in_order
from loadmux.comparing.paired import Ratio

FEW, MANY, IDLE = 10, 50, 1000
ALONE = Point(0, 1, label="1 user")
BUSY = Point(1, MANY, label=f"{MANY} users")
QUIET = Point(2, FEW, label=f"{FEW} users")
CROWDED = Point(3, FEW, IDLE, label=f"{FEW} users, {IDLE:,} idle")
POINTS = (ALONE, BUSY, QUIET, CROWDED)

Verdict = Literal["shown", "refuted", "undecided", "not here"]


@dataclass(frozen=True, slots=True)
class Figure:
    model: str
    point: Point
    metric: Metric


@dataclass(frozen=True, slots=True)
class Claim:
    """`ours` is more than `bound` times `other`, or less where `more` is False.

    `cores`: that many are needed, so that one is left for the generator.
    """

    text: str
    ours: Figure
    other: Figure
    more: bool = True
    bound: float = 1.0
    cores: int = 1


def _cpu(model: str, point: Point) -> Figure:
    return Figure(model, point, "cpu")


def _rate(model: str, point: Point) -> Figure:
    return Figure(model, point, "rate")


# fmt: off
CLAIMS = (
    Claim("select costs more CPU the more connections are idle",
        _cpu("select", Point(4, FEW, 900, label=f"{FEW} users, 900 idle")),
        _cpu("select", QUIET), bound=1.5),
    Claim("poll costs more CPU the more connections are idle",
        _cpu("poll", CROWDED), _cpu("poll", QUIET), bound=1.5),
    Claim("epoll does not: a wait costs only who is ready",
        _cpu("epoll", CROWDED), _cpu("epoll", QUIET), more=False, bound=1.5),
    Claim("signal-driven IO does not either, where the signal names the descriptor",
        _cpu("signal", CROWDED), _cpu("signal", QUIET), more=False, bound=1.5),
    Claim("with many idle connections epoll needs less CPU than poll",
        _cpu("epoll", CROWDED), _cpu("poll", CROWDED), more=False),
    Claim("where all are busy poll is as fast as epoll (at most a fifth more CPU)",
        _cpu("poll", BUSY), _cpu("epoll", BUSY), more=False, bound=1.2),
    Claim("busy polling costs at least twice epoll's CPU where most are idle",
        _cpu("nonblocking", CROWDED), _cpu("epoll", CROWDED), bound=2.0),
    Claim("a thread for each connection is faster than epoll for a single one",
        _rate("threads", ALONE), _rate("epoll", ALONE)),
    Claim("a thread for each connection is slower than epoll for many",
        _rate("threads", BUSY), _rate("epoll", BUSY), more=False),
    Claim("edge-triggered epoll is faster than level-triggered (less CPU)",
        _cpu("epoll_et", BUSY), _cpu("epoll", BUSY), more=False),
    Claim("one-shot epoll shared by threads is faster than a single thread",
        _rate("epoll_oneshot", BUSY), _rate("epoll", BUSY)),
    Claim("processes use all cores: a pool of them is faster than threads in one",
        _rate("process_pool", BUSY), _rate("threads", BUSY), cores=3),
    Claim("io_uring is faster than epoll (less CPU)",
        _cpu("io_uring", BUSY), _cpu("epoll", BUSY), more=False),
    Claim("a framework costs: asyncio needs more CPU than epoll by hand",
        _cpu("asyncio", BUSY), _cpu("epoll", BUSY)),
)
# fmt: on
LIMIT = "select holds no more than 1,024 descriptors (FD_SETSIZE), poll does"
FD_SETSIZE, TRIED = 1024, 1100
EQUAL = 0.05
OPENING = 5
"""Rounds in which all models are measured, before only what is undecided goes on."""
NO_CONNECTIONS = frozenset({"udp", "blocking"})
"""Models that cannot take part: they serve one client, or speak datagrams."""


def points() -> list[Point]:
    """All points that a claim needs, and those that all models have."""
    found = [*POINTS, *(one.point for claim in CLAIMS for one in (claim.ours, claim.other))]
    return list(dict.fromkeys(found))


def skipped(models: Sequence[str]) -> frozenset[tuple[int, int]]:
    """Cells that no claim needs; every model is measured where many are busy."""
    needed = {(one.model, one.point) for claim in CLAIMS for one in (claim.ours, claim.other)}
    return frozenset(
        (entrant, place)
        for entrant, model in enumerate(models)
        for place, point in enumerate(points())
        if point != BUSY and (model, point) not in needed
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim and what was found of it; `told` has the two figures."""

    claim: Claim
    verdict: Verdict
    ratio: Ratio | None = None
    told: str = ""


def judged(contest: Contest) -> Iterator[Judged]:
    """Every claim; nothing of a contest that is no `compare models`."""
    for claim in CLAIMS:
        cells = [_cell(contest, one) for one in (claim.ours, claim.other)]
        if None in cells:
            continue
        ours, other = (cell for cell in cells if cell is not None)
        if ours in contest.out or other in contest.out:
            gone = contest.out.get(ours) or contest.out.get(other)
            yield Judged(claim, "not here", told=gone.reason if gone else "")
            continue
        if (few := _too_few_cores(contest, claim)) is not None:
            yield Judged(claim, "not here", told=few)
            continue
        first = contest.series(*ours, claim.ours.metric)
        second = contest.series(*other, claim.other.metric)
        found = paired.ratio(first, second)
        scaled = {number: value / claim.bound for number, value in first.items()}
        beside = found if claim.bound == 1 else paired.ratio(scaled, second)
        yield Judged(claim, _verdict(claim, beside), found)


def limit(contest: Contest) -> tuple[Verdict, str] | None:
    """Whether select lets in no more than FD_SETSIZE; None where nobody has tried."""
    kept = contest.kept
    if not kept:
        return None
    told = ", ".join(f"{model} kept {count:,} of {TRIED:,}" for model, count in kept.items())
    if kept.get("poll") != TRIED:
        return "undecided", told
    return ("shown" if kept.get("select", TRIED) <= FD_SETSIZE else "refuted"), told


def _too_few_cores(contest: Contest, claim: Claim) -> str | None:
    cores = contest.machine.get("cores", "")
    if not cores.isdecimal() or int(cores) >= claim.cores:
        return None
    return f"of {cores} cores the generator needs one; this takes {claim.cores} cores or more"


def _verdict(claim: Claim, beside: Ratio | None) -> Verdict:
    if beside is None:
        return "undecided"
    if beside.differs:
        return "shown" if (beside.value > 1) is claim.more else "refuted"
    equal = beside.within(EQUAL) and claim.bound == 1
    return "refuted" if equal else "undecided"


def _cell(contest: Contest, one: Figure) -> Cell | None:
    names = [entrant.name for entrant in contest.entrants]
    if one.model not in names or one.point not in contest.points:
        return None
    return names.index(one.model), list(contest.points).index(one.point)


def decided(contest: Contest) -> bool:
    """Whether more rounds would tell nothing more of any claim; what is decided rests then."""
    contest.resting = frozenset(
        one.claim.text for one in judged(contest) if one.verdict != "undecided"
    )
    return not _open(contest)


def _open(contest: Contest) -> list[list[Cell]]:
    """The two cells of each claim that is not decided."""
    pairs = []
    for claim in CLAIMS:
        cells = [_cell(contest, one) for one in (claim.ours, claim.other)]
        if claim.text not in contest.resting:
            pairs.append([one for one in cells if one is not None and contest.asked(*one)])
    return [pair for pair in pairs if len(pair) == 2]


def plan(contest: Contest) -> list[list[Cell]]:
    """The blocks of a round: a claim's two figures each; at first all models where many are busy,
    too, which has the figures of some claims.
    """
    pairs, blocks = _open(contest), list[list[Cell]]()
    if contest.rounds < OPENING:
        busy = contest.points.index(BUSY)
        models = [one for one in range(len(contest.entrants)) if contest.asked(one, busy)]
        blocks = [[(one, busy) for one in models]]
        pairs = [pair for pair in pairs if {place for _, place in pair} != {busy}]
    return [in_order(block, contest.rounds) for block in (*blocks, *pairs)]
