"""The process that generator processes are forks of, from the outside.

To start Python and import what a generator needs takes longer than many a run. A nursery does so
once, and forks a generator process for each channel that it is sent. It is told nothing else: what
one of them has imported or changed, the next one does not see. It tells the number of each, and how
it ended. It ends when whoever asks it has ended, however that was. Its own side is in `process`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from loadmux.measuring.exitcodes import ExitCode
from loadmux.running.generators.channel import Channel, wait
from loadmux.running.interrupts import Interrupts, blocked

# Not `-m`, and with -P: the folder that a user stands in may hold a select.py of their own.
# It ends as an interpreter does, but does not take apart what it holds: 15 ms for each process.
WORKER = f"""
import atexit, contextlib, os, sys, threading
sys.path.append(sys.argv[2])
try:
    from loadmux.running.generators.process import main
    main()
except Exception as error:
    broken = f"{{type(error).__name__}}: {{error}}"
    print("loadmux: a generator process broke:", broken, file=sys.stderr)
    sys.exit({ExitCode.BROKEN.value})
threading._shutdown()
atexit._run_exitfuncs()
for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(Exception):
        stream.flush()
os._exit(0)
"""
PACKAGE_AT = str(Path(__file__).resolve().parents[3])
ENDED_WITHIN = 1.0
"""Seconds in which a process that is about to end has ended, or is killed."""
UNINHERITED = "PYTEST_CURRENT_TEST"
"""Differs from test to test, and says nothing to a generator."""


class Nursery:
    """A nursery while the `with` block lasts.

    Where what a process inherits is not what it was when the nursery started, another one takes its
    place: generator processes are as if each was started anew.
    """

    def __init__(self, interrupts: Interrupts | None = None) -> None:
        """Who ends this process by `interrupts` in its beginning ends the nursery, too."""
        self.interrupts = interrupts or Interrupts()

    def __enter__(self) -> Self:
        self._undo = self.interrupts.undone_by(self.kill)
        with blocked():
            self._begin()
            self._undo.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.__exit__(kind, error, trace)
        self._end()

    def _begin(self) -> None:
        self._inherits = inheritance()
        self._process, self._asked = begin()

    def _end(self) -> None:
        self._asked.close()
        self.kill()  # it has nothing to put in order, and may still import what nobody wants
        self._process.wait()

    def kill(self) -> None:
        self._process.kill()

    def spawn(self) -> tuple[Forked, Channel]:
        """A generator process and the channel to it. Does not wait for either."""
        if self._inherits != inheritance() or self._process.poll() is not None:
            self._end()
            self._begin()
        ours, theirs = socket.socketpair()
        told, tell = socket.socketpair()
        with theirs, tell, suppress(OSError):  # where it has ended, both end here
            socket.send_fds(self._asked, [b"?"], [theirs.fileno(), tell.fileno()])
        return Forked(Channel(told), self._process), Channel(ours)


def begin() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A new nursery, and what it is asked through; it has the signals of `interrupts` blocked."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", WORKER, str(theirs.fileno()), PACKAGE_AT],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    return process, ours


def inheritance() -> tuple[object, ...]:
    """What a process that is started now gets from this one."""
    environment = {name: value for name, value in os.environ.items() if name != UNINHERITED}
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    return os.getpid(), environment, cores, _identity("."), _identity(1), _identity(2)


def _identity(file: str | int) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.stat(file)
        return found.st_dev, found.st_ino
    return None


class Forked:
    """A generator process: not our child, so the nursery tells of it, its number and its end."""

    def __init__(self, told: Channel, nursery: subprocess.Popen[bytes]) -> None:
        self._told, self._nursery = told, nursery
        self._known: list[int] = []

    @property
    def pid(self) -> int:
        """Waits until it is known; 0 where the nursery has ended before."""
        while not self._known and not self._told.gone:
            self._hear(None)
        return self._known[0] if self._known else 0

    def kill(self) -> None:
        """SIGKILL, if it has begun and not ended."""
        self._hear(0.0)
        if len(self._known) == 1:
            with suppress(ProcessLookupError):
                os.kill(self._known[0], signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        """Its exit code, as subprocess has it; that of the nursery, if that has ended before.

        Raises TimeoutExpired.
        """
        while len(self._known) < 2 and not self._told.gone:
            if not self._hear(timeout):
                raise subprocess.TimeoutExpired("a generator process", timeout)
        return self._known[1] if len(self._known) == 2 else ended(self._nursery)

    def _hear(self, timeout: float | None) -> bool:
        """Whether there was something to hear."""
        before = len(self._known)
        wait([self._told], timeout)
        self._known += [word for word in self._told.take() if isinstance(word, int)]
        return len(self._known) > before or self._told.gone


class Process(Protocol):
    def kill(self) -> None: ...
    def wait(self, timeout: float) -> int: ...


def ended(process: Process) -> int:
    """The exit code of a process that is about to end; it is killed if it does not."""
    try:
        return process.wait(ENDED_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
    try:
        return process.wait(ENDED_WITHIN)
    except subprocess.TimeoutExpired:  # who would tell so is stopped
        return -signal.SIGKILL
