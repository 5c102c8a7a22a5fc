"""`under_locust.py` in an interpreter of its own: importing Locust patches the standard library."""

from __future__ import annotations

import subprocess
import sys

from commands import ROOT


def test_the_cases_under_locust() -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*words, "tests/support/under_locust.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
