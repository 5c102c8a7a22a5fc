"""selectors: one interface over whichever way of waiting the platform has.

`selectors.DefaultSelector` is epoll on Linux, kqueue on BSD and macOS, /dev/poll on Solaris, and
poll or select elsewhere; `--selector` picks one. All of them are level-triggered here: as long as
there is something to read, or room to write, each wait says so again. Errors and hang-ups arrive
as readable, writable or both.

What a registered object is for travels with it as `data`; here that is the Client. An object with
no interest at all cannot be registered, it must be unregistered.
"""

import selectors
from argparse import ArgumentTypeError
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector

from connections import Client
from model import Model
from serving import Service, run
from sockets import FD_SETSIZE

KINDS = {
    "select": "SelectSelector",
    "poll": "PollSelector",
    "epoll": "EpollSelector",
    "kqueue": "KqueueSelector",
    "devpoll": "DevpollSelector",
}


def selector_class(name: str) -> type[BaseSelector]:
    """The class behind a name for `--selector`."""
    kind: type[BaseSelector] | None = getattr(selectors, KINDS.get(name, ""), None)
    if kind is None:
        here = [name for name, kind in KINDS.items() if hasattr(selectors, kind)]
        raise ArgumentTypeError(f"no selector {name!r} here; there are {', '.join(here)}")
    return kind


MODEL = Model(
    name="selectors",
    summary="one thread asks selectors.DefaultSelector who is ready",
    waits="every connection in the selector; what a wait costs depends on what is beneath",
    limit=f"descriptors of the process; {FD_SETSIZE} with --selector select, clients beyond are"
    " reset",
    options={
        "selector": {
            "type": selector_class,
            "default": selectors.DefaultSelector,
            "metavar": "NAME",
            "help": "select, poll, epoll, kqueue or devpoll; default: the best that is here",
        }
    },
)


def serve(service: Service) -> None:
    """Wait, then do for each ready descriptor what can be done without waiting."""
    clients: set[Client] = set()
    selector = service.settings.selector()
    selector.register(service.listener, EVENT_READ)
    selector.register(service.stop, EVENT_READ)
    while service.busy(clients):
        for key, events in selector.select(service.patience()):
            client = key.data
            if client in clients:  # not closed by the stop, in the same batch
                if events & EVENT_READ:
                    client.read()
                if events & EVENT_WRITE:
                    client.write()
                follow(selector, clients, client)
            elif key.fileobj is service.stop:
                selector.unregister(service.stop)
                selector.unregister(service.listener)
                service.begin_stop()
                for client in list(clients):
                    client.finish()
                    follow(selector, clients, client)
            elif key.fileobj is service.listener:
                for sock in service.listener.arrivals():
                    if isinstance(selector, selectors.SelectSelector) and (
                        sock.fileno() >= FD_SETSIZE
                    ):
                        service.listener.refuse(
                            sock, f"select() cannot watch descriptor {FD_SETSIZE}"
                        )
                        continue
                    client = Client(service, sock)
                    clients.add(client)
                    selector.register(client.fd, EVENT_READ, client)
                    client.watched = EVENT_READ
    for client in clients:
        client.close()


def follow(selector: BaseSelector, clients: set[Client], client: Client) -> None:
    """Tell the selector what the client waits for now, if that has changed."""
    if client.done:
        selector.unregister(client.fd)  # before closing: the next client may get the same number
        clients.remove(client)
        client.close()
        return
    events = EVENT_READ if client.wants_read else 0
    if client.wants_write:
        events |= EVENT_WRITE
    if events != client.watched:
        selector.modify(client.fd, events, client)
        client.watched = events


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
