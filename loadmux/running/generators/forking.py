"""A nursery's own side: it forks, tells what became of its forks, and does nothing else.

It must not have threads: a fork would copy the locks that they hold, and nobody to open them.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from loadmux.running.generators.channel import Channel

READ = 4096


def forked(asked: socket.socket) -> Channel | None:
    """Fork for each channel that is sent, and return it there; None when nobody asks any more.

    With each comes another one, on which the process's number is told, and then its exit code.
    """
    told: dict[int, Channel] = {}
    with word_of_ends() as ends:
        poll = select.poll()
        poll.register(asked, select.POLLIN)
        poll.register(ends, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if ends.fileno() in ready:
                ends.recv(READ)
                tell_ends(told, os.WNOHANG)
            if asked.fileno() in ready:
                word, descriptors, _, _ = socket.recv_fds(asked, 1, 2)
                if not word:
                    break
                channel, tell = (Channel(socket.socket(fileno=one)) for one in descriptors)
                pid = os.fork()
                if not pid:
                    for one in (tell, *told.values()):
                        one.close()
                    return channel
                channel.close()
                told[pid] = tell
                tell.put(pid)
    tell_ends(told, 0)  # their channels have ended as well
    return None


@contextmanager
def word_of_ends() -> Iterator[socket.socket]:
    """Something comes there when a child has ended."""
    heard, tell = socket.socketpair()
    with heard, tell:
        tell.setblocking(False)
        signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        try:
            yield heard
        finally:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)


def tell_ends(told: dict[int, Channel], options: int) -> None:
    """Tell of the children that have ended; `options` as waitpid(2) has them."""
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, options))[0]:
            pid, status = found
            with told.pop(pid) as tell:
                tell.put(os.waitstatus_to_exitcode(status))
