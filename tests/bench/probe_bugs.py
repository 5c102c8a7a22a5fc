"""All cases on all servers with a classic bug, and on their mended twins: what is found by what.

    python tests/bench/probe_bugs.py [--alone] [BUG...]

Prints a line for each: the case that is for the bug, whether it found it, what else failed, and
whether the mended twin passes whole. `--alone` tries only the case that is for it. Ends with 1
where a bug was missed or a mended twin blamed. Takes about two minutes a bug.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import buggy


def failing(bug: str, case: str, *words: str) -> dict[str, str]:
    """The cases that fail, with the kinds of their faults."""
    report = buggy.probed(bug, case, *words)
    return {one.id: one.fault for one in report.cases if one.failed}


def main(words: list[str]) -> int:
    wrong, alone = 0, "--alone" in words
    for bug in [one for one in words if one != "--alone"] or list(buggy.FOUND):
        case, _ = buggy.FOUND[bug]
        found = failing(bug, case if alone else "")
        mended = failing(bug, case if alone else "", "--mended")
        hit = any(case.startswith(one) for one in found)
        wrong += not hit or bool(mended)
        print(
            f"{bug}: {case} {'found it' if hit else 'MISSED it'}; all: {found};"
            f" mended: {mended or 'passes'}",
            flush=True,
        )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
