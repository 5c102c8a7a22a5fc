"""What SIGINT, SIGTERM and SIGHUP do to the command line, from its first import to its last line.

No exception is raised for them: one that strikes in an import, a callback or a destructor prints a
traceback that nobody can catch, and one in the middle of starting a process loses it. There are
three times instead:

- `BEGINNING`: nothing has been measured. What was started is undone and the process ends at once.
- `MEASURING`: they are counted, and whoever measures looks at `count`.
- `DELIVERING`: the results are put out. From the first signal on they have PATIENCE seconds for
  that: a terminal or pipe that takes nothing cannot keep the process for ever.

One that the process was started to ignore (nohup, a job in the background) stays ignored.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130
PATIENCE = 1.0
HURRY = 2
"""So many signals: nobody waits for what ends in order."""


class Time(Enum):
    BEGINNING = auto()
    MEASURING = auto()
    DELIVERING = auto()


class Interrupts:
    """The signals of a process, once they are installed; until then none is heard.

    `count` is how many have come since the time before the present one.
    """

    def __init__(self) -> None:
        self.count = 0
        self._time = Time.BEGINNING
        self._undo: list[Callable[[], object]] = []
        self._leave: Callable[[int], object] | None = None

    def install(self, leave: Callable[[int], object]) -> None:
        """Hear them in this process, which `leave(code)` ends."""
        self._leave = leave
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._hear)

    @contextmanager
    def undone_by(self, undo: Callable[[], object]) -> Iterator[None]:
        """Within the block, who ends the process in its beginning calls `undo` first."""
        self._undo.append(undo)
        try:
            yield
        finally:
            self._undo.remove(undo)

    def measuring(self) -> None:
        """From now on they are only counted."""
        self._time = Time.MEASURING

    def delivering(self, code: int) -> None:
        """The results are about to be put out; `code` ends the process where that takes long."""
        self.count = 0
        self._time = Time.DELIVERING
        if (leave := self._leave) is not None:
            signal.signal(signal.SIGALRM, lambda number, frame: leave(code))

    def over(self) -> None:
        """All is said: the interpreter, as it ends, would let a signal kill the process."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._time is Time.BEGINNING:
            self._break_off()
        elif self._time is Time.DELIVERING and self.count == 1:
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def _break_off(self) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)  # another one must not tear this
        for undo in reversed(self._undo):
            with suppress(Exception):
                undo()
        say("loadmux: interrupted, nothing was measured\n")
        assert self._leave is not None
        self._leave(INTERRUPTED)


def say(text: str) -> None:
    """Write to standard error, where that does not mean to wait."""
    poll = select.poll()
    poll.register(2, select.POLLOUT)
    if any(event & select.POLLOUT for _, event in poll.poll(0)):
        with suppress(OSError):
            os.write(2, text.encode())


@contextmanager
def blocked() -> Iterator[None]:
    """Within the block they wait: what is started is written down before any of them is heard.

    A process that is started there has them blocked until it calls `unblock`.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock() -> None:
    """In a process that was started while they were blocked: hear them."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def disregard() -> None:
    """Hear them no more; not by ignoring them, which processes that are started would inherit."""
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: None)
    unblock()
