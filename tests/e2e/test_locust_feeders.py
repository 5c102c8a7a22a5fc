"""Under Locust every live user has a row of its own: with workers that come late, are lost, come
back, and with as few rows as there are users."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

from driving import Server
from locusting import (
    LOCUST,
    WEB,
    Page,
    bound,
    eventually,
    free_port,
    joining,
    locustfile,
    on,
    process,
)

USERS = 6
FED = """
variables: {people: {csv: people.csv}}
steps:
  - {name: ask, send: "${people.name}\\n", expect: "${sent}"}
  - {wait: 20ms}
timeout: 5s
"""
TOO_MANY = """
from locust import LoadTestShape
class Up(LoadTestShape):
    def tick(self):
        return (4, 100) if self.get_run_time() < 1 else (9, 100)
"""


class Names:
    """An echo that knows which name each connection has said last, and how often one came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: dict[int, bytes] = {}
        self.served = 0

    def __call__(self, connection: socket.socket, number: int) -> None:
        try:
            while message := connection.recv(65536):
                with self._lock:
                    self._at[number] = message
                    self.served += 1
                connection.sendall(message)
        except OSError:
            pass
        finally:
            with self._lock:
                self._at.pop(number, None)

    def everyone_has_a_row(self) -> bool:
        with self._lock:
            said = sorted(name.decode().strip() for name in self._at.values())
        return said == [f"name{number}" for number in range(USERS)]


def write(folder: Path) -> Path:
    names = [f"name{number}" for number in range(USERS)]
    (folder / "people.csv").write_text("\n".join(["name", *names]) + "\n")
    (folder / "talk.yaml").write_text(FED)
    return folder / "talk.yaml"


def test_workers_come_late_are_lost_and_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    port, rpc, names = free_port(), str(free_port()), Names()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(names))
        words = [*WEB, str(write(folder)), "--master", *on(port), *bound(rpc)]
        words += ["--enable-rebalancing", "--host", server.url]
        main = stack.enter_context(process(words, folder))

        def worker(name: str) -> int:
            words = [*WEB, "--worker", *joining(rpc)]
            return stack.enter_context(process(words, folder, name)).pid

        first = worker("first")
        page = Page(port).up(workers=1)
        assert page.swarm(USERS, host=server.url)["success"]
        eventually(names.everyone_has_a_row, "each row is in use")
        second = worker("second")
        page.until(lambda now: [one["user_count"] for one in now["workers"]] == [3, 3], "halves")
        eventually(names.everyone_has_a_row, "each row is in use, by two workers")
        os.kill(first, signal.SIGSTOP)
        page.until(
            lambda now: now["worker_count"] == 1 and now["user_count"] == USERS, "one has all"
        )
        os.kill(first, signal.SIGCONT)
        page.until(
            lambda now: now["worker_count"] == 2 and now["user_count"] == USERS, "it is back"
        )
        eventually(names.everyone_has_a_row, "each row is in use once, by both")
        os.kill(second, signal.SIGKILL)
        page.until(lambda now: now["worker_count"] == 1, "one is lost")
        eventually(names.everyone_has_a_row, "the other has all the rows")
        page.stop()
        assert page.stats()["errors"] == []
        assert "rows for" not in main.text, main.text
        assert "Traceback" not in main.text, main.text


def test_a_shape_that_needs_more_rows_ends_the_test_with_the_reason_on_the_page(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    locustfile(tmp_path, "talk.yaml", TOO_MANY)
    port = free_port()
    with Server(Names()) as server:
        words = [*LOCUST, "-f", str(tmp_path / "locustfile.py"), *on(port), "--host", server.url]
        with process(words, tmp_path) as main:
            page = Page(port).up()
            assert page.swarm(1)["success"]
            page.until(lambda now: now["state"] == "stopped", "it ends")
            assert "6 rows for 9 users" in page.get("/exceptions")
            assert "Traceback" not in main.text, main.text
