"""Looks for wrong verdicts: random mixtures of the language's words against a server that is right,
or that lies exactly once.

`python tests/bench/mixtures.py [--seed N] [--runs N] [--kind NAME] [--lie NAME|all]` draws run
after run: a scenario of one kind of conversation (frames, datagrams, rules, http, resp, websocket),
its server, and how it is run (closed or open load, workers, poller, as YAML or Python). A right
server must pass, having heard all that the scenario sends. A lie must be the one fault of the run:
of a kind that such a lie may be called, told of the right step, user, iteration and socket, with
the bytes that were wrong. Whatever is not so is printed with where the scenario and the log of its
server are kept, and the command that draws the same mixture again; the same seed always does.

`--serve` only starts the server of a mixture (`--port N`), for `loadmux run` or `trace` by hand.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGTERM, sigwait
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import commands
from mixture_ends import Lines, UntilClose
from mixture_frames import Datagrams, FramedDatagrams, Frames, Plain
from mixture_http import Http
from mixture_judging import wrongs
from mixture_python import Functions, NotInPython, Writer
from mixture_resp import Resp
from mixture_rules import Rules
from mixture_server import LIES, MODES, Lie, Manner, Record, Server
from mixture_steps import Step, Steps
from mixture_talking import Conversation
from mixture_websocket import WebSocket

KINDS: dict[str, type[Conversation]] = {
    "frames": Frames,
    "datagrams": Datagrams,
    "rules": Rules,
    "http": Http,
    "resp": Resp,
    "websocket": WebSocket,
    "plain": Plain,
    "framed datagrams": FramedDatagrams,
    "until close": UntilClose,
    "lines": Lines,
}
POLLERS = ("epoll", "poll", "select")
PATIENCE, HASTE = "20s", "1500ms"
HANGS = -1
FED = "".join(f"n{number},c{number}\n" for number in range(9))


@dataclass(slots=True)
class Mixture:
    """A scenario, its server and the words of the command, and what is known of the run beforehand.

    `requests` and `iterations` are what the server and the run should count, None where that is
    not known.
    """

    seed: int
    kind: str
    lie: str
    talk: Conversation
    manner: Manner
    document: dict[str, Any]
    words: list[str]
    python: bool
    requests: int | None
    iterations: int | None

    @property
    def at_once(self) -> bool:
        """Whether what the server says is read at once."""
        slow = any("read" in one for one in self.document["sockets"].values())
        return self.manner.mode == "whole" and not slow

    @property
    def again(self) -> str:
        lie = f" --lie {self.lie}" if self.lie else ""
        return f"python tests/bench/mixtures.py --kind {self.kind} --seed {self.seed} --runs 1{lie}"

    def write(self, url: str, folder: Path) -> Path:
        """The scenario, in Python where that was drawn and can be."""
        document = {"target": self.talk.target(url), **self.document}
        if "variables" in document:
            (folder / "feed.csv").write_text("name,column\n" + FED)
        if self.python:
            with suppress(NotInPython):
                text = Writer(document).text
                (folder / "scenario.py").write_text(text)
                return folder / "scenario.py"
        functions = Functions()
        document = functions.steps(document)
        (folder / "helpers.py").write_text(functions.text)
        text = yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)
        (folder / "scenario.yaml").write_text(text)
        return folder / "scenario.yaml"


def load(chance: random.Random, lie: str, closed: bool) -> tuple[dict[str, Any], int | None]:
    """The load, and how many iterations it is where that is known."""
    kind = 1.0 if closed else chance.random()
    users = chance.choice((1, 1, 2, 4))
    if kind < 0.12:
        return {"rate": f"{chance.choice((10, 50, 200))}/s", "max_users": users,
                "run_time": "300ms"}, None  # fmt: skip
    if kind < 0.18:
        phases = [
            {"name": "one", "users": users, "run_time": "150ms"},
            {"name": "two", "rate": "20/s", "max_users": users, "run_time": "150ms"},
        ]
        return {"phases": phases}, None  # fmt: skip
    if kind < 0.28:
        stop = {} if lie or chance.random() < 0.5 else {"graceful_stop": "30ms"}
        return {"users": users, "run_time": "200ms", **stop}, None
    iterations = chance.randint(1, 6)
    more = {"pacing": "5ms"} if chance.random() < 0.1 else {}
    more |= {"spawn_rate": "200/s"} if chance.random() < 0.1 else {}
    return {"users": users, "iterations": iterations, **more}, users * iterations


def draw(seed: int, kind: str, lie: str) -> Mixture:
    chance = random.Random(f"{seed} {kind} {lie}")
    talk = KINDS[kind](chance, lie)
    manner = Manner(seed, chance.choice(MODES), chance.choice((0.0, 0.0, 0.004)))
    manner.scheme = chance.choice(talk.schemes)
    talk.settle(manner)
    sockets = [f"s{one}" for one in range(chance.choice((1, 1, 2, 2, 3)))]
    document: dict[str, Any] = {
        "sockets": {name: options(chance, talk, manner, name) for name in sockets}
    }
    if talk.grouped and chance.random() < 0.15:
        number = len(sockets)
        sockets = [f"s0[{one}]" for one in range(number)]
        document["sockets"] = {"s0": {**document["sockets"]["s0"], "count": number}}
    steps = Steps(chance, talk, sockets, bool(lie))
    if steps.fed:
        pick = chance.choice(("sequential", "shuffled", "random"))
        document["variables"] = {"feed": {"csv": "feed.csv", "pick": pick}}
    first, last = outside(steps, talk, 0.15), outside(steps, talk, 0.1)
    once, steps.requests, steps.replies = (steps.requests, steps.replies), 0, 0
    drawn = steps.drawn()
    document |= {"before": first} if first else {}
    document |= {"steps": drawn}
    document |= {"after": last} if last else {}
    document["load"], iterations = load(chance, lie, "barrier" in json.dumps(drawn))
    document |= {"timeout": HASTE if lie else PATIENCE, "seed": seed}
    users = document["load"].get("users", 1)
    if lie:
        document["on_error"] = chance.choice(("reconnect", "reconnect", "stop_user", "abort"))
        replies = (iterations or 1) * steps.replies + once[1]
        manner.lie = Lie(lie, chance.randint(1, max(1, replies)))
    known = iterations is not None and talk.counted and steps.exact and not lie
    heard = (iterations or 0) * steps.requests + users * once[0] if known else None
    given, python = words(chance), chance.random() < 0.15
    iterations = None if lie else iterations
    return Mixture(seed, kind, lie, talk, manner, document, given, python, heard, iterations)


def outside(steps: Steps, talk: Conversation, often: float) -> list[Step]:
    return talk.exchange(steps, "all") if steps.chance.random() < often else []


def options(chance: random.Random, talk: Conversation, manner: Manner, name: str) -> dict[str, Any]:
    made = talk.options(manner.scheme)
    for step in made.get("on_connect", []):
        if "start_tls" in step:
            step["start_tls"] = name
    if manner.scheme != "unix" and chance.random() < 0.08:
        made["source"] = chance.choice(("127.0.0.2", "127.0.3.0/28"))
    if manner.scheme != "udp":
        if chance.random() < 0.2:
            made["read"] = {
                "size": chance.choice(talk.sips),
                "gap": chance.choice(("100us", "1ms")),
            }
        if chance.random() < 0.1:
            made["receive_buffer"] = "4KiB"
    return dict(made)


def words(chance: random.Random) -> list[str]:
    made = ["--workers", "2"] if chance.random() < 0.15 else []
    return made + (["--poller", chance.choice(POLLERS)] if chance.random() < 0.3 else [])


@contextmanager
def folder_for(kept: str | None, seed: int, kind: str) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=f"mixture-{kind}-{seed}-", dir=kept))
    try:
        yield path
    finally:
        with suppress(OSError):
            path.rmdir()  # what was kept stays


def perform(mixture: Mixture, folder: Path) -> tuple[Record, commands.Done]:
    """The run; its scenario and the server's log are in the folder."""
    with Server(mixture.talk, mixture.manner, folder) as server:
        scenario = mixture.write(server.url, folder)
        try:
            done = commands.run(scenario, "--quiet", *mixture.words, folder=folder)
        except subprocess.TimeoutExpired:
            done = commands.Done(HANGS, "", "it does not end", {})
        except AssertionError as error:
            done = commands.Done(HANGS, "", str(error), {})
    (folder / "server.log").write_text("\n".join(server.record.log))
    return server.record, done


