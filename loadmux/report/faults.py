"""Faults for a person: which, how often, and of some of them what was expected beside what came.

The amount is bounded whatever went wrong: so many groups of faults, examples, lines and bytes.
`faults_as_text` and `evidence_as_text` are the same lines for other reporters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from io import StringIO
from itertools import zip_longest

from loadmux.errors import Evidence, Kind, Moment
from loadmux.measuring.consequences import Consequences
from loadmux.measuring.stats import FaultGroup
from loadmux.report import figures, said
from loadmux.report.lines import Page, plain_console
from loadmux.report.model import Report, ScenarioReport, TargetReport

GROUPS_OF_A_KIND = 6
FOLLOWED = 6
EXAMPLES_IN_FULL = (2, 1)
DUMP_WIDTH = 8
ROWS_BEFORE = 2
ROWS = 6
DIRECTIONS = {"sent": "->", "received": "<-"}


def faults_as_text(part: ScenarioReport, groups: Sequence[FaultGroup]) -> list[str]:
    """Lines with these faults of a scenario, each with its first examples, for other reporters."""
    file = StringIO()
    page = Page(plain_console(file))
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
    page = Page(plain_console(file))
    page.line(evidence.message)
    if evidence.belongs_to is not None:
        page.line("the bytes belong to ", evidence.belongs_to)
    wrong = _first_wrong(evidence)
    if wrong is not None:
        page.line(_wrongness(evidence, wrong))
    if evidence.expected or evidence.received:
        _dump(page, evidence, wrong)
    return file.getvalue().rstrip().splitlines()


def show_faults(page: Page, report: Report) -> None:
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


def _followed(page: Page, told: _Told) -> None:
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
    page: Page, group: FaultGroup, most: int, count: int, targets: Mapping[str, str]
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


def _evidence(page: Page, evidence: Evidence, target: str | None) -> None:
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


def _said(page: Page, evidence: Evidence) -> None:
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


def _dump(page: Page, evidence: Evidence, wrong: int | None) -> None:
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


def _transcript(page: Page, evidence: Evidence) -> None:
    moments = evidence.transcript
    page.line("    ", (f"what happened on socket '{evidence.socket}'", "dim"))
    previous: float | None = None
    for moment in moments:
        _moment(page, moment, previous)
        previous = moment.at


def _moment(page: Page, moment: Moment, previous: float | None) -> None:
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
