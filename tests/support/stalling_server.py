"""An echo server that stalls once: it reads nothing for SECONDS, after having answered so many.

    stalling_server.py AFTER SECONDS

A process of its own, as the driver's spinning loop and a thread would wait for each other's turns
of the interpreter. Prints `listening URL`, and `stalled FROM UNTIL` when the stall is over: its own
reading of CLOCK_MONOTONIC, which `time.perf_counter` of other processes reads on Linux too. Nothing
is answered between the two. Runs until it is killed.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time


def main() -> None:
    after, seconds = int(sys.argv[1]), float(sys.argv[2])
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    print(f"listening tcp://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    answered = 0
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                selector.register(connection, selectors.EVENT_READ)
                continue
            assert isinstance(key.fileobj, socket.socket)
            data = key.fileobj.recv(65536)
            if not data:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                continue
            key.fileobj.sendall(data)
            answered += 1
            if answered == after:
                stall(seconds)


def stall(seconds: float) -> None:
    began = time.perf_counter()
    while (left := began + seconds - time.perf_counter()) > 0:
        time.sleep(left)
    print(f"stalled {began!r} {time.perf_counter()!r}", flush=True)


main()
