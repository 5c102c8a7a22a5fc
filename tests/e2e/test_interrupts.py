"""SIGINT, SIGTERM and SIGHUP at any moment: no traceback, nothing left, what was measured is told.

The moments of a start are those at which the interpreter says that it has imported something (`-X
importtime`): nothing depends on how fast the machine is.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from commands import ENOUGH, ROOT
from once import once

SCENARIO = """
target: {bundled: epoll, reply: echo}
steps: [{name: talk, send: "hello ${iteration}", expect: reply}]
load: {users: 2, run_time: 600s}
"""
IMPORTED = re.compile(rb"^import time: +\d+ \| +\d+ \| +(\S+)", re.MULTILINE)
MARK = "LOADMUX_TEST_MARK"
FIRST = "loadmux.__main__"
SCRIPT = Path(sys.executable).with_name("loadmux")
COMPLAINTS = ("Traceback", "Exception ignored", "Fatal Python error")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO)
    return path


@dataclass
class Running:
    """A command in a session of its own; `mark` is in the environment of all that it starts."""

    process: subprocess.Popen[bytes]
    mark: str
    printed: IO[bytes]
    out: bytes = b""
    err: bytes = b""

    def imports(self, ours: str, count: int) -> bool:
        """Wait until it, or what it starts, has imported so many modules, from `ours` on."""
        assert self.process.stderr is not None
        seen, began = 0, False
        while seen < count and (line := self.process.stderr.readline()):
            self.err += line
            found = IMPORTED.match(line)
            began = began or (found is not None and found[1].decode() == ours)
            seen += began and found is not None
        return seen == count

    def reaches(self, module: str) -> None:
        """Wait until it has imported this module, after the first one of ours."""
        assert self.imports(FIRST, 1)
        assert self.process.stderr is not None
        while (line := self.process.stderr.readline()).split()[-1:] != [module.encode()]:
            assert line, self.err
            self.err += line

    def says(self, what: bytes) -> None:
        """Wait for a line on standard error."""
        assert self.process.stderr is not None
        while what not in self.err and (line := self.process.stderr.readline()):
            self.err += line
        assert what in self.err

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """As a terminal does: the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def end(self) -> int:
        """The exit code; nothing may be left of it, and no traceback on its streams."""
        self.err += self.process.communicate(timeout=ENOUGH)[1]
        self.printed.seek(0)
        self.out = self.printed.read()
        text = IMPORTED.sub(b"", self.out + self.err).decode(errors="replace")
        assert not [what for what in COMPLAINTS if what in text], text
        deadline = time.monotonic() + ENOUGH
        while marked := with_mark(self.mark):
            assert time.monotonic() < deadline, marked
            time.sleep(0.01)
        return self.process.returncode


def with_mark(mark: str) -> list[str]:
    """The command lines of the processes that have it in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_text())
    return found


@contextlib.contextmanager
def running(*words: str | Path, traced: bool = False) -> Iterator[Running]:
    mark = uuid.uuid4().hex
    environment = {**os.environ, MARK: mark}
    if traced:
        environment["PYTHONPROFILEIMPORTTIME"] = "1"
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=ROOT,
            env=environment,
        )
        try:
            yield Running(process, mark, printed)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def verdict(told: Path) -> str | None:
    return json.loads(told.read_text())["verdict"] if told.exists() else None


def imported(factory: pytest.TempPathFactory, *words: str | Path) -> int:
    """How many modules a command imports, with what it starts, from our first one to its end."""

    def count(folder: Path) -> None:
        with running(*words, traced=True) as run:
            run.imports(FIRST, sys.maxsize)
            run.end()
            _, _, ours = run.err.partition(FIRST.encode())
        (folder / "count").write_text(str(len(IMPORTED.findall(ours))))

    return int((once(factory, f"imported-{words[1]}", count) / "count").read_text())


@pytest.mark.parametrize("percent", [1, 15, 30, 45, 60, 70, 80, 90])
def test_while_it_starts(
    percent: int, scenario: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    short = ("run", "parts", "--workers", "2", "-u", "2", "-t", "300ms")
    whole = imported(tmp_path_factory, SCRIPT, *short)
    told = tmp_path / "told.json"
    words = [str(SCRIPT), "run", str(scenario), "--workers", "2", "--json-file", str(told)]
    with running(*words, traced=True) as run:
        assert run.imports(FIRST, whole * percent // 100)
        run.interrupt()
        assert run.end() == 130
    if told.exists():
        assert verdict(told) == "interrupted"
        assert run.out.startswith(b" INTERRUPTED ")


@pytest.mark.parametrize("delay", [0.0, 0.2, 0.4])
def test_while_it_ends(delay: float, scenario: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    words = [str(SCRIPT), "run", str(scenario), "-t", "1200ms", "--json-file", str(told)]
    with running(*words) as run:
        run.says(b"exchanges")
        time.sleep(delay)  # whenever that is: near the end
        run.interrupt()
        code = run.end()
    assert (code, verdict(told)) in [(0, "pass"), (130, "interrupted")]
    assert run.out.startswith(b" PASS " if code == 0 else b" INTERRUPTED ")
    assert b"exit code" in run.out or b"\nrepeat " in run.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("times", [1, 3])
def test_while_it_measures(number: int, times: int, scenario: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    with running(SCRIPT, "run", scenario, "--json-file", told) as run:
        run.says(b"exchanges")
        for _ in range(times):
            run.interrupt(number)
        assert run.end() == 130
    assert verdict(told) == "interrupted"
    assert json.loads(told.read_text())["exchanges"]["count"] > 0
    assert run.out.startswith(b" INTERRUPTED ")


STUCK = """
import time
from pathlib import Path
from loadmux.scripting import User, scenario

