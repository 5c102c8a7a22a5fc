"""One process for each connection, which blocks in recv() and sendall().

fork(2) gives each client a process of its own: what one does to its memory, or a crash, cannot
harm another, and there is no interpreter lock between them. Each connection costs a fork and the
pages that the child writes to (in CPython also reference counts, so nearly all it touches).

Two things are easily forgotten. The parent must close its copy of the connection, and the child
its copy of the listener, or neither is ever really closed. And a child that has ended stays as a
zombie until the parent asks for its exit status; SIGCHLD says when. Because the parent waits for
two things, clients and signals, it waits with select() and not in accept().
"""

import select
import signal
import socket

from children import child_exit, end_children, fork, reap
from connections import Conversation
from model import Model
from serving import Service, run

MODEL = Model(
    name="fork",
    summary="one process a connection, each blocks in recv() and sendall()",
    waits="every connection in a process of its own",
    limit="processes that the system allows, clients beyond are reset; above 1 MB of memory each",
)


def serve(service: Service) -> None:
    """Accept and fork; reap the children that have ended."""
    service.stop.hear_children()
    children: set[int] = set()
    arrived: set[int] = set()
    waited = service.listener.fileno(), service.stop.fileno()
    while not arrived & {signal.SIGINT, signal.SIGTERM}:
        ready, _, _ = select.select(waited, [], [])
        if service.stop.fileno() in ready:
            arrived = service.stop.arrived()
            reap(children)  # all that ended: SIGCHLD of several merges into one
        elif (sock := service.listener.accept()) is not None:
            start_child(service, sock, children)
    service.listener.close()
    end_children(children)


def start_child(service: Service, sock: socket.socket, children: set[int]) -> None:
    """Fork a child that serves this client."""
    try:
        pid = fork(service)
    except OSError:
        service.listener.refuse(sock, "no more processes")
        return
    if pid == 0:
        with child_exit(service):
            service.listener.close()  # the port stays taken while any child has a copy
            service.stop_in_thread()
            converse(service, sock)
    children.add(pid)
    sock.close()  # our copy, or the child's close(2) sends the client no end


def converse(service: Service, sock: socket.socket) -> None:
    """Serve one client until it ends."""
    with Conversation(service, sock) as client:
        while chunk := client.receive():
            client.answer(chunk)


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
