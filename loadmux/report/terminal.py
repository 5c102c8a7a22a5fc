"""The report for a person who has never seen the tool: the verdict first, then what led to it.

Every line is laid out here and printed as it is, never wrapped or cut by the console, so that a
file, a narrow terminal and a pipe get whole lines; only tables look at the width (`tabular`).
Colours repeat what the text says already and are never the only sign. What comes from files and
servers passes `figures.plain_for` first and is never read as markup. The amount is bounded whatever
went wrong: so many groups of faults, examples, lines and bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from io import StringIO
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from loadmux.errors import Evidence, Kind, Moment
from loadmux.measuring.consequences import Consequences
from loadmux.measuring.stats import FaultGroup, Histogram, StepStats
from loadmux.measuring.verdict import ExitCode, ThresholdResult, measured_by
from loadmux.report import figures, said, sparks, tabular
from loadmux.report.limit import limit
from loadmux.report.model import PhaseReport, Report, ScenarioReport, TargetReport, WorkerReport
from loadmux.report.tabular import Layout

GROUPS_OF_A_KIND = 6
FOLLOWED = 6
EXAMPLES_IN_FULL = (2, 1)
WORKERS = 16
DUMP_WIDTH = 8
ROWS_BEFORE = 2
ROWS = 6
WIDEST = 120
LABEL = 12

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
HEADINGS = ("step", "count", "rate", "errors", "min", "mean", "p50", "p95", "p99", "max")
PHASE_HEADINGS = ("phase", "count", "rate", "errors", "p50", "p99", "dropped", "load")
DIRECTIONS = {"sent": "->", "received": "<-"}


def render(report: Report, console: Console, quiet: bool = False) -> None:
    """Print the whole report, or the verdict only (`quiet`).

    Never raises on what names, messages or bytes hold.
    """
    page = _Page(console)
    _verdict(page, report)
    if quiet:
        return
    _summary(page, report)
    _thresholds(page, report.verdict.thresholds)
    _steps(page, report)
    _over_time(page, report)
    _phases(page, report.parts)
    _faults(page, report)
    _findings(page, report)
    _generator(page, report)
    _remarks(page, report)
    _ending(page, report)


def as_text(report: Report) -> str:
    """What `render` prints, as into a file."""
    file = StringIO()
    render(report, _plain_console(file))
    return file.getvalue()


def _plain_console(file: StringIO) -> Console:
    return Console(file=file, color_system=None, highlight=False)


class _Page:
    """Prints lines made of (text, style) parts, safe for the console's encoding."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.plain = figures.plain_for(console.encoding)
        self.narrow = console.is_terminal
        self.width = min(console.width, WIDEST) if self.narrow else WIDEST

    def line(self, *parts: str | tuple[str, str]) -> None:
        text = Text()
        for part in parts:
            content, style = (part, "") if isinstance(part, str) else part
            text.append(self.plain(content), style)
        text.rstrip()
        self.console.print(text, soft_wrap=True, highlight=False)

    def heading(self, title: str) -> None:
        self.line()
        self.line((title, "bold"))

    def field(self, label: str, *parts: str | tuple[str, str]) -> None:
        self.line((label.ljust(LABEL), "dim"), *parts)

    def paragraph(self, label: str, text: str, style: str = "") -> None:
        """A field whose text is broken between words where the line is full."""
        words = self.plain(text).split(" ")
        lines = [words[0]]
        for word in words[1:]:
            if cell_len(lines[-1]) + 1 + cell_len(word) > self.width - LABEL:
                lines.append(word)
            else:
                lines[-1] += " " + word
        for number, line in enumerate(lines):
            self.field("" if number else label, (line, style))


def _verdict(page: _Page, report: Report) -> None:
    word, style = WORDS[report.verdict.code]
    page.line((f" {word} ", style), " ", (report.verdict.reason, "bold"))


def _summary(page: _Page, report: Report) -> None:
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
        f"{planned}{stats.started:,}{of} {'user' if stats.started == 1 else 'users'}, "
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


def _schedules(page: _Page, parts: Sequence[ScenarioReport]) -> None:
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


def _scenarios(page: _Page, parts: Sequence[ScenarioReport]) -> None:
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


