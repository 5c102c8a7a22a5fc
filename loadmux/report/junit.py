"""The report as JUnit XML, which CI systems show as test results.

`--report junit=FILE`. A suite for each scenario; in it a test case for each step (and for the
connects), each threshold, and the verdict. A step's `<failure>` holds its faults as the terminal
shows them: kind, offset, hexdump, transcript. What is not the server's doing (inconclusive, nobody
reached, interrupted, loadmux itself broke) is an `<error>` of the case `verdict`. A step that was
never carried out is skipped. `time` is a step's mean latency and a suite's duration, in seconds.
The form is that of Jenkins' xunit plugin (junit-10.xsd), of which GitLab and others read a part.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as Xml

from loadmux import __version__
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.measured import ThresholdResult
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import FaultGroup
from loadmux.report import figures, terminal
from loadmux.report.faults import faults_as_text
from loadmux.report.model import Report, ScenarioReport

FAILURES = frozenset({ExitCode.FAIL, ExitCode.THRESHOLD})
PLAIN = figures.plain_for("utf-8")


def render(report: Report) -> bytes:
    """An XML document, in UTF-8."""
    root = Xml.Element("testsuites", name="loadmux", time=_milliseconds(report.duration))
    for part in report.parts:
        _suite(root, part, report)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    Xml.indent(root)
    return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite(root: Xml.Element, part: ScenarioReport, report: Report) -> None:
    name = PLAIN(part.label or part.scenario.name)
    suite = Xml.SubElement(root, "testsuite", name=name, time=_milliseconds(part.duration))
    suite.set("timestamp", report.began.strftime("%Y-%m-%dT%H:%M:%S"))
    _properties(suite, part, report)
    for row in (part.stats.connects, *part.stats.steps.values()):
        if row is not part.stats.connects or row.count:
            _step(suite, name, row, part)
    for result in part.verdict.thresholds:
        _threshold(suite, name, result)
    _verdict(suite, name, part, report)
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for outcome, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(plural, str(sum(case.find(outcome) is not None for case in cases)))


def _properties(suite: Xml.Element, part: ScenarioReport, report: Report) -> None:
    properties = Xml.SubElement(suite, "properties")
    known = [
        ("loadmux.version", __version__),
        ("scenario", part.scenario.path),
        *((f"target {one.name}".strip(), one.url) for one in part.targets),
        ("seed", str(report.seed)),
        ("command", report.command),
    ]
    for name, value in known:
        Xml.SubElement(properties, "property", name=PLAIN(name), value=PLAIN(value))


def _case(suite: Xml.Element, scenario: str, name: str, seconds: float = 0.0) -> Xml.Element:
    named = {"classname": f"loadmux.{scenario}", "name": PLAIN(name)}
    return Xml.SubElement(suite, "testcase", {**named, "time": _seconds(seconds)})


def _step(suite: Xml.Element, scenario: str, row: StepStats, part: ScenarioReport) -> None:
    case = _case(suite, scenario, row.name, row.histogram.mean)
    groups = list(_groups(row, part))
    if groups:
        kinds = "; ".join(_told(group) for group in groups)
        failure = Xml.SubElement(case, "failure", message=kinds, type=str(groups[0].kind))
        failure.text = "\n".join(faults_as_text(part, groups))
    elif row.kind == "transaction" and row.errors:
        message = f"{figures.plural(row.errors, 'fault')} in its steps"
        Xml.SubElement(case, "failure", message=message, type=row.kind)
    elif not row.count:
        Xml.SubElement(case, "skipped", message="never carried out")


def _groups(row: StepStats, part: ScenarioReport) -> Iterator[FaultGroup]:
    """The faults of a row: of those of one step, the first row has them."""
    rows = [one for one in part.stats.steps.values() if one.of == row.of]
    if row is part.stats.connects or row is next((one for one in rows if one.errors), rows[0]):
        for group in part.stats.faults_in_order:
            if group.step == row.of:
                yield group


def _told(group: FaultGroup) -> str:
    first = f": {group.examples[0].message}" if group.examples else ""
    return PLAIN(f"{group.kind} ({figures.plural(group.count, 'time')}){first}")


def _threshold(suite: Xml.Element, scenario: str, result: ThresholdResult) -> None:
    case = _case(suite, scenario, f"threshold {result.threshold.text}")
    if not result.met:
        message = f"crossed: {terminal.measured(result)}"
        told = "\n".join(map(PLAIN, (result.threshold.text, message)))
        Xml.SubElement(case, "failure", message=message, type="threshold").text = told


def _verdict(suite: Xml.Element, scenario: str, part: ScenarioReport, report: Report) -> None:
    code, reason = part.verdict.code, PLAIN(part.verdict.reason)
    case = _case(suite, scenario, "verdict", part.duration)
    if code is not ExitCode.PASS:
        kind = "failure" if code in FAILURES else "error"
        Xml.SubElement(case, kind, message=reason, type=code.name.lower()).text = reason
    told = [*map(str, report.findings), *report.notes]
    if told:
        Xml.SubElement(case, "system-out").text = "\n".join(map(PLAIN, told))


def _milliseconds(value: float) -> str:
    """Seconds; of a suite, older versions of the plugin take no more than three decimals."""
    return f"{value:.3f}"


def _seconds(value: float) -> str:
    return f"{value:.6f}"
