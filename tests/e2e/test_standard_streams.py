"""`-` for a file: the scenario from standard input, the JSON and the first scenario to output."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from commands import ENOUGH, LOADMUX

ECHO = b"target: {bundled: epoll, reply: echo}\nsteps: [{send: hello, expect: reply}]\n"


def piped(text: bytes, *words: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """The command with `text` on standard input."""
    return subprocess.run(
        [*LOADMUX, *words],
        input=text,
        capture_output=True,
        timeout=ENOUGH,
        cwd=folder,
        check=False,
    )


def test_run_reads_a_scenario_from_standard_input_and_writes_json_alone(tmp_path: Path) -> None:
    done = piped(ECHO, "run", "-", "--json-file", "-", folder=tmp_path)
    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert (told["verdict"], told["exchanges"]["count"]) == ("pass", 1)
    assert b"PASS" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_quiet_leaves_the_verdict_on_standard_error(tmp_path: Path) -> None:
    done = piped(ECHO, "run", "-", "-q", "--json-file", "-", folder=tmp_path)
    assert json.loads(done.stdout)["verdict"] == "pass"
    assert len(done.stderr.splitlines()) == 1


def test_what_the_scenario_names_is_looked_for_in_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "body.bin").write_bytes(b"hi")
    text = ECHO.replace(b"send: hello", b"send: {file: body.bin}")
    assert piped(text, "run", "-", folder=tmp_path).returncode == 0


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ECHO + b"usrs: 3\n", b"<stdin>:3:1: unknown key 'usrs' in a scenario; "),
        (b"a: \xff", b"<stdin>:1:4: the byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"", b"<stdin>:1:1: the scenario is empty; "),
    ],
)
def test_mistakes_name_standard_input(
    command: str, text: bytes, told: bytes, tmp_path: Path
) -> None:
    done = piped(text, command, "-", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(told)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["run", "check"])
def test_standard_input_is_read_once(command: str, tmp_path: Path) -> None:
    done = piped(ECHO, command, "-", "-", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == b"loadmux: standard input ('-') can be read only once\n"


@pytest.mark.parametrize("command", ["run", "check"])
def test_closed_standard_input(command: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *LOADMUX, command, "-"],
        capture_output=True,
        timeout=ENOUGH,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == b"<stdin>:1:1: cannot read the scenario: it is closed\n"


@pytest.mark.parametrize("command", ["run", "check"])
def test_what_is_hardly_meant_is_told_and_not_refused(command: str, tmp_path: Path) -> None:
    text = ECHO.replace(b"hello", rb"'hello\r\n'")
    done = piped(text, command, "-", folder=tmp_path)
    assert done.returncode == 0
    first = done.stderr.splitlines()[0]
    assert first.startswith(rb"<stdin>:2:16: warning: here \r is 2 characters, no escape; ")


def test_the_first_scenario_goes_through_a_pipe(tmp_path: Path) -> None:
    first = piped(b"", "init", "-", folder=tmp_path)
    assert piped(first.stdout, "check", "-", folder=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []
