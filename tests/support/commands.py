"""Runs the `loadmux` command and other programs as processes that end with the test."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOADMUX = [sys.executable, "-m", "loadmux"]
ENOUGH = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """A finished command; `told` is what it wrote to its `--json-file`, if it was given one."""

    code: int
    out: str
    err: str
    told: dict[str, Any]


def loadmux(*words: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Done:
    done = subprocess.run(
        [*LOADMUX, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=ENOUGH,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr, {})


def run(scenario: str | Path, *words: str | Path, folder: Path) -> Done:
    """`loadmux run` with a JSON file in `folder`."""
    told = folder / "told.json"
    done = loadmux("run", scenario, "--json-file", told, *words)
    found = json.loads(told.read_text()) if told.exists() else {}
    assert "Traceback" not in done.err, done.err
    return Done(done.code, done.out, done.err, found)


@contextlib.contextmanager
def started(words: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process of its own group for the `with` block; killed with all its children after it."""
    process = subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@contextlib.contextmanager
def target(model: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A bundled target server and the URL where it listens."""
    with started([*LOADMUX, "serve", model, *words], cwd=ROOT) as process:
        assert process.stdout is not None
        word, url = process.stdout.readline().split()
        assert word == "listening"
        yield process, url


def program(name: str) -> str:
    """The path of a program that a test drives; without it the test is skipped, but not in CI."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        missing = f"{name} is not installed (Debian: apt-get install {name})"
        assert "CI" not in os.environ, missing
        pytest.skip(missing)
    return found
