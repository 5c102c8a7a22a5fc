"""Workflow commands: each fault at its step, every character told so that GitHub reads it back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import loadmux
from hypothesis import given
from hypothesis import strategies as st
from samples import OUTCOMES, fault, report, wrong

from loadmux.errors import Evidence, Kind
from loadmux.measuring.stats import Stats
from loadmux.report import github

COMMAND = re.compile(r"::(?P<name>\w+) (?P<properties>[^:]*)::(?P<message>.*)")


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """As GitHub's runner reads them."""
    found = []
    for line in text.splitlines():
        match = COMMAND.fullmatch(line)
        assert match is not None, line
        told = dict(one.split("=", 1) for one in match["properties"].split(","))
        properties = {key: plain(value, {"%3A": ":", "%2C": ","}) for key, value in told.items()}
        found.append((match["name"], properties, plain(match["message"], {})))
    return found


def plain(text: str, more: dict[str, str]) -> str:
    for written, meant in {**more, "%0D": "\r", "%0A": "\n", "%25": "%"}.items():
        text = text.replace(written, meant)
    return text


@pytest.mark.parametrize("name", OUTCOMES)
def test_every_outcome_is_told_by_commands_alone(name: str) -> None:
    made = OUTCOMES[name]()
    found = commands(github.render(made))
    kind, properties, message = found[-1]
    assert kind == ("notice" if name == "pass" or made.verdict.code == 0 else "error")
    assert properties["title"].startswith("loadmux: ")
    assert message.startswith(made.verdict.reason)


def test_a_fault_is_told_with_its_evidence() -> None:
    (kind, properties, message), _verdict = (
        one for one in commands(github.render(wrong())) if "errors == 0" not in one[1]["title"]
    )
    assert kind == "error"
    assert properties["title"] == "corrupt at step 'ask': 1 time"
    assert properties["file"] == "talk.yaml"
    assert "[1b]" in message


def test_more_errors_than_github_shows_are_counted_in_the_verdict() -> None:
    stats = Stats()
    for number in range(30):
        fault(f"step {number}", stats=stats)
    found = commands(github.render(report(stats)))
    assert len(found) == 10
    assert found[-1][2].endswith("and 21 more errors, which are not shown here")


@given(st.text(), st.text(), st.binary())
def test_no_text_ends_a_command_or_begins_another(step: str, message: str, data: bytes) -> None:
    stats = Stats()
    stats.record_fault(Evidence(Kind.CORRUPT, message, 0, b"x", data, step=step))
    made = report(stats)
    assert [one[0] for one in commands(github.render(made))] == ["error", "error"]


SCENARIO = """\
target: {bundled: epoll, reply: echo}
steps:
  - repeat: 1
    do:
      - {name: "tell: 100%, again", send: hello, expect: hello}
  - {name: ask, send: hello, expect: hello}
load: {users: 1, iterations: 1}
"""


def test_a_fault_is_annotated_at_its_step(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "s.yaml"
    file.parent.mkdir()
    file.write_text(SCENARIO)
    done = loadmux(
        *("run", file, "--fault", "flip:1", "--report", "github", "-q"),
        env={"GITHUB_WORKSPACE": str(tmp_path)},
    )
    assert done.code == 1
    lines = [line for line in done.out.splitlines() if line.startswith("::")]
    _, properties, message = commands("\n".join(lines))[0]
    assert properties["title"].startswith("corrupt at step 'tell: 100%, again'")
    assert (properties["file"], properties["line"], properties["col"]) == (
        "folder/s.yaml",
        "5",
        "9",
    )
    assert message.count("\n") > 3
