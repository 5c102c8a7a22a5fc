"""io_uring: the kernel is given whole operations, and says when they are completed.

All the other models ask when a call would not block, and then make the call. Here the call itself
is handed over: "receive into this buffer", "send these bytes", "accept". Requests are entries in a
ring shared with the kernel, and so are the completions with their results (see ring.py); one
system call, io_uring_enter(2), submits all new requests and waits for completions.

What follows from that: a buffer belongs to the kernel until its completion comes, so it must stay
alive and untouched (here in `Connection`), and each idle connection holds one. Sockets must block,
or the kernel completes with EAGAIN at once. Closing a descriptor does not end requests that are
under way on it: they are cancelled, and it is closed when the last one has completed. A send may
still take only a part; the rest is sent by another request.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
from collections import deque

from connections import UNSENT_LIMIT
from model import Model
from ring import Ring, refusal
from rules import pieces
from serving import Service, run
from sockets import send_at_once

MODEL = Model(
    name="io_uring",
    summary="one thread hands receives and sends to the kernel and is told of their completion",
    waits="every connection in the kernel, with a receive under way and a buffer for it",
    limit="descriptors of the process (RLIMIT_NOFILE)",
    tls=False,
    platforms="Linux from 5.7, unless forbidden (kernel.io_uring_disabled, seccomp)",
    unavailable=refusal,
)

BUFFER_SIZE = 16 * 1024
"""Bytes of the receive buffer that each connection holds."""
ACCEPT, RECEIVE, SEND, CANCEL, STOP, RETRY_ACCEPT, TIME_UP = range(7)
"""What a completion is about: the low bits of the number; the high bits are the descriptor."""
KIND_BITS = 3
STARVED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
RETRY_SECONDS = 0.05


class Connection:
    """One client: its buffers, which the kernel reads and writes while requests are under way."""

    def __init__(self, service: Service, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.answer = service.answers(sock, self.end)
        self.stride = service.stride
        self.buffer = bytearray(min(service.read_size, BUFFER_SIZE))
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer))
        self.receiving = False
        self.sending = b""
        self.owed: deque[bytes] = deque()
        self.unsent = 0
        self.input_open = True
        self.output_open = True
        self.ending = False
        self.lost = False

    def received(self, result: int) -> None:
        """A receive has completed."""
        self.receiving = False
        if self.lost:
            return
        if result < 0:
            self.lose()
        elif result == 0:
            self.input_open = False
        elif not self.ending:
            try:
                reply = self.answer(bytes(memoryview(self.buffer)[:result]))
            except OSError:
                self.lose()
                return
            self.owed.extend(pieces(reply, self.stride))
            self.unsent += len(reply)

    def sent(self, result: int) -> None:
        """A send has completed; what it did not take comes first."""
        sending, self.sending = self.sending, b""
        if self.lost:
            return
        if result < 0:
            self.lose()
            return
        self.unsent -= result
        if result < len(sending):  # the kernel took a part: the rest goes before what came later
            self.owed.appendleft(sending[result:])

    def next_send(self) -> bytes:
        """The bytes for the next send; they stay alive and as they are until it completes."""
        self.sending = self.owed.popleft()
        return self.sending

    def end(self) -> None:
        """Answer no more."""
        self.ending = True

    def lose(self) -> None:
        """The connection is broken: nothing is owed any more."""
        self.lost = True
        self.input_open = False
        self.owed.clear()

    @property
    def wants_receive(self) -> bool:
        """Whether bytes that come in should be received."""
        return self.input_open and (self.ending or self.unsent <= UNSENT_LIMIT)


class Server:
    """The ring, and what its completions mean."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.connections: dict[int, Connection] = {}
        self.listener = service.listener.fileno()
        self.family = service.listener.sock.family
        service.listener.setblocking(True)  # or the kernel completes with EAGAIN at once
        self.ring = Ring()
        self.ring.accept(about(ACCEPT), self.listener)
        self.word = ctypes.create_string_buffer(1)
        self.ring.receive(about(STOP), service.stop.fileno(), ctypes.addressof(self.word), 1)

    def run(self) -> None:
        """Submit, wait, and handle completions, until stopped and nobody is left."""
        while self.service.busy(self.connections):
            for number, result in self.ring.wait():
                kind, fd = number & (1 << KIND_BITS) - 1, number >> KIND_BITS
                if kind == RECEIVE:
                    self.connections[fd].received(result)
                    self.proceed(self.connections[fd])
                elif kind == SEND:
                    self.connections[fd].sent(result)
                    self.proceed(self.connections[fd])
                elif kind == ACCEPT:
                    self.accepted(result)
                elif kind == RETRY_ACCEPT and self.service.deadline is None:
                    self.ring.accept(about(ACCEPT), self.listener)
                elif kind == STOP:
                    self.stop()
        self.ring.close()
        for connection in self.connections.values():
            connection.sock.close()

    def accepted(self, result: int) -> None:
        """A client has come, or why not; ask for the next one."""
        if result >= 0:
            sock = socket.socket(self.family, fileno=result)
            send_at_once(sock)
            connection = self.connections[result] = Connection(self.service, sock)
            if self.service.deadline is not None:
                connection.end()
            self.proceed(connection)
        elif -result in STARVED:
            self.service.log(f"clients wait in the backlog: {os.strerror(-result)}")
            # Asked again at once, it would fail at once, for as long as there is no descriptor.
            self.ring.sleep(about(RETRY_ACCEPT), RETRY_SECONDS)
            return
        if self.service.deadline is None:
            self.ring.accept(about(ACCEPT), self.listener)

    def proceed(self, connection: Connection) -> None:
        """Submit what the connection needs next, or close it once nothing is under way."""
        fd = connection.fd
        if connection.lost:
            self.abandon(connection)
            return
        # One send at a time: two under way may complete in parts, and mix their bytes.
        if connection.owed and not connection.sending:
            self.ring.send(about(SEND, fd), fd, connection.next_send())
        if connection.ending and connection.output_open and not connection.sending:
            connection.output_open = False
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_WR)
        if connection.wants_receive and not connection.receiving:
            connection.receiving = True
            size = len(connection.buffer)
            self.ring.receive(about(RECEIVE, fd), fd, connection.address, size)
        if not (connection.input_open or connection.sending):
            del self.connections[fd]
            self.service.close(connection.sock)

    def abandon(self, connection: Connection) -> None:
        """Cancel what is under way on a broken connection; close it when nothing is."""
        fd = connection.fd
        if connection.receiving:
            self.ring.cancel(about(CANCEL), about(RECEIVE, fd))
        if connection.sending:
            self.ring.cancel(about(CANCEL), about(SEND, fd))
        if not (connection.receiving or connection.sending):
            del self.connections[fd]  # not before: until then the kernel may write to its buffer
            connection.sock.close()

    def stop(self) -> None:
        """Accept no more and end every connection in order."""
        self.ring.cancel(about(CANCEL), about(ACCEPT))
        self.service.begin_stop()
        self.ring.sleep(about(TIME_UP), self.service.patience() or 0)
        for connection in list(self.connections.values()):
            connection.end()
            self.proceed(connection)


def about(kind: int, fd: int = 0) -> int:
    """The number that comes back with a completion."""
    return fd << KIND_BITS | kind


def serve(service: Service) -> None:
    """Run the ring until stopped."""
    Server(service).run()


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
