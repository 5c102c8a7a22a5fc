"""Batteries on bundled targets, which are right: whatever fails is a false alarm.

    python tests/bench/probe_soak.py [N] [CASE...]

N (50) batteries, each on the next bundled target, with another seed; run it while the machine is
busy with something else. Prints a line for each, and each false alarm with its evidence; ends with
1 where there was one.
"""

from __future__ import annotations

import sys
from itertools import cycle, islice

from loadmux.language.loading import load
from loadmux.probing import Settings, probe
from loadmux.running.catalog import models
from loadmux.running.servers.description import describe

STEPS = 'steps: [{send: "hello\\n", expect: reply}]'


def main(words: list[str]) -> int:
    count = int(words.pop(0)) if words and words[0].isdecimal() else 50
    usable = [one for one in models() if one != "udp" and describe(one).reason is None]
    alarms = 0
    for number, model in enumerate(islice(cycle(usable), count)):
        scenario = load("soak.yaml", text=f"target: {{bundled: {model}, reply: echo}}\n{STEPS}\n")
        report = probe(scenario, Settings(tuple(words), strict=True, seed=number))
        print(
            f"{number + 1} of {count}: {model}: {report.reason} ({report.duration:.0f} s)",
            flush=True,
        )
        for one in report.cases:
            if one.failed and one.level != "info":
                alarms += 1
                print(f"  FALSE ALARM {one.id} {one.again}/{one.times} {one.fault}: {one.detail}")
    print(f"{alarms} false alarms in {count} batteries")
    return bool(alarms)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
