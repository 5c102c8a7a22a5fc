"""All cases on all servers with a classic bug, and on their mended twins: what is found by what.

    python tests/bench/probe_bugs.py [--alone] [--mended] [BUG...]

Prints for each the case that is for the bug, whether it found it, what failed besides, and whether
the mended twin passes whole. `--alone` tries only the case that is for it, `--mended` only the
twins. Ends with 1 where a bug was missed or a mended twin blamed. Takes about a minute a bug.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import buggy

OPTIONS = ("--alone", "--mended")


def failing(bug: str, case: str, *words: str) -> dict[str, str]:
    """The cases that fail, with what is said of them."""
    report = buggy.probed(bug, case, *words)
    found = {one.id: f"{one.fault}: {one.detail}" for one in report.cases if one.failed}
    return found if found or not report.code else {"": report.reason}


def tried(bug: str, case: str, *words: str) -> dict[str, str]:
    """The same, with each of them printed."""
    began = perf_counter()
    found = failing(bug, case, *words)
    names = ", ".join(found) or "nothing"
    print(f"{' '.join((bug, *words))}: {names} ({perf_counter() - began:.0f} s)", flush=True)
    for one, told in found.items():
        print(f"    {one}: {told}", flush=True)
    return found


def main(words: list[str]) -> int:
    wrong = 0
    for bug in [one for one in words if one not in OPTIONS] or list(buggy.FOUND):
        case, _ = buggy.FOUND[bug]
        only = case if "--alone" in words and case != "control" else ""
        if "--mended" not in words:
            found = tried(bug, only)
            if not any(case.startswith(one) for one in found if one):
                print(f"    MISSED by {case}", flush=True)
                wrong += 1
        wrong += bool(tried(bug, only, "--mended"))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
