"""epoll, edge-triggered: a wait tells what has *become* ready, once.

With EPOLLET epoll reports changes: bytes have arrived, room has appeared. Both interests are
registered once and never changed, so there is not one epoll_ctl(2) for as long as a client stays.
The price is that what an edge announced must be used up, until the call fails with EAGAIN: the
kernel will not say it again, and bytes left over would lie there until others follow (epoll(7)).

Using it up at one go would be unfair: a client that sends fast enough never comes to EAGAIN, and
nobody else would be served. So `ready` holds those with an unfinished edge; each gets one read and
one write a round, and between rounds the kernel is asked, without waiting, for new edges. And a
client that must not be read from for now, because it does not take its replies, keeps its edge:
it comes back into `ready` by the edge of writing, when there is room again.
"""

import select

from connections import Client
from model import Model
from serving import Service, run

MODEL = Model(
    name="epoll_et",
    summary="one thread is told by epoll who became ready, edge-triggered, and drains to EAGAIN",
    waits="every connection in the kernel's epoll set, from edge to edge",
    limit="descriptors of the process (RLIMIT_NOFILE)",
    platforms="Linux",
    unavailable=lambda: None if hasattr(select, "epoll") else "only Linux has epoll",
)


def serve(service: Service) -> None:
    """Collect edges, then give each client that has one its turn."""
    clients: dict[int, Client] = {}
    ready: dict[int, Client] = {}
    arriving = False
    stop = service.stop.fileno()
    listener = service.listener.fileno()
    epoll = select.epoll()
    epoll.register(stop, select.EPOLLIN)
    epoll.register(listener, select.EPOLLIN | select.EPOLLET)  # one edge may mean many clients
    while service.busy(clients):
        # Never wait while an edge is unfinished: the kernel has said it, and will not again.
        for fd, _ in epoll.poll(0 if ready or arriving else service.patience()):
            if fd in clients:
                ready[fd] = clients[fd]
            elif fd == listener and service.deadline is None:
                arriving = True
            elif fd == stop:
                epoll.unregister(stop)
                service.begin_stop()
                arriving = False
                for client in clients.values():
                    client.finish()
                ready |= clients  # those at rest may be done now, and no edge will say so
        if arriving:
            arriving = False
            for sock in service.listener.arrivals():
                arriving = True  # until a round of arrivals finds nobody
                client = Client(service, sock)
                clients[client.fd] = client
                # What came before this line is an edge all the same: registering looks, epoll(7).
                epoll.register(client.fd, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        # Drained by one read a round: to EAGAIN at one go, a fast client would starve the rest.
        for fd, client in list(ready.items()):
            if not take_turn(client):
                del ready[fd]
            if client.done:
                epoll.unregister(fd)  # close(2) does it only with the last duplicate
                del clients[fd]
                client.close()
    for client in clients.values():
        client.close()


def take_turn(client: Client) -> bool:
    """One write and one read. False when both would have to wait for an edge.

    Writing comes first: it is what makes a client readable that had too much unsent.
    """
    more_to_write = client.write()
    more_to_read = client.read()
    return more_to_read or more_to_write


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
