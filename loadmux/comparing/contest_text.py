"""A comparison in lines for a terminal: a table with bars for each point, then the faults."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from loadmux.comparing import claims
from loadmux.comparing.contest import METRICS, Axis, Contest, Figures, Metric, Out, Point
from loadmux.comparing.entrants import Entrant
from loadmux.comparing.paired import ENOUGH, LOOKS, Ratio
from loadmux.comparing.standings import Row, standings
from loadmux.report import figures
from loadmux.report.baseline import Spread
from loadmux.report.faults import faults_as_text

BAR = 24
HEADINGS = ("", "server", "exchanges", "range", "p50", "p99", "CPU/exchange", "", "")
METRIC_HEADINGS = ("exchanges", "p50", "p99", "CPU/exchange")
LEFT = (1, 7, 8)
"""Columns of text."""
NONE = "-"


def value_text(axis: Axis, value: float) -> str:
    if axis == "rate":
        return figures.rate(value)
    if axis == "size":
        return figures.size(int(value))
    return f"{int(value):,} {'idle' if axis == 'idle' else 'users' if value != 1 else 'user'}"


def point_text(axis: Axis, point: Point) -> str:
    return point.label or value_text(axis, point.value)


def metric_text(metric: Metric, value: float) -> str:
    return figures.rate(value) if metric == "rate" else figures.time(value)


def headline(contest: Contest) -> str:
    """What was compared, in one line."""
    shown = ", ".join(one.name for one in contest.entrants[:6])
    more = f" and {len(contest.entrants) - 6} more" if len(contest.entrants) > 6 else ""
    wrong = sorted({contest.entrants[e].name for (e, _), one in contest.out.items() if one.wrong})
    failed = f"; wrong: {', '.join(wrong)}" if wrong else ""
    return f"{shown}{more}: {figures.plural(contest.rounds, 'round')}{failed}"


def lines(contest: Contest) -> Iterator[str]:
    """Everything but the headline."""
    yield from about(contest)
    yield from claims_told(contest)
    for number, point in enumerate(contest.points):
        if any((entrant, number) in contest.taken for entrant in range(len(contest.entrants))) or (
            any(place == number for _, place in contest.out)
        ):
            yield ""
            yield from table(contest, number, point)
    yield from faults(contest)


def about(contest: Contest) -> Iterator[str]:
    yield f"scenario    {contest.scenario}"
    point = contest.points[0]
    load = f"{point.rate:g}/s on a schedule" if point.rate else "closed load"
    users = "" if point.label else f", {figures.plural(point.users, 'user')}"
    yield f"load        {load}{users}; {contest.seconds:g} s each"
    yield f"rounds      {contest.rounds} in {contest.took:.0f} s{spent(contest)}"
    yield f"cores       {cores(contest)}"


def spent(contest: Contest) -> str:
    """That the budget was, and what it should have been to tell anything."""
    if not contest.spent:
        return ""
    if contest.rounds >= LOOKS[0]:
        return "; the budget was spent"
    turns = sum(map(len, contest.taken.values())) or 1
    cells = len(contest.entrants) * len(contest.points) - len(contest.skipped) - len(contest.out)
    rounds = LOOKS[0] if contest.skipped else ENOUGH  # later rounds of claims are short
    needed = figures.time(contest.took / turns * cells * rounds)
    return f"; the budget was spent: too short to tell anything, try --budget {needed} or longer"


def claims_told(contest: Contest) -> Iterator[str]:
    """What was claimed of the models, and what was found here."""
    for claim, verdict, told in claim_rows(contest):
        yield ""
        yield f"{verdict.upper():<10}  {claim}"
        yield f"{'':<12}{told}"


def claim_rows(contest: Contest) -> Iterator[tuple[str, str, str]]:
    """What is claimed, what was found of it here, and the figures; see `claims`."""
    judged = list(claims.judged(contest))
    if judged and (limit := claims.limit(contest)) is not None:
        yield (claims.LIMIT, *limit)
    for one in judged:
        yield one.claim.text, one.verdict, claim_figures(contest, one)


def claim_figures(contest: Contest, one: claims.Judged) -> str:
    """The two figures that test a claim."""
    ours, other, found = one.claim.ours, one.claim.other, one.ratio
    if found is None:
        return one.told or "too few rounds to tell"
    what = {"cpu": "CPU an exchange", "rate": "exchanges a second"}.get(ours.metric, ours.metric)
    asked = f"{'more' if one.claim.more else 'less'} than {one.claim.bound:g} times"
    first = f"{ours.model} ({ours.point.label})"
    second = f"{other.model} ({other.point.label})"
    interval = f"{found.low:.3g}..{found.high:.3g}, {figures.plural(found.rounds, 'round')}"
    return f"{what}: {first} {found.value:.3g} times {second} ({interval}); claimed: {asked}"


def cores(contest: Contest) -> str:
    count = contest.machine.get("cores", "?")
    told = contest.pinned or "nothing was pinned"
    if contest.others is None:
        return f"{count}; {told}"
    busy = f"{contest.others:.1f} of them busy with what was not ours"
    return f"{count}; {told}; {busy}"


def table(contest: Contest, number: int, point: Point) -> Iterator[str]:
    """The standings at a point, with bars of what ranks."""
    rows = standings(contest, number)
    if len(contest.points) > 1 or contest.axis != "users":
        yield point_text(contest.axis, point)
    tops = [row.figures[contest.leading].median for row in rows if contest.leading in row.figures]
    top = max(tops, default=0.0)
    cells = [HEADINGS, *(_row(contest, row, top) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADINGS))]
    for one in cells:
        texts = [
            cell.ljust(width) if place in LEFT else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(one, widths, strict=True))
        ]
        yield f"  {'  '.join(texts)}".rstrip()


def _row(contest: Contest, row: Row, top: float) -> tuple[str, ...]:
    name = contest.entrants[row.entrant].name
    place = f"{row.place}." if row.place is not None else NONE
    rate = row.figures.get("rate")
    shown = [_shown(metric, row.figures.get(metric)) for metric in METRICS]
    shown.insert(1, _range(rate) if rate is not None else NONE)
    return (place, name, *shown, bar(contest, row, top), beside(contest, row))


def _shown(metric: Metric, spread: Spread | None) -> str:
    return NONE if spread is None else metric_text(metric, spread.median)


def _range(spread: Spread) -> str:
    low, high = (figures.rate(one).removesuffix("/s") for one in (spread.low, spread.high))
    return f"{low}..{high}"


def beside(contest: Contest, row: Row) -> str:
    """What the row is beside the one before it, in words; or why it has no place."""
    if row.out is not None:
        return f"{'wrong' if row.out.wrong else 'not measured'}: {row.out.reason}"
    if not row.figures:
        return "not measured: it ended before its turn"
    if row.idle_gone:
        return f"did not keep {row.idle_gone:,} of the idle connections"
    if row.limited:
        return "the generator was the limit: it may be faster (--workers)"
    if row.against is None:
        return ""
    if row.beside is None:
        return "too few rounds to tell"
    said = told(row.beside, contest.entrants[row.against].name)
    if row.cpu is not None and row.cpu.differs:
        said += f"; CPU {row.cpu.value:.3g} times ({row.cpu.low:.3g}..{row.cpu.high:.3g})"
    return said


def told(found: Ratio, first: str) -> str:
    value, interval = f"{found.value:.3g}", f"{found.low:.3g}..{found.high:.3g}"
    if found.differs:
        return f"{value} times {first} ({interval})"
    if found.alike:
        most = max(abs(1 - found.low), abs(found.high - 1))
        return f"no difference from {first} shown: less than {most:.1%}"
    few = "too few rounds to tell" if found.rounds < LOOKS[0] else "no difference shown"
    return f"{few} from {first} ({value} times, {interval})"


def row_cells(contest: Contest, row: Row) -> list[str]:
    """For a table with room: place and name, each metric with its range, what it is beside."""
    place = f"{row.place}." if row.place is not None else NONE
    cells = [f"{place}\u00a0{contest.entrants[row.entrant].name}"]
    for metric in METRICS:
        found = row.figures.get(metric)
        cells.append(with_range(metric, found) if found is not None else NONE)
    return [*cells, beside(contest, row)]


def with_range(metric: Metric, found: Spread) -> str:
    low, middle, high = (
        metric_text(metric, value) for value in (found.low, found.median, found.high)
    )
    return f"{middle} ({low}..{high})"


def bar(contest: Contest, row: Row, top: float) -> str:
    spread = row.figures.get(contest.leading)
    if spread is None or row.out is not None or not top:
        return ""
    length = max(1, round(spread.median / top * BAR))
    return ("█" if row.place is not None else "░") * length


def faults(contest: Contest) -> Iterator[str]:
    """The first fault of each that was wrong, whole."""
    shown = set()
    for (entrant, _), out in sorted(contest.out.items()):
        if out.report is not None and entrant not in shown:
            shown.add(entrant)
            yield ""
            yield f"What {contest.entrants[entrant].name} did wrong"
            for part in out.report.parts:
                told = faults_as_text(part, part.stats.faults_in_order[:1])
                yield from takewhile(lambda line: line.strip() != "example 2", told)


def turn_line(axis: Axis, entrant: Entrant, point: Point, found: Figures | Out, number: int) -> str:
    """What one measurement told, while the comparison goes on."""
    head = f"round {number + 1}: {entrant.name} at {point_text(axis, point)}"
    if isinstance(found, Out):
        return f"{head}: {'wrong' if found.wrong else 'left out'}: {found.reason}"
    cpu = f", CPU {figures.time(found.cpu)}" if found.cpu is not None else ""
    limited = " (the generator was the limit)" if found.limited else ""
    return f"{head}: {figures.rate(found.rate)}, p99 {figures.time(found.p99)}{cpu}{limited}"
