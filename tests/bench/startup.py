"""python tests/bench/startup.py [--rounds N]: CPU time of starting, beside the packages it needs.

Commands run in turn (A B A B), each in a fresh interpreter; CPU time (user and system) is that of
the process and its children, from wait4(2). Prints for each command the median ratio to
`python -c "import typer, rich"`, with its range.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEER = ["-c", "import typer, rich"]
COMMANDS = {
    "loadmux --version": ["-m", "loadmux", "--version"],
    "loadmux run --help": ["-m", "loadmux", "run", "--help"],
    "loadmux check parts": ["-m", "loadmux", "check", "parts"],
    "a generator's imports": ["-c", "import loadmux.running.generators.process"],
}


def cpu_seconds(words: list[str]) -> float:
    """CPU time of one Python process, its output thrown away."""
    pid = os.fork()
    if not pid:
        os.chdir(ROOT)
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.execv(sys.executable, [sys.executable, *words])
    _, status, used = os.wait4(pid, 0)
    assert status == 0, f"{words} ended with status {status}"
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    peer: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, words in COMMANDS.items():
            peer.append(cpu_seconds(PEER))
            ratios[name].append(cpu_seconds(words) / peer[-1])
    print(f"import typer, rich     {statistics.median(peer) * 1e3:.0f} ms of CPU")
    for name, found in ratios.items():
        median = statistics.median(found)
        print(f"{name:<22} {median:.2f}  ({min(found):.2f} .. {max(found):.2f})")


if __name__ == "__main__":
    main()
