"""A fixed number of processes, forked in advance; each serves one connection at a time.

The workers inherit the listener and all block in accept() on it; the kernel wakes one of them for
each client. They share nothing else, so there is no interpreter lock between them. Clients beyond
the number of workers wait in the backlog. The parent serves nobody: it waits for signals, and when
a worker dies, it reaps it and forks another.
"""

import signal

from arguments import positive
from children import child_exit, end_children, fork, reap
from connections import Conversation
from model import Model
from serving import Service, run

MODEL = Model(
    name="process_pool",
    summary="N processes forked in advance, each blocks in accept(), then serves one client",
    waits="as many clients as workers in a process each, the others unanswered in the backlog",
    limit="--workers clients are served at once; as many more wait as the backlog holds",
    pool=256,
    options={"workers": {"type": positive, "default": 4, "help": "processes; default: 4"}},
)


def serve(service: Service) -> None:
    """Keep the workers running until a signal comes."""
    service.stop.hear_children()
    service.listener.setblocking(True)
    workers: set[int] = set()
    arrived: set[int] = set()
    while not arrived & {signal.SIGINT, signal.SIGTERM}:
        while len(workers) < service.settings.workers:
            workers.add(start_worker(service))
        arrived = service.stop.arrived()  # blocks
        reap(workers)  # all that ended: SIGCHLD of several merges into one
    service.listener.close()
    end_children(workers)


def start_worker(service: Service) -> int:
    """Fork a worker; returns, in the parent, its process id."""
    pid = fork(service)
    if pid == 0:
        with child_exit(service):
            service.stop_in_thread()
            work(service)
    return pid


def work(service: Service) -> None:
    """Serve one client after the other, for ever."""
    while (sock := service.listener.accept()) is not None:
        with Conversation(service, sock) as client:
            while chunk := client.receive():
                client.answer(chunk)


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
