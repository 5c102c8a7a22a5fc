"""Reports of batteries for machines and pages: JSON, JUnit, Markdown, and HTML with a grid.

Each takes the reports of one or several servers; the grid has a row for each case and a column for
each server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any
from xml.etree import ElementTree as Xml

from loadmux import __version__
from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing.outcome import CaseResult, Found, ProbeReport
from loadmux.report import figures

Reports = Sequence[ProbeReport]
PLAIN = figures.plain_for("utf-8")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
body { margin: 0; background: var(--page); }
td.pass { color: var(--good); } td.fail { color: var(--bad); font-weight: 600; }
td.warn, td.inconclusive { color: var(--warn); } td.unsupported, td.info { color: var(--soft); }
"""
TOLD = (Found.FAIL, Found.WARN, Found.INCONCLUSIVE)
WORST = (
    *(ExitCode.BROKEN, ExitCode.INTERRUPTED, ExitCode.FAIL),
    *(ExitCode.UNREACHABLE, ExitCode.INCONCLUSIVE, ExitCode.PASS),
)


def code_of(reports: Reports) -> ExitCode:
    """The exit code of all of them."""
    codes = {one.code for one in reports}
    return next(one for one in WORST if one in codes)


def as_json(reports: Reports) -> str:
    """One server's report, or those of several as `servers`."""
    if len(reports) == 1:
        found: dict[str, Any] = reports[0].as_dict()
    else:
        code = code_of(reports)
        found = {
            "schema_version": 1,
            "verdict": code.name.lower(),
            "exit_code": int(code),
            "servers": [one.as_dict() for one in reports],
        }
    return json.dumps(found, indent=2)


def ids(reports: Reports) -> list[str]:
    """The cases that were tried on some server."""
    return list(dict.fromkeys(one.id for report in reports for one in report.cases))


def result_of(report: ProbeReport, case: str) -> CaseResult | None:
    return next((one for one in report.cases if one.id == case), None)


def plain_lines(lines: Sequence[str]) -> str:
    """Lines of a text, each safe to show."""
    return "\n".join(map(PLAIN, lines))


def said(result: CaseResult) -> str:
    """What is known of a case, in a line."""
    if not result.failed:
        return result.detail
    where = f" at {result.where}" if result.where else ""
    count = f"{result.failed} of {result.tried} fail{where}: " if result.tried > 1 else ""
    flaky = f" (flaky: {result.again} of {result.times} times)" if result.flaky else ""
    return f"{count}{result.fault}: {result.detail}{flaky}"


# --- for CI -------------------------------------------------------------------------------------


def junit(reports: Reports) -> str:
    """A suite for each server, a test case for each case; what warns has it in its output."""
    root = Xml.Element("testsuites", name="loadmux probe")
    for report in reports:
        suite = Xml.SubElement(root, "testsuite", name=PLAIN(f"probe {report.server}"))
        suite.set("time", f"{report.duration:.6f}")
        for one in report.cases:
            _test_case(suite, one)
        _verdict(suite, report)
        cases = suite.findall("testcase")
        suite.set("tests", str(len(cases)))
        for outcome, plural in (("failure", "failures"), ("error", "errors"), ("skipped",) * 2):
            suite.set(plural, str(sum(case.find(outcome) is not None for case in cases)))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _test_case(suite: Xml.Element, one: CaseResult) -> None:
    time = f"{one.seconds:.6f}"
    case = Xml.SubElement(suite, "testcase", classname="loadmux.probe", name=one.id, time=time)
    text = PLAIN(said(one))
    if one.verdict is Found.FAIL:
        failure = Xml.SubElement(case, "failure", message=text, type=one.fault)
        again = [f"again: loadmux run {one.file}"] if one.file else []
        failure.text = plain_lines([text, *again, *one.evidence])
    elif one.verdict is Found.INCONCLUSIVE:
        Xml.SubElement(case, "error", message=text, type="inconclusive")
    elif one.verdict is Found.UNSUPPORTED:
        Xml.SubElement(case, "skipped", message=text)
    elif text:
        Xml.SubElement(case, "system-out").text = f"{one.verdict}: {text}"


