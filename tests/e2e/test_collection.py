"""Nothing is asked of a machine when the tests are collected, so they are the same on every one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bare
import pytest
from commands import ROOT

COLLECT = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]


@pytest.mark.timeout(300)  # it collects the whole suite twice
def test_a_bare_machine_collects_the_same_tests(tmp_path: Path) -> None:
    """No program can be found, no optional package be imported, no process be started."""
    paths = [str(Path(bare.__file__).parent), os.environ.get("PYTHONPATH", "")]
    without = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(paths)}
    commands = ((COLLECT, os.environ), ([*COLLECT, "-p", "bare"], without))
    started = [
        subprocess.Popen(words, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        for words, env in commands
    ]
    (usual, _), (found, _) = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], found[-5000:]
    tests = [line for line in usual.splitlines() if "::" in line]
    assert len(tests) > 1000
    assert [line for line in found.splitlines() if "::" in line] == tests


def test_the_bare_machine_is_bare() -> None:
    """What is taken away is there to be taken: a name that is misspelt would take nothing."""
    assert {"h11", "wsproto", "websockets", "selenium", "locust", "gevent"} <= bare.optional()
    assert not bare.optional() & {"typer", "rich", "yaml", "pytest", "hypothesis"}
