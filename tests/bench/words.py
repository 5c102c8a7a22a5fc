"""What forms of the language cost beside a constant exchange: CPU of the generator an exchange.

    python tests/bench/words.py [NAME...] [--rounds 5] [--seconds 2]

Each round runs every case once, so that what the machine does meanwhile meets all alike; the server
has one core, loadmux another. Printed are the ratios to the constant exchange of the same round:
their median and range. Nothing here fails a build. A word that this version does not read is left
out, and so is http where nginx is not installed.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from peers import HOST, client
from servers import CA, bundled, nginx

HEAD = "target: {url: '%s'%s}\nload: {%s}\n"
ALLOWED = (0, 3)
"""Open load that no core can keep up with is measured all the same: it is inconclusive."""
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
    "within": '- {send: "n ${iteration}", expect: "n ${iteration}", within: 1s}',
    "two steps": '- {send: "n ${iteration}"}\n  - {expect: "n ${iteration}"}',
    "save text": '- {send: "n ${iteration}", expect: "n ${iteration}", save: told}',
    "list": '- {send: "n ${iteration};two", expect: [{until: ";"}, two]}',
    "one of": "- {send: {frame: '${iteration}'},"
    " expect: {one_of: [{frame: no}, {regex: '[0-9]+'}]}}",
    "regexes": "- {send: \"a${iteration}\\nb\\n\", expect: [{regex: 'a[0-9]+'}, {regex: b+}]}",
    "any order": '- {send: "a${iteration}\\nb\\n",'
    " expect: {any_order: [{frame: b}, {frame: 'a${iteration}'}]}}",
    "varint save": "- {send: {frame: {join: [{varint: '${iteration}'}, rest]}},"
    " expect: {frame: {join: [{varint: any, save: n}, any]}}}",
    "pipelined": "\n  ".join(
        [*["- {send: {frame: 'a${iteration}'}}"] * 4, *["- {expect: {frame: 'a${iteration}'}}"] * 4]
    ),
    "parts": "- {send: {frame: 'ab${iteration}'},"
    " expect: {frame: {join: [{length: 2}, '${iteration}']}}}",
    "ignore text": "- {send: {frame: '${iteration}'}, expect: {frame: '${iteration}'}}",
    "check": "- {send: {frame: hello}, expect: {frame: hello}}",
    "lines_until": "- {send: {frame: 250 hello}, expect: {frame: 250 hello}}",
}
SOCKETS = {
    "on_connect": "sockets: {main: {on_connect: [{send: login, expect: login}]}}\n",
    "ignore": LINE % ", ignore: [{regex: 'PING .*'}]",
    **dict.fromkeys(("join", "one of", "parts", "regexes", "any order", "pipelined"), LINE % ""),
    "varint save": "sockets: {main: {framing: {length_prefix: {varint: true}}}}\n",
    "ignore text": LINE % ", ignore: [{regex: 'PING .*'}]",
    "header": "sockets: {main: {framing: {length_prefix: {at: 1, varint: true}}}}\n",
    "header id": "sockets: {main: {framing: {length_prefix: {at: 4, bytes: 4, header: 10}}}}\n",
    "check": "sockets: {main: {framing: {length_prefix: {bytes: 2}, check: crc32}}}\n",
    "lines_until": "sockets: {main: {framing: {lines_until: '\\d{3} .*'}}}\n",
    **dict.fromkeys(("regex", "capture", "frame"), LINE % ""),
    "source": "sockets: {main: {source: 127.0.1.0/24}}\n",
    **dict.fromkeys(("two sockets", "together"), "sockets: [main, other]\n"),
}
TARGETS = {"tls": ("epoll", "--tls"), "udp": ("udp",)}
LOADS = {f"open {rate}": f"rate: {rate}/s, max_users: 50" for rate in ("5000", "20000", "30000")}
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
    **dict.fromkeys(LOADS, '- {send: "hello there", expect: "hello there"}'),
    "echo 1 MiB": "- {send: {random: 1MiB}, expect: reply}",
    "source": '- {send: "hello there", expect: "hello there"}\n  - {close: main}',
}
CASES |= FORMS
CASES["join"] = (
    '- {send: {frame: "ab${iteration}"}, expect: {frame: {join: [ab, {length: 1, save: n}, any]}}}'
)


HTTP = {
    "http": "- {send: {http: /x}, expect: {http: {status: 200, body: {length: 13}}}}",
    "templated http": "- {send: {http: '/${iteration}'},"
    " expect: {http: {status: 200, body: {length: 13}}}}",
}
CASES |= HTTP
PYTHON = """from loadmux.scripting import User, scenario

@scenario(target={"url": "%s", "reply": "echo"}, users=10)
async def talk(user: User) -> None:
    text = f"hello {user.number} {user.iteration}"
    await user["main"].exchange(text, expect=text)
"""
CASES["python"] = PYTHON


def write(folder: Path, name: str, url: str) -> Path:
    """The scenario of a case, against the server at this URL."""
    path = folder / f"{name.replace(' ', '_')}.{'py' if name == 'python' else 'yaml'}"
    if name == "python":
        path.write_text(PYTHON % url)
        return path
    sockets = SOCKETS.get(name, f"sockets: {{main: {{tls: {{ca: {CA}}}}}}}\n" * (name == "tls"))
    head = HEAD % (url, "" if name in HTTP else ", reply: echo", LOADS.get(name, "users: 10"))
    path.write_text(f"{head}{sockets}steps:\n  {CASES[name]}\n")
    return path


@contextmanager
def server(name: str) -> Iterator[str]:
    """What a case is run against; yields its URL."""
    if name in HTTP:
        with nginx() as port:
            yield f"tcp://{HOST}:{port}"
    else:
        kind, *options = TARGETS.get(name, ("epoll",))
        with bundled(kind, *options) as url:
            yield url


def command() -> list[str]:
    return [sys.executable, "-m", "loadmux"]


def cpu(path: Path, seconds: float) -> float | None:
    """Microseconds of CPU an exchange; None where this version does not read the file."""
    told = path.with_suffix(".json")
    words = ["run", str(path), "-t", f"{seconds:g}s", "--json-file", str(told), "--quiet"]
    with client([*command(), *words]) as process:
        out, err = process.communicate()
    if process.returncode == 2:
        return None
    if process.returncode not in ALLOWED:
        sys.exit(f"{path.stem}: {out}{err}")
    found = json.loads(told.read_text())
    (worker,) = found["generator"]["workers"]
    return float(worker["cpu"] * found["duration"] / found["exchanges"]["count"] * 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the cases; all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    asked = parser.parse_args()
    chosen = dict.fromkeys(("constant", *(asked.names or CASES)))
    if unknown := chosen.keys() - CASES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    if shutil.which("nginx") is None:
        print("http: not measured: nginx is not installed (Debian: apt install nginx-light)")
        chosen = {name: None for name in chosen if name not in HTTP}
    costs: dict[str, list[float]] = {name: [] for name in chosen}
    with TemporaryDirectory() as folder:
        for _ in range(asked.rounds):
            for name in chosen:
                with server(name) as url:
                    found = cpu(write(Path(folder), name, url), asked.seconds)
                if found is not None:
                    costs[name].append(found)
    print(f"CPU of the generator an exchange, Python {platform.python_version()}")
    for name, every in costs.items():
        if not every:
            print(f"{name:<14} not read by this version")
            continue
        ratios = [one / base for one, base in zip(every, costs["constant"], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{name:<14} {median(every):6.1f} us  {median(ratios):5.2f} times  ({spread})")


if __name__ == "__main__":
    main()
