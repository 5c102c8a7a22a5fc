"""The wish to stop, as a descriptor that becomes readable.

The first SIGINT or SIGTERM makes a `StopSignal` readable (the self-pipe trick: a wait on
descriptors cannot miss the signal, whenever it comes); the second one kills.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from types import FrameType


class StopSignal:
    """Readable once a signal has come; only the main thread can make one, signal(2)."""

    def __init__(self) -> None:
        self.requested = False
        self._lifeline, self._parent_end = os.pipe()
        self._hear()
        # Whoever started us may have blocked them until now: an interrupt in the middle of an
        # import would print a traceback.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

    def fileno(self) -> int:
        """What to wait for."""
        return self._woken.fileno()

    def wait(self) -> None:
        """Block until a signal has come, or, in a child, until the parent is gone."""
        waiting = select.poll()
        waiting.register(self._woken, select.POLLIN)
        waiting.register(self._lifeline, select.POLLIN)
        waiting.poll()

    def arrived(self) -> set[int]:
        """The numbers of the signals that came since it became readable; blocks for the first."""
        return set(self._woken.recv(4096))

    def hear_children(self) -> None:
        """Be readable also when a child ends (SIGCHLD)."""
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def become_childs(self) -> None:
        """After fork(2), in the child: signals of its own, and the parent's end as one.

        The child ignores SIGINT: the terminal sends it to all, and the parent passes on SIGTERM.
        """
        os.close(self._parent_end)  # or our own copy would keep the pipe open when the parent dies
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        self._woken.close()
        self._written.close()
        self._hear()  # there is room: two descriptors have just been closed
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _hear(self) -> None:
        self._woken, self._written = socket.socketpair()
        self._written.setblocking(False)  # CPython refuses a wake-up descriptor that blocks
        signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        for each in (signal.SIGINT, signal.SIGTERM):  # the second one ends the process
            signal.signal(each, signal.SIG_DFL)
