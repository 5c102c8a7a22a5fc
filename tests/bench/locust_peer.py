"""The Locust peer: a User that does the exchange of `ping.yaml` on a gevent socket of its own.

A locustfile, which only `peers.locust` has Locust load. The reply is compared byte for byte, and
every exchange fires `events.request`, so Locust's statistics are on. `PingUser` does an exchange a
task, as locustfiles are written; `BatchUser` does a batch of them, so that Locust's own step from
one task to the next is paid once for all.
"""

from __future__ import annotations

from time import perf_counter
from urllib.parse import urlsplit

from gevent.socket import create_connection
from locust import User, task

REQUEST = b"PING\r\n"
REPLY = b"+PONG\r\n"
BATCH = 100


class SocketUser(User):
    abstract = True

    def on_start(self) -> None:
        url = urlsplit(self.host or "")
        self.socket = create_connection((url.hostname, url.port))

    def on_stop(self) -> None:
        self.socket.close()

    def exchange(self) -> None:
        receive = self.socket.recv
        began = perf_counter()
        self.socket.sendall(REQUEST)
        reply = receive(4096)
        while len(reply) < len(REPLY):
            more = receive(4096)
            if not more:
                raise ConnectionError("closed by the server")
            reply += more
        self.environment.events.request.fire(
            request_type="tcp",
            name="ping",
            response_time=(perf_counter() - began) * 1000,
            response_length=len(reply),
            exception=None if reply == REPLY else ValueError("wrong reply"),
            context={},
        )


class PingUser(SocketUser):
    @task
    def ping(self) -> None:
        self.exchange()


class BatchUser(SocketUser):
    @task
    def pings(self) -> None:
        for _ in range(BATCH):
            self.exchange()
