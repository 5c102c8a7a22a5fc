"""Processes of a server: forked so that a signal finds either the parent's state or the child's.

A child has its own `service.stop`, and stops too when its parent is gone. It never returns to its
parent's code. Whoever forks reaps: a child that has ended stays a zombie until then, wait(2).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Collection, Iterator

from serving import GRACE, Service


def fork(service: Service) -> int:
    """os.fork(), for a child with a `service` of its own."""
    stops = {signal.SIGINT, signal.SIGTERM}
    # Until the child has a wake-up descriptor of its own, its signals would wake the parent.
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        pid = os.fork()
        if pid == 0:
            service.in_child = True
            service.listener.disown()
            service.stop.become_childs()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
    return pid


@contextlib.contextmanager
def child_exit(service: Service) -> Iterator[None]:
    """End the child with its block: never return to the parent's code."""
    status = 1
    try:
        yield
        if service.unended:
            service.stop.wait()
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)


def end_children(children: set[int]) -> None:
    """Stop every child, kill those that outlast `GRACE`, and reap them all."""
    signal_all(children, signal.SIGTERM)
    deadline = time.monotonic() + GRACE + 0.1
    while reap(children) and time.monotonic() < deadline:
        time.sleep(0.01)
    signal_all(children, signal.SIGKILL)
    while children:
        children.discard(os.waitpid(-1, 0)[0])


def signal_all(children: Collection[int], number: int) -> None:
    """Send a signal to all of our children."""
    for pid in children:
        os.kill(pid, number)


def reap(children: set[int]) -> set[int]:
    """Wait for those children that have ended (no zombie stays) and return the others."""
    while children:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            break
        children.discard(pid)
    return children
