"""A server of one's own that a command starts for a run: started, known to be ready, ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import loadmux as command_line
from own_server import SERVER
from target_process import eventually

import loadmux
from loadmux.errors import TargetFailed, UsageError
from loadmux.language.meaning.servers import Command
from loadmux.measuring.exitcodes import ExitCode
from loadmux.running.servers.commands import CommandProcess
from loadmux.running.servers.ports import free_port

OWN = [sys.executable, "server.py", "--port", "{port}"]
ASK: dict[str, Any] = {
    "steps": [{"name": "ask", "send": "hello ${user}", "expect": "reply"}],
    "load": {"users": 3, "iterations": 4},
}
FILE = """
target: {command: [python, server.py, --port, "{port}"], reply: echo}
steps: [{send: "hello ${user}", expect: reply}]
load: {users: 4, iterations: 5}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the server in it."""
    (tmp_path / "server.py").write_text(SERVER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(**target: object) -> dict[str, Any]:
    return ASK | {"target": {"command": OWN, "reply": "echo"} | target}


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"ready": r"^ready \d+$", "ready_within": "30s"},
        {"command": f"{sys.executable} server.py --port {{port}} 'two words'"},
        {"command": [*OWN, "six"]},
        {"command": [*OWN, "six"], "url": "tcp://[::1]:{port}"},
        {"url": "tcp://localhost:{port}"},
    ],
)
def test_a_run_starts_the_server_and_ends_it(folder: Path, target: dict[str, object]) -> None:
    report = loadmux.run(asked(**target))
    report.assert_passed()
    assert report.stats.total.count == 12
    (told,) = report.targets
    assert told.command[1] == "server.py"
    assert "{port}" not in str(told.command)
    assert f"started by {sys.executable} server.py" in str(report)


def test_it_may_have_a_port_of_its_own(folder: Path) -> None:
    port = free_port()
    words = [sys.executable, "server.py", "--port", str(port)]
    loadmux.run(asked(command=words, port=port)).assert_passed()
    loadmux.run(asked(command=words, url=f"tcp://127.0.0.1:{port}")).assert_passed()
    with CommandProcess(Command(tuple(words), port)) as process:
        assert process.url.port == port
        with pytest.raises(TargetFailed, match="is somebody else's"):
            loadmux.run(asked(command=words, port=port))


def test_what_dies_is_told_with_its_last_lines(folder: Path) -> None:
    report = loadmux.run(asked(command=[*OWN, "dies"]))
    assert report.verdict.code is ExitCode.FAIL
    assert "exited with 7: out of luck" in report.verdict.reason
    at = report.notes.index("the last lines that it printed:")
    assert report.notes[at + 2 : at + 4] == ("| cannot go on:", "| out of luck")


def test_what_does_not_start_is_told_with_its_last_lines(folder: Path) -> None:
    with pytest.raises(TargetFailed, match="did not start: it exited with 3; it printed:") as told:
        loadmux.run(asked(command=[*OWN, "never"]))
    assert "licence missing" in str(told.value)
    with pytest.raises(TargetFailed, match="no line of its output matched 'open'"):
        loadmux.run(asked(ready="open", ready_within="200ms"))
    with pytest.raises(TargetFailed, match=r"nobody listened at tcp://127\.0\.0\.1"):
        loadmux.run(asked(command=["sleep", "{port}"], ready_within="200ms"))
    with pytest.raises(TargetFailed, match="cannot run 'no-such': no such file or directory"):
        loadmux.run(asked(command=["no-such", "{port}"]))


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


def test_nothing_of_it_is_left(folder: Path) -> None:
    """Not a server that ignores SIGTERM, nor its child; nor what a shell started."""
    loadmux.run(asked(command=[*OWN, "stays", "pid"])).assert_passed()
    child = int(Path("pid").read_text())
    eventually(lambda: gone(child), "its child is left")
    words = f"sh -c '{sys.executable} server.py --port {{port}} & echo $! > pid; wait'"
    loadmux.run(asked(command=words)).assert_passed()
    child = int(Path("pid").read_text())
    eventually(lambda: gone(child), "what the shell started is left")


def test_the_command_line_starts_one(folder: Path) -> None:
    (folder / "file.yaml").write_text(FILE)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    done = command_line("run", "../file.yaml", "--workers", "2", cwd=elsewhere)
    assert done.code == 0, done.out + done.err
    url = FILE.replace('command: [python, server.py, --port, "{port}"]', "url: tcp://127.0.0.1:9")
    (folder / "url.yaml").write_text(url)
    words = f"{sys.executable} server.py --port {{port}}"
    done = command_line("run", "url.yaml", "--command", words, cwd=folder)
    assert done.code == 0, done.out + done.err
    done = command_line("check", "url.yaml", "--command", words, "--print", cwd=folder)
    assert "tcp://127.0.0.1:{port}" in done.out, done.out + done.err
    done = command_line("run", "file.yaml", "--command", f"{words} never", cwd=folder)
    assert done.code == 4
    assert "licence missing" in done.err
    done = command_line("run", "file.yaml", "--command", "a", "--target", "epoll", cwd=folder)
    assert done.code == 2
    assert "leave one of them out" in done.err


def test_a_program_gives_a_command(folder: Path) -> None:
    bare = ASK | {"target": {"bundled": "select", "reply": "echo"}}
    loadmux.run(bare, command=OWN).assert_passed()
    with pytest.raises(UsageError, match=r"is not told its port; write \{port\}"):
        loadmux.run(bare, command="server")


def test_an_interrupt_ends_it(folder: Path) -> None:
    """Also one that comes while it starts."""
    (folder / "file.yaml").write_text(
        FILE.replace('"{port}"', '"{port}", stays, pid')
        .replace("reply: echo", "ready: never")
        .replace("expect: reply", "expect: hello")
    )
    with subprocess.Popen(
        [sys.executable, "-m", "loadmux", "run", "file.yaml"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        eventually(lambda: Path("pid").exists() and bool(Path("pid").read_text()), "not started")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    child = int(Path("pid").read_text())
    eventually(lambda: gone(child), "it is left")
