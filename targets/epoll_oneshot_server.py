"""EPOLLONESHOT: several threads share one epoll set, and each event goes to one of them.

All workers wait on the same epoll. Without EPOLLONESHOT two of them could be told of the same
client, one for each packet, and read its stream in the wrong order. With it the kernel disarms a
descriptor as it reports it; the thread that was told has the client to itself until it arms it
again with epoll_ctl(2). It must do so exactly once, as its last touch: never, and the client is
forgotten; too early, and another thread works on a state that is still changing.

The lock of each client is for the one visitor that epoll did not send: the main thread, which ends
the connections when the server stops. It also covers the arming, so that a thread which is told at
once finds the state settled.
"""

import select
import socket
import threading
import time

from arguments import positive
from connections import Client
from model import Model
from serving import Service, run

MODEL = Model(
    name="epoll_oneshot",
    summary="N threads wait on one epoll set; one of them gets each event, and re-arms it",
    waits="every connection in the kernel's epoll set, disarmed while a thread works on it",
    limit="descriptors of the process (RLIMIT_NOFILE)",
    platforms="Linux",
    options={"workers": {"type": positive, "default": 4, "help": "threads; default: 4"}},
    unavailable=lambda: None if hasattr(select, "epoll") else "only Linux has epoll",
)


class LockedClient(Client):
    """A client that one thread at a time may work on."""

    __slots__ = ("lock",)

    def __init__(self, service: Service, sock: socket.socket) -> None:
        super().__init__(service, sock)
        self.lock = threading.Lock()


class Server:
    """The epoll set, and the clients in it, which the workers share."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.clients: dict[int, LockedClient] = {}
        self.epoll = select.epoll()
        self.listener = service.listener.fileno()
        self.epoll.register(self.listener, select.EPOLLIN | select.EPOLLONESHOT)

    def work(self) -> None:
        """Take one event after the other, for ever."""
        while True:
            # One at a time: others of the batch would be disarmed, and wait for this thread.
            for fd, events in self.epoll.poll(maxevents=1):
                if fd == self.listener:
                    self.welcome()
                elif (client := self.clients.get(fd)) is not None:
                    with client.lock:
                        self.attend(client, events)

    def welcome(self) -> None:
        """Take in who waits to be accepted."""
        for sock in self.service.listener.arrivals():
            client = LockedClient(self.service, sock)
            self.clients[client.fd] = client  # before arming: another thread may be told at once
            self.epoll.register(client.fd, select.EPOLLIN | select.EPOLLONESHOT)
        if self.service.deadline is None:  # else it is out of the set for good
            self.epoll.modify(self.listener, select.EPOLLIN | select.EPOLLONESHOT)

    def attend(self, client: LockedClient, events: int) -> None:
        """Do what can be done for a client without waiting. The caller holds its lock."""
        if client.done:  # closed by whoever had the lock before
            return
        if events & ~select.EPOLLOUT:  # also ERR and HUP, which come unasked:
            client.read()
        if events & ~select.EPOLLIN:  # the calls tell what is wrong
            client.write()
        self.follow(client)

    def follow(self, client: LockedClient) -> None:
        """Arm the client again, or take it out."""
        if client.done:
            self.epoll.unregister(client.fd)
            del self.clients[client.fd]
            client.close()
            return
        events = select.EPOLLONESHOT
        if client.wants_read:
            events |= select.EPOLLIN
        if client.wants_write:
            events |= select.EPOLLOUT
        # Always, even if the interest is the same: each event has disarmed it.
        self.epoll.modify(client.fd, events)

    def stop(self) -> None:
        """End every connection in order. The workers go on with what they are told."""
        self.epoll.unregister(self.listener)
        self.service.begin_stop()
        for client in list(self.clients.values()):
            with client.lock:
                if not client.done:
                    client.finish()
                    self.follow(client)
        while self.service.busy(self.clients):
            time.sleep(0.01)


def serve(service: Service) -> None:
    """Start the workers, then wait for the signal."""
    server = Server(service)
    for _ in range(service.settings.workers):
        threading.Thread(target=server.work, daemon=True).start()
    service.stop.wait()
    server.stop()


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
