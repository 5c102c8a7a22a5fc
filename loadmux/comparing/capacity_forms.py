"""A found capacity in the forms that `--report` names, beside those that any run has.

`csv` and `ndjson` have a row for each trial: `load` (iterations a second, or users), `seconds`,
`long` (whether its outcome decides), `rate` (what was achieved), `p50`, `p99`, `cpu` (seconds an
exchange), `margin` (the logarithm of measured/limit of the worst objective), `limit` (what broke
it, empty where it held). Other reporters get the run at the load that is carried; where none is,
the one at the lowest load that was tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace

from loadmux.comparing import capacity_page, capacity_text, gathering, rows
from loadmux.comparing.capacity import Capacity, Point
from loadmux.errors import UsageError
from loadmux.measuring.verdict import ExitCode, Outcome, Verdict, judge
from loadmux.report.markdown import fenced, head, table
from loadmux.report.model import Report
from loadmux.report.reporters import Render

COLUMNS = tuple(Point.__dataclass_fields__)


def as_csv(found: Capacity) -> str:
    return rows.as_csv(COLUMNS, map(asdict, found.points))


def as_ndjson(found: Capacity) -> str:
    return rows.as_ndjson(map(asdict, found.points))


def markdown(found: Capacity) -> str:
    """GitHub Flavored Markdown."""
    return "\n".join(_markdown(found)) + "\n"


def _markdown(found: Capacity) -> Iterator[str]:
    word = "capacity" if found.code is ExitCode.PASS else found.code.name
    yield from head(found.code, word, capacity_text.headline(found), *capacity_text.why(found))
    loads = capacity_text.by_load(found.points)
    if loads:
        shown = [capacity_text.cells(found.axis, one, found.points) for one in loads]
        yield ""
        yield from table(capacity_text.HEADINGS, shown)
    if found.law is not None:
        yield ""
        yield from fenced("\n".join(capacity_text.scaling(found.law)))


def as_report(found: Capacity) -> Report:
    """The run at the load that is carried, or the one that ended the search. Raises UsageError."""
    code, headline = found.code, capacity_text.headline(found)
    answer, run = found.answer, found.ended
    if run is None:
        tried = [one.load for one in found.points]
        load = answer.low if answer.low is not None else min(tried, default=None)
        run = None if load is None else found.report_of(load)
    if run is None:
        raise UsageError("no run was measured, of which it could tell")
    notes = [line for line in capacity_text.lines(found) if line]
    (part,) = run.parts
    thresholds = part.verdict.thresholds
    if found.ended is None:
        done = Outcome(part.duration, phases=(part.stats,))
        thresholds = judge(part.stats, found.objectives, done).thresholds
    verdict = Verdict(code, headline, thresholds)
    run = replace(run, parts=(replace(part, verdict=verdict),))
    return gathering.beside({"": run}, verdict, found.seconds, found.command, notes)


FORMS: Mapping[str, Render] = {
    "html": capacity_page.html,
    "svg": capacity_page.svg,
    "markdown": markdown,
    "csv": as_csv,
    "ndjson": as_ndjson,
}