def _verdict(suite: Xml.Element, report: ProbeReport) -> None:
    case = Xml.SubElement(suite, "testcase", classname="loadmux.probe", name="verdict", time="0")
    if report.code not in (ExitCode.PASS, ExitCode.FAIL):
        kind = report.code.name.lower()
        Xml.SubElement(case, "error", message=PLAIN(report.reason), type=kind)


# --- for people ---------------------------------------------------------------------------------


def grid(reports: Reports) -> list[str]:
    """Case by server, as text."""
    names = ids(reports)
    width = max(map(len, names), default=0)
    heads = [f"{number}  {one.server}  {one.code.name}" for number, one in enumerate(reports, 1)]
    lines = [*heads, "", " " * width + "".join(f"  {n:>12}" for n in range(1, len(reports) + 1))]
    for name in names:
        found = [result_of(one, name) for one in reports]
        words = "".join(f"  {'-' if one is None else str(one.verdict):>12}" for one in found)
        lines.append(f"{name:{width}}{words}")
    return lines


def markdown(reports: Reports) -> str:
    """A table, and below it what fails and warns."""
    lines = [f"## loadmux probe: {code_of(reports).name}", ""]
    lines.append("| case | " + " | ".join(_cell(one.server) for one in reports) + " |")
    lines.append("|---|" + "---|" * len(reports))
    for name in ids(reports):
        found = [result_of(one, name) for one in reports]
        words = " | ".join("" if one is None else str(one.verdict) for one in found)
        lines.append(f"| {name} | {words} |")
    for report in reports:
        told = [one for one in report.cases if one.verdict in TOLD]
        lines += ["", f"**{_cell(report.server)}**: {_cell(report.reason)}"] if told else []
        lines += [f"- `{one.id}` {_cell(said(one))}" for one in told]
    return plain_lines(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def html(reports: Reports) -> str:
    """A page that needs nothing else."""
    return "\n".join(_page(reports)) + "\n"


def _page(reports: Reports) -> Iterator[str]:
    code = code_of(reports)
    from loadmux.report.html import style

    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{code.name}: loadmux probe</title>\n<style>\n{style()}{STYLE}</style>\n</head>"
    yield '<body>\n<main class="page">'
    kind = code.name.lower()
    yield f'<h1><span class="badge {kind}">{code.name}</span> loadmux probe</h1>'
    yield '<dl class="about">'
    for one in reports:
        yield f"<dt>{_text(one.server)}</dt><dd>{_text(one.reason)}; {_text(one.exchange)};"
        yield f" seed {one.seed}; {one.duration:.1f} s</dd>"
    yield "</dl>\n<h2>Cases</h2>"
    yield from _table(reports)
    for one in reports:
        yield from _details(one)
    yield f"<footer>loadmux {__version__}</footer>\n</main>\n</body>\n</html>"


def _table(reports: Reports) -> Iterator[str]:
    yield '<div class="table"><table>\n<thead><tr><th>case</th><th>level</th>'
    yield "".join(f"<th>{_text(one.server)}</th>" for one in reports) + "</tr></thead>\n<tbody>"
    for name in ids(reports):
        found = [result_of(one, name) for one in reports]
        level = next((one.level for one in found if one is not None), "")
        cells = "".join(_shown(one) for one in found)
        yield f"<tr><td>{_text(name)}</td><td>{level}</td>{cells}</tr>"
    yield "</tbody></table></div>"


def _shown(one: CaseResult | None) -> str:
    if one is None:
        return "<td></td>"
    title = f' title="{_text(said(one))}"' if said(one) else ""
    return f'<td class="{one.verdict}"{title}>{one.verdict}</td>'


def _details(report: ProbeReport) -> Iterator[str]:
    told = [one for one in report.cases if one.failed]
    if told:
        yield f"<h2>{_text(report.server)}</h2>"
    for one in told:
        again = [f"again: loadmux run {one.file}", ""] if one.file else []
        text = escape(plain_lines([said(one), "", *again, *one.evidence]))
        opened = " open" if one.verdict is Found.FAIL else ""
        yield f"<details{opened}><summary>{_text(one.id)}: {one.verdict}</summary>"
        yield f"<pre>{text}</pre></details>"


def _text(text: str) -> str:
    return escape(PLAIN(text))


RENDERERS: dict[str, Callable[[Reports], str]] = {
    "junit": junit,
    "html": html,
    "markdown": markdown,
}
"""What `--report NAME` makes."""
