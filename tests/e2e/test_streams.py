"""Whatever happens to a standard stream, the verdict and the files are delivered."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import ENOUGH, LOADMUX, ROOT

ECHO = """
target: {bundled: epoll, reply: echo}
steps: [{name: talk, send: "hello ${iteration}", expect: reply}]
load: {users: 2, iterations: 5}
"""
REDIRECTIONS = [
    ">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full",
    "| true", "2>&1 | head -1",
]  # fmt: skip


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    path = tmp_path / "echo.yaml"
    path.write_text(ECHO)
    return path


def shell(line: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `"$@"` stands for the words; the code of its first command."""
    return subprocess.run(
        ["bash", "-c", line + "; exit ${PIPESTATUS[0]}", "bash", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=ENOUGH,
        check=False,
    )


@pytest.mark.parametrize("redirected", REDIRECTIONS)
def test_the_exit_code_and_the_file_come_all_the_same(
    redirected: str, echo: Path, tmp_path: Path
) -> None:
    told = tmp_path / "told.json"
    done = shell(f'"$@" {redirected}', *LOADMUX, "run", echo, "--json-file", told)
    assert done.returncode == 0, done
    assert json.loads(told.read_text())["exchanges"] | {"rate": 0} == {
        "count": 10, "errors": 0, "rate": 0,
    }  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception ignored" not in done.stdout + done.stderr


def test_a_fault_is_told_where_nothing_can_be_printed(echo: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    words = ["run", str(echo), "--fault", "flip:2", "--json-file", str(told)]
    done = shell('"$@" >/dev/full 2>/dev/full', *LOADMUX, *words)
    assert done.returncode == 1
    assert json.loads(told.read_text())["faults"][0]["kind"] == "corrupt"


@pytest.mark.parametrize(
    "words", ["run no-such-file", "run --no-such-option", "check no-such-file"]
)
@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-"])
def test_what_is_invalid_is_invalid_even_if_nobody_hears_why(words: str, redirected: str) -> None:
    assert shell(f'"$@" {words} {redirected}', *LOADMUX).returncode == 2


def test_a_file_that_cannot_be_written_is_told_and_is_no_pass(echo: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    done = shell('ulimit -f 0; "$@"', *LOADMUX, "run", echo, "--json-file", told)
    assert done.returncode == 3
    assert done.stdout.startswith(" PASS ")
    assert f"the report could not be written: cannot write {told}: File too large" in done.stderr
    assert sorted(tmp_path.iterdir()) == [echo]


@contextlib.contextmanager
def jammed(kind: str) -> Iterator[tuple[int, int]]:
    """A pipe or a terminal that takes nothing more: its reader's end, which nobody reads, and ours.

    Ours is non-blocking.
    """
    reader, writer = os.pipe() if kind == "pipe" else pty.openpty()
    try:
        os.set_blocking(writer, False)
        for size in (65536, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writer, b"." * size)
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_who_does_not_watch_the_run_holds_nothing_up(kind: str, echo: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    words = [*LOADMUX, "run", str(echo), "--iterations", "1000000", "-t", "2s"]
    with jammed(kind) as (_, writer):
        os.set_blocking(writer, True)
        done = subprocess.run(
            [*words, "--json-file", str(told)],
            stdout=subprocess.PIPE,
            stderr=writer,
            cwd=ROOT,
            timeout=ENOUGH,
            check=False,
        )
    assert done.returncode == 0, done
    assert done.stdout.startswith(b" PASS ")
    assert json.loads(told.read_text())["verdict"] == "pass"


@contextlib.contextmanager
def reporting(echo: Path, told: Path, stdout: int) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has ended, and is about to print its report."""
    words = [*LOADMUX, "run", str(echo), "--json-file", str(told), "-q"]
    process = subprocess.Popen(
        words, stdout=stdout, stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    try:
        deadline = time.monotonic() + ENOUGH
        while not told.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_who_interrupts_a_report_that_nobody_reads_is_not_kept(echo: Path, tmp_path: Path) -> None:
    with jammed("pipe") as (_, writer):
        os.set_blocking(writer, True)
        with reporting(echo, tmp_path / "told.json", writer) as process:
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(ENOUGH) == 0  # the verdict: the run was not interrupted
            assert process.stderr is not None
            assert process.stderr.read() == b""


def test_a_stream_that_somebody_made_non_blocking_gets_the_whole_report(
    echo: Path, tmp_path: Path
) -> None:
    with jammed("pipe") as (reader, writer):
        with reporting(echo, tmp_path / "told.json", writer) as process:
            os.set_blocking(reader, False)
            text = b""
            while process.poll() is None:
                with contextlib.suppress(BlockingIOError):
                    text += os.read(reader, 1 << 20)
            text += os.read(reader, 1 << 20) if b"PASS" not in text else b""
        assert text.lstrip(b".").startswith(b" PASS "), text[-200:]
        assert process.returncode == 0


def test_streams_that_are_closed_lend_their_numbers_to_nobody(tmp_path: Path) -> None:
    code = (
        "import os; from loadmux.report import streams; streams.secure();"
        "print('lost', flush=True); assert os.dup(0) > 2;"
        "null = os.stat(os.devnull);"
        "raise SystemExit(sum(os.path.samestat(os.fstat(n), null) for n in range(3)))"
    )
    done = shell('"$@" <&- >&- 2>&-', sys.executable, "-c", code)
    assert done.returncode == 3
