"""One thread for each connection, which blocks in recv() and sendall().

The scheduler is the event loop: a thread sleeps in the kernel until its client sends, or until
there is room for its reply, and code reads from top to bottom as if there were only one client.
Backpressure comes by itself: a thread that cannot send does not read. Each connection costs a
thread (a stack, a kernel task), and in CPython each wake-up also waits for the interpreter lock.

A blocked thread does not notice signals; one more thread waits for them, shuts the listener and
ends the conversations, which wakes whoever blocks.
"""

import socket
import threading

from connections import Conversation
from model import Model
from serving import Service, run

MODEL = Model(
    name="threads",
    summary="one thread a connection, each blocks in recv() and sendall()",
    waits="every connection in a thread of its own",
    limit="threads that the system allows, descriptors of the process",
)


def serve(service: Service) -> None:
    """Accept for ever; each client gets a thread."""
    service.listener.setblocking(True)
    stopping = service.stop_in_thread()
    while (sock := service.listener.accept()) is not None:
        try:
            threading.Thread(target=converse, args=(service, sock), daemon=True).start()
        except RuntimeError:
            service.listener.refuse(sock, "no more threads")
    stopping.join()


def converse(service: Service, sock: socket.socket) -> None:
    """Serve one client until it ends."""
    with Conversation(service, sock) as client:
        while chunk := client.receive():
            client.answer(chunk)


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
