"""Text for a stream that may be jammed, written by a thread: whoever has it written goes on.

A terminal that is stopped (Ctrl-S) or a pipe that nobody reads holds up who writes to it for as
long as that lasts, and a process that only shows how a run goes must not stop to listen for that.
"""

from __future__ import annotations

import io
import os
import signal
import threading
from time import monotonic
from types import TracebackType
from typing import Self, TextIO

from loadmux.report.streams import writable

ENOUGH = 1.0


class Aside(io.TextIOBase):
    """A text file in front of `file`; each `flush` hands what was written to a thread.

    `busy` while that is not all out. Failures are nobody's business: nothing is shown any more.
    Within a `with` block, at whose end it waits for the last words, but no longer than ENOUGH
    seconds.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._texts: list[str] = []
        self._left = bytearray()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        due = monotonic() + ENOUGH
        with self._changed:
            while self._left and not self._over and (left := due - monotonic()) > 0:
                self._changed.wait(left)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._file.encoding

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self._texts.append(text)
        return len(text)

    def flush(self) -> None:
        said, self._texts = "".join(self._texts).encode(self.encoding, "backslashreplace"), []
        if not said or self._over:
            return
        with self._changed:
            self._left += said
            self._changed.notify_all()
        if self._thread is None:
            self._start()

    @property
    def busy(self) -> bool:
        return bool(self._left) and not self._over

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads are to be had
            self._over = True

    def _run(self) -> None:
        # Signals are for the main thread: there a system call that one interrupts hears of it.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            with self._changed:
                while not self._left:
                    self._changed.wait()
                said = bytes(self._left)
            try:
                written = os.write(self.fileno(), said)
            except BlockingIOError:
                writable(self.fileno())
                continue
            except (OSError, ValueError):
                self._over = True
                written = len(said)
            with self._changed:
                del self._left[:written]
                self._changed.notify_all()
            if self._over:
                return
