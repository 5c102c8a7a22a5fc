"""Runs the `loadmux` command and other programs as processes that end with the test."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import needs

ROOT = Path(__file__).resolve().parents[2]
SERVER = Path(__file__).with_name("command_forks.py")
LOADMUX = [sys.executable, "-m", "loadmux"]
ENOUGH = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """A finished command; `told` is what it wrote to its `--json-file`, if it was given one."""

    code: int
    out: str
    err: str
    told: dict[str, Any]


def loadmux(*words: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Done:
    """The command, to its end, in a fork of the command server.

    `env` is added to its environment; where that brings another loadmux, in a fresh interpreter.
    """
    if env is None or not brings_loadmux(env):
        return in_fork(["loadmux", *words], cwd, env or {})
    done = subprocess.run(
        [*LOADMUX, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=ENOUGH,
        cwd=cwd,
        env={**os.environ, **env},
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr, {})


def brings_loadmux(env: Mapping[str, str]) -> bool:
    folders = env.get("PYTHONPATH", "").split(os.pathsep)
    return any(Path(folder, "loadmux").exists() for folder in folders if folder)


@functools.cache
def command_server(imports: str) -> str:
    """The address of this process's command server, which is started when it is first needed."""
    folder = tempfile.mkdtemp(prefix="loadmux-commands-")
    address = f"{folder}/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen()
        server = subprocess.Popen(
            [sys.executable, SERVER, str(listener.fileno()), imports],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            cwd=ROOT,
        )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.communicate)  # the end of its input ends it
    return address


class Forked:
    """A command in a fork of the command server, with as much of a Popen as is needed of it."""

    def __init__(
        self,
        words: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        streams: Sequence[int],
        imports: str = "loadmux",
    ) -> None:
        """Its program is the first word; `env` is added to ours; the three `streams`."""
        self.args = words
        self.returncode: int | None = None
        self._client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._client.settimeout(ENOUGH)
        self._client.connect(command_server(imports))
        asked = json.dumps({"words": words, "cwd": str(cwd), "env": {**os.environ, **env}})
        socket.send_fds(self._client, [asked.encode()], streams)
        self._told = b""
        self.pid = self._number()

    def _number(self) -> int:
        """The next line of what the server tells."""
        while b"\n" not in self._told:
            told = self._client.recv(100)
            assert told, "the command server has ended"
            self._told += told
        line, _, self._told = self._told.partition(b"\n")
        return int(line)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises TimeoutExpired."""
        if self.returncode is None:
            self._client.settimeout(timeout)
            try:
                self.returncode = os.waitstatus_to_exitcode(self._number())
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
            self._client.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Begun(Forked):
    """A program in a fork, whose output is read here."""

    def __init__(self, words: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> None:
        ends = [os.pipe(), os.pipe()]
        self.stdout, self.stderr = (os.fdopen(read, encoding="utf-8") for read, _ in ends)
        with open(os.devnull) as nothing:
            given = [nothing.fileno(), *(write for _, write in ends)]
            super().__init__([str(word) for word in words], cwd, env, given)
        for _, write in ends:
            os.close(write)

    def communicate(self, timeout: float = ENOUGH) -> tuple[str, str]:
        """Both its outputs, once it has ended. Raises TimeoutExpired."""
        with ThreadPoolExecutor(2) as reading:
            texts = [reading.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill_all()
                raise
            out, err = (text.result(timeout) for text in texts)
        return out, err

    @property
    def children(self) -> list[int]:
        """Its servers and its generator processes, in the order in which they were started."""
        nursery, *others = children_of(self.pid)
        return [*others, *children_of(nursery)]

    def kill_all(self) -> None:
        """End it with all its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.contextmanager
def begun(
    *words: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> Iterator[Begun]:
    """The command in a fork for the `with` block; killed with all its children after it."""
    command = Begun(["loadmux", *words], cwd, env or {})
    try:
        yield command
    finally:
        command.kill_all()
        command.wait(ENOUGH)
        command.stdout.close()
        command.stderr.close()


def in_fork(words: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> Done:
    """A program in a fork, to its end. Raises TimeoutExpired, and ends it then.

    The first word is `loadmux`, or `-c` for one whose text is the second: what that starts is not
    forked.
    """
    command = Begun(words, cwd, env)
    with command.stdout, command.stderr:
        out, err = command.communicate()
    assert command.returncode is not None
    return Done(command.returncode, out, err, {})


def run(scenario: str | Path, *words: str | Path, folder: Path) -> Done:
    """`loadmux run` with a JSON file in `folder`."""
    told = folder / "told.json"
    done = loadmux("run", scenario, "--json-file", told, *words)
    found = json.loads(told.read_text()) if told.exists() else {}
    assert "Traceback" not in done.err, done.err
    return Done(done.code, done.out, done.err, found)


@contextlib.contextmanager
def started(words: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process of its own group for the `with` block; killed with all its children after it."""
    process = subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def with_mark(mark: str) -> list[str]:
    """The command lines of the processes that have it in their environment, and do not end soon."""
    due = time.monotonic() + ENOUGH
    while found := processes_with(mark):
        if time.monotonic() > due:
            return [(path / "cmdline").read_text() for path in found]
        time.sleep(0.01)  # what is no child of ours tells nobody that it has ended
    return []


def processes_with(mark: str) -> list[Path]:
    """Those that have it in their environment now, as folders of /proc."""
    return [path for path in Path("/proc").glob("[0-9]*") if _has(path, mark.encode())]


def _has(process: Path, mark: bytes) -> bool:
    with contextlib.suppress(OSError):
        return mark in (process / "environ").read_bytes()
    return False


@contextlib.contextmanager
def target(model: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A bundled target server and the URL where it listens; `loadmux serve` becomes the same."""
    with started([sys.executable, ROOT / "targets" / f"{model}_server.py", *words]) as process:
        assert process.stdout is not None
        word, url = process.stdout.readline().split()
        assert word == "listening"
        yield process, url


PACKAGES = {"chromedriver": "chromium-driver", "unshare": "util-linux"}
"""Debian's, where they have other names."""


def program(name: str) -> str:
    """The path of a program that a test drives; without it the test is skipped, but not in CI."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        package = PACKAGES.get(name, name)
        needs.missing(f"{name} is not installed (Debian: apt-get install {package})")
    return found
