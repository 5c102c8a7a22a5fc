"""The report for a person who has never seen the tool: the verdict first, then what led to it.

What its lines are made of is said in `lines`; the rows of steps and phases stand in `tables`, the
faults with their evidence in `faults`.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.cells import cell_len
from rich.console import Console

from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.measured import ThresholdResult, measured_by
from loadmux.report import figures
from loadmux.report.faults import show_faults
from loadmux.report.limit import limit
from loadmux.report.lines import Page, padded, plain_console
from loadmux.report.model import Report, ScenarioReport, WorkerReport
from loadmux.report.tables import show_curves, show_phases, show_steps

WORKERS = 16

WORDS = {
    ExitCode.PASS: ("PASS", "bold white on green"),
    ExitCode.FAIL: ("FAIL", "bold white on red"),
    ExitCode.INVALID: ("INVALID", "bold white on red"),
    ExitCode.INCONCLUSIVE: ("INCONCLUSIVE", "bold black on yellow"),
    ExitCode.UNREACHABLE: ("UNREACHABLE", "bold white on red"),
    ExitCode.BROKEN: ("BROKEN", "bold white on red"),
    ExitCode.THRESHOLD: ("THRESHOLD", "bold white on red"),
    ExitCode.INTERRUPTED: ("INTERRUPTED", "bold black on yellow"),
}


def render(report: Report, console: Console, quiet: bool = False) -> None:
    """Print the whole report, or the verdict only (`quiet`).

    Never raises on what names, messages or bytes hold.
    """
    page = Page(console)
    _verdict(page, report)
    if quiet:
        return
    _summary(page, report)
    _thresholds(page, report.verdict.thresholds)
    show_steps(page, report)
    show_curves(page, report)
    show_phases(page, report.parts)
    show_faults(page, report)
    _findings(page, report)
    _generator(page, report)
    _remarks(page, report)
    _ending(page, report)


def as_text(report: Report) -> str:
    """What `render` prints, as into a file."""
    file = StringIO()
    render(report, plain_console(file))
    return file.getvalue()


def _verdict(page: Page, report: Report) -> None:
    word, style = WORDS[report.verdict.code]
    page.line((f" {word} ", style), " ", (report.verdict.reason, "bold"))


def _summary(page: Page, report: Report) -> None:
    stats = report.stats
    page.line()
    _scenarios(page, report.parts)
    for number, target in enumerate(report.targets):
        name = f"{target.name}: " if target.name else ""
        about = f" ({target.about})" if target.about else ""
        page.field("" if number else "target", name, target.url, about)
    asked = sum(part.scenario.load.users for part in report.parts)
    of = f" of {asked:,}" if stats.started < asked else ""
    planned = _planned(report.parts[0]) if len(report.parts) == 1 else ""
    page.field(
        "load",
        f"{planned}{stats.started:,}{of} {'user' if max(asked, stats.started) == 1 else 'users'}, "
        f"{figures.time(report.duration)}, "
        f"{figures.plural(stats.iterations, 'iteration')}",
    )
    _schedules(page, report.parts)
    total = measured_by(stats)
    per_second = figures.rate(total.rate(report.duration))
    errors = (figures.plural(stats.errors, "error"), "bold red" if stats.errors else "")
    page.field(f"{total.kind}s", f"{total.right:,} right, {per_second}; ", errors)
    if stats.volume:
        page.field("bytes", figures.volume(stats.volume, report.duration))


def _planned(part: ScenarioReport) -> str:
    """What open load is to do, where that is not told phase by phase."""
    alone = len(part.phases) == 1 and part.scenario.load.open
    return f"{part.phases[0].load}, " if alone else ""


def _schedules(page: Page, parts: Sequence[ScenarioReport]) -> None:
    """Of open load: what was started, what was not, and how well the generator kept time."""
    for number, part in enumerate(one for one in parts if one.scenario.load.open):
        stats, late = part.stats, part.stats.starts.histogram
        label = f"{part.label}: " if part.label else ""
        dropped = (f"{stats.dropped:,} dropped", "bold yellow" if stats.dropped else "")
        waited = f", {stats.waited:,} waited for a user" if stats.waited else ""
        starts = f"{label}{figures.plural(stats.begun, 'start')}{waited}, "
        page.field("" if number else "schedule", starts, dropped)
        if late.count:
            half, most = (figures.time(late.percentile(share)) for share in (0.5, 0.99))
            page.field("", f"50% of the starts no more than {half} late, 99% {most}")


def _scenarios(page: Page, parts: Sequence[ScenarioReport]) -> None:
    """The scenario and what it is about; of several what each did."""
    if len(parts) == 1:
        scenario = parts[0].scenario
        page.field("scenario", scenario.name, f" ({scenario.path})")
        if scenario.description:
            page.paragraph("", " ".join(scenario.description.split()), "dim")
        return
    for number, part in enumerate(parts):
        users = figures.plural(part.scenario.load.users, "user")
        iterations = figures.plural(part.stats.iterations, "iteration")
        did = f": {_planned(part)}{users}, {iterations}"
        word, style = WORDS[part.verdict.code]
        page.field(
            "" if number else "scenarios", part.label, f" ({part.scenario.path}){did}, ",
            (word.lower(), style),
        )  # fmt: skip


# --- thresholds ---------------------------------------------------------------------------------


def _thresholds(page: Page, results: Sequence[ThresholdResult]) -> None:
    if not results:
        return
    page.heading("Thresholds")
    texts = [page.plain(result.threshold.text) for result in results]
    width = max(map(cell_len, texts))
    for text, result in zip(texts, results, strict=True):
        style = "green" if result.met else "bold red"
        word = "met" if result.met else "crossed"
        page.line(
            "  ", ("✓" if result.met else "✗", style), " ", padded(text, width), "  ",
            (word.ljust(7), style), "  ", measured(result),
        )  # fmt: skip


def measured(result: ThresholdResult) -> str:
    """The measured value in the unit that the threshold speaks of."""
    measured = result.measured
    if measured is None:
        return "no samples"
    metric = result.threshold.metric
    if metric in ("errors", "iterations", "dropped"):
        return f"measured {measured:,.0f}"
    if metric == "error_rate":
        return f"measured {measured:.3%}"
    return f"measured {figures.rate(measured) if metric == 'rate' else figures.time(measured)}"


# --- steps --------------------------------------------------------------------------------------


# --- faults -------------------------------------------------------------------------------------


# --- findings, generator and the rest -------------------------------------------------------------


def _findings(page: Page, report: Report) -> None:
    """What was seen of the targets' processes."""
    if report.findings:
        page.heading("Findings")
    for one in report.findings:
        page.line("  ", (str(one.kind), "bold yellow"), f": {one.target or one.url}")
        page.line("    ", one.text)


