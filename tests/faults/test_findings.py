"""What is seen of a target's processes: servers that answer right and are not healthy are told, and
healthy ones that only look so for a while are not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import loadmux as command_line
from commands import run
from untidy_server import HEALTHY, MODES

import loadmux
from loadmux.measuring.exitcodes import ExitCode
from loadmux.running.library import RunReport
from loadmux.running.servers.proc import parsed
from loadmux.testing.servers import start

SERVER = str(Path(__file__).parents[1] / "support" / "untidy_server.py")
ASK = [{"send": "hello ${user}", "expect": "hello ${user}"}]
STEPS: dict[str, list[Any]] = {
    "spin idle": [*ASK, {"wait": "4500ms"}],
    "hoard": [
        {"stop_reading": "main"},
        {"send": {"random": "256KiB"}},
        {"wait": "200ms"},
        {"resume_reading": "main"},
        {"expect": "reply"},
    ],
    "sink": [{"send": {"random": "64KiB"}}],
}
STEPS["cache"] = STEPS["hoard"]
STEPS["threads"] = STEPS["pipes"] = [{"repeat": 120, "do": [*ASK, {"close": "main"}]}]


def words(mode: str) -> list[str]:
    return [sys.executable, SERVER, "{port}", mode]


def keys(mode: str, **target: object) -> dict[str, Any]:
    rule = "sink" if mode == "sink" else "echo"
    return {
        "target": {"command": words(mode), "reply": rule} | target,
        "steps": STEPS.get(mode, ASK),
        "load": {"users": 3, "iterations": 1 if mode in STEPS else 3},
    }


def kinds(report: RunReport) -> set[str]:
    return {one.kind.value for one in report.findings}


@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_healthy_is_found(mode: str) -> None:
    report = loadmux.run(keys(mode))
    expected = {MODES[mode]}
    also = {"spin": {"leaked_descriptors"}, "sink": {"leaked_descriptors"}}.get(mode, set())
    assert kinds(report) == expected | also, report
    assert report.verdict.code is (ExitCode.INCONCLUSIVE if mode == "sink" else ExitCode.PASS)
    assert f"  {MODES[mode]}: tcp://127.0.0.1:" in str(report)


@pytest.mark.parametrize("mode", HEALTHY)
def test_what_is_healthy_is_not_blamed(mode: str) -> None:
    report = loadmux.run(keys(mode, watch="fail"))
    assert not kinds(report), report
    report.assert_passed()


@pytest.mark.parametrize("model", ["threads", "fork", "process_pool", "asyncio", "epoll_et", "udp"])
def test_bundled_ones_are_healthy(model: str) -> None:
    report = loadmux.run(keys("fine") | {"target": {"bundled": model, "watch": "fail"}})
    assert not kinds(report), report
    report.assert_passed()


def test_work_that_clients_left_behind_is_no_finding() -> None:
    """Three that wait for replies of which each takes seconds to compute."""
    slow = keys("slow") | {"timeout": "300ms", "load": {"users": 3, "run_time": "1s"}}
    slow["steps"] = [{"send": "hello", "expect": "hello and more"}]
    report = loadmux.run(slow)
    assert report.verdict.code is ExitCode.FAIL
    assert not kinds(report), report


def test_they_may_count_as_faults(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(json.dumps(keys("leak", watch="fail")))
    junit = tmp_path / "made.xml"
    options = ("--report", f"junit={junit}", "--report", f"markdown={tmp_path / 'made.md'}")
    done = run(tmp_path / "s.yaml", *options, folder=tmp_path)
    assert done.code == 1, done.out + done.err
    assert "leaked_descriptors at step 'target': 1 time" in done.out
    (finding,) = done.told["findings"]
    assert finding["kind"] == "leaked_descriptors"
    assert finding["fault"] is True
    assert finding["text"].startswith("3 sockets of clients that had gone 2 s before still open")
    assert [one["kind"] for one in done.told["faults"]] == ["leaked_descriptors"]
    assert 'type="leaked_descriptors"' in junit.read_text()
    assert "leaked\\_descriptors: tcp://127.0.0.1:" in (tmp_path / "made.md").read_text()


def test_a_server_that_is_there_is_watched_where_that_is_asked_for() -> None:
    with start(words("leak")) as url:
        elsewhere = keys("leak") | {"target": url}
        assert not kinds(loadmux.run(elsewhere))
        assert kinds(loadmux.run(elsewhere, watch=True)) == {"leaked_descriptors"}
        told = loadmux.run(elsewhere | {"target": {"url": url, "watch": "fail"}})
        assert told.verdict.code is ExitCode.FAIL


def test_who_cannot_be_looked_at_is_told() -> None:
    report = loadmux.run(keys("fine") | {"target": "tcp://127.0.0.1:1"}, watch=True)
    assert report.verdict.code is ExitCode.UNREACHABLE
    assert any("can be looked at from here" in note for note in report.notes)


def test_under_locust(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(json.dumps(keys("leak", watch="fail")))
    done = command_line("web", "s.yaml", "--headless", "-u", "2", cwd=tmp_path)
    assert done.code == 1, done.out + done.err
    assert "leaked_descriptors: tcp://127.0.0.1:" in done.out + done.err


def test_a_name_may_hold_anything() -> None:
    process = parsed(7, "7 (a) Z 1 (b)) S 2 3 4 5 6\n")
    assert (process.name, process.state, process.parent, process.group) == ("a) Z 1 (b)", "S", 2, 3)
