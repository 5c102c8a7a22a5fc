"""The report as Markdown for a pull request: the verdict, a table of the steps, the faults folded.

`--report markdown` prints it; where GitHub Actions sets GITHUB_STEP_SUMMARY it is added to that
file instead, which the page of the job shows. `--report markdown=FILE` writes a file.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.rows import StepStats
from loadmux.report import figures, terminal
from loadmux.report.faults import faults_as_text
from loadmux.report.limit import limit
from loadmux.report.model import Report, ScenarioReport
from loadmux.report.tables import named

PLAIN = figures.plain_for("utf-8")
SIGNS = {ExitCode.PASS: "✅", ExitCode.INCONCLUSIVE: "⚠️", ExitCode.INTERRUPTED: "⚠️"}
HEADINGS = ("step", "count", "rate", "errors", "p50", "p95", "p99", "max")
SHARES = (0.5, 0.95, 0.99)
BACKTICKS = re.compile("`+")


def render(report: Report) -> str:
    """GitHub Flavored Markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    code = report.verdict.code
    word, _ = terminal.WORDS[code]
    yield from head(code, word, report.verdict.reason)
    for part in report.parts:
        yield ""
        yield from _scenario(part)
    if (found := limit(report)) is not None:
        yield ""
        yield text(f"Limit: {found.text}. {found.remedy}".rstrip())
    for finding in report.findings:
        yield ""
        yield f"⚠️ {text(str(finding))}"
    for note in report.notes:
        yield ""
        yield f"> {text(note)}"
    yield ""
    yield f"Repeat: {_code(report.command)}"


def head(code: ExitCode, word: str, *said: str) -> Iterator[str]:
    """How a report begins: its outcome as a title, and a paragraph for each thing said of it."""
    yield f"### {SIGNS.get(code, '❌')} loadmux: {word}"
    for one in said:
        yield ""
        yield text(one)


def _scenario(part: ScenarioReport) -> Iterator[str]:
    stats = part.stats
    targets = ", ".join(_code(one.url) for one in part.targets)
    users = figures.plural(stats.started, "user")
    took = figures.time(part.duration)
    moved = f"; {figures.volume(stats.volume, part.duration)}" if stats.volume else ""
    yield f"**{text(part.label or part.scenario.name)}** against {targets}: {users}, {took}{moved}"
    yield ""
    rows = [_row(row, part.duration) for row in stats.steps.values()]
    yield from table(HEADINGS, rows)
    if part.verdict.thresholds:
        yield ""
        yield from table(
            ("threshold", "", "measured"),
            [
                (
                    _code(one.threshold.text),
                    "✅ met" if one.met else "❌ crossed",
                    terminal.measured(one).removeprefix("measured "),
                )
                for one in part.verdict.thresholds
            ],
        )
    for group in stats.faults_in_order:
        title = f"{group.kind} at step '{group.step}': {figures.plural(group.count, 'time')}"
        yield ""
        yield f"<details><summary>{html.escape(PLAIN(title))}</summary>"
        yield ""
        yield from fenced("\n".join(faults_as_text(part, [group])))
        yield ""
        yield "</details>"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|---|{'---:|' * (len(headings) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _row(row: StepStats, duration: float) -> tuple[str, ...]:
    """`-` where there is no sample."""
    per_second = row.rate(duration)
    rate = figures.rate(per_second) if per_second else "-"
    times = [*map(row.histogram.percentile, SHARES), row.histogram.high]
    shown = map(figures.time, times) if row.histogram.count else ["-"] * len(times)
    return (text(named(row)), f"{row.count:,}", rate, f"{row.errors:,}", *shown)


def text(words: str) -> str:
    """Text in which nothing is markup, on one line, also in a cell of a table."""
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", html.escape(PLAIN(words), quote=False))


def _code(text: str) -> str:
    """A span of code that holds whatever the text does, backticks too, also in a cell."""
    plain = PLAIN(text)
    ticks = "`" * (_longest(plain) + 1)
    edge = " " if "`" in plain else ""
    return f"{ticks}{edge}{plain}{edge}{ticks}".replace("|", "\\|")


def fenced(lines: str) -> Iterator[str]:
    fence = "`" * max(3, _longest(lines) + 1)
    yield f"{fence}text"
    yield lines
    yield fence


def _longest(text: str) -> int:
    """The most backticks in a row."""
    return max(map(len, BACKTICKS.findall(text)), default=0)
