"""Makes the generator processes of a forked command by forks, too: each import costs 0.3 s of CPU.

They are forks of what `open_up` has left behind, which knows nothing of what the command has read
since, so that they get to know what their channel brings and no more, as fresh interpreters do.
What only a fresh one shows is tested with commands that are started as users start them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import NoReturn

PR_SET_CHILD_SUBREAPER = 36


class Nursed(subprocess.Popen[bytes]):
    """A process that is our child and was not started by us."""

    def __init__(self, pid: int) -> None:
        self.args, self.pid, self.returncode = "nursed", pid, None
        self.stdin = self.stdout = self.stderr = None
        self._child_created = True
        self._waitpid_lock = threading.Lock()


def open_up() -> None:
    """From now on `loadmux run` in this process has its generator processes made here."""
    if sys.platform != "linux":
        return
    from loadmux.running import run
    from loadmux.running.generators import outside
    from loadmux.running.generators.channel import pair

    ours, theirs = socket.socketpair()
    if not os.fork():
        ours.close()
        attend(theirs)
    theirs.close()

    def spawn(number: int, users: int) -> outside.GeneratorProcess:
        near, far = pair()
        with far:
            return outside.GeneratorProcess(number, users, Nursed(born(ours, far.fileno())), near)

    setattr(run, "spawn", spawn)  # noqa: B010 (it is not exported)


def born(nursery: socket.socket, channel: int) -> int:
    """The number of a new generator process, a child of ours: its parent has ended."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    socket.send_fds(nursery, [b"?"], [channel])
    pid = int(nursery.recv(20))
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    return pid


def attend(asked: socket.socket) -> NoReturn:
    """Fork for each channel that comes, until the command ends, whatever its group is told."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        asking, (*channels,), _, _ = socket.recv_fds(asked, 1, 1)
        if not asking:
            os._exit(0)
        told, tell = os.pipe()
        parent = os.fork()
        if not parent:
            if child := os.fork():
                os.write(tell, b"%d" % child)
                os._exit(0)
            asked.close()
            os.close(told)
            os.close(tell)
            generate(channels[0])
        os.close(channels[0])
        os.waitpid(parent, 0)
        asked.sendall(os.read(told, 20))
        os.close(told)
        os.close(tell)


def generate(channel: int) -> NoReturn:
    """Become a generator process, as `-P -c` has it."""
    from loadmux.running.generators.outside import PACKAGE_AT, WORKER

    del sys.path[0]
    sys.argv = ["-c", str(channel), PACKAGE_AT]
    code: object = 0
    try:
        exec(WORKER, {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code if isinstance(code, int) else 0)
