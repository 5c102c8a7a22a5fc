"""A client that is gone at once: what its server writes then is answered by a RST."""

from __future__ import annotations

import select
import socket
import threading

import loadmux
from loadmux.measuring.exitcodes import ExitCode


def test_the_second_write_to_a_client_that_was_killed_fails() -> None:
    failed: list[OSError] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while connection.recv(100):
                pass
            try:
                connection.send(b"one")
                poll = select.poll()
                poll.register(connection, select.POLLERR)
                poll.poll(10_000)
                connection.send(b"two")
            except OSError as error:
                failed.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        report = loadmux.run(
            {
                "target": f"tcp://127.0.0.1:{listener.getsockname()[1]}",
                "steps": [
                    {"send": "hello", "oneway": True},
                    {"close": "main", "pending": "abandon"},
                ],
                "load": {"users": 1, "iterations": 1},
            }
        )
        server.join()
    assert isinstance(failed[0], ConnectionError)
    assert report.verdict.code is not ExitCode.FAIL, report
