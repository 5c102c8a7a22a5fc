"""Servers that answer every byte right, and are healthy or not where no reply shows it.

`python untidy_server.py PORT MODE`; each connection has a thread. Of the modes some are wrong for
good, the others only for a while, or only look so.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import time

MODES = {
    "leak": "leaked_descriptors",
    "shut": "leaked_descriptors",
    "threads": "leaked_threads",
    "pipes": "leaked_descriptors",
    "spin": "spinning",
    "spin idle": "spinning",
    "hoard": "memory_growth",
    "sink": "not_read",
    "zombies": "zombies",
}
"""What is wrong with them."""
HEALTHY = ("fine", "late close", "late work", "late reap", "pool", "background", "cache")
LATE = 0.7
"""Seconds after which the healthy ones have done what they had to do."""

kept: list[object] = []


def run(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def serve(connection: socket.socket, mode: str) -> None:
    if mode == "sink":
        kept.append(connection)
        return
    if mode == "pool":
        kept.extend(socket.socketpair())
    while data := connection.recv(65536):
        if mode == "hoard":
            kept.append(data * 200)
        if mode == "cache":
            kept.append(data * 4)
        if mode in ("zombies", "late reap"):
            kept.append(subprocess.Popen(["true"]))
        connection.sendall(data)
        if mode == "spin idle":
            while not select.select([connection], [connection], [])[0]:
                pass
    if mode == "threads":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if mode == "pipes":
        kept.append(os.pipe())
    if mode == "spin":
        run(600)
    if mode == "slow":
        run(4)
    if mode == "late work":
        run(LATE)
    if mode in ("late close", "late reap"):
        time.sleep(LATE)
    if mode == "late reap":
        for child in kept:
            assert isinstance(child, subprocess.Popen)
            child.wait()
    if mode == "shut":
        connection.shutdown(socket.SHUT_RDWR)
    if mode in ("leak", "shut"):
        kept.append(connection)
    else:
        connection.close()


def work() -> None:
    """A third of a core, all the time."""
    while True:
        run(0.01)
        time.sleep(0.02)


def main() -> None:
    port, mode = int(sys.argv[1]), sys.argv[2]
    if mode == "background":
        threading.Thread(target=work, daemon=True).start()
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, mode), daemon=True).start()


if __name__ == "__main__":
    assert os.sched_getaffinity(0)
    main()