def _thresholds(page: _Page, results: Sequence[ThresholdResult]) -> None:
    if not results:
        return
    page.heading("Thresholds")
    texts = [page.plain(result.threshold.text) for result in results]
    width = max(map(cell_len, texts))
    for text, result in zip(texts, results, strict=True):
        style = "green" if result.met else "bold red"
        word = "met" if result.met else "crossed"
        page.line(
            "  ", ("✓" if result.met else "✗", style), " ", _padded(text, width), "  ",
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


def _steps(page: _Page, report: Report) -> None:
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


def _table(page: _Page, table: list[list[str]], spare: Sequence[str], apart: bool = False) -> None:
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


def _cells(page: _Page, row: StepStats, duration: float) -> list[str]:
    """A row's figures as text; `-` where there is no sample."""
    cells = [page.plain(named(row)), f"{row.count:,}", "-", f"{row.errors:,}"]
    if row.right:
        cells[2] = figures.rate(row.rate(duration))
    return cells + _times(page, row.histogram)


def named(row: StepStats) -> str:
    """What a row is called, with its kind where that sets it apart."""
    marked = row.kind in ("receive", "transaction") and row.name == row.of
    return f"{row.name} ({row.kind})" if marked else row.name


def _times(page: _Page, histogram: Histogram) -> list[str]:
    if not histogram.count:
        return ["-"] * 6
    times = (histogram.low, histogram.mean, *map(histogram.percentile, (0.5, 0.95, 0.99)))
    return [page.plain(figures.time(time)) for time in (*times, histogram.high)]


def _over_time(page: _Page, report: Report) -> None:
    """Curves of rate, latency and errors, of a run that took a while."""
    width = page.width - LABEL - sparks.BESIDE
    curves = list(sparks.curves(report, width, page.console.encoding))
    if curves:
        page.line()
    for number, (curve, about) in enumerate(curves):
        page.field("" if number else "over time", (curve, "cyan"), "  ", about)


def _phases(page: _Page, parts: Sequence[ScenarioReport]) -> None:
    """A row for each phase, but none for a scenario that has only one."""
    phases = [phase for part in parts if len(part.phases) > 1 for phase in part.labelled_phases]
    if not phases:
        return
    page.line()
    _table(page, [list(PHASE_HEADINGS), *(_phase_cells(page, one) for one in phases)], ())


def _phase_cells(page: _Page, phase: PhaseReport) -> list[str]:
    total = measured_by(phase.stats)
    times = ["-", "-"]
    if total.histogram.count:
        found = map(total.histogram.percentile, (0.5, 0.99))
        times = [page.plain(figures.time(time)) for time in found]
    rate = figures.rate(total.rate(phase.duration)) if total.right else "-"
    errors, dropped = f"{phase.stats.errors:,}", f"{phase.stats.dropped:,}"
    name = page.plain(phase.name)
    return [name, f"{total.count:,}", rate, errors, *times, dropped, phase.load]


def _row(page: _Page, cells: list[str], name: str | None, plan: Layout, style: str) -> None:
    """A row on one line; where there is no room for its name, that stands above its figures."""
    figured, gap = plan.figures(cells), plan.between
    errors_style = "bold red" if cells[3] not in ("0", "", HEADINGS[3]) else style
    if name is None:
        page.line("  ", (cells[0], style or "bold"))
    beside = _padded(name or "", max(plan.name, 0))
    page.line(
        "  ", (beside, style), gap, (gap.join(figured[:2]), style), gap, (figured[2], errors_style),
        gap, (gap.join(figured[3:]), style),
    )  # fmt: skip


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


# --- faults -------------------------------------------------------------------------------------


def faults_as_text(part: ScenarioReport, groups: Sequence[FaultGroup]) -> list[str]:
    """Lines with these faults of a scenario, each with its first examples, for other reporters."""
    file = StringIO()
    page = _Page(_plain_console(file))
    names = _names(part.targets)
    for group in groups:
        told = _Told(group, part.stats.consequences)
        page.line(f"{group.kind} at step '{group.step}': {figures.plural(group.count, 'time')}")
        _examples(page, group, EXAMPLES_IN_FULL[0], group.count, names)
        if told.followed:
            _followed(page, told)
    return file.getvalue().splitlines()


def evidence_as_text(evidence: Evidence) -> list[str]:
    """Lines that say what was wrong, and what was expected beside what came."""
    file = StringIO()
    page = _Page(_plain_console(file))
    page.line(evidence.message)
    if evidence.belongs_to is not None:
        page.line("the bytes belong to ", evidence.belongs_to)
    wrong = _first_wrong(evidence)
    if wrong is not None:
        page.line(_wrongness(evidence, wrong))
    if evidence.expected or evidence.received:
        _dump(page, evidence, wrong)
    return file.getvalue().rstrip().splitlines()


def _faults(page: _Page, report: Report) -> None:
    """The faults in the order in which they began; of each kind the first groups in full.

    Those that only follow from another are told with that one.
    """
    told = [_Told(group, report.stats.consequences) for group in report.stats.faults_in_order]
    told = [one for one in told if one.own]
    names = _names(report.targets)
    places: Counter[Kind] = Counter()
    rest: dict[Kind, list[_Told]] = {}
    if told:
        page.heading("Faults")
    before = None
    for one in told:
        group = one.group
        place, places[group.kind] = places[group.kind], places[group.kind] + 1
        if place >= GROUPS_OF_A_KIND:
            rest.setdefault(group.kind, []).append(one)
            continue
        most = EXAMPLES_IN_FULL[place] if place < len(EXAMPLES_IN_FULL) else 0
        if before is not None and (most or before):
            page.line()
        before = most
        title = f"{group.kind} at step '{group.step}'"
        page.line("  ", (title, "bold red"), f": {figures.plural(one.own, 'time')}")
        if most:
            _examples(page, group, min(most, one.own), one.own, names)
        if one.followed:
            _followed(page, one)
    for kind, groups in rest.items():
        steps = figures.plural(len(groups), "more step")
        times = figures.plural(sum(one.own for one in groups), "time")
        page.line("  ", (f"{kind} at {steps}", "bold red"), f": {times}")


class _Told:
    """A group of faults; `own` are those that follow from nothing, `followed` what did from them,
    being so many `signs` of something that happened.
    """

    def __init__(self, group: FaultGroup, consequences: Consequences) -> None:
        key = group.kind, group.step
        self.group = group
        self.signs, self.followed = consequences.from_group(key)
        self.own = max(group.count - consequences.following(key), min(self.signs, group.count))


def _followed(page: _Page, told: _Told) -> None:
    """How many faults only follow from these, and of which kinds and steps most of them are."""
    counts = told.followed.most_common()
    them = "it" if told.signs == 1 else "them"
    page.line()
    page.line(f"    and {sum(told.followed.values()):,} more that follow from {them}:")
    for (kind, step), count in counts[:FOLLOWED]:
        page.line(f"      {kind} at step '{step}': {figures.plural(count, 'time')}")
    if rest := sum(count for _, count in counts[FOLLOWED:]):
        page.line(f"      at other steps: {figures.plural(rest, 'time')}")


def _names(targets: Sequence[TargetReport]) -> dict[str, str]:
    """The targets' names by URL, if there are several; one that has two is called by its URL."""
    names: dict[str, str] = {}
    for target in targets if len(targets) > 1 else ():
        names[target.url] = target.url if target.url in names else target.name
    return names


def _examples(
    page: _Page, group: FaultGroup, most: int, count: int, targets: Mapping[str, str]
) -> None:
    """`most` examples of `count` such faults; `targets` has the names of the targets by their URLs,
    where there are several.
    """
    shown = group.examples[:most]
    for number, evidence in enumerate(shown, 1):
        if len(shown) > 1:
            page.line()
            page.line("    ", (f"example {number}", "bold"))
        _evidence(page, evidence, targets.get(evidence.target))
    if shown and count > len(shown):
        page.line()
        page.line(f"    and {count - len(shown):,} more like this")


def _evidence(page: _Page, evidence: Evidence, target: str | None) -> None:
    page.line("    ", evidence.message)
    where = (
        f"user {evidence.user}, iteration {evidence.iteration}"
        if evidence.user >= 0
        else "the server"
    )
    where += f", socket '{evidence.socket}'" if evidence.socket else ""
    where += f" to '{target}'" if target is not None else ""
    page.line("    ", (f"{where}, {evidence.at:.3f} s after the start", "dim"))
    if evidence.belongs_to is not None:
        page.line("    the bytes belong to ", (evidence.belongs_to, "bold"))
    wrong = _first_wrong(evidence)
    if wrong is not None:
        page.line("    ", (_wrongness(evidence, wrong), "bold"))
    _said(page, evidence)
    if evidence.expected or evidence.received:
        _dump(page, evidence, wrong)
    if evidence.transcript:
        _transcript(page, evidence)


def _said(page: _Page, evidence: Evidence) -> None:
    """What the server said, where that is text."""
    for number, line in enumerate(said.lines(evidence)):
        if not number:
            page.line("    the server said ", (f"({figures.size(evidence.said_size)})", "dim"), ":")
        page.line("      ", line)


def _first_wrong(evidence: Evidence) -> int | None:
    """The offset in the reply: as diagnosed, or where received bytes leave the expected ones."""
    if evidence.offset is not None or evidence.expected is None or evidence.received is None:
        return evidence.offset
    pairs = zip_longest(evidence.expected, evidence.received)
    places = (place for place, (wanted, came) in enumerate(pairs) if wanted != came)
    place = next(places, None)
    return None if place is None else evidence.excerpt_at + place


def _wrongness(evidence: Evidence, wrong: int) -> str:
    place = wrong - evidence.excerpt_at
    if evidence.received is not None and place >= len(evidence.received):
        return f"nothing came from byte {wrong:,} of the reply on"
    if evidence.expected is not None and place >= len(evidence.expected):
        return f"nothing was expected from byte {wrong:,} of the reply on"
    return f"the first wrong byte is byte {wrong:,} of the reply (the first one is byte 0)"


def _dump(page: _Page, evidence: Evidence, wrong: int | None) -> None:
    """Expected beside received, rows around the first wrong byte, which stands in [brackets]."""
    expected, received = evidence.expected or b"", evidence.received or b""
    start = evidence.excerpt_at
    length = max(len(expected), len(received), (wrong - start + 1) if wrong is not None else 0)
    marked_row = (wrong - start) // DUMP_WIDTH if wrong is not None and wrong >= start else 0
    first = max(0, marked_row - ROWS_BEFORE)
    last = min(first + ROWS, -(-length // DUMP_WIDTH))
    digits = max(4, len(str(start + length)))
    half = DUMP_WIDTH * 4 + 5
    page.line()
    page.line((f"  {'at':>{digits}}  {'expected':{half}}received", "dim"))
    for row in range(first, last):
        at = start + row * DUMP_WIDTH
        mark = wrong - at if wrong is not None and 0 <= wrong - at < DUMP_WIDTH else None
        low, high = row * DUMP_WIDTH, (row + 1) * DUMP_WIDTH
        page.line(
            ("> " if mark is not None else "  ", "bold red"), (f"{at:>{digits}} ", "dim"),
            *_half(expected[low:high], mark, "bold green"), "   ",
            *_half(received[low:high], mark, "bold red"),
        )  # fmt: skip
    page.line()


def _half(data: bytes, mark: int | None, style: str) -> list[str | tuple[str, str]]:
    """One side of a dump's row, in DUMP_WIDTH * 4 + 2 columns: hex, then text; `--` is no byte."""
    cells = [f"{value:02x}" for value in data]
    blank = "--" if mark is not None and mark >= len(data) else "  "
    cells += [blank if place == mark else "  " for place in range(len(data), DUMP_WIDTH)]
    text = "".join(chr(value) if 0x20 <= value < 0x7F else "." for value in data)
    text = text.ljust(DUMP_WIDTH)
    if mark is None:
        return [" " + " ".join(cells) + "  " + text]
    before, after = cells[:mark], cells[mark + 1 :]
    return [
        "".join(" " + cell for cell in before),
        (f"[{cells[mark]}]", style),
        " ".join(after) + ("  " if after else " "),
        text[:mark], (text[mark], style), text[mark + 1 :],
    ]  # fmt: skip


def _transcript(page: _Page, evidence: Evidence) -> None:
    moments = evidence.transcript
    page.line("    ", (f"what happened on socket '{evidence.socket}'", "dim"))
    previous: float | None = None
    for moment in moments:
        _moment(page, moment, previous)
        previous = moment.at


def _moment(page: _Page, moment: Moment, previous: float | None) -> None:
    """Seconds since the start, time since the line before, direction, size, bytes."""
    step = "" if previous is None else f"+{figures.time(moment.at - previous)}"
    beginning = (
        f"    {moment.at:10.6f} s {step:>8}  {DIRECTIONS.get(moment.what, '  ')} {moment.what}"
    )
    if not moment.data and not moment.size:
        page.line(beginning)
        return
    size = max(moment.size, len(moment.data))
    beginning = f"{beginning:<38}{figures.size(size):>9}  "
    data = figures.shortened(moment.data, max(24, page.width - len(beginning) - 4))
    page.line(beginning, data, " …" if size > len(moment.data) else "")


def _findings(page: _Page, report: Report) -> None:
    """What was seen of the targets' processes."""
    if report.findings:
        page.heading("Findings")
    for one in report.findings:
        page.line("  ", (str(one.kind), "bold yellow"), f": {one.target or one.url}")
        page.line("    ", one.text)


# --- generator and the rest ---------------------------------------------------------------------


def _generator(page: _Page, report: Report) -> None:
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


def _limit(page: _Page, report: Report) -> None:
    """What the rate was limited by, and what to do about it."""
    found = limit(report)
    if found is None:
        return
    page.paragraph("limit", found.text)
    if found.remedy:
        page.paragraph("", found.remedy, "bold yellow")


def _workers(page: _Page, workers: Sequence[WorkerReport]) -> None:
    shown = sorted(workers, key=lambda worker: (worker.lost is None, -worker.busy))[:WORKERS]
    for worker in sorted(shown, key=lambda worker: worker.number):
        users = figures.plural(worker.users, "user")
        page.field("", f"worker {worker.number:<3} {users:>12}  {worker.busy:>4.0%} busy")
    if len(workers) > len(shown):
        page.field("", f"and {len(workers) - len(shown)} more")


def _remarks(page: _Page, report: Report) -> None:
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


def _ending(page: _Page, report: Report) -> None:
    page.field("seed", str(report.seed))
    page.field("repeat", report.command)
    if report.stats.faults:
        word, style = WORDS[report.verdict.code]
        page.field("exit code", f"{report.verdict.code.value} ", (f"({word})", style))
