"""`loadmux.run`: a scenario from a program, with nothing printed and no signal handler."""

from __future__ import annotations

import importlib
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from driving import Server, answering

import loadmux
from loadmux.errors import ScenarioErrors, UsageError
from loadmux.measuring.exitcodes import ExitCode

ASK = {
    "steps": [{"name": "ask", "send": "hello ${user}", "expect": "hello ${user}"}],
    "load": {"users": 3, "iterations": 4},
}


def echo(data: bytes) -> bytes:
    return data


def flipped(data: bytes) -> bytes:
    return data[:2] + bytes([data[2] ^ 1]) + data[3:]


def test_a_mapping_against_a_server_that_is_right(capfd: pytest.CaptureFixture[str]) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with Server(answering(echo)) as server:
        report = loadmux.run(ASK, target=server.url, users=2)
    report.assert_passed()
    assert report.passed
    assert report.stats.total.count == 8
    assert handlers == {number: signal.getsignal(number) for number in handlers}
    assert capfd.readouterr() == ("", "")


def test_a_server_that_is_wrong_is_told_with_the_byte() -> None:
    with Server(answering(flipped)) as server:
        report = loadmux.run(ASK, target=server.url)
    assert report.verdict.code is ExitCode.FAIL
    with pytest.raises(AssertionError, match="first wrong byte is byte 2 of the reply"):
        report.assert_passed()


def test_numbers_are_seconds_and_a_second() -> None:
    bundled = ASK | {"target": {"bundled": "epoll", "reply": "echo"}, "load": {}}
    report = loadmux.run(bundled, run_time=0.4, rate=50, users=2, thresholds=["errors == 0"])
    report.assert_passed()
    assert 5 < report.stats.begun <= 30


def test_two_scenarios_and_a_lie_from_a_thread(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text("steps: [{send: hi, expect: hi}]\nload: {users: 1, iterations: 2}\n")
    found: list[Any] = []
    with Server(answering(echo)) as server:
        thread = threading.Thread(
            target=lambda: found.append(loadmux.run([file, ASK], target=server.url))
        )
        thread.start()
        thread.join()
    (report,) = found
    report.assert_passed()
    assert len(report.parts) == 2
    assert report.command.startswith(f"loadmux run {file} scenario --target {server.url} --seed ")
    lying = ASK | {"target": {"bundled": "epoll", "reply": "echo"}}
    assert loadmux.run(lying, fault="flip:1").verdict.code is ExitCode.FAIL


def test_mistakes_are_told() -> None:
    with pytest.raises(ScenarioErrors, match="stepz"):
        loadmux.run({"stepz": []})
    with pytest.raises(UsageError, match="no such file"):
        loadmux.run("nowhere")
    with pytest.raises(AttributeError):
        loadmux.nothing  # type: ignore[attr-defined]  # noqa: B018


TWO = """
import loadmux
from loadmux.scripting import User, scenario


@scenario(users=2, iterations=3)
async def ask(user: User) -> None:
    await user["main"].exchange(b"hello", expect=b"hello")


@scenario(users=1, iterations=1)
async def lie(user: User) -> None:
    await user["main"].exchange(b"hello", expect=b"olleh")


def plain() -> None:
    pass


def nested():
    @scenario()
    async def inner(user):
        pass

    return inner
"""


def test_a_function_is_a_scenario_also_one_of_several_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two_scenarios.py").write_text(TWO)
    monkeypatch.syspath_prepend(tmp_path)
    two = importlib.import_module("two_scenarios")
    with Server(answering(echo)) as server:
        right = loadmux.run(two.ask, target=server.url)
        wrong = loadmux.run(two.lie, target=server.url)
        both = loadmux.run([two.ask, ASK], target=server.url, users=2)
    assert (right.passed, right.stats.total.count) == (True, 6)
    assert wrong.verdict.code is ExitCode.FAIL
    assert len(both.parts) == 2
    for function, told in ((two.plain, "is no scenario"), (two.nested(), "the top level")):
        with pytest.raises(UsageError, match=told):
            loadmux.run(function, target="tcp://127.0.0.1:9")
