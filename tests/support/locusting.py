"""Locust as a process of a test: its exit code, its page over HTTP, what the kernel says of it.

Every process gets a group of its own and is killed with it after the `with` block; a bundled target
ends with whoever started it. Output goes to files, so that nobody waits for a full pipe.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import ROOT, Forked

PATIENCE = 30.0
"""Seconds in which what must come has come, on any machine."""

LOOK_EVERY = 0.05

LOCUST = [sys.executable, "-m", "locust"]
WEB = [sys.executable, "-m", "loadmux", "web"]

OFFERS = """
    @classmethod
    def offered(cls):
        return ["parts", "echo", "talk.yaml", "talk.py", "redis.yaml"]
"""
"""The scenarios that a test chooses on the page: none is opened that was not named at the start."""

THREE_LINES = """\
from loadmux.locust import ScenarioUser
class Parts(ScenarioUser):
    scenario = {scenario!r}
"""


def free_port() -> int:
    """A port below those that the kernel gives to whoever asks for any (32768 and up on Linux).

    Locust binds it a moment later, when a server of another test could have got it.
    """
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def forked(count: int = 2) -> list[str]:
    """Options for workers of its own, on a port where no worker of another test can come by."""
    port = str(free_port())
    return ["--processes", str(count), *bound(port), *joining(port)]


def bound(port: str) -> list[str]:
    return ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]


def joining(port: str) -> list[str]:
    return ["--master-host", "127.0.0.1", "--master-port", port]


def locustfile(folder: Path, scenario: str | Path = "parts", more: str = "") -> Path:
    """The locustfile of three lines, and what a test adds to it."""
    path = folder / "locustfile.py"
    path.write_text(THREE_LINES.format(scenario=str(scenario)) + more)
    return path


def paced(folder: Path) -> Path:
    """The scenario `parts` with users that rest: one that does not takes all of a core."""
    path, whole = folder / "paced.yaml", "run_time: 10s}"
    text = (ROOT / "scenarios" / "parts.yaml").read_text()
    assert whole in text
    path.write_text(text.replace(whole, "run_time: 10s, pacing: 50ms}"))
    return path


def eventually(happens: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until a call returns something true, and return it."""
    deadline = time.monotonic() + patience
    while not (found := happens()):
        assert time.monotonic() < deadline, what
        time.sleep(LOOK_EVERY)
    return found


