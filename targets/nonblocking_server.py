"""Busy polling: non-blocking sockets, and nobody to say which of them is ready.

With O_NONBLOCK a call that would have to wait fails with EAGAIN instead (BlockingIOError). So one
thread can serve many clients by trying each in turn, over and over. That works, and answers fast
while there are few clients and all are busy. But nothing ever waits: the loop burns a whole core
while everybody is idle, and every idle connection costs a vain system call a round. `--pause`
sleeps after a round in which nothing happened; it saves the core and costs latency. select() and
its successors exist to ask the kernel instead.
"""

import time

from arguments import seconds
from connections import Client
from model import Model
from serving import Service, run

MODEL = Model(
    name="nonblocking",
    summary="one thread tries every non-blocking socket in turn, over and over",
    waits="nobody: all are tried each round, a core is burnt even when all are idle",
    limit="descriptors of the process (RLIMIT_NOFILE)",
    options={
        "pause": {
            "type": seconds,
            "default": 0.0,
            "metavar": "SECONDS",
            "help": "sleep this long after a round in which nothing happened; default: 0",
        }
    },
)


def serve(service: Service) -> None:
    """Try everything, for ever."""
    clients: dict[int, Client] = {}
    while service.busy(clients):
        active = False
        if service.deadline is None:
            for sock in service.listener.arrivals():
                client = Client(service, sock)
                clients[client.fd] = client
                active = True
            if service.stop.requested:
                service.begin_stop()
                for client in clients.values():
                    client.finish()
        # One turn for each, not until it is drained: one that sends for ever would have all.
        for client in list(clients.values()):
            read = client.read()
            active = client.write() or read or active
            if client.done:
                del clients[client.fd]
                client.close()
        if not active and service.settings.pause:
            time.sleep(service.settings.pause)
    for client in clients.values():
        client.close()


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
