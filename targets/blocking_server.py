"""One connection at a time: accept, serve until the client ends, accept the next.

The simplest server there is, and the reason for all the others: it waits in recv() for *this*
client, so every other client waits too, in the listener's backlog: connected, as far as it can
tell, and never answered until its turn comes. A client that stalls, idle or not reading, stops the
server for everybody, for as long as it likes.
"""

from connections import Conversation
from model import Model
from serving import Service, run

MODEL = Model(
    name="blocking",
    summary="one connection at a time, blocks in accept(), recv() and sendall()",
    waits="every client but one in the backlog, unanswered until those before it have gone",
    limit="one client is served; as many wait as the backlog holds",
    at_once=1,
)


def serve(service: Service) -> None:
    """Serve one client after the other."""
    service.listener.setblocking(True)
    stopping = service.stop_in_thread()
    while (sock := service.listener.accept()) is not None:
        with Conversation(service, sock) as client:
            while chunk := client.receive():
                client.answer(chunk)
    stopping.join()  # it is a daemon: what is owed must be out before we end


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
