"""How well open load keeps its schedule: 5,000 starts a second for ten seconds, on a quiet machine.

    python tests/bench/schedule.py [RATE [SECONDS]]

Prints the starts made, what share of the schedule they are, and by how much the generator was late.
Ends with 1 where more than 0.1% are missing or 1% of the starts were 2 ms late or more. Not part of
the test-suite, which asserts no speed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

MISSING = 0.001
LATE = 0.002

SCENARIO = """
target: {{bundled: epoll, reply: echo}}
steps: [{{name: talk, send: "hello", expect: reply}}]
load: {{rate: {rate}/s, max_users: 500, run_time: {seconds}s}}
"""


def main(rate: int = 5000, seconds: int = 10) -> int:
    with TemporaryDirectory() as folder:
        scenario, told = Path(folder) / "schedule.yaml", Path(folder) / "told.json"
        scenario.write_text(SCENARIO.format(rate=rate, seconds=seconds))
        command = [
            sys.executable,
            "-m",
            "loadmux",
            "run",
            str(scenario),
            "-q",
            "--json-file",
            str(told),
        ]
        subprocess.run(command, check=False)
        schedule = json.loads(told.read_text())["schedule"]
    share, late = schedule["begun"] / (rate * seconds), schedule["lateness"]
    print(f"{schedule['begun']:,} of {rate * seconds:,} starts ({share:.3%})")
    print(f"{schedule['waited']:,} waited for a user, {schedule['dropped']:,} were dropped")
    print(f"late: p50 {late['p50'] * 1e6:.0f} us, p99 {late['p99'] * 1e6:.0f} us")
    return 0 if abs(share - 1) <= MISSING and late["p99"] < LATE else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
