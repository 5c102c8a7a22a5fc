"""Looks for false alarms: random scenarios against right servers, while somebody is stopped.

`python tests/bench/soak.py --minutes 10 [--seed N] [--poller NAME] [--kind NAME] [--runs N]` draws
run after run: a scenario and its server (`soak_cases.py`), a poller, workers, and pauses, in which
the whole generator, its workers, the process that shows the run, or the target is stopped (SIGSTOP)
for a while; the target for less than the time-out. A run passes with exit code 0, or with 3 where
somebody was stopped or the load is open. The first one that does not ends it: its scenario is
kept, and printed with its pauses. The same seed draws the same runs.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from soak_cases import RUN_TIME, TIMEOUT, Case, kinds, loadmux

POLLERS = ("epoll", "poll", "select")
WHO = ("generator", "workers", "parent", "target")
STARTING = 1.0
PASS, INCONCLUSIVE = 0, 3
ENOUGH = 90.0
VERDICT = re.compile(r" [A-Z]{4,} ")


@dataclass(frozen=True, slots=True)
class Pause:
    """From `at` seconds after the start of the run, for so many `seconds`."""

    who: str
    at: float
    seconds: float


def pauses(chance: random.Random) -> list[Pause]:
    """Some runs have none, most have one or two; of the generator some outlast the time-out."""
    drawn = []
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        who = chance.choice(WHO)
        seconds = chance.uniform(0.05, 1.5)
        if who == "target":
            seconds = min(seconds, TIMEOUT / 4)
        elif chance.random() < 0.3:
            seconds = TIMEOUT + chance.uniform(0.3, 1.5)
        drawn.append(Pause(who, chance.uniform(0.0, STARTING + RUN_TIME), seconds))
    return sorted(drawn, key=lambda one: one.at)


@contextmanager
def server(case: Case) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server's process, in a group of its own, and its URL."""
    process = subprocess.Popen(
        case.command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, said(process) if case.url is None else listening(case.url)
    finally:
        to_group(process, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("listening "):
        raise SystemExit(f"{process.args!r} said {line!r} and ended with {process.wait()}")
    return line.split()[1]


def listening(url: str) -> str:
    """The URL, once somebody listens there."""
    port = int(url.rsplit(":", 1)[1])
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return url
        sleep(0.02)


def to_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def to_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def children(pid: int) -> list[int]:
    try:
        return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    except OSError:
        return []


def hold(
    pause: Pause, run: subprocess.Popen[str], target: subprocess.Popen[str], began: float
) -> None:
    """Stop whom it is about, and let them go on."""
    sleep(max(0.0, began + pause.at - monotonic()))
    if pause.who in ("generator", "target"):
        process = run if pause.who == "generator" else target
        to_group(process, signal.SIGSTOP)
        sleep(pause.seconds)
        to_group(process, signal.SIGCONT)
        return
    nurseries = children(run.pid)
    pids = [one for nursery in nurseries for one in children(nursery)]
    pids = pids if pause.who == "workers" else [run.pid]
    to_all(pids, signal.SIGSTOP)
    sleep(pause.seconds)
    to_all(pids, signal.SIGCONT)


def perform(
    case: Case, words: Sequence[str], plan: Sequence[Pause], folder: Path
) -> tuple[int, str]:
    """Exit code and output of a run."""
    path = folder / "soak.yaml"
    path.write_text(case.text)
    with server(case) as (target, url):
        command = [*loadmux("run", str(path), "--target", url), *words]
        run = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        began = monotonic()
        holds = [threading.Thread(target=hold, args=(one, run, target, began)) for one in plan]
        for one in holds:
            one.start()
        try:
            out, _ = run.communicate(timeout=ENOUGH)
        finally:
            to_group(run, signal.SIGKILL)
            for one in holds:
                one.join()
    return run.returncode, out


def words_for(chance: random.Random, case: Case, seed: int, poller: str | None) -> list[str]:
    poller = poller or chance.choice(POLLERS)
    words = ["--poller", poller, "--seed", str(seed), "--workers", str(chance.choice((1, 1, 2)))]
    command = list(case.command)
    if "--reply" in command:
        words += ["--reply", command[command.index("--reply") + 1]]
    elif "slow" in command:
        words += ["--reply", "echo"]
    return words


def soak(wanted: argparse.Namespace) -> int:
    first = wanted.seed if wanted.seed is not None else random.randrange(1 << 30)
    draws = [one for one in kinds() if wanted.kind in (None, one.__name__)]
    until, seed, codes = monotonic() + wanted.minutes * 60, first, Counter[int]()
    while monotonic() < until and (wanted.runs is None or seed - first < wanted.runs):
        chance = random.Random(seed)
        with tempfile.TemporaryDirectory() as folder:
            case = chance.choice(draws)(chance, Path(folder))
            words, plan = words_for(chance, case, seed, wanted.poller), pauses(chance)
            code, out = perform(case, words, plan, Path(folder))
        shown = ", ".join(f"{p.who} at {p.at:.1f} for {p.seconds:.1f} s" for p in plan) or "none"
        verdict = next(filter(VERDICT.match, out.splitlines()), "no verdict").strip()
        print(f"{seed} {case.about}: {verdict}; stopped: {shown}")
        sys.stdout.flush()
        if code != PASS and not (code == INCONCLUSIVE and (plan or case.open)):
            kept = Path(tempfile.gettempdir()) / f"soak-{seed}.yaml"
            kept.write_text(case.text)
            print(f"seed {seed}, exit code {code}, {' '.join(words)}, kept as {kept}\n{case.text}")
            print(out)
            return 1
        codes[code] += 1
        seed += 1
    print(f"{seed - first} runs, no false alarm; exit codes {dict(codes)}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--runs", type=int, default=None, help="end after so many")
    parser.add_argument("--poller", choices=POLLERS, default=None)
    parser.add_argument("--kind", choices=sorted({one.__name__ for one in kinds()}), default=None)
    return soak(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
