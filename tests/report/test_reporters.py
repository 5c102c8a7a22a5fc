"""What CI systems and pull requests get of a run, of every outcome, and from whatever bytes."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import needs
import pytest
from commands import loadmux
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from samples import OUTCOMES, measured, report, wrong

from loadmux.errors import Evidence, Kind
from loadmux.report import junit, markdown
from loadmux.report.model import Report

XSD = Path(__file__).resolve().parents[1] / "support" / "junit.xsd"


def follows_the_schema(made: bytes) -> None:
    needs.package("xmlschema").XMLSchema10(XSD).validate(made.decode())


def suites(made: Report) -> list[Xml.Element]:
    return list(Xml.fromstring(junit.render(made)))


def case(suite: Xml.Element, name: str) -> Xml.Element:
    (found,) = (one for one in suite.findall("testcase") if one.get("name") == name)
    return found


@pytest.mark.parametrize("name", OUTCOMES)
def test_junit_keeps_to_its_form_whatever_the_outcome(name: str) -> None:
    made = OUTCOMES[name]()
    follows_the_schema(junit.render(made))
    root = Xml.fromstring(junit.render(made))
    assert [suite.get("name") for suite in root] == [one.label or "talk" for one in made.parts]
    for suite, part in zip(root, made.parts, strict=True):
        cases = suite.findall("testcase")
        assert int(suite.get("tests", "")) == len(cases)
        assert (part.verdict.code == 0) == (case(suite, "verdict").find("*") is None)
    counted = sum(one.find("failure") is not None for one in root.iter("testcase"))
    assert int(root.get("failures", "")) == counted


def test_a_fault_is_told_with_its_evidence_at_its_step_in_junit() -> None:
    (suite,) = suites(wrong())
    failure = case(suite, "ask").find("failure")
    assert failure is not None
    assert failure.get("type") == "corrupt"
    assert failure.get("message") == "corrupt (1 time): byte 20 should be 'i'"
    assert "first wrong byte is byte 20" in (failure.text or "")
    assert "[1b]" in (failure.text or "")
    assert "received" in (failure.text or "")
    assert case(suite, "tell").find("failure") is None
    crossed = case(suite, "threshold errors == 0").find("failure")
    assert crossed is not None
    assert (crossed.text or "").splitlines() == ["errors == 0", crossed.get("message")]
    told = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert told["seed"] == "42"
    assert told["target"] == "tcp://127.0.0.1:8001"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("inconclusive", "error"), ("unreachable", "error"), ("interrupted", "error"),
     ("broken", "error"), ("threshold", "failure"), ("fail", "failure")],
)  # fmt: skip
def test_what_is_not_the_servers_doing_is_an_error_in_junit(name: str, kind: str) -> None:
    (suite,) = suites(OUTCOMES[name]())
    assert [one.tag for one in case(suite, "verdict")] == [kind]


def test_a_step_that_was_never_carried_out_is_skipped_in_junit() -> None:
    stats = measured({"ask": [0.1]})
    stats.row("tell").kind = "exchange"
    (suite,) = suites(report(stats))
    assert [one.tag for one in case(suite, "tell")] == ["skipped"]


@given(st.text(), st.text(), st.binary())
def test_any_text_of_files_and_servers_is_well_formed(step: str, message: str, data: bytes) -> None:
    stats = measured({step: [0.1]})
    stats.record_fault(Evidence(Kind.CORRUPT, message, 0, b"x", data, step=step))
    made = report(stats, name=message or "talk")
    assert len(suites(made)) == 1
    assert set(re.findall(r"<[^>]*>?", raw_html(markdown.render(made)))) <= {
        "<details>",
        "<summary>",
        "</summary>",
        "</details>",
    }


def raw_html(text: str) -> str:
    """What in Markdown is passed on as HTML."""
    found = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        for one in (token, *(token.children or ())):
            if one.type in ("html_block", "html_inline"):
                found.append(one.content)
    return "".join(found)


def test_markdown_has_the_verdict_a_table_and_the_faults() -> None:
    lines = markdown.render(wrong()).splitlines()
    assert lines[0] == "### ❌ loadmux: FAIL"
    assert "| step | count | rate | errors | p50 | p95 | p99 | max |" in lines
    assert "| ask | 3 | 1.00/s | 1 | 10.0ms | 20.0ms | 20.0ms | 20.0ms |" in lines
    assert "| `errors == 0` | ❌ crossed | 1 |" in lines
    assert "<details><summary>corrupt at step &#x27;ask&#x27;: 1 time</summary>" in lines
    assert any("[1b]" in line for line in lines)


def test_a_name_cannot_break_a_table_of_markdown() -> None:
    made = report(measured({"a|b `c` <d>": [0.1]}))
    (row,) = (line for line in markdown.render(made).splitlines() if "a\\|b" in line)
    assert row.startswith("| a\\|b \\`c\\` &lt;d&gt; | 1 |")


SCENARIO = """
target: {bundled: epoll, reply: echo}
steps: [{name: ask, send: hello, expect: hello}]
load: {users: 2, iterations: 3}
"""


def written(folder: Path) -> Path:
    file = folder / "s.yaml"
    file.write_text(SCENARIO)
    return file


def test_reports_are_written_beside_the_terminals(tmp_path: Path) -> None:
    file = written(tmp_path)
    made = tmp_path / "made.xml"
    done = loadmux(
        "run", file, "--fault", "flip:1", "--report", f"junit={made}", "--report", "markdown"
    )
    assert done.code == 1
    assert "### ❌ loadmux: FAIL" in done.out
    (suite,) = Xml.parse(made).getroot()
    failure = case(suite, "ask").find("failure")
    assert failure is not None
    assert failure.get("type") == "corrupt"


def test_markdown_is_added_to_the_summary_of_a_github_job(tmp_path: Path) -> None:
    file, summary = written(tmp_path), tmp_path / "summary.md"
    summary.write_text("before\n")
    env = {"GITHUB_STEP_SUMMARY": str(summary)}
    done = loadmux("run", file, "--report", "markdown", env=env)
    assert done.code == 0
    assert "###" not in done.out
    assert summary.read_text().startswith("before\n### ✅ loadmux: PASS\n")


def test_a_report_that_cannot_be_written_is_told_before_the_run(tmp_path: Path) -> None:
    file = written(tmp_path)
    done = loadmux("run", file, "--report", f"junit={tmp_path}/nowhere/made.xml")
    assert done.code == 2
    assert "No such directory" in done.err
    assert loadmux("run", file, "--report", "junti").err.count("did you mean 'junit'") == 1
