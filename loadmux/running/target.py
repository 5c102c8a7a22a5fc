"""Target servers as processes: starting one, ending it whatever happens.

A target is any command that prints `listening URL` on its first line; nothing of it is imported
here, so that a mistake cannot be shared between what checks and what is checked.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from time import monotonic
from types import TracebackType
from typing import IO, NoReturn

from loadmux.errors import TargetFailed, UsageError
from loadmux.language.scenario import Target, Url
from loadmux.language.urls import parse_url
from loadmux.running.catalog import SUFFIX, bundled, models
from loadmux.running.interrupts import HURRY, Interrupts, blocked, unblock

READY_WITHIN = 15.0
ENDED_WITHIN = 3.0
LOOK_EVERY = 0.05
PR_SET_PDEATHSIG = 1
INVALID = 2
LONGEST_LINE = 300
"""Characters of a target's own words in a line of ours."""
LONGEST_LOG = 64 * 1024
"""Bytes of what a target wrote to its standard error that are looked at."""
LONGEST_READY_LINE = 4096


def command(model: str, arguments: Sequence[str]) -> list[str]:
    """The command line that runs a bundled target. Raises UsageError for an unknown model."""
    path = bundled("targets") / f"{model}{SUFFIX}"
    if not path.is_file():
        raise UsageError(f"no bundled target is called {model!r}; there are: {', '.join(models())}")
    return [sys.executable, str(path), *arguments]


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return one_line(lines[-1]) if lines else "it said nothing"


def one_line(text: str, most: int = LONGEST_LINE) -> str:
    """What a target printed, as it can be shown on a terminal in a line of ours."""
    shown = "".join(one if one.isprintable() else " " for one in text.strip()[: most + 1])
    return shown if len(shown) <= most else shown[:most] + "…"


def how_it_ended(code: int) -> str:
    """A process's end in words, by its `returncode`."""
    if code >= 0:
        return f"exited with {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal: only the first and the last have names
        return f"was killed by signal {-code}"
    return f"was killed by {name} ({signal.strsignal(-code)})"


def arguments(target: Target) -> list[str]:
    words = ["--reply", target.rule or "echo"]
    for name, value in target.options.items():
        words += [f"--{name}", value] if value else [f"--{name}"]
    return words


def log_file() -> IO[bytes]:
    """What a target writes to its standard error; lost where a disk is full, which stops no run."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "w+b")


def die_with_parent() -> None:
    """In the child: have the kernel send SIGTERM when loadmux dies, even by SIGKILL; prctl(2)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _begin_child() -> None:
    if sys.platform == "linux":
        die_with_parent()
    unblock()


class TargetProcess:
    """A bundled target while the `with` block lasts; `url` is where it listens.

    Who ends this process by `interrupts` in its beginning ends the target, too; at the end of a run
    that was interrupted twice nobody waits for it to end in order.
    """

    def __init__(self, target: Target, interrupts: Interrupts | None = None) -> None:
        assert target.bundled is not None
        self._interrupts = interrupts or Interrupts()
        self._undo = ExitStack()
        self.model = target.bundled
        self._command = command(self.model, arguments(target))
        self._log = log_file()
        self._ended: str | None = None

    def __enter__(self) -> TargetProcess:
        with blocked():
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._log,
                start_new_session=True,
                preexec_fn=_begin_child,
            )
            self._undo.enter_context(self._interrupts.undone_by(self.kill))
        try:
            self.url = self._listening()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _listening(self) -> Url:
        assert self._process.stdout is not None
        line = read_line(self._process.stdout.fileno(), READY_WITHIN)
        word, _, url = line.partition(" ")
        if word != "listening":
            self._refuse(line)
        try:
            return parse_url(url.strip())
        except ValueError as error:
            raise TargetFailed(f"target {self.model} did not start: {error}") from None

    def _refuse(self, line: str) -> NoReturn:
        """It printed something else, or nothing: its own word for bad options is exit code 2."""
        try:
            code: int | None = self._process.wait(ENDED_WITHIN)
        except subprocess.TimeoutExpired:
            code = None
        if code == INVALID:
            raise UsageError(f"target {self.model}: {self.log() or 'it said nothing'}")
        if line:
            told = self.log() or f"its first line was {one_line(line)!r}"
        elif code is None:
            told = f"it did not say within {READY_WITHIN:g} s where it listens"
        else:
            told = self.log() if code > 0 and self.log() else f"it {how_it_ended(code)}"
        raise TargetFailed(f"target {self.model} did not start: {told}")

    def log(self) -> str:
        """The last line that the target wrote to its standard error."""
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, end - LONGEST_LOG))
        text = self._log.read().decode(errors="replace").strip()
        return last_line(text) if text else ""

    def died(self) -> str | None:
        """How the target ended on its own, None while it runs."""
        code = self._process.poll()
        if code is None or self._ended is not None:
            return self._ended
        told = f"target {self.model} {how_it_ended(code)}"
        self._ended = told + (f": {self.log()}" if self.log() else "")
        return self._ended

    def stop(self) -> None:
        """End the process: SIGTERM, and SIGKILL to it and its children if it does not obey."""
        if self._process.poll() is None:
            self._process.terminate()
            if not self._ended_in_order():
                self.kill()
                self._process.wait()
        self._undo.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def _ended_in_order(self) -> bool:
        due = monotonic() + ENDED_WITHIN
        while monotonic() < due and self._interrupts.count < HURRY:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LOOK_EVERY)
                return True
        return False

    def kill(self) -> None:
        """SIGKILL to the process and its children."""
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM where all have ended
            os.killpg(self._process.pid, signal.SIGKILL)


def read_line(fd: int, within: float) -> str:
    """One line from a pipe, at most `within` seconds from now; what came, if it ends before."""
    due, line = monotonic() + within, b""
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while not line.endswith(b"\n") and selector.select(max(0.0, due - monotonic())):
            byte = os.read(fd, 1)
            line += byte
            if not byte or len(line) == LONGEST_READY_LINE:
                break
    return line.decode(errors="replace").strip()
