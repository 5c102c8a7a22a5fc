"""What is made of batteries: JUnit, HTML, Markdown, JSON, and the grid."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as Xml

from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing.outcome import CaseResult, Found, ProbeReport
from loadmux.probing.rendering import as_json, code_of, grid, html, junit, markdown

SPLIT = CaseResult(
    "split", "must", Found.FAIL, 40, 17, "3-19", "truncated", "<half> is missing", "f/split-3.yaml",
    again=2, times=3, evidence=("> 0  41",),
)  # fmt: skip
CASES = (
    CaseResult("control", "must", Found.PASS, 3),
    SPLIT,
    CaseResult("coalesced/2", "must", Found.UNSUPPORTED, detail="--no-pipelining"),
    CaseResult("half-close", "should", Found.WARN, 1, 1, "", "timeout", "no end"),
)
BAD = ProbeReport("server.py", "tcp://h:1", "6 bytes answered by 8", 7, CASES, ExitCode.FAIL, "no")
GOOD = replace(BAD, server="other.py", cases=CASES[:1], code=ExitCode.PASS, reason="1 case passed")


def test_junit_has_a_test_case_for_each_case() -> None:
    root = Xml.fromstring(junit([BAD, GOOD]))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "1", "0")
    failure = root.find(".//testcase[@name='split']/failure")
    assert failure is not None
    assert failure.get("type") == "truncated"
    assert "17 of 40 fail at 3-19" in (failure.text or "")
    assert (failure.text or "").splitlines()[1:] == ["again: loadmux run f/split-3.yaml", "> 0  41"]
    assert root.find(".//testcase[@name='coalesced/2']/skipped") is not None
    warned = root.find(".//testcase[@name='half-close']/system-out")
    assert warned is not None
    assert warned.text == "warn: timeout: no end"


def test_a_page_has_a_grid_and_takes_nothing_for_markup() -> None:
    page = html([BAD, GOOD])
    assert '<td class="fail"' in page
    assert '<td class="warn"' in page
    assert "&lt;half&gt; is missing" in page
    assert "<half>" not in page
    assert "--good: " in page
    assert "(flaky: 2 of 3 times)\n\nagain: loadmux run f/split-3.yaml\n\n&gt; 0  41</pre>" in page


def test_markdown_and_the_grid_have_a_column_for_each_server() -> None:
    assert "\n| split | fail |  |\n" in markdown([BAD, GOOD])
    assert "(flaky: 2 of 3 times)" in markdown([BAD])
    assert grid([BAD, GOOD])[-1].split() == ["half-close", "warn", "-"]


def test_json_of_one_and_of_several() -> None:
    found = json.loads(as_json([BAD]))
    assert (found["verdict"], found["cases"][1]["where"]) == ("fail", "3-19")
    assert found["cases"][1]["flaky"] is True
    several = json.loads(as_json([BAD, GOOD]))
    assert [one["server"] for one in several["servers"]] == ["server.py", "other.py"]
    assert code_of([GOOD, BAD]) is ExitCode.FAIL
