"""Small servers with one classic bug each: found by the case that is for it, and gone when mended.

Those whose bug shows quickly; `tests/bench/probe_bugs.py` tries all of them, with all cases.
"""

from __future__ import annotations

import pytest
from buggy import FOUND, probed

from loadmux.measuring.exitcodes import ExitCode

QUICK = (
    "chunk-is-message",
    "shared-buffer",
    "one-line-a-read",
    "reads-once",
    "waits-for-line",
    "answers-the-end",
    "full-buffer-kills",
    "urgent-is-error",
    "two-writes",
    "hangs-up",
    "mixed-writes",
    "writer-stays",
    "pipe-stays",
)


@pytest.mark.parametrize("bug", QUICK)
def test_a_bug_is_found_by_its_case_and_gone_when_mended(bug: str) -> None:
    case, kind = FOUND[bug]
    report = probed(bug, case)
    found = report.cases[1]
    assert case.startswith(found.id)
    assert found.failed, report.as_dict()
    assert found.fault == (kind or found.fault), report.as_dict()
    mended = probed(bug, case, "--mended")
    assert mended.code is ExitCode.PASS, mended.as_dict()
    assert not mended.cases[1].failed
