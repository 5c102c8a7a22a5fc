"""The battery on right and wrong servers: what is found, told, and written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from probing_servers import CHUNKS, FULL, LINES, NAMED, SERVER

from loadmux.errors import UsageError
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing import ProbeReport, Settings, probe
from loadmux.probing.outcome import Found


def scenario(folder: Path, read: str) -> Scenario:
    return known(folder, SERVER.format(read=read))


def known(folder: Path, server: str, **keys: object) -> Scenario:
    path = folder / "server.py"
    path.write_text(server)
    command = [sys.executable, str(path), "{port}"]
    step = {"send": "hello\n", "expect": "<hello>\n"}
    text = json.dumps({"target": {"command": command}, "steps": [step], **keys})
    return load(folder / "known.yaml", text=text)


def verdicts(report: ProbeReport) -> dict[str, str]:
    return {one.id: str(one.verdict) for one in report.cases}


def test_a_server_that_reads_lines_passes(tmp_path: Path) -> None:
    wanted = ("split", "coalesced", "abort", "half-close")
    report = probe(scenario(tmp_path, LINES), Settings(wanted, failures=tmp_path / "f"))
    assert report.code is ExitCode.PASS, report.as_dict()
    assert set(verdicts(report).values()) == {"pass"}
    assert not (tmp_path / "f").exists()


def test_a_server_that_takes_a_chunk_for_a_message_fails_where_it_is_cut(tmp_path: Path) -> None:
    found = scenario(tmp_path, CHUNKS)
    report = probe(found, Settings(("split", "abort/close/3"), failures=tmp_path / "f"))
    control, split, abort = report.cases
    assert (control.verdict, abort.verdict) == (Found.PASS, Found.PASS)
    assert (split.verdict, split.failed, split.tried, split.where) == (Found.FAIL, 4, 5, "1-4")
    assert split.again == split.times == 3
    assert abort.tried == 1
    assert report.code is ExitCode.FAIL
    replayed = load(split.file)
    assert replayed.steps[0].name == "cut after 1"


def test_a_reset_that_a_crowd_has_made_is_no_fault(tmp_path: Path) -> None:
    report = probe(known(tmp_path, FULL), Settings(("interleave",), seed=1))
    assert report.code is ExitCode.PASS, report.as_dict()


def test_no_two_connections_of_a_battery_have_one_number(tmp_path: Path) -> None:
    login = {"send": "client ${connection}\n", "expect": "welcome\n"}
    found = known(tmp_path, NAMED, sockets={"main": {"on_connect": [login]}})
    report = probe(found, Settings(("split", "abort/close")))
    assert report.code is ExitCode.PASS, report.as_dict()


def test_a_constant_reply_that_a_rule_makes_is_judged_by_the_rule() -> None:
    keys = {
        "target": {"bundled": "epoll", "reply": "received"},
        "steps": [{"send": "This is ", "expect": "Server received b'This is '"}],
    }
    report = probe(load("x.yaml", text=json.dumps(keys)), Settings(("split", "coalesced/2")))
    assert report.code is ExitCode.PASS, report.as_dict()
    assert "replies are judged by the target's rule 'received'" in report.notes


def test_nothing_is_judged_by_an_exchange_that_does_not_work(tmp_path: Path) -> None:
    right = scenario(tmp_path, LINES)
    text = Path(tmp_path / "server.py")
    text.write_text(text.read_text().replace('b"<"', 'b"["'))
    report = probe(right, Settings(("split",)))
    assert report.code is ExitCode.INCONCLUSIVE
    assert [one.id for one in report.cases] == ["control"]
    assert "nothing was judged" in report.reason


def test_a_misspelt_case_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'split'"):
        probe(scenario(tmp_path, LINES), Settings(("splitt",)))


def test_an_exchange_is_needed(tmp_path: Path) -> None:
    found = load("x.yaml", text="target: tcp://127.0.0.1:1\nsteps: [{send: a}]\n")
    with pytest.raises(UsageError, match="a step that sends and expects"):
        probe(found)
