"""Some of the mixtures of `tests/bench/mixtures.py`: a right server passes, a lie is the one fault."""

from __future__ import annotations

import subprocess
import sys

import pytest
from commands import ROOT


@pytest.mark.parametrize("words", [["--seed", "1", "--runs", "12"], ["--seed", "1", "--runs", "24", "--lie", "all"]], ids=["right", "liars"])  # fmt: skip
def test_no_verdict_is_wrong(words: list[str]) -> None:
    command = [sys.executable, ROOT / "tests/bench/mixtures.py", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
