"""The pictures of a comparison: over the sweep, by server, by percentile, and as heat maps.

Over a sweep there is a curve for each server, its range as a band. Points of no sweep (a single
one, those that claims are tested at) have a row for each server instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from loadmux.comparing import contest_text
from loadmux.comparing.contest import Contest, Metric
from loadmux.comparing.page import PLAIN
from loadmux.comparing.pieces import Dot, Field, Piece, curves, dots, heat
from loadmux.comparing.standings import FALLING, Row, spreads, standings
from loadmux.measuring.histogram import Histogram
from loadmux.report import figures
from loadmux.report.baseline import Spread
from loadmux.report.charts import COLOURS, Curve, Mark, Range, Ranged, linear, named, of_percentiles
from loadmux.report.drawing import latencies

TITLES: dict[Metric, str] = {
    "rate": "exchanges a second",
    "cpu": "CPU of the server for an exchange",
    "p50": "p50 of the latency",
    "p99": "p99 of the latency",
}
MANY = 4
"""Bands of more curves than that would hide each other: they are whiskers."""
PLACES = 90
"""Places along the axis of percentiles at which a curve is drawn."""
UNITS = {
    "idle": "idle connections",
    "rate": "iterations a second",
    "size": "bytes",
    "users": "users",
}


def swept(contest: Contest) -> bool:
    return len(contest.points) > 1 and not any(point.label for point in contest.points)


def all_pieces(contest: Contest) -> list[Piece]:
    return [*charts(contest), *percentiles(contest), *heat_maps(contest)]


def charts(contest: Contest) -> Iterator[Piece]:
    """Of each metric that was measured."""
    if swept(contest):
        yield from filter(None, (_over_sweep(contest, metric) for metric in TITLES))
        return
    for place in range(len(contest.points)):
        for metric in TITLES if len(contest.points) == 1 else ("rate", "cpu"):
            piece = _by_server(contest, place, metric)
            if piece is not None:
                yield piece


def _over_sweep(contest: Contest, metric: Metric) -> Piece | None:
    found = [
        Ranged(PLAIN(one.name), ranges, entrant)
        for entrant, one in enumerate(contest.entrants)
        if (ranges := list(_ranges(contest, entrant, metric)))
    ]
    if len(found) > MANY:
        found = [replace(one, band=False) for one in found]
    highs = [one.high for curve in found for one in curve.ranges]
    if not highs:
        return None
    names = named([_tick_of(contest, place) for place in range(len(contest.points))])
    title = f"{TITLES[metric]} over {UNITS[contest.axis]}"
    return curves(title, names, linear(max(highs), partial(tick, metric)), found)


def _tick_of(contest: Contest, place: int) -> str:
    """The value of a point; its unit stands in the title."""
    return contest_text.value_text(contest.axis, contest.points[place].value).partition(" ")[0]


def _ranges(contest: Contest, entrant: int, metric: Metric) -> Iterator[Range]:
    for place in range(len(contest.points)):
        found = spreads(contest, entrant, place).get(metric)
        if found is not None and (entrant, place) not in contest.out:
            told = _told(contest, entrant, place, metric, found)
            yield Range(place, found.low, found.median, found.high, told)


def _told(contest: Contest, entrant: int, place: int, metric: Metric, found: Spread) -> str:
    at = contest_text.point_text(contest.axis, contest.points[place])
    name = contest.entrants[entrant].name
    return PLAIN(f"{name}, {at}: {contest_text.with_range(metric, found)}")


def _by_server(contest: Contest, place: int, metric: Metric) -> Piece | None:
    """The best one first."""
    rows = [
        row
        for row in standings(contest, place)
        if metric in row.figures and row.out is None and (row.entrant, place) in contest.taken
    ]
    if len(rows) < (1 if len(contest.points) == 1 else 2):
        return None
    sign = 1 if metric in FALLING else -1
    rows.sort(key=lambda row: sign * row.figures[metric].median)
    found = [_dot(contest, row, place, metric) for row in rows]
    top = linear(max(one.high for one in found), partial(tick, metric))
    at = contest_text.point_text(contest.axis, contest.points[place])
    title = TITLES[metric] if len(contest.points) == 1 else f"{TITLES[metric]}: {at}"
    return dots(title, top, found)


def _dot(contest: Contest, row: Row, place: int, metric: Metric) -> Dot:
    found = row.figures[metric]
    told = _told(contest, row.entrant, place, metric, found)
    name = PLAIN(contest.entrants[row.entrant].name)
    hollow = row.place is None and metric != "cpu"
    return Dot(name, found.low, found.median, found.high, told, hollow)


def tick(metric: Metric, value: float) -> str:
    if metric == "rate":
        return f"{value / 1000:g}k/s" if value >= 1000 else f"{value:g}/s"
    return time(value)


def time(value: float) -> str:
    """A round one."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size * (1 - 1e-9):
            return f"{value / size:.4g} {unit}"
    return f"{value * 1e6:.4g} µs" if value else "0"


