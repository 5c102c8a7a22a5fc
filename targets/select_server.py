"""select(): two sets of descriptors, who may read and who may write, are handed over each time.

select(2) takes bit sets with one bit for each descriptor *number*, below FD_SETSIZE (1024): so a
descriptor of 1024 or more cannot be watched, however few there are. Such a client is reset as soon
as it is accepted; waiting on it would raise ValueError and end the server for everybody. At each
wait the sets are built, copied into the kernel and looked through bit by bit, so idle connections
cost as much as busy ones.

It is level-triggered: as long as there is something to read, or room to write, each wait says so
again. A descriptor must leave the writing set when nothing is owed, or each wait returns at once.
The third set is for out-of-band data, not for errors: errors make a descriptor readable.
"""

import select

from connections import Client
from model import Model
from serving import Service, run
from sockets import FD_SETSIZE

MODEL = Model(
    name="select",
    summary="one thread hands two sets of descriptors to select() at each wait",
    waits="every connection in bit sets; a wait costs in proportion to all, also the idle",
    limit=f"descriptor numbers below FD_SETSIZE ({FD_SETSIZE}); clients beyond are reset",
    at_once=FD_SETSIZE - 24,
)


def serve(service: Service) -> None:
    """Wait, then do for each ready descriptor what can be done without waiting."""
    clients: dict[int, Client] = {}
    stop = service.stop.fileno()
    readers = {stop, service.listener.fileno()}
    writers: set[int] = set()
    while service.busy(clients):
        readable, writable, _ = select.select(readers, writers, [], service.patience())
        for fd in writable:
            client = clients[fd]
            client.write()
            follow(readers, writers, clients, client)
        for fd in readable:
            if fd in clients:  # not closed above, while it was writable
                client = clients[fd]
                client.read()
                follow(readers, writers, clients, client)
            elif fd == stop:
                readers -= {stop, service.listener.fileno()}
                service.begin_stop()
                for client in list(clients.values()):
                    client.finish()
                    follow(readers, writers, clients, client)
            elif fd in readers:  # the listener, unless this wait has told us to stop
                for sock in service.listener.arrivals():
                    if sock.fileno() >= FD_SETSIZE:  # the number counts, not how many there are
                        service.listener.refuse(
                            sock, f"select() cannot watch descriptor {FD_SETSIZE}"
                        )
                        continue
                    client = Client(service, sock)
                    clients[client.fd] = client
                    readers.add(client.fd)
    for client in clients.values():
        client.close()


def follow(
    readers: set[int], writers: set[int], clients: dict[int, Client], client: Client
) -> None:
    """Put the client into the sets that it belongs to now."""
    if client.done:
        # Of both, before closing: one closed number in a set is EBADF for all, at each wait.
        readers.discard(client.fd)
        writers.discard(client.fd)
        del clients[client.fd]
        client.close()
        return
    if client.wants_read:
        readers.add(client.fd)
    else:
        readers.discard(client.fd)
    if client.wants_write:
        writers.add(client.fd)
    else:
        writers.discard(client.fd)


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
