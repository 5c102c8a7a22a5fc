"""What forms of the language cost beside a constant exchange: CPU of the generator an exchange.

    python tests/bench/words.py [NAME...] [--rounds 5] [--seconds 2]

Each round runs every case once, so that what the machine does meanwhile meets all alike. Printed
are the ratios to the constant exchange of the same round: their median and range. `on_connect`,
`ignore`, `join`, `sized` and `int` shall cost at most twice as much; nothing here fails a build. A
word that this version does not read is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HEAD = "target: {bundled: %s, reply: echo}\nload: {%s}\n"
LINE = "sockets: {main: {framing: line%s}}\n"
CASES = {
    "constant": '- {send: "hello there", expect: "hello there"}',
    "text": '- {send: "hello ${iteration}", expect: "hello ${iteration}"}',
    "formula": '- {send: "hello ${iteration + 1}", expect: "${sent}"}',
    "int": '- {send: {int: "${iteration}", bytes: 4}, expect: {int: "${iteration}", bytes: 4}}',
    "sized": '- {send: {sized: "n ${iteration}", bytes: 2}, expect: "${sent}"}',
    "sized int": '- {send: {sized: {join: [a, {int: "${iteration}", bytes: 4}]}, bytes: 2},'
    ' expect: "${sent}"}',
    "checked": '- {send: {checked: "n ${iteration}", check: crc32}, expect: "${sent}"}',
    "pick": '- {send: {pick: [one, two, three]}, expect: "${sent}"}',
    "random of": '- {send: {random: 8, of: hex}, expect: "${sent}"}',
    "join": '- {send: "ab${iteration}", expect: {join: [ab, {length: 1, save: n}, any]}}',
    "on_connect": '- {send: "hello there", expect: "hello there"}',
    "ignore": "- {send: {frame: hello there}, expect: {frame: hello there}}",
    "header": "- {send: {frame: hello, header: '1-'}, expect: {frame: hello, header: '1-'}}",
    "header id": "- {send: {frame: hello,"
    " header: {join: [{int: '${iteration}', bytes: 4}, ------]}},"
    " expect: {frame: hello, header: {join: [{int: '${iteration}', bytes: 4}, {length: 6}]}}}",
    "check": "- {send: {frame: hello}, expect: {frame: hello}}",
    "lines_until": "- {send: {frame: 250 hello}, expect: {frame: 250 hello}}",
}
SOCKETS = {
    "on_connect": "sockets: {main: {on_connect: [{send: login, expect: login}]}}\n",
    "ignore": LINE % ", ignore: [{regex: 'PING .*'}]",
    "join": LINE % "",
    "header": "sockets: {main: {framing: {length_prefix: {at: 1, varint: true}}}}\n",
    "header id": "sockets: {main: {framing: {length_prefix: {at: 4, bytes: 4, header: 10}}}}\n",
    "check": "sockets: {main: {framing: {length_prefix: {bytes: 2}, check: crc32}}}\n",
    "lines_until": "sockets: {main: {framing: {lines_until: '\\d{3} .*'}}}\n",
    **dict.fromkeys(("regex", "capture", "frame"), LINE % ""),
    **dict.fromkeys(("two sockets", "together"), "sockets: [main, other]\n"),
}
TARGETS = {"tls": "epoll, tls: true", "udp": "udp"}
LOADS = {"open load": "rate: 5000/s, max_users: 50"}
FORMS = {
    "length": '- {send: "hello there", expect: {length: 11}}',
    "until": '- {send: "hello there;", expect: {until: ";"}}',
    "regex": "- {send: {frame: hello there}, expect: {regex: 'hel+o \\w+'}}",
    "capture": "- {send: {frame: hello there}, expect: {regex: 'hel+o (?P<who>\\w+)'}}",
    "frame": "- {send: {frame: hello there}, expect: {frame: hello there}}",
    "save": '- {send: "hello there", expect: "hello there", save: told}',
    "pieces": '- {send: "hello there", pieces: [5], expect: "hello there"}',
    "two sockets": '- {on: all, send: "hello there", expect: "hello there"}',
    "several names": '- {send: "${user} ${iteration} ${socket}", expect: "${sent}"}',
    "user": '- {send: "hello ${user}", expect: "hello ${user}"}',
    "together": "- {together: [[{on: main, send: hello, expect: hello}],"
    " [{on: other, send: hello, expect: hello}]]}",
    "echo 64 KiB": "- {send: {random: 64KiB}, expect: reply}",
    "tls": '- {send: "hello there", expect: "hello there"}',
    "udp": '- {send: "hello there", expect: "hello there"}',
    "churn": '- {send: "hello there", expect: "hello there"}\n  - {close: main}',
    "open load": '- {send: "hello there", expect: "hello there"}',
}
CASES |= FORMS
CASES["join"] = (
    '- {send: {frame: "ab${iteration}"}, expect: {frame: {join: [ab, {length: 1, save: n}, any]}}}'
)


def command() -> list[str]:
    return [sys.executable, "-m", "loadmux"]


def cpu(path: Path, seconds: float) -> float | None:
    """Microseconds of CPU an exchange; None where this version does not read the file."""
    told = path.with_suffix(".json")
    words = ["run", str(path), "-t", f"{seconds:g}s", "--json-file", str(told), "--quiet"]
    done = subprocess.run([*command(), *words], capture_output=True, text=True, check=False)
    if done.returncode == 2:
        return None
    if done.returncode:
        sys.exit(f"{path.stem}: {done.stdout}{done.stderr}")
    found = json.loads(told.read_text())
    (worker,) = found["generator"]["workers"]
    return float(worker["cpu"] * found["duration"] / found["exchanges"]["count"] * 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the cases; all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    asked = parser.parse_args()
    cases = {name: CASES[name] for name in ("constant", *asked.names)} if asked.names else CASES
    costs: dict[str, list[float]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(asked.rounds):
            for name, steps in cases.items():
                path = Path(folder) / f"{name.replace(' ', '_')}.yaml"
                head = HEAD % (TARGETS.get(name, "epoll"), LOADS.get(name, "users: 10"))
                path.write_text(f"{head}{SOCKETS.get(name, '')}steps:\n  {steps}\n")
                found = cpu(path, asked.seconds)
                if found is not None:
                    costs[name].append(found)
    for name, every in costs.items():
        if not every:
            print(f"{name:<12} not read by this version")
            continue
        ratios = [one / base for one, base in zip(every, costs["constant"], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{name:<12} {median(every):6.1f} us  {median(ratios):5.2f} times  ({spread})")


if __name__ == "__main__":
    main()
