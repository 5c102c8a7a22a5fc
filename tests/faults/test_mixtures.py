"""Some mixtures of `tests/bench/mixtures.py`: a right server passes, a lie is the one fault."""

from __future__ import annotations

import subprocess
import sys

import pytest
from commands import ROOT


@pytest.mark.parametrize("words", [["--runs", "8"], ["--runs", "8", "--lie", "all"]])
def test_no_verdict_is_wrong(words: list[str]) -> None:
    command = [sys.executable, f"{ROOT}/tests/bench/mixtures.py", "--seed", "1", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