def tried(mixture: Mixture, kept: str | None, counts: Counter[str]) -> bool:
    """Run it, and print what is wrong; whether it was right."""
    with folder_for(kept, mixture.seed, mixture.kind) as folder:
        record, done = perform(mixture, folder)
        told = record.told
        found = wrongs(mixture, record, done)
        kinds = "+".join(one["kind"] for one in done.told.get("faults", [])) or "pass"
        counts[f"{told.lie if told else 'right'} {kinds}"] += 1
        if not found:
            shutil.rmtree(folder)
            return True
        folder.mkdir(exist_ok=True)
        print(f"WRONG {mixture.kind} {mixture.seed} {mixture.lie or 'right'}: {'; '.join(found)}")
        print(f"  {folder}: the scenario, told.json, server.log; words: {mixture.words}")
        print(f"  again: {mixture.again}", flush=True)
        return False


def serve(mixture: Mixture, port: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="mixture-"))
    with Server(mixture.talk, mixture.manner, folder, port) as server:
        print(f"listening {server.url}\n{mixture.write(server.url, folder)}", flush=True)
        sigwait({SIGINT, SIGTERM})
    print("\n".join(server.record.log))


def mixtures(wanted: argparse.Namespace) -> Iterator[Mixture]:
    kinds = [wanted.kind] if wanted.kind else list(KINDS)
    lies = list(LIES) if wanted.lie == "all" else [wanted.lie or ""]
    for seed in range(wanted.seed, wanted.seed + wanted.runs):
        kind = kinds[seed % len(kinds)]
        able = [one for one in lies if not one or one in KINDS[kind].lies]
        yield draw(seed, kind, able[seed // len(kinds) % len(able)])


def main(words: Sequence[str]) -> int:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=" ".join(__doc__.split("\n\n")[0].split()))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--kind", choices=list(KINDS))
    parser.add_argument("--lie", choices=[*LIES, "all"])
    parser.add_argument("--keep", help="the folder for what was wrong")
    parser.add_argument("--serve", action="store_true", help="only start the server of a mixture")
    parser.add_argument("--port", type=int, default=0)
    wanted = parser.parse_args(words)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of writes to ended TLS
    drawn = mixtures(wanted)
    if wanted.serve:
        serve(next(drawn), wanted.port)
        return 0
    counts = Counter[str]()
    wrong = sum(not tried(one, wanted.keep, counts) for one in drawn)
    print(f"{wanted.runs} mixtures from seed {wanted.seed}, {wrong} wrong verdicts")
    for what, count in sorted(counts.items()):
        print(f"  {count} x {what}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
