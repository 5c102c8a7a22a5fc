"""The Locust peer: a User that does the exchange of `ping.yaml` on a gevent socket of its own.

A locustfile, which only `peers.locust` has Locust load. It is the fastest fair form: the reply is
compared byte for byte, every exchange fires `events.request` (so Locust's statistics are on), and a
task does a batch of exchanges, so that Locust's own step from one task to the next is paid once for
all of them.
"""

from __future__ import annotations

from time import perf_counter
from urllib.parse import urlsplit

from gevent.socket import create_connection
from locust import User, task

REQUEST = b"PING\r\n"
REPLY = b"+PONG\r\n"
BATCH = 100


class PingUser(User):
    def on_start(self) -> None:
        url = urlsplit(self.host or "")
        self.socket = create_connection((url.hostname, url.port))

    def on_stop(self) -> None:
        self.socket.close()

    @task
    def exchanges(self) -> None:
        fire = self.environment.events.request.fire
        send, receive = self.socket.sendall, self.socket.recv
        for _ in range(BATCH):
            began = perf_counter()
            send(REQUEST)
            reply = receive(4096)
            while len(reply) < len(REPLY):
                more = receive(4096)
                if not more:
                    raise ConnectionError("closed by the server")
                reply += more
            fire(
                request_type="tcp",
                name="ping",
                response_time=(perf_counter() - began) * 1000,
                response_length=len(reply),
                exception=None if reply == REPLY else ValueError("wrong reply"),
                context={},
            )
