"""A slow reader: so many bytes at a time, and no read before its time."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from commands import run
from driving import POLLERS, Server, drive

SIZE = 64 * 1024


class Flood:
    """Sends SIZE bytes at each question, a right one or with one byte changed."""

    def __init__(self, wrong: int | None = None) -> None:
        self._wrong = wrong
        self.blocked = threading.Event()

    def __call__(self, connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        while connection.recv(100):
            whole = bytearray(b"a" * SIZE)
            if self._wrong is not None:
                whole[self._wrong] = ord("b")
            connection.settimeout(0.001)
            sent = 0
            while sent < len(whole):
                try:
                    sent += connection.send(whole[sent:])
                except TimeoutError:
                    self.blocked.set()
                    connection.settimeout(10)
            connection.settimeout(10)


TALK = (
    "sockets: {main: {receive_buffer: 4KiB, read: {size: 8KiB, gap: 10ms}}}\n"
    f"steps: [{{send: go, expect: {{repeat: a, times: {SIZE}}}}}]\n"
    "load: {users: 2, iterations: 2}\ntimeout: 5s\n"
)


@pytest.mark.parametrize("poller", POLLERS)
def test_it_holds_the_server_up_and_gets_every_byte(poller: str) -> None:
    server = Flood()
    with Server(server) as listening:
        driven = drive(TALK, listening.url, poller)
    assert driven.kinds == {}
    assert driven.stats.total.right == 4
    assert server.blocked.is_set()
    # Eight reads, and so seven gaps: they cannot take less.
    assert driven.stats.total.histogram.low >= 0.07


def test_a_wrong_byte_is_found() -> None:
    with Server(Flood(wrong=SIZE - 1)) as listening:
        driven = drive(TALK, listening.url)
    assert driven.kinds == {"corrupt": 4}
    assert {one.offset for one in driven.faults} == {SIZE - 1}


def test_a_peer_that_ends_is_noticed() -> None:
    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(100)
        connection.sendall(b"a" * 20_000)

    with Server(handler) as listening:
        text = TALK.replace("receive_buffer: 4KiB, ", "")
        driven = drive(text, listening.url)
    assert set(driven.kinds) <= {"closed", "truncated"}
    assert sum(driven.kinds.values()) == 4


@pytest.mark.parametrize("options", ["tls: true", "unix: FOLDER/socket"])
def test_over_other_transports(tmp_path: Path, options: str) -> None:
    (tmp_path / "slow.yaml").write_text(
        f"target: {{bundled: epoll, {options.replace('FOLDER', str(tmp_path))}}}\n"
        "sockets: {main: {read: {size: 4KiB, gap: 2ms}}}\n"
        "steps: [{send: {random: 60KiB}, expect: reply}]\nload: {users: 2, iterations: 2}\n"
    )
    done = run(tmp_path / "slow.yaml", folder=tmp_path)
    assert done.code == 0, done.out
