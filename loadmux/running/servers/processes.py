"""Servers as processes of ours: started, known how they ended, and ended whatever happens.

Each leads a process group, so that nothing of it is left: not its children, and not when loadmux
is interrupted or killed while it starts.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from time import monotonic
from types import TracebackType
from typing import IO, ClassVar, Self

from loadmux.errors import TargetFailed
from loadmux.language.meaning.servers import Url
from loadmux.running.interrupts import HURRY, Interrupts, blocked, unblock

ENDED_WITHIN = 3.0
LOOK_EVERY = 0.05
PR_SET_PDEATHSIG = 1
LONGEST_LINE = 300
"""Characters of a target's own words in a line of ours."""
LONGEST_LOG = 64 * 1024
"""Bytes of what a server wrote that are looked at."""
LONGEST_READY_LINE = 4096
LAST_LINES = 10


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


def log_file() -> IO[bytes]:
    """What a server writes; lost where a disk is full, which stops no run."""
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


class ServerProcess:
    """A server while the `with` block lasts; `url` is where it listens, `name` what it is called.

    Who ends this process by `interrupts` in its beginning ends the server, too; at the end of a run
    that was interrupted twice nobody waits for it to end in order. Its standard error goes to the
    log, and its standard output to `stdout` of the class.
    """

    url: Url
    stdout: ClassVar[int] = subprocess.PIPE

    def __init__(self, name: str, words: Sequence[str], interrupts: Interrupts | None) -> None:
        self.name = name
        self.words = tuple(words)
        self.interrupts = interrupts or Interrupts()
        self._undo = ExitStack()
        self._log = log_file()
        self._ended: str | None = None

    def __enter__(self) -> Self:
        try:
            with blocked():
                self.process = self._begin()
                self._undo.enter_context(self.interrupts.undone_by(self.kill))
        except OSError as error:
            self._log.close()
            reason = (error.strerror or str(error)).lower()
            told = f"{self.name} did not start: cannot run {self.words[0]!r}: {reason}"
            raise TargetFailed(told) from None
        try:
            self.url = self.ready()
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

    def _begin(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.words,
            stdin=subprocess.DEVNULL,
            stdout=self._log if self.stdout == subprocess.STDOUT else self.stdout,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=_begin_child,
            env=self.environment(),
        )

    def environment(self) -> Mapping[str, str] | None:
        """Its environment; None is ours."""
        return None

    def ready(self) -> Url:
        """Wait until it listens; where. Raises TargetFailed, or UsageError for wrong options."""
        raise NotImplementedError

    def written(self) -> str:
        """The last of what it wrote to its log."""
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, end - LONGEST_LOG))
        return self._log.read().decode(errors="replace").strip()

    def log(self) -> str:
        """The last line of its log."""
        text = self.written()
        return last_line(text) if text else ""

    def last_lines(self) -> list[str]:
        """The last lines of its log, each as it can be shown."""
        return [one_line(line) for line in self.written().splitlines()[-LAST_LINES:]]

    def died(self) -> str | None:
        """How it ended on its own, None while it runs."""
        code = self.process.poll()
        if code is None or self._ended is not None:
            return self._ended
        told = f"{self.name} {how_it_ended(code)}"
        self._ended = told + (f": {self.log()}" if self.log() else "")
        return self._ended

    def await_end(self, seconds: float) -> None:
        """Wait for so long for it to end on its own."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def stop(self) -> None:
        """End the process: SIGTERM, and SIGKILL to what is left of its group."""
        if self.process.poll() is None:
            self.ask_to_end()
            if not self._ended_in_order():
                self.kill()
                self.process.wait()
        self.kill()
        self._undo.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()

    def ask_to_end(self) -> None:
        self.process.terminate()

    def _ended_in_order(self) -> bool:
        due = monotonic() + ENDED_WITHIN
        while monotonic() < due and self.interrupts.count < HURRY:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(LOOK_EVERY)
                return True
        return False

    def kill(self) -> None:
        """SIGKILL to the process and its children."""
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM where all have ended
            os.killpg(self.process.pid, number)


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
