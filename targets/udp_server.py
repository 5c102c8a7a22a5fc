"""UDP: one socket for everybody, and no connections: a datagram comes with its sender's address.

recvfrom(2) gives one whole datagram, sendto(2) sends one; neither is ever half done, so there is
nothing to keep for a client: no state, no half-close, no partial send, no backpressure. What the
receive buffer has no room for is dropped, and nobody is told (udp(7)); neither is a reply that the
sender's buffer has no room for. One thread with one descriptor serves as many clients as there are.

An empty datagram is a datagram, answered like any other. That a client has gone shows as
ECONNREFUSED only where the socket is connected; this one is not.

The faults count the datagrams of each address: `duplicate` and `extra` send a second datagram,
`silence` and `truncate` lose one or a part of it, `swap` sends a reply after the one that follows.
"""

import select
import socket
from collections.abc import Iterator

from lies import UNASKED
from model import Model
from rules import RULES
from serving import Service, run

MODEL = Model(
    name="udp",
    summary="one thread, one socket: each datagram is answered with one, to where it came from",
    waits="nobody: there are no connections, only datagrams in the socket's receive buffer",
    limit="datagrams that the receive buffer has no room for are dropped",
    tls=False,
    datagrams=True,
    faults=("flip", "duplicate", "swap", "truncate", "silence", "extra"),
)
BATCH = 256
"""Datagrams answered in a row before the wish to stop is looked for."""
RECEIVE_BUFFER = 16 * 1024 * 1024
"""Bytes; a small datagram takes 768 of them (Linux), so that bursts of many clients find room."""

Address = tuple[str, int] | tuple[str, int, int, int]


def serve(service: Service) -> None:
    """Answer datagrams until stopped."""
    make_room(service.listener.sock)
    replies = Replies(service)
    ready = select.poll()
    ready.register(service.listener, select.POLLIN)
    ready.register(service.stop, select.POLLIN)
    while not service.stop.requested:
        ready.poll()
        for _ in range(BATCH):  # bounded, or a flood would keep us from seeing the stop
            try:
                datagram, sender = service.listener.sock.recvfrom(service.read_size)
            except BlockingIOError:
                break
            for reply in replies.to(datagram, sender):
                send(service.listener.sock, reply, sender)


def make_room(sock: socket.socket) -> None:
    """Ask for a large receive buffer: the kernel gives at most net.core.rmem_max, socket(7)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def send(sock: socket.socket, reply: bytes, to: Address) -> None:
    """Send a datagram, or lose it: that is what a datagram's sender has to reckon with."""
    try:
        sock.sendto(reply, to)
    except OSError:
        return


class Replies:
    """What each datagram is answered with: none, one or two datagrams."""

    def __init__(self, service: Service) -> None:
        self.answer = RULES[service.settings.reply]
        self.silent = service.settings.reply == "sink"
        self.fault = service.settings.fault
        self.counts: dict[Address, int] = {}
        self.held: dict[Address, bytes] = {}

    def to(self, datagram: bytes, sender: Address) -> Iterator[bytes]:
        """The replies, in the order in which they are to be sent."""
        if self.silent:
            return
        reply = self.answer(datagram)
        if self.fault is None:
            yield reply
            return
        count = self.counts[sender] = self.counts.get(sender, 0) + 1
        if count != self.fault.at:
            yield reply
            if sender in self.held:
                yield self.held.pop(sender)
            return
        yield from self.lie(self.fault.name, reply, sender)

    def lie(self, fault: str, reply: bytes, sender: Address) -> Iterator[bytes]:
        """What the fault makes of the reply that it strikes."""
        half = len(reply) // 2
        if fault == "swap":
            self.held[sender] = reply
        elif fault == "flip" and reply:
            yield reply[:half] + bytes([reply[half] ^ 1]) + reply[half + 1 :]
        elif fault == "truncate":
            yield reply[:half]
        elif fault != "silence":
            yield reply
            if fault in ("duplicate", "extra"):
                yield reply if fault == "duplicate" else UNASKED


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