class Process:
    """A program that runs; `text` is what it has written so far, both streams."""

    def __init__(self, popen: subprocess.Popen[bytes] | Forked, out: Path, err: Path) -> None:
        self.popen = popen
        self._out, self._err = out, err

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(errors="replace")

    @property
    def text(self) -> str:
        return f"{self.out}\n{self.err}"

    def wait(self) -> int:
        """The exit code."""
        try:
            return self.popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.text}") from None

    def says(self, words: str) -> None:
        """Wait until it has written these words."""

        def said() -> bool:
            assert self.popen.poll() is None or words in self.text, self.text
            return words in self.text

        eventually(said, f"{words!r} was not said")

    def interrupt(self) -> None:
        """What a terminal does on Ctrl-C: SIGINT to the whole group."""
        os.killpg(self.pid, signal.SIGINT)

    @property
    def children(self) -> list[int]:
        """Processes below it that have not been reaped, at any depth."""
        found = [self.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                path = Path(f"/proc/{pid}/task/{pid}/children")
                found += map(int, path.read_text().split())
        return found[1:]

    @property
    def targets(self) -> list[int]:
        """Bundled targets that it runs."""
        return [pid for pid in self.children if "_server.py" in command_line(pid)]

    @property
    def workers(self) -> list[int]:
        """Processes that `--processes` made of it."""
        return [pid for pid in self.children if pid not in self.targets]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def settled(pid: int) -> dict[str, int]:
    """What a process holds when it has come to rest: the page's last answer is away."""
    seen = [descriptors(pid)]
    while len(seen) < 5 or any(one != seen[-1] for one in seen[-5:]):
        time.sleep(LOOK_EVERY)
        seen.append(descriptors(pid))
    return seen[-1]


def descriptors(pid: int) -> dict[str, int]:
    """Open descriptors of a process by sort: socket, eventpoll, pipe, file."""
    counts = {"socket": 0, "eventpoll": 0, "pipe": 0, "file": 0}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{entry}")
            sort = next((sort for sort in counts if sort in target), "file")
            counts[sort] += 1
    return counts


@contextlib.contextmanager
def process(
    words: list[str],
    folder: Path,
    name: str = "locust",
    fresh: bool = False,
    env: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[Process]:
    """A program in `folder`, with its output in files there beside it; `env` is added to ours.

    Locust and `loadmux` are forks of one process unless they are to be `fresh` or have `options`.
    """
    out, err = (folder.parent / f"{folder.name}.{name}.{which}" for which in ("out", "err"))
    words = [str(word) for word in words]
    with open(out, "wb") as to_out, open(err, "wb") as to_err, open(os.devnull) as nothing:
        popen: subprocess.Popen[bytes] | Forked
        if words[:2] == LOCUST[:2] and not fresh and not options:
            streams = [stream.fileno() for stream in (nothing, to_out, to_err)]
            popen = Forked(words[2:], folder, env or {}, streams, imports="locust")
        else:
            popen = subprocess.Popen(
                words,
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=nothing,
                stdout=to_out,
                stderr=to_err,
                start_new_session=True,
                **options,
            )
    try:
        yield Process(popen, out, err)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait(PATIENCE)


@dataclass(frozen=True, slots=True)
class Ended:
    """A headless run that is over."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return f"{self.out}\n{self.err}"

    def row(self, name: str) -> tuple[int, int]:
        """Requests and failures of a row in Locust's last table."""
        found = re.findall(rf"^\S*\s+{re.escape(name)}\s+(\d+)\s+(\d+)\(", self.err, re.MULTILINE)
        assert found, f"no row {name!r} in\n{self.text}"
        requests, failed = found[-1]
        return int(requests), int(failed)


def headless(
    folder: Path, *words: str | Path, program: list[str] = LOCUST, **options: Any
) -> Ended:
    """`locust --headless` in a folder, to its end."""
    command = [*program, "--headless", "--only-summary", *map(str, words)]
    with process(command, folder, **options) as running:
        code = running.wait()
        return Ended(code, running.out, running.err)


class Page:
    """Locust's page, over HTTP only."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            text: bytes = answer.read()
            return text.decode()

    def post(self, path: str, form: Mapping[str, object], **headers: str) -> dict[str, Any]:
        data = urllib.parse.urlencode(form).encode()
        return self.send(path, data, headers)

    def send(self, path: str, data: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """What is answered, a refusal too."""
        request = urllib.request.Request(self.url + path, data, dict(headers))
        try:
            answer = urllib.request.urlopen(request, timeout=PATIENCE)
        except urllib.error.HTTPError as refusal:
            answer = refusal
        with answer:
            text = answer.read().decode()
        found: dict[str, Any] = json.loads(text) if text[:1] == "{" else {"text": text}
        return found

    def swarm(self, users: int, **form: object) -> dict[str, Any]:
        """Start a test, or edit the one that runs."""
        return self.post("/swarm", {"user_count": users, "spawn_rate": 1000, **form})

    def stop(self) -> None:
        """Stop the test and wait until it has."""
        self.post("/stop", {})
        self.until(lambda told: told["state"] == "stopped", "stopped")

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/stats/requests"))
        return found

    def until(
        self, holds: Callable[[dict[str, Any]], object], what: str, patience: float = PATIENCE
    ) -> dict[str, Any]:
        """Ask until something holds of the statistics; they are up to two seconds old."""
        last: dict[str, Any] = {}

        def look() -> dict[str, Any] | None:
            nonlocal last
            last = self.stats()
            return last if holds(last) else None

        try:
            found: dict[str, Any] = eventually(look, "", patience)
        except AssertionError:
            raise AssertionError(f"not {what}: {json.dumps(last)[:3000]}") from None
        return found

    def up(self, workers: int = 0) -> Page:
        """Wait until it answers, and so many workers have come."""

        def answers() -> bool:
            try:
                found: int = json.loads(self.get("/worker-count"))["worker_count"]
            except (urllib.error.URLError, ConnectionError):
                return False
            return found == workers

        eventually(answers, "no page")
        return self


@dataclass(frozen=True, slots=True)
class Swarm:
    """A page, the process that has it, and the processes with drivers."""

    page: Page
    main: Process
    drivers: tuple[int, ...]
    folder: Path

    def holds(self) -> list[dict[str, int]]:
        """What each process with a driver holds."""
        return [settled(pid) for pid in self.drivers]

    def holds_no_more_than(self, before: list[dict[str, int]]) -> bool:
        """Less is well: garbage of Locust's own start."""
        now = self.holds()
        pairs = zip(now, before, strict=True)
        return all(ours[sort] <= theirs[sort] for ours, theirs in pairs for sort in ours)


@contextlib.contextmanager
def alone(folder: Path, **options: Any) -> Iterator[Swarm]:
    port = free_port()
    words = [*LOCUST, "-f", str(locustfile(folder, more=OFFERS)), *on(port)]
    with process(words, folder, **options) as main:
        yield Swarm(Page(port).up(), main, (main.pid,), folder)


@contextlib.contextmanager
def with_forks(folder: Path, *more: str) -> Iterator[Swarm]:
    port = free_port()
    words = [*LOCUST, "-f", str(locustfile(folder, more=OFFERS)), *on(port), *forked(), *more]
    with process(words, folder) as main:
        yield Swarm(Page(port).up(workers=2), main, tuple(main.workers), folder)


@contextlib.contextmanager
def with_others(folder: Path) -> Iterator[Swarm]:
    """The two ways in which a worker is started where nothing but loadmux is installed."""
    port, rpc = free_port(), str(free_port())
    empty = folder.parent / "empty"
    empty.mkdir()
    with contextlib.ExitStack() as stack:
        words = [*WEB, "parts", "talk.yaml", "--master", *on(port), *bound(rpc)]
        main = stack.enter_context(process(words, folder))
        first = process([*LOCUST, "-f", "-", "--worker", *joining(rpc)], empty, "first")
        second = process([*WEB, "--worker", *joining(rpc)], empty, "second")
        drivers = [stack.enter_context(one).pid for one in (first, second)]
        yield Swarm(Page(port).up(workers=2), main, tuple(drivers), folder)
    assert not list(empty.iterdir())


def on(port: int) -> list[str]:
    return ["--web-host", "127.0.0.1", "--web-port", str(port)]


def rows(told: Mapping[str, Any]) -> dict[str, int]:
    """Requests by row's name, the total left out."""
    return {row["name"]: row["num_requests"] for row in told["stats"][:-1]}


def failures(told: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Occurrences by step and kind of fault."""
    return {(row["name"], row["error"].split(":")[0]): row["occurrences"] for row in told["errors"]}


def evidence(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told["extended_stats"][0]["data"]
    return found
