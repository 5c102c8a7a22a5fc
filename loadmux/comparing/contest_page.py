"""A comparison as one page of HTML, and its charts as one SVG: nothing is loaded, no script runs.

Colours are those of the report's pages, for light and dark; a curve past the eighth is dashed, and
every mark tells its figures when pointed at. The heat map says its figures in its fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from loadmux.comparing import claims, contest_text, page
from loadmux.comparing.contest import Contest, Metric
from loadmux.comparing.page import PLAIN, text
from loadmux.comparing.standings import Row, spreads, standings
from loadmux.report import figures
from loadmux.report.baseline import Spread
from loadmux.report.charts import HEIGHT, WIDTH, Axis, Range, Ranged, chart, drawn, linear, named
from loadmux.report.html import style
from loadmux.report.writing import write_text

TITLES: dict[Metric, str] = {
    "rate": "exchanges a second",
    "cpu": "CPU of the server for an exchange",
    "p50": "p50 of the latency",
    "p99": "p99 of the latency",
}
HEADINGS = ("server", "exchanges", "p50", "p99", "CPU/exchange", "beside the one before")
LEGEND, CAPTION, GAP, A_ROW = 18, 22, 16, 3


def write_html(contest: Contest, path: Path) -> None:
    """Raises UsageError where the file cannot be written."""
    write_text(path, "\n".join(_page(contest)) + "\n")


def write_svg(contest: Contest, path: Path) -> None:
    """Raises UsageError where the file cannot be written."""
    write_text(path, "\n".join(picture(contest)) + "\n")


def _page(contest: Contest) -> Iterator[str]:
    word, kind = ("interrupted",) * 2 if contest.interrupted else ("compared", "pass")
    yield from page.begin(contest_text.headline(contest), word, kind, contest_text.about(contest))
    yield from _claims(contest)
    yield '<h2>Charts</h2>\n<div class="charts">'
    for name, axes, curves in charts(contest):
        yield chart(name, *axes, curves)
    yield "</div>"
    if len(contest.points) > 1:
        yield from _heat(contest)
    for number, point in enumerate(contest.points):
        at = contest_text.point_text(contest.axis, point)
        yield f'<h2>{text(at)}</h2>\n<div class="table">'
        yield from _table(contest, standings(contest, number))
        yield "</div>"
    lines = [text(line) for line in contest_text.faults(contest)]
    if lines:
        yield "<h2>Faults</h2>\n<details open><summary>Who answered wrongly is not ranked</summary>"
        yield f"<pre>{chr(10).join(lines)}</pre></details>"
    yield page.END


# --- charts -------------------------------------------------------------------------------------


def charts(contest: Contest) -> Iterator[tuple[str, tuple[Axis, Axis], list[Ranged]]]:
    """Of each metric that was measured: over the sweep, or, where there is none, by server."""
    for metric, title in TITLES.items():
        found = _over_sweep(contest, metric)
        names = [contest_text.point_text(contest.axis, point) for point in contest.points]
        if len(contest.points) == 1:
            found = [one for one in found if one.ranges]
            names = [contest_text.shortened(one.name, len(found)) for one in found]
            found = [
                Ranged(one.name, [_moved(one.ranges[0], place)], one.colour)
                for place, one in enumerate(found)
            ]
        highs = [one.high for curve in found for one in curve.ranges]
        if highs:
            top = linear(max(highs), lambda value, metric=metric: _tick(metric, value))  # type: ignore[misc]
            yield title, (named(names), top), found


def _over_sweep(contest: Contest, metric: Metric) -> list[Ranged]:
    curves = []
    for entrant, one in enumerate(contest.entrants):
        ranges = []
        for place in range(len(contest.points)):
            found = spreads(contest, entrant, place).get(metric)
            if found is not None and (entrant, place) not in contest.out:
                ranges.append(_range(contest, entrant, place, metric, found))
        if ranges:
            curves.append(Ranged(PLAIN(one.name), ranges, entrant))
    return curves


def _range(contest: Contest, entrant: int, place: int, metric: Metric, found: Spread) -> Range:
    at = contest_text.point_text(contest.axis, contest.points[place])
    low, middle, high = (
        contest_text.metric_text(metric, value) for value in (found.low, found.median, found.high)
    )
    told = f"{contest.entrants[entrant].name}, {at}: {middle} ({low}..{high})"
    return Range(place, found.low, found.median, found.high, PLAIN(told))


def _moved(one: Range, place: int) -> Range:
    return Range(place, one.low, one.value, one.high, one.told)


def _tick(metric: Metric, value: float) -> str:
    if metric == "rate":
        return f"{value / 1000:g}k/s" if value >= 1000 else f"{value:g}/s"
    return figures.time(value) if value else "0"


def picture(contest: Contest) -> Iterator[str]:
    """All charts below each other, each with its title and legend."""
    found = list(charts(contest))
    legends = [-(-len(curves) // A_ROW) if len(curves) > 1 else 0 for _, _, curves in found]
    heights = [CAPTION + rows * LEGEND + HEIGHT + GAP for rows in legends]
    width, height = WIDTH + 2 * GAP, sum(heights) + GAP
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{2 * width}" font-family="system-ui, sans-serif"><style>{escape(style())}'
        " text { font-size: 12px; fill: var(--soft); } text.title { fill: var(--ink);"
        " font-size: 13px; font-weight: 600; } .key { fill: var(--of); stroke: var(--of); }</style>"
    )
    yield f'<rect width="{width}" height="{height}" fill="var(--card)"/>'
    top = GAP
    for (title, axes, curves), rows, size in zip(found, legends, heights, strict=True):
        yield f'<g transform="translate({GAP} {top})"><text class="title" y="12">{title}</text>'
        if rows:
            yield from _legend(curves)
        yield f'<g transform="translate(0 {CAPTION + rows * LEGEND})">'
        yield from drawn(*axes, curves)
        yield "</g></g>"
        top += size
    yield "</svg>"


def _legend(curves: Sequence[Ranged]) -> Iterator[str]:
    column = WIDTH // A_ROW
    for number, curve in enumerate(curves):
        x, y = number % A_ROW * column, CAPTION + number // A_ROW * LEGEND + 8
        dashed = " dashed" if curve.colour >= 8 else ""
        yield f'<path class="curve c{curve.colour % 8}{dashed}" d="M{x} {y - 4}h14"/>'
        name = contest_text.shortened(curve.name, A_ROW)
        yield f'<text x="{x + 18}" y="{y}">{escape(name)}</text>'


# --- tables -------------------------------------------------------------------------------------


def _claims(contest: Contest) -> Iterator[str]:
    rows = [
        (one.claim.text, one.verdict, contest_text.claim_figures(contest, one))
        for one in claims.judged(contest)
    ]
    if not rows:
        return
    if (limit := claims.limit(contest)) is not None:
        rows.insert(0, (claims.LIMIT, *limit))
    yield '<h2>What is said of the models</h2>\n<div class="table"><table><thead><tr>'
    yield "<th>claim</th><th>here</th><th>the figures</th></tr></thead><tbody>"
    for claim, verdict, told in rows:
        kind = {"shown": "right", "refuted": "wrong"}.get(verdict, "")
        yield f'<tr><td>{text(claim)}</td><td class="{kind}">{verdict}</td>'
        yield f'<td class="text">{text(told)}</td></tr>'
    yield "</tbody></table></div>"


def _heat(contest: Contest) -> Iterator[str]:
    """Servers by points; the fuller a field, the nearer it is to the best of its column."""
    metric = contest.leading
    yield f'<h2>Heat map: {TITLES[metric]}</h2>\n<div class="table"><table class="heat">'
    heads = (contest_text.point_text(contest.axis, point) for point in contest.points)
    yield f"<thead><tr><th></th>{''.join(f'<th>{text(one)}</th>' for one in heads)}</tr></thead>"
    yield "<tbody>"
    columns = [
        {row.entrant: row for row in standings(contest, place)}
        for place in range(len(contest.points))
    ]
    for entrant, one in enumerate(contest.entrants):
        cells = "".join(_field(contest, column.get(entrant), column.values()) for column in columns)
        yield f"<tr><td>{text(one.name)}</td>{cells}</tr>"
    yield "</tbody></table></div>"


def _field(contest: Contest, row: Row | None, column: Iterable[Row]) -> str:
    metric = contest.leading
    if row is None:
        return '<td class="none"></td>'
    found = row.figures.get(metric)
    if found is None or row.out is not None:
        return f'<td class="none">{"wrong" if row.out and row.out.wrong else "-"}</td>'
    values = [one.figures[metric].median for one in column if metric in one.figures]
    best = max(values) if metric == "rate" else min(values)
    share = found.median / best if metric == "rate" else best / found.median
    mark = " *" if row.limited else ""
    told = contest_text.metric_text(metric, found.median)
    return f'<td style="--share: {share * 55:.0f}%">{text(told)}{mark}</td>'


def _table(contest: Contest, rows: Sequence[Row]) -> Iterator[str]:
    yield f"<table><thead><tr>{''.join(f'<th>{one}</th>' for one in HEADINGS)}</tr></thead><tbody>"
    for row in rows:
        place = f"{row.place}." if row.place is not None else "-"
        cells = [f"{place} {contest.entrants[row.entrant].name}"]
        for metric in TITLES_IN_ORDER:
            found = row.figures.get(metric)
            cells.append(_with_range(metric, found) if found is not None else "-")
        kind = "text wrong" if row.out is not None and row.out.wrong else "text"
        told = f'<td class="{kind}">{text(contest_text.beside(contest, row))}</td>'
        yield f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in cells)}{told}</tr>"
    yield "</tbody></table>"


TITLES_IN_ORDER: tuple[Metric, ...] = ("rate", "p50", "p99", "cpu")


def _with_range(metric: Metric, found: Spread) -> str:
    low, middle, high = (
        contest_text.metric_text(metric, value) for value in (found.low, found.median, found.high)
    )
    return f"{middle} ({low}..{high})"
