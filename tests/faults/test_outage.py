"""A server dies under load: every fault is counted, and the report tells one, and what follows."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from pathlib import Path

import pytest
from commands import run
from driving import POLLERS, Server, drive
from locusting import headless, locustfile
from transports import Gone, UdpServer

FOLLOWING = {"closed", "reset", "refused"}
TALK = 'steps: [{name: ask, send: "hello", expect: "hello"}]\n'


class Dying:
    """Echoes `most` messages, then ends everything, and lets nobody in any more.

    One of them, when `wrong` are left, comes back with a flipped bit.
    """

    def __init__(self, most: int, wrong: int = -1) -> None:
        self._left = most
        self._wrong = wrong
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self.server = Server(self)

    def __call__(self, connection: socket.socket, number: int) -> None:
        self._connections.append(connection)
        while chunk := connection.recv(65536):
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    self._die()
                connection.sendall(b"hellO" if self._left == self._wrong else chunk)

    def _die(self) -> None:
        self.server.stop_listening()
        for one in self._connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("poller", POLLERS)
def test_a_death_is_one_fault_and_the_rest_follows(poller: str) -> None:
    dying = Dying(80)
    with dying.server:
        text = f"{TALK}load: {{users: 20, iterations: 7}}"
        driven = drive(text, dying.server.url, poller)
    stats = driven.stats
    assert set(driven.kinds) <= FOLLOWING
    assert stats.errors >= 20
    (first,) = stats.consequences.counts
    group = stats.faults_in_order[0]
    assert first.group == (group.kind, group.step)
    assert group.first == first.at
    assert sum(stats.consequences.counts[first].values()) == stats.errors - 1


def test_a_wrong_reply_before_the_death_stands_beside_it(tmp_path: Path) -> None:
    """Several processes see the death, each with a first sign of its own: it is one.

    Which of the two is noticed first is the machine's business, and so is whether both have a core
    within a tenth of a second: else they are two. It has three tries for that.
    """
    path = tmp_path / "talk.yaml"
    path.write_text(f"{TALK}load: {{users: 20, iterations: 7}}\n")
    for _ in range(3):
        dying = Dying(80, wrong=40)
        with dying.server:
            words = ["--target", dying.server.url, "--workers", "2"]
            done = run(path, *words, folder=tmp_path)
        titles = re.findall(r"^  (\w+) at step '(\w+)': (.*)$", done.out, re.MULTILINE)
        titles.remove(("corrupt", "ask", "1 time"))
        if len(titles) == 1 and titles[0][-1] == "1 time":
            break
    ((kind, _, times),) = titles
    assert kind in FOLLOWING
    assert times == "1 time"
    follow = re.findall(r"^    and ([\d,]+) more that follow from it:$", done.out, re.MULTILINE)
    errors = done.told["exchanges"]["errors"]
    assert [int(one.replace(",", "")) for one in follow] == [errors - 2]
    faults = done.told["faults"]
    assert sum(one["count"] for one in faults) == errors
    assert sum(one["follows"] for one in faults) == errors - 2
    assert [one["first"] for one in faults] == sorted(one["first"] for one in faults)


def test_drops_while_others_get_in_are_as_many_faults(tmp_path: Path) -> None:
    def dropping(connection: socket.socket, number: int) -> None:
        for _ in range(3):
            if not (chunk := connection.recv(65536)):
                return
            connection.sendall(chunk)
        connection.recv(65536)
        connection.shutdown(socket.SHUT_RDWR)

    path = tmp_path / "talk.yaml"
    path.write_text(f"{TALK}load: {{users: 4, iterations: 12}}\n")
    with Server(dropping) as server:
        done = run(path, "--target", server.url, folder=tmp_path)
    faults = done.told["faults"]
    assert sum(one["count"] for one in faults) == 12
    assert {one["kind"] for one in faults} <= {"closed", "reset"}
    assert [one["follows"] for one in faults] == [0] * len(faults)
    assert "follow" not in done.out


def test_over_udp_refusals_follow_from_the_first() -> None:
    def leave(datagram: bytes, number: int) -> list[bytes]:
        if number == 3:
            raise Gone
        return [datagram]

    with UdpServer(leave) as server:
        text = f"{TALK}load: {{users: 1, iterations: 8}}\ntimeout: 300ms\n"
        driven = drive(text, server.url)
    assert set(driven.kinds) <= {"refused", "timeout"}
    (first,) = driven.stats.consequences.counts
    assert first.group == ("refused", "ask")
    follow = sum(driven.stats.consequences.counts[first].values())
    assert follow == driven.kinds["refused"] - 1 > 0


def test_under_locust(tmp_path: Path) -> None:
    dying = Dying(100)
    path = tmp_path / "talk.yaml"
    with dying.server:
        load = "load: {users: 5, iterations: 50}"
        path.write_text(f"target: {dying.server.url}\n{TALK}{load}\n")
        locustfile(tmp_path, path)
        done = headless(tmp_path, "-u", "5", "-r", "5", "-t", "4s")
    assert done.code == 1, done.text
    assert len(re.findall(r"^  \w+ at step '\w+': 1 time$", done.out, re.MULTILINE)) == 1
    assert re.search(r"^    and [\d,]+ more that follow from it:$", done.out, re.MULTILINE)
