"""poll(): the whole set of descriptors is handed to the kernel at each wait.

poll(2) takes an array of descriptors with the events that matter, and marks those that are ready.
There is no limit on numbers as with select(), but the kernel still looks at every descriptor at
each wait, so idle connections cost as much as busy ones. (Python's poll object keeps the array
between the waits; register() and modify() are not system calls.)

It is level-triggered: as long as there is something to read, or room to write, each wait says so
again. Interest in writing must be withdrawn when nothing is owed, or each wait returns at once.
"""

import select

from connections import Client
from model import Model
from serving import Service, run

MODEL = Model(
    name="poll",
    summary="one thread hands the whole set to poll() at each wait",
    waits="every connection in one array; a wait costs in proportion to all, also the idle",
    limit="descriptors of the process (RLIMIT_NOFILE)",
)


def serve(service: Service) -> None:
    """Wait, then do for each ready descriptor what can be done without waiting."""
    clients: dict[int, Client] = {}
    stop = service.stop.fileno()
    poll = select.poll()
    poll.register(service.listener, select.POLLIN)
    poll.register(stop, select.POLLIN)
    while service.busy(clients):
        patience = service.patience()
        # poll(2) counts milliseconds; select(2) and epoll, in Python, seconds.
        for fd, events in poll.poll(None if patience is None else patience * 1000):
            if fd in clients:
                client = clients[fd]
                if events & ~select.POLLOUT:  # also ERR and HUP, which come unasked:
                    client.read()
                if events & ~select.POLLIN:  # the calls tell what is wrong
                    client.write()
                follow(poll, clients, client)
            elif fd == stop:
                poll.unregister(stop)
                poll.unregister(service.listener)
                service.begin_stop()
                for client in list(clients.values()):
                    client.finish()
                    follow(poll, clients, client)
            else:
                for sock in service.listener.arrivals():
                    client = Client(service, sock)
                    clients[client.fd] = client
                    poll.register(client.fd, select.POLLIN)
                    client.watched = select.POLLIN
    for client in clients.values():
        client.close()


def follow(poll: select.poll, clients: dict[int, Client], client: Client) -> None:
    """Note for the next wait what the client waits for now, if that has changed."""
    if client.done:
        poll.unregister(client.fd)  # or a closed number is POLLNVAL at each wait: a loop at 100%
        del clients[client.fd]
        client.close()
        return
    events = select.POLLIN if client.wants_read else 0
    if client.wants_write:
        events |= select.POLLOUT
    if events != client.watched:
        poll.modify(client.fd, events)
        client.watched = events


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
