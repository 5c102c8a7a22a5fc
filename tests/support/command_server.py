"""Runs `loadmux` commands in forked copies of one process that has imported the command line.

Starting Python and importing typer, rich and loadmux costs 0.35 s of CPU for each command, and a
fork 0.01 s. A command is a process of its own all the same: with its streams, signals and exit
code. So are its generator processes, see nursery.py. A client connects to the Unix socket whose
descriptor is the argument, sends a JSON line {"words", "cwd"} with the descriptors of the three
standard streams, and is sent the number of the process (which leads a group of its own), then its
exit status as wait(2) has it. The server ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import sys
import threading
from pathlib import Path
from typing import NoReturn

import nursery

REQUEST_MOST = 256 * 1024


def command(words: list[str], cwd: str, streams: list[int]) -> NoReturn:
    """Become the command."""
    os.setsid()
    for number, given in enumerate(streams):
        os.dup2(given, number)
    os.closerange(3, max(streams) + 1)
    os.chdir(cwd)
    nursery.open_up()
    sys.argv = ["loadmux", *words]
    sys.path[0] = cwd  # as `python -m` has it
    from loadmux.__main__ import main

    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code if isinstance(code, int) else 0)


def attend(client: socket.socket) -> None:
    """Carry out one request, in a process of its own that waits for the command."""
    data, streams, _, _ = socket.recv_fds(client, REQUEST_MOST, 3)
    asked = json.loads(data)
    pid = os.fork()
    if not pid:
        command(asked["words"], asked["cwd"], streams)
    client.sendall(b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    client.sendall(b"%d\n" % status)


def main() -> None:
    # What a command would import is there before it is forked.
    import loadmux.cli.app
    import loadmux.cli.ending
    import loadmux.cli.pages
    import loadmux.cli.reading
    import loadmux.cli.running
    import loadmux.cli.serving
    import loadmux.cli.tracing
    import loadmux.running.worker  # noqa: F401

    assert threading.active_count() == 1, "a fork would copy locks that nobody opens"
    listener = socket.socket(fileno=int(sys.argv[1]))
    with selectors.DefaultSelector() as waiting:
        waiting.register(listener, selectors.EVENT_READ)
        waiting.register(sys.stdin, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in waiting.select()):
            client, _ = listener.accept()
            if not os.fork():
                waiting.close()
                listener.close()
                attend(client)
                os._exit(0)
            client.close()
            reap(os.WNOHANG)
    reap(0)


def reap(options: int) -> None:
    """Wait for those that have attended, so that what they cost is counted as ours."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    main()