# --- by percentile ------------------------------------------------------------------------------


def percentiles(contest: Contest) -> Iterator[Piece]:
    """For each point the latencies of all rounds together."""
    for place, point in enumerate(contest.points):
        found = {
            (entrant, one.name): contest.latencies[entrant, place]
            for entrant, one in enumerate(contest.entrants)
            if (entrant, place) in contest.latencies and (entrant, place) not in contest.out
        }
        if len(found) > (0 if len(contest.points) == 1 else 1):
            at = contest_text.point_text(contest.axis, point)
            title = "latency by percentile"
            title = title if len(contest.points) == 1 else f"{title}: {at}"
            yield by_percentile(title, {(n, PLAIN(name)): one for (n, name), one in found.items()})


def by_percentile(title: str, found: dict[tuple[int, str], Histogram]) -> Piece:
    """A curve for each name; the number is its colour. Of too many the extremes by their p99."""
    if len(found) > COLOURS:
        ranked = sorted(found, key=lambda one: found[one].percentile(0.99))
        left = {*ranked[: COLOURS // 2], *ranked[-COLOURS // 2 :]}
        found = {one: histogram for one, histogram in found.items() if one in left}
        title += f" ({COLOURS // 2} best and {COLOURS // 2} worst)"
    if max(number for number, _ in found) >= COLOURS:
        found = {(place, one[1]): found[one] for place, one in enumerate(found)}
    most = max(one.count for one in found.values())
    x = of_percentiles(most)
    drawn = [Curve(name, list(_marks(one)), colour) for (colour, name), one in found.items()]
    values = [mark.value for curve in drawn for mark in curve.marks if mark.value > 0]
    return curves(title, x, latencies(values or [1e-6]), drawn)


def _marks(histogram: Histogram) -> Iterator[Mark]:
    """As many as can be told apart in a picture, by the axis of `of_percentiles`."""
    shares = [1 - histogram.count ** (-place / PLACES) for place in range(PLACES)]
    values = [histogram.percentile(share) for share in shares[1:]]
    for begin, end, value in zip(shares, [*shares[1:]], values, strict=False):
        yield Mark(begin, end, value)
    yield Mark(shares[-1], 1.0, histogram.high)


# --- heat maps ----------------------------------------------------------------------------------


def heat_maps(contest: Contest) -> Iterator[Piece]:
    """Servers by points."""
    if len(contest.points) < 2:
        return
    leading = contest.leading
    for metric in dict.fromkeys((leading, "cpu")):
        columns = [
            {row.entrant: row for row in standings(contest, place)}
            for place in range(len(contest.points))
        ]
        rows = [
            (PLAIN(one.name), [_field(contest, metric, column, entrant) for column in columns])
            for entrant, one in enumerate(contest.entrants)
        ]
        rows = [(name, fields) for name, fields in rows if any(one.text for one in fields)]
        if any(one.share is not None for _, fields in rows for one in fields):
            names = [point.label or _tick_of(contest, p) for p, point in enumerate(contest.points)]
            over = f" over {UNITS[contest.axis]}" if swept(contest) else ""
            yield heat(f"{TITLES[metric]}{over}", names, rows)


def _field(contest: Contest, metric: Metric, column: dict[int, Row], entrant: int) -> Field:
    row = column.get(entrant)
    if row is None or not (row.figures or row.out):
        return Field("")
    found = row.figures.get(metric)
    if found is None or row.out is not None:
        wrong = row.out is not None and row.out.wrong
        return Field("wrong" if wrong else "-", bad=wrong)
    fit = [one for one in column.values() if one.out is None and metric in one.figures]
    values = [one.figures[metric].median for one in fit]
    ahead = max(values) if metric == "rate" else min(values)
    share = found.median / ahead if metric == "rate" else ahead / found.median
    told = f"{contest.entrants[entrant].name}: {contest_text.with_range(metric, found)}"
    limited = row.limited and metric != "cpu"
    return Field(short(metric, found.median) + ("*" if limited else ""), share, PLAIN(told))


def short(metric: Metric, value: float) -> str:
    if metric != "rate":
        return figures.time(value)
    return f"{figures.three_digits(value / 1000)}k" if value >= 10_000 else f"{value:,.0f}"
