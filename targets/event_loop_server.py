"""A reactor: an event loop that knows descriptors and handlers, and nothing of this server.

The waiting is turned inside out: the loop waits, for everybody, and calls the handler that was
added for a descriptor when that is ready. Handlers never wait; they do what they can and return.
`EventLoop` has four verbs, add, modify, remove and run, and picks what to wait with: kqueue where
there is one, else epoll. On top of it, `Server` makes a `Connection` of each client.

What tutorials' loops get wrong, and this one does not: a handler may remove descriptors, its own
or others, while events for them are still in the batch at hand; those events are dropped. Errors
and hang-ups come as readable and writable, so that the handler meets them in its calls. Interest
in writing exists only while something is owed. And a signal ends the loop as an event like others.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from connections import Client
from model import Model
from serving import Service, run

READ, WRITE = 1, 2
Handler = Callable[[int], None]
"""Called with READ, WRITE or both."""


def unavailable() -> str | None:
    """Why there is nothing to wait with, or None."""
    if hasattr(select, "epoll") or hasattr(select, "kqueue"):
        return None
    return "neither epoll nor kqueue is here"


MODEL = Model(
    name="event_loop",
    summary="one thread runs a reactor, which calls a handler for each ready descriptor",
    waits="every connection in epoll or kqueue; a wait costs only who is ready",
    limit="descriptors of the process (RLIMIT_NOFILE)",
    unavailable=unavailable,
)


class Poller(Protocol):
    """What the loop needs of the kernel."""

    def change(self, fd: int, before: int, after: int) -> None:
        """Watch `fd` for `after` instead of `before`; 0 is nothing, not even errors."""

    def wait(self, timeout: float | None) -> Iterable[tuple[int, int]]:
        """Descriptors that are ready, and for what."""


class EpollPoller:
    """epoll: one entry a descriptor, with a mask."""

    def __init__(self) -> None:
        self.epoll = select.epoll()

    def change(self, fd: int, before: int, after: int) -> None:
        """See `Poller`."""
        mask = (select.EPOLLIN if after & READ else 0) | (select.EPOLLOUT if after & WRITE else 0)
        if not before:
            self.epoll.register(fd, mask)
        elif not after:
            self.epoll.unregister(fd)
        else:
            self.epoll.modify(fd, mask)

    def wait(self, timeout: float | None) -> Iterable[tuple[int, int]]:
        """See `Poller`."""
        for fd, mask in self.epoll.poll(timeout):
            # ERR and HUP come unasked, as both: the call that is made of it tells the errno.
            readable = READ if mask & ~select.EPOLLOUT else 0
            writable = WRITE if mask & ~select.EPOLLIN else 0
            yield fd, readable | writable


class KqueuePoller:
    """kqueue: one filter a descriptor and direction."""

    EVENTS_AT_ONCE = 256

    def __init__(self) -> None:
        self.bsd: Any = select  # typeshed declares kqueue for BSD only
        self.queue = self.bsd.kqueue()

    def change(self, fd: int, before: int, after: int) -> None:
        """See `Poller`."""
        for bit, kind in (READ, self.bsd.KQ_FILTER_READ), (WRITE, self.bsd.KQ_FILTER_WRITE):
            if (before ^ after) & bit:
                flags = self.bsd.KQ_EV_ADD if after & bit else self.bsd.KQ_EV_DELETE
                self.queue.control([self.bsd.kevent(fd, kind, flags)], 0)

    def wait(self, timeout: float | None) -> Iterable[tuple[int, int]]:
        """See `Poller`."""
        for event in self.queue.control(None, self.EVENTS_AT_ONCE, timeout):
            yield event.ident, READ if event.filter == self.bsd.KQ_FILTER_READ else WRITE


class EventLoop:
    """Waits for descriptors and calls their handlers."""

    def __init__(self) -> None:
        self.poller: Poller = KqueuePoller() if hasattr(select, "kqueue") else EpollPoller()
        self.handlers: dict[int, Handler] = {}
        self.interest: dict[int, int] = {}

    def add(self, fd: int, interest: int, handler: Handler) -> None:
        """From now on call `handler` when `fd` is ready for what `interest` says."""
        self.poller.change(fd, 0, interest)
        self.handlers[fd] = handler
        self.interest[fd] = interest

    def modify(self, fd: int, interest: int) -> None:
        """Watch `fd` for this instead; costs a system call only if it differs."""
        if interest != self.interest[fd]:
            self.poller.change(fd, self.interest[fd], interest)
            self.interest[fd] = interest

    def remove(self, fd: int) -> None:
        """Forget `fd`; call it before closing."""
        self.poller.change(fd, self.interest.pop(fd), 0)
        del self.handlers[fd]

    def run(self, going: Callable[[], bool], patience: Callable[[], float | None]) -> None:
        """Run while `going()`, waiting no longer than `patience()` seconds at a time."""
        while going():
            for fd, events in self.poller.wait(patience()):
                handler = self.handlers.get(fd)  # None: removed by one before it in this batch
                if handler is not None:
                    handler(events)


class Connection:
    """The handler of one client."""

    def __init__(self, server: Server, client: Client) -> None:
        self.server = server
        self.client = client
        server.loop.add(client.fd, READ, self.handle)
        server.connections.add(self)

    def handle(self, events: int) -> None:
        """Do what can be done without waiting."""
        if events & READ:
            self.client.read()
        if events & WRITE:
            self.client.write()
        self.follow()

    def finish(self) -> None:
        """End the connection in order."""
        self.client.finish()
        self.follow()

    def follow(self) -> None:
        """Tell the loop what the client waits for now."""
        client = self.client
        if client.done:
            self.server.loop.remove(client.fd)
            self.server.connections.remove(self)
            client.close()
            return
        reading = READ if client.wants_read else 0
        writing = WRITE if client.wants_write else 0
        self.server.loop.modify(client.fd, reading | writing)


class Server:
    """The handlers of the listener and of the wish to stop."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.loop = EventLoop()
        self.connections: set[Connection] = set()
        self.loop.add(service.listener.fileno(), READ, self.accept)
        self.loop.add(service.stop.fileno(), READ, self.stop)

    def accept(self, events: int) -> None:
        """Take in who waits to be accepted."""
        for sock in self.service.listener.arrivals():
            Connection(self, Client(self.service, sock))

    def stop(self, events: int) -> None:
        """Accept no more and end every connection in order."""
        self.loop.remove(self.service.stop.fileno())
        self.loop.remove(self.service.listener.fileno())
        self.service.begin_stop()
        for connection in list(self.connections):
            connection.finish()


def serve(service: Service) -> None:
    """Run the loop until stopped."""
    server = Server(service)
    server.loop.run(lambda: service.busy(server.connections), service.patience)
    for connection in server.connections:
        connection.client.close()


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
