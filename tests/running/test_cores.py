"""CPU of a target's processes and their children, and how many generator processes are `auto`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import needs
import pytest
from driving import scenario_for

import loadmux
from loadmux.errors import UsageError
from loadmux.running import cores

SPINS = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
URL = "tcp://127.0.0.1:1"
STEPS = "steps: [{send: a, expect: a}]\n"


def test_what_a_child_uses_is_the_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    needs.proc()
    monkeypatch.setattr(cores, "EVERY", 0.0)
    with subprocess.Popen([sys.executable, "-c", SPINS], start_new_session=True) as process:
        try:
            seen = cores.Cores([process.pid])
            seen.begin([os.getpid()])
            while (found := seen.target) is None or not (found.cores and found.ran):
                seen.look()
        finally:
            os.killpg(process.pid, 9)
    assert seen.generator is not None


@pytest.mark.parametrize("who", [os.getpid, os.getppid, lambda: 1], ids=["we", "parent", "first"])
def test_a_target_that_has_us_within_is_not_looked_at(
    who: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs.proc()
    monkeypatch.setattr(cores, "EVERY", 0.0)
    seen = cores.Cores([who()])
    seen.begin([])
    seen.look()
    assert seen.target is None


@pytest.mark.parametrize(
    ("target", "count", "wanted"),
    [
        (f"target: {URL}\n", 4, 4),
        ("target: {bundled: epoll, reply: echo}\n", 4, 3),
        ("target: {bundled: epoll, reply: echo}\n", 1, 1),
    ],
)
def test_auto_is_one_a_core_less_one_for_a_target_of_ours(
    target: str, count: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "available", lambda: count)
    scenario = scenario_for(f"{target}{STEPS}", ())
    assert cores.workers("auto", [scenario]) == wanted
    assert cores.workers("7", [scenario]) == cores.workers(7, [scenario]) == 7


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="neither a number from 1 on nor 'auto'"):
        cores.workers(text, [])


def test_a_container_has_the_cores_of_its_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    free = cores.available()
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert cores.available() == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores.available() == free


def test_a_run_of_a_bundled_target_knows_its_cpu() -> None:
    needs.proc()
    load = {"users": 2, "run_time": "1s"}
    target = {"bundled": "epoll", "reply": "echo"}
    scenario = {"target": target, "load": load, "steps": [{"send": "a", "expect": "a"}]}
    report = loadmux.run(scenario, workers="auto")
    assert report.target_cpu is not None
    assert report.generator_cpu is not None
