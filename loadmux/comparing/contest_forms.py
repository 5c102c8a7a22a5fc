"""A comparison in the forms that `--report` names, beside those that any run has.

`csv` and `ndjson` have a row for each turn: `server`, `point`, `users`, `idle`, `offered`
(iterations a second, empty in closed load), `round` (what has the same one was measured right after
each other), `rate` (exchanges a second), `p50`, `p99`, `cpu` (seconds an exchange), `limited` (by
the generator), `idle_gone`. `markdown` is for a pull request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from loadmux.comparing import contest_page, contest_text, gathering, rows
from loadmux.comparing.contest import METRICS, Contest
from loadmux.comparing.rows import Row
from loadmux.comparing.standings import Row as Standing
from loadmux.comparing.standings import standings
from loadmux.errors import UsageError
from loadmux.measuring.verdict import Verdict
from loadmux.report.markdown import fenced, head, table, text
from loadmux.report.model import Report
from loadmux.report.reporters import Render

COLUMNS = (
    *("server", "point", "users", "idle", "offered", "round"),
    *("rate", "p50", "p99", "cpu", "limited", "idle_gone"),
)
OF_FILES = "it is made of runs; files have figures: they can be html, svg, markdown, csv, ndjson"


def turns(contest: Contest) -> Iterator[Row]:
    for (entrant, place), taken in sorted(contest.taken.items()):
        point = contest.points[place]
        for number, one in taken.items():
            yield {
                "server": contest.entrants[entrant].name,
                "point": contest_text.point_text(contest.axis, point),
                "users": point.users,
                "idle": point.idle,
                "offered": point.rate,
                "round": number + 1,
                **{metric: one.of(metric) for metric in METRICS},
                "limited": one.limited,
                "idle_gone": one.idle_gone,
            }


def as_csv(contest: Contest) -> str:
    return rows.as_csv(COLUMNS, turns(contest))


def as_ndjson(contest: Contest) -> str:
    return rows.as_ndjson(turns(contest))


def markdown(contest: Contest) -> str:
    """GitHub Flavored Markdown."""
    return "\n".join(_markdown(contest)) + "\n"


def _markdown(contest: Contest) -> Iterator[str]:
    word = "interrupted" if contest.interrupted else "compared"
    about = contest_text.headline(contest), *contest_text.about(contest)
    yield from head(contest.code, word, *about)
    told = [
        (text(one), verdict, text(why)) for one, verdict, why in contest_text.claim_rows(contest)
    ]
    if told:
        yield ""
        yield from table(("claim", "here", "the figures"), told)
    for number, point in enumerate(contest.points):
        yield ""
        yield f"**{text(contest_text.point_text(contest.axis, point))}**"
        yield ""
        shown = [_cells(contest, row) for row in standings(contest, number)]
        yield from table(("server", *contest_text.METRIC_HEADINGS, ""), shown)
    lines = list(contest_text.faults(contest))
    if lines:
        yield ""
        yield from fenced("\n".join(lines[1:]))


def _cells(contest: Contest, row: Standing) -> Sequence[str]:
    return [text(cell) for cell in contest_text.row_cells(contest, row)]


def as_report(contest: Contest) -> Report:
    """All runs as one, a part for each server at each point. Raises UsageError."""
    if not contest.reports:
        raise UsageError(OF_FILES)
    names = {
        cell: f"{contest.entrants[cell[0]].name}, "
        f"{contest_text.point_text(contest.axis, contest.points[cell[1]])}"
        for cell in sorted(contest.reports, key=lambda cell: (cell[1], cell[0]))
    }
    code = contest.code
    verdict = Verdict(code, contest_text.headline(contest), ())
    reports = {name: contest.reports[cell] for cell, name in names.items()}
    notes = [line for line in contest_text.lines(contest) if line]
    return gathering.beside(reports, verdict, contest.took, contest.command, notes)


FORMS: Mapping[str, Render] = {
    "html": contest_page.html,
    "svg": contest_page.svg,
    "markdown": markdown,
    "csv": as_csv,
    "ndjson": as_ndjson,
}