# --- generator and the rest ---------------------------------------------------------------------


def _generator(page: Page, report: Report) -> None:
    workers = report.workers
    page.line()
    if not workers:
        page.field("generator", f"{report.poller}, no workers")
        return
    busiest = max(workers, key=lambda worker: worker.busy)
    late = max(worker.late for worker in workers)
    page.field(
        "generator",
        f"{report.poller}, {figures.plural(len(workers), 'worker')}, "
        f"{'the busiest ' if len(workers) > 1 else ''}{busiest.busy:.0%} busy; "
        f"99% of timers no more than {figures.time(late)} late",
    )
    if len(workers) > 1:
        _workers(page, workers)
    for worker in workers:
        if worker.lost is not None:
            lost = f"worker {worker.number} was lost: {worker.lost}; "
            users = figures.plural(worker.users, "user")
            page.paragraph("", f"{lost}its {users} may be missing from the figures", "bold red")
    _limit(page, report)


def _limit(page: Page, report: Report) -> None:
    """What the rate was limited by, and what to do about it."""
    found = limit(report)
    if found is None:
        return
    page.paragraph("limit", found.text)
    if found.remedy:
        page.paragraph("", found.remedy, "bold yellow")


def _workers(page: Page, workers: Sequence[WorkerReport]) -> None:
    shown = sorted(workers, key=lambda worker: (worker.lost is None, -worker.busy))[:WORKERS]
    for worker in sorted(shown, key=lambda worker: worker.number):
        users = figures.plural(worker.users, "user")
        page.field("", f"worker {worker.number:<3} {users:>12}  {worker.busy:>4.0%} busy")
    if len(workers) > len(shown):
        page.field("", f"and {len(workers) - len(shown)} more")


def _remarks(page: Page, report: Report) -> None:
    """What does not show in the figures: iterations cut off or never begun, and the notes."""
    stats = report.stats
    remarks = []
    if stats.interrupted:
        iterations = figures.plural(stats.interrupted, "iteration")
        remarks.append(f"{iterations} cut off when the run ended: not counted as right or wrong")
    if stats.dropped:
        iterations = figures.plural(stats.dropped, "iteration")
        remarks.append(
            f"{iterations} dropped: no user was free in time; the target is too slow for this rate"
            " or max_users too small"
        )
    if stats.passed_over:
        came = f"{figures.plural(stats.passed_over, 'message')} that answered nothing (pushes)"
        remarks.append(f"{came} came and were passed over")
    if stats.ended_idle:
        ended = figures.plural(stats.ended_idle, "connection")
        remarks.append(f"{ended} ended by the server while idle, as it may, and made anew")
    for number, remark in enumerate((*remarks, *report.notes)):
        page.paragraph("" if number else "notes", remark)


def _ending(page: Page, report: Report) -> None:
    page.field("seed", str(report.seed))
    page.field("repeat", report.command)
    if report.stats.faults:
        word, style = WORDS[report.verdict.code]
        page.field("exit code", f"{report.verdict.code.value} ", (f"({word})", style))
