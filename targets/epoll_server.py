"""epoll, level-triggered: the kernel keeps the set, and a wait returns only who is ready.

The set of descriptors is built once, by epoll_ctl(2), and lives in the kernel; a wait,
epoll_wait(2), costs in proportion to who is ready, however many others are idle. That is the
difference to select() and poll(), which hand over and look through the whole set each time.

Level-triggered means: as long as there is something to read, or room to write, each wait says so
again. Nothing is lost when only a part is read. The price: interest in writing must be withdrawn
when nothing is owed, or each wait returns at once; every change is a system call, so only changes
are told. Closing a descriptor removes it from the set, but only with its last duplicate.
"""

import select

from connections import Client
from model import Model
from serving import Service, run

MODEL = Model(
    name="epoll",
    summary="one thread asks epoll who is ready, level-triggered",
    waits="every connection in the kernel's epoll set; a wait costs only who is ready",
    limit="descriptors of the process (RLIMIT_NOFILE)",
    platforms="Linux",
    unavailable=lambda: None if hasattr(select, "epoll") else "only Linux has epoll",
)


def serve(service: Service) -> None:
    """Wait, then do for each ready descriptor what can be done without waiting."""
    clients: dict[int, Client] = {}
    stop = service.stop.fileno()
    epoll = select.epoll()
    epoll.register(service.listener, select.EPOLLIN)
    epoll.register(stop, select.EPOLLIN)
    while service.busy(clients):
        for fd, events in epoll.poll(service.patience()):
            if fd in clients:
                client = clients[fd]
                if events & ~select.EPOLLOUT:  # also ERR and HUP, which come unasked:
                    client.read()
                if events & ~select.EPOLLIN:  # the calls tell what is wrong
                    client.write()
                follow(epoll, clients, client)
            elif fd == stop:
                epoll.unregister(stop)
                epoll.unregister(service.listener)
                service.begin_stop()
                for client in list(clients.values()):
                    client.finish()
                    follow(epoll, clients, client)
            else:
                for sock in service.listener.arrivals():
                    client = Client(service, sock)
                    clients[client.fd] = client
                    # No read yet: nothing may have come, and if it has, the next wait says so.
                    epoll.register(client.fd, select.EPOLLIN)
                    client.watched = select.EPOLLIN
    for client in clients.values():
        client.close()


def follow(epoll: select.epoll, clients: dict[int, Client], client: Client) -> None:
    """Tell epoll what the client waits for now, if that has changed."""
    if client.done:
        epoll.unregister(client.fd)  # close(2) does it only with the last duplicate
        del clients[client.fd]
        client.close()
        return
    events = select.EPOLLIN if client.wants_read else 0
    if client.wants_write:
        events |= select.EPOLLOUT
    if events != client.watched:  # told always, it would be a third system call an exchange
        epoll.modify(client.fd, events)
        client.watched = events


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
