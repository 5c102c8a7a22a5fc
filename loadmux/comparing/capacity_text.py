"""A found capacity in lines for a terminal: the answer, what limited it, the curve."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from loadmux.comparing.capacity import OURS, Axis, Capacity, Point
from loadmux.comparing.objectives import DROPPED, GENERATOR, PORTS
from loadmux.comparing.scaling import Law
from loadmux.comparing.search import Answer, Trial
from loadmux.report import figures

BAR = 30
HEADINGS = ("offered", "achieved", "p50", "p99", "held")


def load(axis: Axis, value: float) -> str:
    return figures.plural(int(value), "user") if axis == "users" else figures.rate(value)


def headline(found: Capacity) -> str:
    """The answer in one line."""
    answer, axis = found.answer, found.axis
    wanted = ", ".join(one.text for one in found.objectives)
    if found.ended is not None:
        return f"no capacity: the search ended with a fault: {found.ended.verdict.reason}"
    if answer.low is None and answer.high is None:
        return "nothing was measured"
    if answer.low is None:
        assert answer.high is not None
        if answer.limit in OURS:
            return f"nothing was found; what limited it is {answer.limit}, not the server"
        return f"not even {load(axis, answer.high)} keep {wanted}"
    least = load(axis, answer.low)
    if not answer.held[1]:
        return f"about {least}, not confirmed: {wanted}"
    if answer.high is None:
        return f"{least} or more: {wanted}"
    return f"{least} .. {load(axis, answer.high)}: {wanted}"


def lines(found: Capacity) -> Iterator[str]:
    """What follows the headline."""
    yield from why(found)
    yield ""
    yield from curve(found)
    if found.law is not None:
        yield ""
        yield from scaling(found.law)


def why(found: Capacity) -> Iterator[str]:
    """What the answer rests on, and what limited it."""
    answer = found.answer
    if answer.low is not None and answer.held[1]:
        held, count = answer.held
        yield f"carried     {load(found.axis, answer.low)}: held in {held} of {count} long trials"
    if answer.high is not None:
        yield f"not         {load(found.axis, answer.high)}: {broke(answer)}"
        yield f"limited by  {limited_by(answer.limit, found)}"
    elif found.unable:
        yield f"limited by  {limited_by(found.unable, found)}"
    if answer.slowed:
        yield "slower      what was carried at first was not later on: it gets slower with time"
    if found.spent:
        yield "budget      spent before the answer was narrow enough; give it a longer --budget"
    trials = figures.plural(len(found.points), "trial")
    yield f"took        {trials}, {found.seconds:.0f} s"


def broke(answer: Answer) -> str:
    if not answer.broke[1]:
        return "broke in a short trial"
    return f"broke in {answer.broke[0]} of {answer.broke[1]} long trials"


def limited_by(limit: str, found: Capacity) -> str:
    """In words what ended the way up."""
    if limit == GENERATOR:
        return "the generator, not the server: it could not offer more; give it more --workers"
    if limit == PORTS:
        return "this machine's free ports: keep connections open, or use `source`"
    if limit == DROPPED:
        users = found.scenario.load.users
        return f"the server with {users} users at most: iterations found none free; try --max-users"
    if found.unable and limit == found.unable:
        return limit
    return f"the server: {limit}" if limit else "the highest load that was to be tried (--to)"


def curve(found: Capacity) -> Iterator[str]:
    """Latency over throughput: a row for each load that was tried."""
    rows = by_load(found.points)
    if not rows:
        return
    top = max(one.p99 for one in rows)
    low = min((one.p50 for one in rows if one.p50 > 0), default=top)
    table = [HEADINGS, *(cells(found.axis, one, found.points) for one in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADINGS))]
    bars = ["p50 to p99, logarithmic", *(bar(one, low, top) for one in rows)]
    for row, drawn in zip(table, bars, strict=True):
        shown = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {shown}  {drawn}".rstrip()


def by_load(points: Sequence[Point]) -> list[Point]:
    """One for each load: the median of its long trials, of the short ones where there are none."""
    found = []
    for at in sorted({one.load for one in points}):
        those = [one for one in points if one.load == at]
        those = [one for one in those if one.long] or those
        found.append(sorted(those, key=lambda one: one.p99)[(len(those) - 1) // 2])
    return found


def cells(axis: Axis, one: Point, points: Sequence[Point]) -> tuple[str, ...]:
    """The cells of a load, see HEADINGS."""
    those = [other for other in points if other.load == one.load and other.long == one.long]
    held = f"{sum(other.held for other in those)} of {len(those)}"
    rate = statistics.median(other.rate for other in those)
    times = figures.time(one.p50), figures.time(one.p99)
    return load(axis, one.load), figures.rate(rate), *times, held


def bar(one: Point, low: float, top: float) -> str:
    """Blanks up to p50, then a bar to p99."""
    if one.p50 <= 0 or top <= low:
        return ""
    begin, end = (
        round(math.log(max(value, low) / low) / math.log(top / low) * BAR)
        for value in (one.p50, one.p99)
    )
    return " " * begin + ("█" if one.held else "░") * max(1, end - begin)


def scaling(found: Law | str) -> Iterator[str]:
    """The Universal Scalability Law, or why not."""
    if isinstance(found, str):
        yield f"Universal Scalability Law: {found}"
        return
    yield f"Universal Scalability Law (the points lie {found.off:.0%} beside it)"
    for name, (value, error) in (
        ("one user", found.single),
        ("contention", found.contention),
        ("coherency", found.coherency),
    ):
        yield f"  {name:<11} {value:.4g} ± {error:.2g}"
    peak = found.peak
    yield f"  most at     {'no peak shown' if peak is None else f'{peak:.0f} users'}"


def trial_line(axis: Axis, trial: Trial, point: Point) -> str:
    """What a trial told, while the search goes on."""
    kind = "long " if trial.long else "short"
    how = "held" if point.held else f"broke: {point.limit}"
    latency = f"p50 {figures.time(point.p50)}, p99 {figures.time(point.p99)}"
    return f"{kind} trial at {load(axis, trial.load)}: {figures.rate(point.rate)}, {latency}: {how}"
