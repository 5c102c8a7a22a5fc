"""What a connected user costs in memory: resident memory of a generator with ever more of them.

    python tests/bench/memory.py [CASE...] [--users 10000] [--rounds 3]

Against a redis-server of its own. Each case is run with one user, with a tenth of `--users`, and
with all of them; once all are connected and have had an exchange, VmRSS of the generator (proc(5))
less that with one user is divided by the users. `idle` users wait from then on, `busy` ones go on.
What the kernel holds of their sockets is not the process's.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import sleep

import peers

KIB = 1024
SETTLE = 3.0
PING = r'{send: "PING\r\n", expect: "+PONG\r\n"}'
CASES = {
    "idle": f"steps:\n  - {PING}\n  - {{wait: 10m}}\n",
    "busy": f"steps:\n  - {PING}\n",
    "two sockets": f"sockets: [main, other]\nsteps:\n  - {PING.replace('{', '{on: all, ', 1)}\n"
    "  - {wait: 10m}\n",
}
HEAD = "target: {{url: 'tcp://{host}:{port}'}}\nload: {{users: {users}}}\n"


def resident(folder: Path, case: str, users: int) -> float:
    """Bytes of the generator's resident memory with so many users."""
    path, report = folder / "scenario.yaml", folder / "report.json"
    sockets = 2 if case == "two sockets" else 1
    with peers.redis_server() as port:
        head = HEAD.format(host=peers.HOST, port=port, users=users)
        path.write_text(head + CASES[case])
        command = peers.loadmux_command(str(path), port, users, peers.LONGEST, report)
        with peers.crowd(command, port, users * sockets) as (pid, _):
            sleep(SETTLE)
            return peers.resident(peers.generator(pid))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if unknown := set(asked.cases) - CASES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    print("users        KiB for each of them, one's process apart")
    with TemporaryDirectory() as folder:
        for case in asked.cases or CASES:
            alone = median(resident(Path(folder), case, 1) for _ in range(asked.rounds))
            most = min(asked.users, peers.raise_descriptor_limit() // (3 if " " in case else 1))
            for users in (most // 10, most):
                found = [resident(Path(folder), case, users) for _ in range(asked.rounds)]
                each = [(one - alone) / (users - 1) / KIB for one in found]
                spread = f"{min(each):.2f} to {max(each):.2f}"
                print(f"{users:>6,} {case:<12} {median(each):.2f}  ({spread})", flush=True)


if __name__ == "__main__":
    main()
