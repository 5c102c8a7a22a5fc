"""Signal-driven: the kernel sends a signal when a descriptor becomes ready.

With O_ASYNC on a descriptor and F_SETOWN naming this process, the kernel sends SIGIO when something
happens there (fcntl(2)). SIGIO alone does not say where, and several merge into one. F_SETSIG asks
for a real-time signal instead: those queue, one for each event, and carry the descriptor. Handlers
that interrupt the program anywhere are not needed: the signals are blocked, and sigwaitinfo(2)
takes them from the queue when we are ready for them.

Like the edges of EPOLLET, a signal tells what has become ready, once: whatever it announced must
be used up until the call fails with EAGAIN. `ready` holds those who are not there yet; each gets
one read and one write a round. Bytes that came before a descriptor was armed gave no signal: so a
new client starts in `ready`.

Two traps. The queue is finite (RLIMIT_SIGPENDING); when it is full the kernel sends plain SIGIO,
which means: look at everything. And Python's siginfo has no si_fd; but on 64-bit Linux si_status
lies at the same place of the union (offset 24 of siginfo_t), so it *is* the descriptor. That is
tried once at the start; where it does not hold, every signal means: look at everything.
"""

import fcntl
import os
import signal
import socket

from connections import Client
from model import Model
from serving import Service, run

MODEL = Model(
    name="signal",
    summary="one thread takes real-time signals that name the descriptor that became ready",
    waits="every connection in the kernel's signal queue, from edge to edge",
    limit="descriptors of the process; past RLIMIT_SIGPENDING events all clients are looked at",
    platforms="Linux",
    unavailable=lambda: None if hasattr(fcntl, "F_SETSIG") else "only Linux has F_SETSIG",
)

SIGNALS_AT_ONCE = 1024
"""Signals taken in a row before the clients get their turn."""


class SignalQueue:
    """The blocked signals of this process, as descriptors that became ready."""

    def __init__(self) -> None:
        self.event = signal.SIGRTMIN + 1  # real-time ones queue; others merge into one
        self.stops = {signal.SIGINT, signal.SIGTERM}
        self.waited = {self.event, signal.SIGIO} | self.stops
        # Blocked before the first descriptor is armed: SIGIO and its like kill by default.
        signal.pthread_sigmask(signal.SIG_BLOCK, self.waited)
        self.tells_descriptor = self._try_descriptor()

    def arm(self, fd: int) -> None:
        """From now on send us a signal whenever `fd` becomes ready."""
        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETSIG, self.event)  # without it the signal has no descriptor
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)

    def take(self, timeout: float | None) -> signal.struct_siginfo | None:
        """The next signal; None when `timeout` seconds have passed (None: no limit)."""
        if timeout is None:
            return signal.sigwaitinfo(self.waited)
        return signal.sigtimedwait(self.waited, timeout)

    def allow_to_kill(self) -> None:
        """Give further SIGINT and SIGTERM their default effect."""
        for number in self.stops:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.stops)

    def _try_descriptor(self) -> bool:
        ours, other = socket.socketpair()
        with ours, other:
            self.arm(ours.fileno())
            other.send(b"x")
            info = signal.sigtimedwait({self.event, signal.SIGIO}, 1)
            return info is not None and info.si_status == ours.fileno()


def serve(service: Service) -> None:
    """Take signals, then give each client that became ready its turn."""
    queue = SignalQueue()
    listener = service.listener.fileno()
    clients: dict[int, Client] = {}
    ready: dict[int, Client] = {}
    queue.arm(listener)
    arriving = True
    stopping = service.stop.requested  # a signal that came before they were blocked
    while service.busy(clients):
        patience = 0 if ready or arriving or stopping else service.patience()
        for _ in range(SIGNALS_AT_ONCE):
            info = queue.take(patience)
            if info is None:
                break
            patience = 0
            if info.si_signo in queue.stops:
                stopping = True
                queue.allow_to_kill()
            elif info.si_signo == signal.SIGIO or not queue.tells_descriptor:
                ready |= clients  # the queue was full, or names nobody: it may be any
                arriving = service.deadline is None
            elif info.si_status == listener:
                arriving = service.deadline is None
            elif info.si_status in clients:  # or it was queued before that one was closed
                ready[info.si_status] = clients[info.si_status]
        if stopping and service.deadline is None:
            service.begin_stop()
            arriving = False
            for client in clients.values():
                client.finish()
            ready |= clients
        if arriving:
            arriving = False
            for sock in service.listener.arrivals():
                arriving = True  # until a round of arrivals finds nobody
                client = Client(service, sock)
                queue.arm(client.fd)
                # Ready at once: what came before it was armed has sent no signal.
                clients[client.fd] = ready[client.fd] = client
        # Drained by one read a round: to EAGAIN at one go, a fast client would starve the rest.
        for fd, client in list(ready.items()):
            if not take_turn(client):
                del ready[fd]
            if client.done:
                del clients[fd]
                client.close()
    for client in clients.values():
        client.close()


def take_turn(client: Client) -> bool:
    """One write and one read. False when both would have to wait for a signal.

    Writing comes first: it is what makes a client readable that had too much unsent.
    """
    more_to_write = client.write()
    more_to_read = client.read()
    return more_to_read or more_to_write


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
