"""kqueue(): the kernel keeps filters, and one call both changes them and waits.

kqueue(2) is what BSD and macOS have for epoll. The kernel keeps one filter for each descriptor and
direction, EVFILT_READ and EVFILT_WRITE, where epoll keeps one mask for each descriptor. kevent(2)
takes a list of changes and returns a list of events, so that changes of interest cost no calls of
their own: they are collected, and go along with the next wait. Events tell more than readiness:
`data` is the number of bytes to read or of room to write, EV_EOF says that the other side has ended
its sending, while bytes may still be there to read.

The filters are level-triggered (EV_CLEAR would make them edge-triggered): as long as there is
something to read, or room to write, each wait says so again. EVFILT_WRITE must be deleted when
nothing is owed, or each wait returns at once.

Linux has no kqueue; there this file runs only under an emulation, as the project's tests do it.
"""

import contextlib
import select
from typing import Any

from connections import Client
from model import Model
from serving import Service, run

MODEL = Model(
    name="kqueue",
    summary="one thread asks kqueue who is ready, and tells it in the same call what has changed",
    waits="every connection in the kernel's queue; a wait costs only who is ready",
    limit="descriptors of the process (RLIMIT_NOFILE)",
    platforms="BSD, macOS",
    unavailable=lambda: (
        None if hasattr(select, "kqueue") else "only BSD and macOS have kqueue, not this kernel"
    ),
)

bsd: Any = select
"""typeshed declares kqueue for BSD only; this name lets the file be checked on Linux too."""
Changes = dict[tuple[int, int], int]
"""EV_ADD or EV_DELETE for a descriptor and filter; what is told last, counts."""
EVENTS_AT_ONCE = 256
READ, WRITE = 1, 2


def serve(service: Service) -> None:
    """Wait, then do for each ready descriptor what can be done without waiting."""
    clients: dict[int, Client] = {}
    stop = service.stop.fileno()
    listener = service.listener.fileno()
    queue = bsd.kqueue()
    changes: Changes = {
        (stop, bsd.KQ_FILTER_READ): bsd.KQ_EV_ADD,
        (listener, bsd.KQ_FILTER_READ): bsd.KQ_EV_ADD,
    }
    while service.busy(clients):
        told = [bsd.kevent(fd, kind, flags) for (fd, kind), flags in changes.items()]
        changes.clear()
        for event in queue.control(told, EVENTS_AT_ONCE, service.patience()):
            fd = event.ident
            if fd in clients:  # not closed by its other filter, in the same batch
                client = clients[fd]
                if event.filter == bsd.KQ_FILTER_READ:
                    client.read()
                else:
                    client.write()
                follow(queue, changes, clients, client)
            elif fd == stop:
                remove(queue, stop, bsd.KQ_FILTER_READ)
                remove(queue, listener, bsd.KQ_FILTER_READ)
                service.begin_stop()
                for client in list(clients.values()):
                    client.finish()
                    follow(queue, changes, clients, client)
            elif fd == listener:
                for sock in service.listener.arrivals():
                    client = Client(service, sock)
                    clients[client.fd] = client
                    follow(queue, changes, clients, client)
    for client in clients.values():
        client.close()


def follow(queue: Any, changes: Changes, clients: dict[int, Client], client: Client) -> None:
    """Note for the next wait what the client waits for now, if that has changed."""
    filters = {READ: bsd.KQ_FILTER_READ, WRITE: bsd.KQ_FILTER_WRITE}
    if client.done:
        for bit, kind in filters.items():
            changes.pop((client.fd, kind), None)  # the number may be another client's by then
            if client.watched & bit:
                remove(queue, client.fd, kind)
        del clients[client.fd]
        client.close()
        return
    wanted = (READ if client.wants_read else 0) | (WRITE if client.wants_write else 0)
    for bit, kind in filters.items():
        if (wanted ^ client.watched) & bit:
            changes[client.fd, kind] = bsd.KQ_EV_ADD if wanted & bit else bsd.KQ_EV_DELETE
    client.watched = wanted


def remove(queue: Any, fd: int, kind: int) -> None:
    """Delete a filter now. close() does it too, but not while a duplicate of `fd` is open."""
    with contextlib.suppress(FileNotFoundError):  # it was to be added by the next wait
        queue.control([bsd.kevent(fd, kind, bsd.KQ_EV_DELETE)], 0)


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
