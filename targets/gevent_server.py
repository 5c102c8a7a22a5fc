"""gevent: one greenlet a connection, all in one thread, over an event loop hidden in the sockets.

The code is that of the thread server. But gevent's sockets do not block the thread: a call that
would have to wait registers the descriptor with gevent's loop (libev) and switches to another
greenlet; there is no await to see. A greenlet costs some KB and no kernel task, and other greenlets
run only during such calls. A call of an ordinary socket, or a long computation, stops everybody.
"""

from __future__ import annotations

import importlib
import importlib.util
import socket
from typing import Any

from connections import Conversation
from model import Model
from serving import Service, run

MODEL = Model(
    name="gevent",
    summary="one greenlet a connection, resumed by gevent's event loop",
    waits="every connection in the loop's selector, its greenlet suspended in a socket call",
    limit="descriptors of the process (RLIMIT_NOFILE)",
    tls=False,
    unavailable=lambda: (
        None
        if importlib.util.find_spec("gevent")
        else "gevent is not installed (pip install gevent)"
    ),
)


def serve(service: Service) -> None:
    """Accept in one greenlet, serve each client in another, wait for the signal in this one."""
    gevent: Any = importlib.import_module("gevent")
    gevent_socket: Any = importlib.import_module("gevent.socket")
    plain = service.listener.sock
    service.listener.sock = gevent_socket.socket(plain.family, plain.type, fileno=plain.detach())
    acceptor = gevent.spawn(accept, gevent, service)
    gevent_socket.wait_read(service.stop.fileno())
    acceptor.kill()  # before closing: it waits for the listener's number in gevent's loop
    service.begin_stop()
    conversations = list(service.conversations)
    for conversation in conversations:
        conversation.finish()
    while service.busy(service.conversations):
        gevent.sleep(0.01)


def accept(gevent: Any, service: Service) -> None:
    """Give each client a greenlet."""
    while (sock := service.listener.accept()) is not None:
        gevent.spawn(converse, service, sock)


def converse(service: Service, sock: socket.socket) -> None:
    """Serve one client until it ends."""
    with Conversation(service, sock) as client:
        while chunk := client.receive():
            client.answer(chunk)


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
