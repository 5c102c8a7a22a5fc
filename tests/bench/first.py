"""What the first exchange of each form costs, beside those after it: CPU of the generator.

    python tests/bench/first.py [NAME...] [--rounds 3]

The cases are those of `words.py`, with one user. A run of one iteration, less one of the constant
text, is what the first exchange costs beyond what every run does; the second is what one more of a
run of MANY costs. What is loaded or compiled while the run is on shows in the first.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import words
from peers import client

MANY = 50
OPEN = ("open 5000", "open 20000", "open 30000")


def cpu(path: Path, iterations: int) -> float | None:
    """Milliseconds of CPU of the generator from its first start on; None where it cannot read."""
    told = path.with_suffix(".json")
    options = ["-u", "1", "--iterations", str(iterations), "--json-file", str(told), "--quiet"]
    with client([*words.command(), "run", str(path), *options]) as process:
        out, err = process.communicate()
    if process.returncode == 2:
        return None
    if process.returncode:
        sys.exit(f"{path.stem}: {out}{err}")
    found = json.loads(told.read_text())
    (worker,) = found["generator"]["workers"]
    return float(worker["cpu"] * found["duration"] * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the cases; all")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    names = dict.fromkeys(("constant", *(asked.names or words.CASES)))
    if unknown := names.keys() - words.CASES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    base = 0.0
    print("CPU of the generator in ms: the first exchange beside a constant one, each after it")
    with TemporaryDirectory() as folder:
        for name in names:
            if name in OPEN:
                continue
            with words.server(name) as url:
                path = words.write(Path(folder), name, url)
                firsts = [cpu(path, 1) for _ in range(asked.rounds)]
                many = [cpu(path, MANY) for _ in range(asked.rounds)]
            first, last = ([one for one in every if one is not None] for every in (firsts, many))
            if not (first and last):
                print(f"{name:<14} not read by this version")
                continue
            base = base or median(first)
            each = (median(last) - median(first)) / (MANY - 1)
            print(f"{name:<14} {median(first) - base:6.2f}  {each:6.3f}", flush=True)


if __name__ == "__main__":
    main()
