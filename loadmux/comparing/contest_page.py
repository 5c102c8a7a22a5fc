"""A comparison as one page of HTML, and its pictures as one SVG: nothing is loaded, no script runs.

Colours are those of the report's pages, for light and dark; every mark tells its figures when
pointed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loadmux.comparing import claims, contest_pieces, contest_text, page, pieces
from loadmux.comparing.contest import Contest
from loadmux.comparing.page import text
from loadmux.comparing.standings import Row, standings
from loadmux.report.charts import logarithmic

HEAT = "Heat maps: the fuller a field, the nearer it is to the best of its column"
HEADINGS = ("server", *contest_text.METRIC_HEADINGS, "beside the one before")


def html(contest: Contest) -> str:
    return "\n".join(_page(contest)) + "\n"


def svg(contest: Contest) -> str:
    return pieces.picture(contest_pieces.all_pieces(contest))


def _page(contest: Contest) -> Iterator[str]:
    word, kind = ("interrupted",) * 2 if contest.interrupted else ("compared", "pass")
    yield from page.begin(contest_text.headline(contest), word, kind, contest_text.about(contest))
    yield from _claims(contest)
    yield from pieces.section("Charts", contest_pieces.charts(contest))
    yield from pieces.section("Latency by percentile", contest_pieces.percentiles(contest))
    yield from pieces.section(HEAT, contest_pieces.heat_maps(contest))
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


def _claims(contest: Contest) -> Iterator[str]:
    rows = list(contest_text.claim_rows(contest))
    if not rows:
        return
    drawn = {one.claim.text: one for one in claims.judged(contest)}
    yield '<h2>What is said of the models</h2>\n<div class="table"><table><thead><tr>'
    yield "<th>claim</th><th>here</th><th>the ratio beside its bound</th>"
    yield '<th class="text">the figures</th></tr></thead><tbody>'
    for claim, verdict, told in rows:
        kind = {"shown": "right", "refuted": "wrong"}.get(verdict, "")
        yield f'<tr><td>{text(claim)}</td><td class="{kind}">{verdict}</td>'
        yield f"<td>{_interval(drawn.get(claim))}</td>"
        yield f'<td class="text">{text(told)}</td></tr>'
    yield "</tbody></table></div>"


def _interval(one: claims.Judged | None) -> str:
    if one is None or one.ratio is None:
        return ""
    low, high = min(one.ratio.low, 0.1), max(one.ratio.high, 10.0)
    axis = logarithmic(low, high, str)
    kind = one.verdict.replace(" ", "-")
    found = one.ratio
    return pieces.interval(found.low, found.value, found.high, one.claim.bound, axis, kind)


def _table(contest: Contest, rows: Sequence[Row]) -> Iterator[str]:
    *heads, last = HEADINGS
    yield f"<table><thead><tr>{''.join(f'<th>{one}</th>' for one in heads)}"
    yield f'<th class="text">{last}</th></tr></thead><tbody>'
    for row in rows:
        *cells, told = contest_text.row_cells(contest, row)
        kind = "text wrong" if row.out is not None and row.out.wrong else "text"
        yield f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in cells)}"
        yield f'<td class="{kind}">{text(told)}</td></tr>'
    yield "</tbody></table>"
