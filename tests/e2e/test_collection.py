"""Nothing is asked of a machine when the tests are collected, so they are the same on every one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import bare
import pytest
from commands import ROOT

COLLECT = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]


@pytest.mark.timeout(300)  # it collects the whole suite, and twice where it is not run as a whole
def test_a_bare_machine_collects_the_same_tests(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """No program can be found, no optional package be imported, no process be started."""
    paths = [str(Path(bare.__file__).parent), os.environ.get("PYTHONPATH", "")]
    without = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(paths)}
    found = collected([*COLLECT, "-p", "bare"], without)
    whole = is_whole(request.config)
    usual = [one.nodeid for one in request.session.items] if whole else collected(COLLECT)
    assert len(usual) > 1000
    assert found == usual


def is_whole(config: pytest.Config) -> bool:
    """Whether the present run has all tests: none was chosen, and none left out."""
    choices = ("keyword", "markexpr", "deselect", "lf", "stepwise", "ignore", "ignore_glob")
    chosen = [name for name in choices if getattr(config.option, name, None)]
    return not chosen and config.args == config.getini("testpaths")


def collected(words: list[str], env: Mapping[str, str] = os.environ) -> list[str]:
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_the_bare_machine_is_bare() -> None:
    """What is taken away is there to be taken: a name that is misspelt would take nothing."""
    assert {"h11", "wsproto", "websockets", "selenium", "locust", "gevent"} <= bare.optional()
    assert not bare.optional() & {"typer", "rich", "yaml", "pytest", "hypothesis"}