@scenario(target={"bundled": "epoll", "reply": "echo"}, users=1, run_time="600s", timeout="60s")
async def talk(user: User) -> None:
    for _ in range(30):
        await user["main"].exchange("hello")
        await user.sleep(0.05)
    Path(__file__).with_name("stuck").touch()
    time.sleep(600)
"""


def test_a_second_one_waits_for_nobody(tmp_path: Path) -> None:
    scenario, told = tmp_path / "s.py", tmp_path / "told.json"
    scenario.write_text(STUCK)
    with running(SCRIPT, "run", scenario, "--json-file", told) as run:
        deadline = time.monotonic() + ENOUGH
        while not (tmp_path / "stuck").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        run.interrupt()
        time.sleep(0.1)  # so that they are two
        run.interrupt()
        assert run.end() == 130
    found = json.loads(told.read_text())
    assert found["verdict"] == "interrupted"
    assert found["exchanges"]["count"] > 0
    assert found["generator"]["workers"][0]["lost"] == "was ended by the second interrupt"


def test_one_that_it_was_told_to_ignore_is_ignored(scenario: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    words = ["nohup", str(SCRIPT), "run", str(scenario), "-t", "2s", "--json-file", str(told)]
    with running(*words) as run:
        run.says(b"exchanges")
        run.interrupt(signal.SIGHUP)
        assert run.end() == 0
    assert verdict(told) == "pass"


@contextlib.contextmanager
def terminal(*words: str | Path) -> Iterator[tuple[int, int]]:
    """A command on a terminal of its own: its number, and the terminal's other end."""
    pid, fd = pty.fork()
    if not pid:
        os.chdir(ROOT)
        os.execv(str(words[0]), [str(word) for word in words])
    try:
        yield pid, fd
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def shown(fd: int, until: bytes) -> bytes:
    """What comes on a terminal, up to some words or to its end."""
    text = b""
    with contextlib.suppress(OSError):  # EIO: nobody has it open any more
        while until not in text and (piece := os.read(fd, 65536)):
            text += piece
    return text


def test_a_key_on_a_terminal(scenario: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    words = [str(SCRIPT), "run", str(scenario), "--workers", "2", "--json-file", str(told)]
    with terminal(*words) as (pid, fd):
        assert b"exchanges" in shown(fd, b"exchanges")
        os.write(fd, b"\x03")
        text = shown(fd, b"never said")
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"INTERRUPTED" in text
    assert b"repeat" in text
    assert b"Traceback" not in text
    assert verdict(told) == "interrupted"


def test_a_terminal_that_is_closed(scenario: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    words = [str(SCRIPT), "run", str(scenario), "--workers", "2", "--json-file", str(told)]
    with terminal(*words) as (pid, fd):
        assert b"exchanges" in shown(fd, b"exchanges")
        os.close(fd)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert verdict(told) == "interrupted"
    assert json.loads(told.read_text())["exchanges"]["count"] > 0


@pytest.mark.parametrize("percent", [2, 60, 90])
@pytest.mark.parametrize("command", ["check parts", "targets"])
def test_other_commands(
    command: str, percent: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    words = [str(SCRIPT), *command.split()]
    count = imported(tmp_path_factory, *words) * percent // 100
    with running(*words, traced=True) as run:
        assert run.imports(FIRST, count)
        run.interrupt()
        assert run.end() == 130


@pytest.mark.parametrize(
    "module", ["loadmux.running.servers.bundled", "site", "asyncio.base_events", "serving"]
)
def test_a_target_that_is_served(module: str) -> None:
    """In the command, in the interpreter that takes its place, and in the target's own imports."""
    with running(SCRIPT, "serve", "asyncio", traced=True) as run:
        run.reaches(module)
        run.interrupt()
        assert run.end() in (0, 130)


@pytest.mark.parametrize("module", ["gevent", "locust.runners", "loadmux.locust.engine"])
def test_locust(module: str) -> None:
    words = [str(SCRIPT), "web", "parts", "--headless", "-u", "1", "-t", "600s"]
    with running(*words, traced=True) as run:
        run.reaches(module)
        run.interrupt()
        run.end()
