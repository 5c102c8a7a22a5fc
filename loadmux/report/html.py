"""The report as one page of HTML that needs nothing else: no network, no script.

`--report html=FILE`. The verdict and the thresholds, curves over time, the distribution of the
latencies, the rows, the faults with their hexdumps, the generator's health, the scenario's text.
For light and dark screens, phones and paper. The page forbids itself to load anything, and what
comes from files and servers stands in it as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from loadmux import __version__
from loadmux.language.describing.printing import dump
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.histogram import Histogram
from loadmux.measuring.measured import measured_by
from loadmux.measuring.rows import StepStats
from loadmux.report import drawing, figures, terminal
from loadmux.report.faults import faults_as_text
from loadmux.report.limit import limit
from loadmux.report.model import Report, ScenarioReport

PLAIN = figures.plain_for("utf-8")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
LONGEST_TEXT = 200_000
OPEN_FAULTS = 2
SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)
HEADINGS = (
    *("step", "count", "rate", "errors", "min", "mean"),
    *("p50", "p90", "p95", "p99", "p99.9", "max", "bytes in", "bytes out"),
)
PHASES = ("phase", "load", "lasted", "count", "rate", "errors", "p50", "p99", "dropped")
WORKERS = ("worker", "users", "busy", "CPU", "memory", "timers late (p99)", "stood still", "")

Cell = str | tuple[str, str]
"""A text, or one with its class."""


def render(report: Report) -> str:
    """A whole page."""
    return "\n".join(_page(report)) + "\n"


def _page(report: Report) -> Iterator[str]:
    word = terminal.WORDS[report.verdict.code][0]
    names = ", ".join(part.label or part.scenario.name for part in report.parts)
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{word}: {_text(names)}</title>"
    yield f"<style>\n{style()}</style>"
    yield '</head>\n<body class="page">'
    yield from _head(report, word)
    yield from _tiles(report)
    yield from _thresholds(report)
    yield from _section("Curves", "charts", drawing.charts(report))
    yield from _steps(report)
    yield from _phases(report)
    yield from _faults(report)
    yield from _section("Findings", "findings", _findings(report))
    yield from _generator(report)
    yield from _notes(report)
    yield from _texts(report)
    yield "</body>\n</html>"


def panel(report: Report, running: bool = False) -> str:
    """What another page shows of a run that has curves and rows of its own: all but these.

    Stands alone in a shadow tree, dark where that one's host has the class `dark`. `running`: the
    verdict is the one so far.
    """
    return "\n".join(_panel(report, running)) + "\n"


def _panel(report: Report, running: bool) -> Iterator[str]:
    word = terminal.WORDS[report.verdict.code][0]
    yield f'<style>\n{_panel_style()}</style>\n<div class="page">'
    yield from _head(report, word, " so far" if running else "")
    yield from _tiles(report)
    yield from _thresholds(report)
    yield from _phases(report)
    yield from _faults(report)
    yield from _generator(report)
    yield from _notes(report)
    yield "</div>"


def style() -> str:
    dark = f"@media (prefers-color-scheme: dark) {{\n:root {{\n{_css('dark')}}}\n}}\n"
    return f":root {{\ncolor-scheme: light dark;\n{_css('light')}}}\n{dark}{_css('page')}"


def _panel_style() -> str:
    light = f":host {{\ncolor-scheme: light;\n{_css('light')}}}\n"
    dark = f":host(.dark) {{\ncolor-scheme: dark;\n{_css('dark')}}}\n"
    return f"{light}{dark}{_css('page')}.page {{ padding: 0 0 16px; background: none; }}\n"


def _css(name: str) -> str:
    return files(__package__).joinpath(f"{name}.css").read_text("utf-8")


def _head(report: Report, word: str, so_far: str = "") -> Iterator[str]:
    reason = _text(report.verdict.reason)
    badge = f'<span class="badge {word.lower()}">{word}{so_far}</span>'
    yield f"<h1>{badge}<span>{reason}</span></h1>"
    yield '<dl class="about">'
    for part in report.parts:
        verdict = "" if len(report.parts) == 1 else f": {terminal.WORDS[part.verdict.code][0]}"
        name = part.label or part.scenario.name
        yield _about("scenario", f"{name} ({part.scenario.path}){verdict}")
    for target in report.targets:
        name = f"{target.name}: " if target.name else ""
        about = f" ({target.about})" if target.about else ""
        yield _about("target", f"{name}{target.url}{about}")
    yield _about("started", report.began.strftime("%Y-%m-%d %H:%M:%S UTC"))
    yield _about("seed", str(report.seed))
    yield f"<dt>repeat</dt><dd><code>{_text(report.command)}</code></dd>"
    yield _about("loadmux", __version__)
    yield "</dl>"


def _about(name: str, value: str) -> str:
    return f"<dt>{name}</dt><dd>{_text(value)}</dd>"


def _tiles(report: Report) -> Iterator[str]:
    stats = report.stats
    total = measured_by(stats)
    tiles: list[tuple[str, Cell]] = [
        (f"{total.kind}s, right", f"{total.right:,}"),
        ("a second", figures.rate(total.rate(report.duration)).removesuffix("/s")),
        ("errors", _errors(stats.errors)),
    ]
    if total.histogram.count:
        for share in (0.5, 0.99):
            tiles.append((f"p{share * 100:g}", figures.time(total.histogram.percentile(share))))
        tiles.append(("max", figures.time(total.histogram.high)))
    tiles += [("users", f"{stats.started:,}"), ("duration", figures.time(report.duration))]
    tiles.append(("iterations", f"{stats.iterations:,}"))
    if stats.volume and report.duration > 0:
        for count, way in ((stats.volume.received, "in"), (stats.volume.sent, "out")):
            tiles.append((f"bytes {way}, a second", figures.size(round(count / report.duration))))
    if stats.dropped:
        tiles.append(("dropped", (f"{stats.dropped:,}", "wrong")))
    yield '<div class="tiles">'
    for name, cell in tiles:
        value, style = cell if isinstance(cell, tuple) else (cell, "")
        yield f'<div class="tile"><b class="{style}">{_text(value)}</b><span>{name}</span></div>'
    yield "</div>"


def _section(title: str, style: str, parts: Iterator[str]) -> Iterator[str]:
    found = list(parts)
    if found:
        yield f'<h2>{title}</h2>\n<div class="{style}">'
        yield from found
        yield "</div>"


def _thresholds(report: Report) -> Iterator[str]:
    rows: list[Sequence[Cell]] = [
        (
            result.threshold.text,
            ("✓ met", "right") if result.met else ("✗ crossed", "wrong"),
            terminal.measured(result).removeprefix("measured "),
        )
        for result in report.verdict.thresholds
    ]
    yield from _section("Thresholds", "table", _table(("threshold", "", "measured"), rows))


def _steps(report: Report) -> Iterator[str]:
    rows: list[Sequence[Cell]] = []
    for part in report.parts:
        for row in part.stats.labelled(part.label).steps.values():
            rows.append(_row(row, part.duration))
            if row.service is not None and row.service.total != row.histogram.total:
                rows.append(["— from the send", "", "", "", *_times(row.service), "", ""])
    if report.stats.connects.count:
        rows.append(_row(report.stats.connects, report.duration))
    yield from _section("Steps", "table", _table(HEADINGS, rows))


def _row(row: StepStats, duration: float) -> Sequence[Cell]:
    marked = row.kind in ("receive", "transaction", "send", "ignored") and row.name == row.of
    name = f"{row.name} ({row.kind})" if marked else row.name
    rate = figures.rate(row.rate(duration)) if row.right else "-"
    moved = [figures.size(row.volume.received), figures.size(row.volume.sent)]
    return [name, f"{row.count:,}", rate, _errors(row.errors), *_times(row.histogram), *moved]


def _errors(count: int) -> Cell:
    return (f"{count:,}", "wrong") if count else "0"


def _times(histogram: Histogram) -> list[str]:
    if not histogram.count:
        return ["-"] * (len(SHARES) + 3)
    times = [histogram.low, histogram.mean, *map(histogram.percentile, SHARES), histogram.high]
    return list(map(figures.time, times))


def _phases(report: Report) -> Iterator[str]:
    rows: list[Sequence[Cell]] = []
    for phase in (one for part in report.parts for one in part.labelled_phases):
        total = measured_by(phase.stats)
        rate = figures.rate(total.rate(phase.duration)) if total.right else "-"
        times = ["-", "-"]
        if total.histogram.count:
            times = [figures.time(total.histogram.percentile(share)) for share in (0.5, 0.99)]
        lasted, errors = figures.time(phase.duration), _errors(phase.stats.errors)
        counts = (f"{total.count:,}", rate, errors, *times, f"{phase.stats.dropped:,}")
        rows.append((phase.name, phase.load, lasted, *counts))
    yield from _section("Phases", "table", _table(PHASES, rows))


def _table(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    if not rows:
        return
    cells = "".join(f"<th>{_text(one)}</th>" for one in headings)
    yield f"<table><thead><tr>{cells}</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(map(_cell, row))}</tr>"
    yield "</tbody></table>"


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{_text(cell)}</td>"
    return f'<td class="{cell[1]}">{_text(cell[0])}</td>'


def _faults(report: Report) -> Iterator[str]:
    yield from _section("Faults", "faults", _groups(report))


def _groups(report: Report) -> Iterator[str]:
    shown = 0
    for part in report.parts:
        before = f"{part.label}: " if part.label else ""
        for group in part.stats.faults_in_order:
            if part.stats.consequences.following((group.kind, group.step)) >= group.count:
                continue  # told with what it follows from
            title, *lines = faults_as_text(part, [group])
            begun = f", first {group.first:.3f} s after the start" if group.examples else ""
            yield f"<details{' open' if shown < OPEN_FAULTS else ''}>"
            yield f"<summary>{_text(f'{before}{title}{begun}')}</summary>"
            yield f"<pre>{_lines(lines)}</pre></details>"
            shown += 1


def _findings(report: Report) -> Iterator[str]:
    """What was seen of the targets' processes."""
    for one in report.findings:
        yield f"<p><b>{_text(f'{one.kind}: {one.target or one.url}')}</b><br>{_text(one.text)}</p>"


