"""A fixed number of threads, each serves one connection at a time.

Every worker blocks in accept() on the same listener; the kernel wakes one of them for each client.
Threads are made once, so a connection costs none, and the number of clients served at once is
bounded by `--workers`. Clients beyond that wait in the backlog, not in the program: the pool needs
no queue. A client that is idle or does not read holds its worker; as many such clients as workers
stop the server for all others until one of them goes.
"""

import threading

from arguments import positive
from connections import Conversation
from model import Model
from serving import Service, run

MODEL = Model(
    name="thread_pool",
    summary="N threads, each blocks in accept(), then in recv() and sendall() for one client",
    waits="as many clients as workers in a thread each, the others unanswered in the backlog",
    limit="--workers clients are served at once; as many more wait as the backlog holds",
    pool=2000,
    options={"workers": {"type": positive, "default": 8, "help": "threads; default: 8"}},
)


def serve(service: Service) -> None:
    """Start the workers; they do the rest."""
    service.listener.setblocking(True)
    stopping = service.stop_in_thread()
    for _ in range(service.settings.workers):
        threading.Thread(target=work, args=(service,), daemon=True).start()
    stopping.join()


def work(service: Service) -> None:
    """Serve one client after the other, for ever."""
    while (sock := service.listener.accept()) is not None:
        with Conversation(service, sock) as client:
            while chunk := client.receive():
                client.answer(chunk)


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
