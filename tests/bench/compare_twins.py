"""python tests/bench/compare_twins.py [--comparisons N] [--budget D]: `compare` with real twins.

N comparisons of a bundled model with itself, which must be a tie in 19 of 20, and N with a twin
that is a tenth slower (the fault `slow`, by a tenth of the CPU that an exchange costs here), which
must be told; in turn, so that both meet the same machine. Prints each, and how many came out right,
by exchanges a second and by CPU. Twins take the whole budget, the slower one until it is told: at
most 2 N times the budget, by default 20 minutes. A turn takes 1.1 s on two cores, so a minute has
27 blocks; see twins.py for what so many can tell.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from loadmux.comparing import results
from loadmux.comparing.contest import Contest, Metric

ROOT = Path(__file__).resolve().parents[2]
SLOWER = 0.1
SHOWN: tuple[Metric, ...] = ("rate", "cpu")


def compared(words: list[str]) -> Contest:
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told.json")
        command = [sys.executable, "-m", "loadmux", "compare", *words, "--json-file", str(told)]
        done = subprocess.run([*command, "--quiet"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return results.read_contest(told)


def verdicts(contest: Contest) -> dict[Metric, bool | None]:
    """Whether the second one was told from the first; None where it was taken for the better."""
    found: dict[Metric, bool | None] = {}
    for metric in SHOWN:
        ratio = contest.ratio(1, 0, 0, metric)
        differs = ratio is not None and ratio.differs
        worse = ratio is not None and (ratio.value < 1) is (metric == "rate")
        found[metric] = None if differs and not worse else differs
    return found


def shown(contest: Contest, name: str) -> str:
    texts = [f"{name:<6} {contest.rounds:>3} rounds"]
    for metric in SHOWN:
        ratio = contest.ratio(1, 0, 0, metric)
        if ratio is not None:
            mark = "told" if ratio.differs else "tie"
            interval = f"{ratio.low:.3f}..{ratio.high:.3f}"
            texts.append(f"{metric} {ratio.value:.3f} ({interval}) {mark:<4}")
    return "  ".join(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparisons", type=int, default=10)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--model", default="epoll")
    parser.add_argument("--json-file", type=Path)
    options = parser.parse_args()
    model, budget = options.model, ["--budget", options.budget]
    first = compared([f"a={model}", f"b={model}", *budget])
    cost = sorted(first.series(0, 0, "cpu").values())[len(first.series(0, 0, "cpu")) // 2]
    slow = f"b={model},fault=slow:{cost * SLOWER * 1e6:.2f}us"
    print(f"an exchange costs {cost * 1e6:.1f} us of CPU; the slower twin is {slow}", flush=True)
    found: dict[str, list[dict[Metric, bool | None]]] = {"twins": [], "slower": []}
    for _ in range(options.comparisons):
        for name, other in (("twins", f"b={model}"), ("slower", slow)):
            contest = compared([f"a={model}", other, *budget])
            found[name].append(verdicts(contest))
            print(shown(contest, name), flush=True)
    told: dict[str, Any] = {}
    for name, all_of_them in found.items():
        for metric in SHOWN:
            count = sum(one[metric] is (name == "slower") for one in all_of_them)
            told[f"{name} {metric}"] = [count, len(all_of_them)]
            right = "were a tie" if name == "twins" else "were told"
            print(f"{name}, by {metric}: {count} of {len(all_of_them)} {right}")
    if options.json_file is not None:
        options.json_file.write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
