"""Looks for false alarms: random scenarios against the bundled targets, which are right servers.

`python tests/bench/soak.py --minutes 10 [--seed N]` draws scenario after scenario (rule, sockets
and their buffers, payload sizes, pieces, gaps, pipelining, half-close), runs each for a few seconds
on a random model and poller, and stops at the first one that does not pass: its file is kept and
named.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

RULES = ("echo", "upper", "ok", "received", "upper_sb", "hello", "sink")
MODELS = (
    *("select", "poll", "epoll", "epoll_et", "epoll_oneshot", "selectors", "event_loop", "signal"),
    *("threads", "thread_pool", "fork", "nonblocking", "io_uring", "asyncio", "gevent"),
)
POLLERS = ("epoll", "poll", "select")
TEXTS = (
    "_SB",
    "a_sb_SB_",
    "it's",
    'say \\"hi\\"',
    'it\'s \\"both\\"',
    "\\\\ \\n\\t",
    "ok",
    "plain",
)


def size(chance: random.Random, most: int) -> int:
    """Sizes of all orders of magnitude, the small ones as often as the large ones."""
    return max(1, int(most ** chance.random()))


def payload(chance: random.Random, rule: str) -> str:
    most = 64 * 1024 if rule in ("received", "upper_sb") else 1024 * 1024
    kind = chance.random()
    if kind < 0.6:
        return f"{{random: {size(chance, most)}}}"
    text = chance.choice(TEXTS)
    if kind < 0.8:
        return f'{{repeat: "{text}", times: {size(chance, 500)}}}'
    return f'{{join: ["{text} ${{user}} ${{iteration}} ", {{random: {size(chance, 5000)}}}]}}'


def cutting(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.6:
        return ""
    if kind < 0.8:
        return f", pieces: {max(100, size(chance, 100_000))}"
    sizes = [size(chance, 3000) + 50 for _ in range(chance.randint(1, 4))]
    gap = ", gap: 1ms" if chance.random() < 0.2 and min(sizes) > 500 else ""
    return f", pieces: {sizes}{gap}"


def scenario(chance: random.Random) -> tuple[str, str]:
    """The text of a scenario, and the rule that its target must follow."""
    rule = chance.choice(RULES)
    sockets = []
    for name in "abc"[: chance.randint(1, 3)]:
        options = []
        if chance.random() < 0.3:
            options.append(f"receive_buffer: {size(chance, 100_000) + 2048}")
        if chance.random() < 0.3:
            options.append(f"send_buffer: {size(chance, 100_000) + 2048}")
        if chance.random() < 0.3:
            options.append(f"count: {chance.randint(2, 4)}")
        sockets.append(f"  {name}: {{{', '.join(options)}}}")
    names = [line.split(":")[0].strip() for line in sockets]
    steps = []
    for _ in range(chance.randint(1, 5)):
        on = chance.choice(names)
        if chance.random() < 0.2:
            steps.append(f"  - {{on: {on}, send: {payload(chance, rule)}{cutting(chance)}}}")
        send = f"send: {payload(chance, rule)}{cutting(chance)}"
        steps.append(f"  - {{on: {on}, {send}, expect: reply}}")
    if chance.random() < 0.3:
        on = chance.choice(names)
        steps.append(f"  - {{half_close: {on}}}")
        steps.append(f"  - {{on: {on}, expect: closed}}")
    elif chance.random() < 0.3 and rule not in ("ok", "hello"):
        steps.append(f"  - {{close: {chance.choice(names)}}}")
    text = "\n".join(["sockets:", *sockets, "steps:", *steps])
    return f"{text}\nload: {{users: {size(chance, 40)}, run_time: 2s}}\ntimeout: 20s\n", rule


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    wanted = parser.parse_args()
    first = wanted.seed if wanted.seed is not None else random.randrange(1 << 30)
    until, seed = monotonic() + wanted.minutes * 60, first
    with tempfile.TemporaryDirectory() as folder:
        while monotonic() < until:
            chance = random.Random(seed)
            text, rule = scenario(chance)
            path = Path(folder) / f"soak-{seed}.yaml"
            path.write_text(text)
            model, poller = chance.choice(MODELS), chance.choice(POLLERS)
            words = ["--target", model, "--reply", rule, "--poller", poller, "--seed", str(seed)]
            command = [sys.executable, "-m", "loadmux", "run", str(path), *words]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"seed {seed}, exit code {done.returncode}: {' '.join(words)}\n{text}")
                print(done.stdout, done.stderr)
                return 1
            print(f"seed {seed} {model:9} {poller:6} {rule:8} {done.stdout.splitlines()[0]}")
            seed += 1
    print(f"{seed - first} scenarios, no fault")
    return 0


if __name__ == "__main__":
    sys.exit(main())
