"""io_uring: the kernel is given whole operations, and says when they are completed.

All the other models ask when a call would not block, and then make the call. Here the call itself
is handed over: "receive into this buffer", "send these bytes", "accept". Requests are entries in a
ring shared with the kernel, and so are the completions with their results; one system call,
io_uring_enter(2), submits all new requests and waits for completions.

What follows from that: a buffer belongs to the kernel until its completion comes, so it must stay
alive and untouched (here in `Connection`), and each idle connection holds one. Sockets must block,
or the kernel completes with EAGAIN at once. Closing a descriptor does not end requests that are
under way on it: they are cancelled, and it is closed when the last one has completed. A send may
still take only a part; the rest is sent by another request.

Needs the package `liburing`, a binding to the C library of that name. Its io_uring_prep_send takes
no length, only flags.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from connections import UNSENT_LIMIT
from serving import Model, Service, pieces, run, send_at_once

uring: Any = importlib.import_module("liburing") if importlib.util.find_spec("liburing") else None
"""The binding, or None; untyped, because it need not be installed."""


def unavailable() -> str | None:
    """Why there is no ring to be had, or None."""
    if uring is None:
        return "liburing is not installed (pip install liburing)"
    ring = uring.Ring()
    try:
        uring.io_uring_queue_init(2, ring)
    except OSError as error:
        return f"the kernel refuses io_uring ({error.strerror})"
    uring.io_uring_queue_exit(ring)
    return None


MODEL = Model(
    name="io_uring",
    summary="one thread hands receives and sends to the kernel and is told of their completion",
    waits="every connection in the kernel, with a receive under way and a buffer for it",
    limit="descriptors of the process (RLIMIT_NOFILE)",
    tls=False,
    platforms="Linux from 5.19, unless forbidden (kernel.io_uring_disabled, seccomp)",
    unavailable=unavailable,
)

ENTRIES = 256
BUFFER_SIZE = 16 * 1024
"""Bytes of the receive buffer that each connection holds."""
ACCEPT, RETRY_ACCEPT, STOP, RECEIVE, SEND, CANCEL = range(6)
"""What a request is: the low bits of its user_data; the high bits are the descriptor."""
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
        self.receiving = False
        self.sending = b""
        self.owed: deque[bytes] = deque()
        self.unsent = 0
        self.input_open = True
        self.output_open = True
        self.ending = False
        self.lost = False

    def received(self, result: int | OSError) -> None:
        """A receive has completed."""
        self.receiving = False
        if self.lost:
            return
        if isinstance(result, OSError):
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

    def sent(self, result: int | OSError) -> None:
        """A send has completed; what it did not take comes first."""
        sending, self.sending = self.sending, b""
        if self.lost:
            return
        if isinstance(result, OSError):
            self.lose()
            return
        self.unsent -= result
        if result < len(sending):
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
        self.family = service.listener.family
        service.listener.setblocking(True)
        self.ring = uring.Ring()
        self.retry_after = uring.timespec(RETRY_SECONDS)
        uring.io_uring_queue_init(ENTRIES, self.ring)
        self.submit(ACCEPT, self.listener, uring.io_uring_prep_accept)
        self.submit(STOP, service.stop.fileno(), uring.io_uring_prep_poll_add, select.POLLIN)

    def run(self) -> None:
        """Submit, wait, and handle completions, until stopped and nobody is left."""
        while self.service.busy(self.connections):
            self.wait()
            for kind, fd, result in self.completions():
                if kind == RECEIVE:
                    self.connections[fd].received(result)
                    self.proceed(self.connections[fd])
                elif kind == SEND:
                    self.connections[fd].sent(result)
                    self.proceed(self.connections[fd])
                elif kind == ACCEPT:
                    self.accepted(result)
                elif kind == RETRY_ACCEPT:
                    self.submit(ACCEPT, self.listener, uring.io_uring_prep_accept)
                elif kind == STOP:
                    self.stop()
        uring.io_uring_queue_exit(self.ring)
        for connection in self.connections.values():
            connection.sock.close()

    def submit(self, kind: int, fd: int, prepare: Callable[..., None], *arguments: object) -> None:
        """Put a request into the ring; it reaches the kernel with the next wait."""
        while (entry := uring.io_uring_get_sqe(self.ring)) is None:
            uring.io_uring_submit(self.ring)  # the ring is full
        prepare(entry, fd, *arguments)
        entry.user_data = fd << KIND_BITS | kind

    def wait(self) -> None:
        """Submit the new requests and wait for a completion."""
        patience = self.service.patience()
        try:
            if patience is None:
                uring.io_uring_submit_and_wait(self.ring, 1)
            else:
                limit = uring.timespec(patience)
                uring.io_uring_submit_and_wait_timeout(self.ring, uring.Cqe(), 1, limit)
        except OSError as error:
            if error.errno not in (errno.ETIME, errno.EINTR):
                raise

    def completions(self) -> list[tuple[int, int, int | OSError]]:
        """What has completed, as (kind, descriptor, result)."""
        found = []
        completion = uring.Cqe()
        for _ in uring.CqeIter(self.ring, completion):
            about = completion[0].user_data
            try:
                result: int | OSError = completion[0].res
            except OSError as error:
                result = error
            found.append((about & (1 << KIND_BITS) - 1, about >> KIND_BITS, result))
        uring.io_uring_cq_advance(self.ring, len(found))
        return found

    def accepted(self, result: int | OSError) -> None:
        """A client has come, or why not; ask for the next one."""
        if not isinstance(result, OSError):
            sock = socket.socket(self.family, fileno=result)
            send_at_once(sock)
            connection = self.connections[result] = Connection(self.service, sock)
            if self.service.deadline is not None:
                connection.end()
            self.proceed(connection)
        elif result.errno in STARVED:
            self.service.log(f"clients wait in the backlog: {result.strerror}")
            self.submit(RETRY_ACCEPT, 0, self.prepare_retry)
            return
        if self.service.deadline is None:
            self.submit(ACCEPT, self.listener, uring.io_uring_prep_accept)

    def prepare_retry(self, entry: Any, fd: int) -> None:
        """Make the request a timer."""
        uring.io_uring_prep_timeout(entry, self.retry_after, 0)

    def proceed(self, connection: Connection) -> None:
        """Submit what the connection needs next, or close it once nothing is under way."""
        fd = connection.fd
        if connection.lost:
            if connection.receiving or connection.sending:
                self.submit(CANCEL, fd, uring.io_uring_prep_cancel_fd)
            else:
                del self.connections[fd]
                connection.sock.close()
            return
        if connection.owed and not connection.sending:
            self.submit(SEND, fd, uring.io_uring_prep_send, connection.next_send())
        if connection.ending and connection.output_open and not connection.sending:
            connection.output_open = False
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_WR)
        if connection.wants_receive and not connection.receiving:
            connection.receiving = True
            self.submit(RECEIVE, fd, uring.io_uring_prep_recv, connection.buffer)
        if not (connection.input_open or connection.sending):
            del self.connections[fd]
            self.service.close(connection.sock)

    def stop(self) -> None:
        """Accept no more and end every connection in order."""
        self.submit(CANCEL, self.listener, uring.io_uring_prep_cancel_fd)
        uring.io_uring_submit(self.ring)
        self.service.begin_stop()
        for connection in list(self.connections.values()):
            connection.end()
            self.proceed(connection)


def serve(service: Service) -> None:
    """Run the ring until stopped."""
    Server(service).run()


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