def _generator(report: Report) -> Iterator[str]:
    rows: list[Sequence[Cell]] = []
    for worker in report.workers:
        stood = "-"
        if worker.stood_still:
            times = figures.plural(worker.stood_still, "time")
            stood = f"{times}, {figures.time(worker.stood)}"
        rows.append(
            (
                f"{worker.number}",
                f"{worker.users:,}",
                f"{worker.busy:.0%}",
                f"{worker.cpu:.0%}",
                figures.size(worker.memory),
                figures.time(worker.late),
                stood,
                (f"lost: {worker.lost}", "wrong") if worker.lost is not None else "",
            )
        )
    title = f"Generator ({_text(report.poller)})"
    yield from _section(title, "table", _table(WORKERS, rows))
    found = limit(report)
    if found is not None:
        yield f"<p>Limit: {_text(found.text)}</p>"
        if found.remedy:
            yield f'<p class="wrong">{_text(found.remedy)}</p>'


def _notes(report: Report) -> Iterator[str]:
    for title, lines in (("Findings", [*map(str, report.findings)]), ("Notes", report.notes)):
        if lines:
            yield f"<h2>{title}</h2>\n<ul>"
            yield from (f"<li>{_text(line)}</li>" for line in lines)
            yield "</ul>"


def _texts(report: Report) -> Iterator[str]:
    """The scenarios as their files have them; of what is no file as they are understood."""
    yield "<h2>Scenario</h2>"
    for part in report.parts:
        name = part.label or part.scenario.name
        shown = _scenario(part)
        is_open = " open" if report.verdict.code is not ExitCode.PASS and len(shown) < 5000 else ""
        yield f"<details{is_open}><summary>{_text(f'{name} ({part.scenario.path})')}</summary>"
        yield f"<pre>{_lines(shown.splitlines())}</pre></details>"


def _scenario(part: ScenarioReport) -> str:
    try:
        text = Path(part.scenario.path).read_text("utf-8", errors="replace")
    except (OSError, ValueError):
        try:
            text = dump(part.scenario)
        except ValueError:
            text = part.scenario.description
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}\n…"


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(map(_text, lines))


def _text(text: str) -> str:
    return escape(PLAIN(text))
