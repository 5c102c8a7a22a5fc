"""Makes the nursery of a forked command by a fork, too: its imports cost 0.3 s of CPU.

It is a fork of what `open_up` has left behind, which knows nothing of what the command has read
since, as a fresh interpreter does. What only a fresh one shows is tested with commands that are
started as users start them.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import NoReturn


class Child(subprocess.Popen[bytes]):
    """A fork of ours, as if Popen had started it."""

    def __init__(self, pid: int) -> None:
        self.args, self.pid, self.returncode = "nursery", pid, None
        self.stdin = self.stdout = self.stderr = None
        self._child_created = True
        self._waitpid_lock = threading.Lock()


def open_up() -> None:
    """The next nursery of this process is a fork of it as it is now."""
    from loadmux.running.generators import nursery

    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        ours.close()
        become(theirs)
    theirs.close()
    fresh, forked = nursery.begin, [(Child(pid), ours)]
    setattr(nursery, "begin", lambda: forked.pop() if forked else fresh())  # noqa: B010


def become(asked: socket.socket) -> NoReturn:
    """Be a nursery, as `-P -c` has it."""
    from loadmux.running.generators.nursery import PACKAGE_AT, WORKER

    del sys.path[0]
    sys.argv = ["-c", str(asked.detach()), PACKAGE_AT]
    code: object = 0
    try:
        exec(WORKER, {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code if isinstance(code, int) else 0)
