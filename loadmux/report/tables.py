"""The rows of steps and phases for a person: figures in columns, and their curves over time."""

from __future__ import annotations

from collections.abc import Sequence

from loadmux.measuring.histogram import Histogram
from loadmux.measuring.measured import measured_by
from loadmux.measuring.rows import StepStats
from loadmux.report import figures, sparks, tabular
from loadmux.report.lines import LABEL, Page, padded
from loadmux.report.model import PhaseReport, Report, ScenarioReport
from loadmux.report.tabular import Layout

HEADINGS = ("step", "count", "rate", "errors", "min", "mean", "p50", "p95", "p99", "max")
PHASE_HEADINGS = ("phase", "count", "rate", "errors", "p50", "p99", "dropped", "load")


def show_steps(page: Page, report: Report) -> None:
    """One row for each step, all of them where there are several, and the connects apart."""
    stats, total = report.stats, report.stats.total
    rows = []
    for part in report.parts:
        for step in part.stats.labelled(part.label).steps.values():
            rows.append(_cells(page, step, part.duration))
            if step.service is not None and step.service.total != step.histogram.total:
                rows.append(["  from the send", "", "", "", *_times(page, step.service)])
    if sum(row.kind == total.kind for row in stats.steps.values()) > 1:
        rows.append([f"all {total.kind}s", *_cells(page, total, report.duration)[1:]])
    connects = stats.connects.count > 0
    if connects:
        rows.append(_cells(page, stats.connects, report.duration))
    if not rows:
        return
    page.line()
    _table(page, [list(HEADINGS), *rows], ("min", "mean"), apart=connects)


def _table(page: Page, table: list[list[str]], spare: Sequence[str], apart: bool = False) -> None:
    """A table with its headings first; `apart` parts the last row from the others."""
    plan = tabular.layout(table, page.width, spare if page.narrow else ())
    mark = page.plain("…") if page.narrow else ""
    names = tabular.names(table, plan.name, mark)
    for number, row in enumerate(table):
        if apart and number == len(table) - 1:
            page.line()
        _row(page, row, names[number], plan, "" if number else "bold")
    if plan.spared:
        left_out = " and ".join(plan.spared)
        page.line("  ", (f"(no room for {left_out} in {page.width} columns)", "dim"))


def _cells(page: Page, row: StepStats, duration: float) -> list[str]:
    """A row's figures as text; `-` where there is no sample."""
    cells = [page.plain(named(row)), f"{row.count:,}", "-", f"{row.errors:,}"]
    if row.right:
        cells[2] = figures.rate(row.rate(duration))
    return cells + _times(page, row.histogram)


def named(row: StepStats) -> str:
    """What a row is called, with its kind where that sets it apart."""
    marked = row.kind in ("receive", "transaction") and row.name == row.of
    return f"{row.name} ({row.kind})" if marked else row.name


def _times(page: Page, histogram: Histogram) -> list[str]:
    if not histogram.count:
        return ["-"] * 6
    times = (histogram.low, histogram.mean, *map(histogram.percentile, (0.5, 0.95, 0.99)))
    return [page.plain(figures.time(time)) for time in (*times, histogram.high)]


def show_curves(page: Page, report: Report) -> None:
    """Curves of rate, latency and errors, of a run that took a while."""
    width = page.width - LABEL - sparks.BESIDE
    curves = list(sparks.curves(report, width, page.console.encoding))
    if curves:
        page.line()
    for number, (curve, about) in enumerate(curves):
        page.field("" if number else "over time", (curve, "cyan"), "  ", about)


def show_phases(page: Page, parts: Sequence[ScenarioReport]) -> None:
    """A row for each phase, but none for a scenario that has only one."""
    phases = [phase for part in parts if len(part.phases) > 1 for phase in part.labelled_phases]
    if not phases:
        return
    page.line()
    _table(page, [list(PHASE_HEADINGS), *(_phase_cells(page, one) for one in phases)], ())


def _phase_cells(page: Page, phase: PhaseReport) -> list[str]:
    total = measured_by(phase.stats)
    times = ["-", "-"]
    if total.histogram.count:
        found = map(total.histogram.percentile, (0.5, 0.99))
        times = [page.plain(figures.time(time)) for time in found]
    rate = figures.rate(total.rate(phase.duration)) if total.right else "-"
    errors, dropped = f"{phase.stats.errors:,}", f"{phase.stats.dropped:,}"
    name = page.plain(phase.name)
    return [name, f"{total.count:,}", rate, errors, *times, dropped, phase.load]


def _row(page: Page, cells: list[str], name: str | None, plan: Layout, style: str) -> None:
    """A row on one line; where there is no room for its name, that stands above its figures."""
    figured, gap = plan.figures(cells), plan.between
    errors_style = "bold red" if cells[3] not in ("0", "", HEADINGS[3]) else style
    if name is None:
        page.line("  ", (cells[0], style or "bold"))
    beside = padded(name or "", max(plan.name, 0))
    page.line(
        "  ", (beside, style), gap, (gap.join(figured[:2]), style), gap, (figured[2], errors_style),
        gap, (gap.join(figured[3:]), style),
    )  # fmt: skip
