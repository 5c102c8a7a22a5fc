"""The files of `inside/`, each in an interpreter of its own.

Importing Locust, and so anything of `loadmux.locust`, patches the standard library of the whole
process: no test may do it in the one that runs all the others.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT

FILES = sorted((Path(__file__).parent / "inside").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_under_locust(path: Path) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*words, str(path)], capture_output=True, text=True, check=False, timeout=90, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
