"""Every bundled model under `loadmux run`: right servers pass, and lies are told by their kind."""

from __future__ import annotations

from pathlib import Path

import needs
import pytest
from commands import loadmux, run

from loadmux.running.catalog import models, scenarios

STREAMS = [model for model in models() if model != "udp"]
MANY_AT_ONCE = [model for model in STREAMS if model != "blocking"]

TALK = """
steps:
  - {name: talk, send: "user ${user} in iteration ${iteration} says hello", expect: reply}
load: {users: 2, iterations: 3}
timeout: 700ms
"""
HALF_CLOSE = """
steps:
  - {send: "all that I have to say"}
  - {half_close: main}
  - {name: rest, expect: reply}
  - {name: end, expect: closed}
load: {users: 1, iterations: 1}
timeout: 700ms
"""
KINDS = {
    "short_send": "truncated",
    "lost_wakeup": "timeout",
    "flip": "corrupt",
    "duplicate": "duplicate",
    "swap": "crosstalk",
    "truncate": "truncated",
    "early_close": "closed",
    "reset": "reset",
    "silence": "timeout",
    "extra": "surplus",
}


@pytest.mark.parametrize("model", MANY_AT_ONCE)
def test_the_model_case_passes(model: str, tmp_path: Path) -> None:
    needs.model(model)
    text = (scenarios()["parts"]).read_text()
    untimed = tmp_path / "parts.yaml"  # how long replies take says as much of this machine
    untimed.write_text(text.replace(', "p(99) < 250ms"', ""))
    assert untimed.read_text() != text
    done = run(untimed, "--target", model, "--iterations", "3", folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert done.told["exchanges"]["count"] > 100


@pytest.mark.parametrize("scenario", ["stagger", "half_close", "churn"])
@pytest.mark.parametrize("model", STREAMS)
def test_scenarios_pass_on_every_model(model: str, scenario: str, tmp_path: Path) -> None:
    users = "1" if needs.model(model).at_once == 1 else "4"
    words = ("--target", model, "-u", users, "--iterations", "5")
    done = run(scenario, *words, folder=tmp_path)
    if scenario == "stagger" and users == "1":
        assert done.code == 2  # six sockets at once are five more than it serves
    else:
        assert done.code == 0, done.out + done.err
        assert done.told["exchanges"]["count"] > 0


@pytest.mark.parametrize("fault", KINDS)
@pytest.mark.parametrize("model", ["epoll", "threads"])
def test_a_lie_is_told_by_its_kind(model: str, fault: str, tmp_path: Path) -> None:
    scenario = tmp_path / "talk.yaml"
    scenario.write_text(TALK)
    words = ["--target", model, "--reply", "received", "--fault", fault]
    done = run(scenario, *words, folder=tmp_path)
    assert done.code == 1, done.out + done.err
    assert {group["kind"] for group in done.told["faults"]} == {KINDS[fault]}


@pytest.mark.parametrize("fault", ["flip:2", "early_close:2"])
@pytest.mark.parametrize("model", MANY_AT_ONCE)
def test_every_model_can_lie(model: str, fault: str, tmp_path: Path) -> None:
    needs.model(model)
    scenario = tmp_path / "talk.yaml"
    scenario.write_text(TALK)
    done = run(scenario, "--target", model, "--reply", "upper", "--fault", fault, folder=tmp_path)
    assert done.code == 1, done.out + done.err
    (group,) = done.told["faults"]
    assert group["kind"] == KINDS[fault.split(":")[0]]
    assert group["examples"][0]["iteration"] == 1


@pytest.mark.parametrize("model", STREAMS)
def test_no_end_after_a_half_close_is_told(model: str, tmp_path: Path) -> None:
    needs.model(model)
    scenario = tmp_path / "half_close.yaml"
    scenario.write_text(HALF_CLOSE)
    words = ["--target", model, "--reply", "echo"]
    assert run(scenario, *words, folder=tmp_path).code == 0
    done = run(scenario, *words, "--fault", "no_eof", folder=tmp_path)
    assert done.code == 1, done.out + done.err
    (group,) = done.told["faults"]
    assert (group["kind"], group["step"]) == ("timeout", "end")


@pytest.mark.parametrize("model", ["epoll", "threads", "blocking"])
def test_a_drip_is_right(model: str, tmp_path: Path) -> None:
    scenario = tmp_path / "talk.yaml"
    scenario.write_text(TALK.replace("users: 2", "users: 1"))
    words = ["--target", model, "--reply", "received", "--fault", "drip"]
    assert run(scenario, *words, folder=tmp_path).code == 0


def test_more_connections_than_a_model_has_is_said() -> None:
    done = loadmux("run", "parts", "--target", "blocking")
    assert done.code == 2
    assert "serves 1 at once, and this scenario opens 100 connections" in done.err
    done = loadmux("run", "idle", "--target", "process_pool")
    assert done.code == 2
    assert "256" in done.err


def test_a_model_that_cannot_run_here_says_why() -> None:
    absent = needs.absent_models()
    assert absent, "epoll and kqueue are on no machine both"
    for told in absent:
        done = loadmux("run", "parts", "--target", told.model)
        assert done.code == 4
        assert done.err.endswith(f"target {told.model} cannot run here: {told.reason}\n")


def test_an_unknown_fault_is_a_usage_error() -> None:
    done = loadmux("run", "parts", "--fault", "nonsense")
    assert done.code == 2
    assert "nonsense" in done.err


def test_only_a_bundled_target_can_be_told_to_lie() -> None:
    done = loadmux("run", "parts", "--target", "tcp://127.0.0.1:1", "--fault", "flip")
    assert done.code == 2
    assert "only a bundled target" in done.err
