"""Servers that are still owed for when a run ends: who hangs is told, who is slow is not blamed."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import POLLERS, Driven, Handler, Server, answering, drive
from transports import UdpServer, server_of

from loadmux.measuring.hanging import Overdue

pollers = pytest.mark.parametrize("poller", POLLERS)
everywhere = pytest.mark.parametrize(
    ("scheme", "poller"),
    [*(("tcp", poller) for poller in POLLERS), ("unix", "epoll"), ("tls", "epoll")],
)

LOAD = "users: 4, run_time: 1s, graceful_stop: 500ms"
ASK = "[{name: ask, send: hello, expect: hello}]"


def text(steps: str = ASK, load: str = LOAD, sockets: str = "[main]", timeout: str = "20s") -> str:
    return f"sockets: {sockets}\nsteps: {steps}\nload: {{{load}}}\ntimeout: {timeout}\n"


def talk(handler: Handler, steps: str = ASK, load: str = LOAD, rule: str | None = None) -> Driven:
    with Server(handler) as server:
        return drive(text(steps, load), server.url, None, rule)


def told(driven: Driven) -> Overdue:
    """What was told, where nothing else was."""
    assert driven.kinds == {}
    (found,) = driven.stats.overdue()
    return found


def some_then_silent(connection: socket.socket, number: int) -> None:
    """Ten replies, then none, though it goes on reading."""
    replies = 0
    while chunk := connection.recv(65536):
        replies += 1
        if replies <= 10:
            connection.sendall(chunk)


@everywhere
def test_a_server_that_stops_answering(scheme: str, poller: str, tmp_path: Path) -> None:
    server, options = server_of(scheme, some_then_silent, tmp_path)
    with server:
        found = told(drive(text(sockets=f"{{main: {options}}}"), server.url, poller))
    assert (found.step, found.users, found.unserved) == ("ask", 4, 0)
    assert found.owed == "5 of 5 bytes"
    assert found.waited > 1.0


@pollers
def test_a_server_that_serves_some(poller: str) -> None:
    def two_only(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            if number < 2:
                connection.sendall(chunk)
                threading.Event().wait(0.01)

    with Server(two_only) as server:
        found = told(drive(text(), server.url, poller))
    assert (found.step, found.users, found.unserved) == ("ask", 2, 2)


@pollers
@pytest.mark.parametrize("slow", [0.03, 0.4])
def test_a_slow_server_is_only_slow(poller: str, slow: float) -> None:
    def handler(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            threading.Event().wait(slow)
            connection.sendall(chunk)

    load = "users: 4, run_time: 1s, graceful_stop: 0s"
    with Server(handler) as server:
        driven = drive(text(load=load), server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.interrupted == 4
    assert driven.stats.overdue() == []


@pollers
def test_a_datagram_that_does_not_come(poller: str) -> None:
    def replies(datagram: bytes, number: int) -> list[bytes]:
        return [datagram] if number < 10 else []

    with UdpServer(replies) as server:
        found = told(drive(text(), server.url, poller))
    assert (found.step, found.users, found.unserved) == ("ask", 4, 0)


@contextlib.contextmanager
def full_listener(unix: Path | None) -> Iterator[str]:
    """Nobody accepts here, and the queue is full."""
    listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    listener.bind(str(unix) if unix else ("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    with listener, contextlib.ExitStack() as stack:
        for _ in range(2):
            one = stack.enter_context(socket.socket(listener.family))
            one.setblocking(False)
            one.connect_ex(address)
        yield f"unix://{address}" if unix else f"tcp://127.0.0.1:{address[1]}"


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
def test_a_connect_that_is_never_accepted(scheme: str, tmp_path: Path) -> None:
    with full_listener(tmp_path / "full" if scheme == "unix" else None) as url:
        found = told(drive(text(), url, "epoll"))
    assert (found.step, found.users, found.unserved) == ("connect", 4, 4)
    assert found.owed == f"a connection to {url}"


def test_a_tls_handshake_that_is_never_answered(tmp_path: Path) -> None:
    over = threading.Event()

    def read_not(connection: socket.socket, number: int) -> None:
        over.wait(30)

    with Server(read_not) as server:
        url = server.url.replace("tcp:", "tls:")
        found = told(drive(text(), url, "epoll"))
        over.set()
    assert (found.step, found.users, found.unserved) == ("connect", 4, 4)


@pollers
def test_a_send_that_has_no_room(poller: str) -> None:
    over = threading.Event()

    def read_not(connection: socket.socket, number: int) -> None:
        over.wait(30)

    steps = "[{name: pour, send: {repeat: x, times: 20000000}}]"
    with Server(read_not) as server:
        load = "users: 2, run_time: 4s, graceful_stop: 0s"
        driven = drive(text(steps, load, timeout="4s"), server.url, poller)
        over.set()
    found = told(driven)
    assert (found.step, found.users) == ("pour", 2)
    assert found.owed.startswith("room for ")
    assert found.owed.endswith(" of 20000000 bytes")


def test_an_end_that_does_not_come() -> None:
    found = told(talk(answering(bytes), "[{name: end, expect: closed}]"))
    assert (found.step, found.owed) == ("end", "the end of the connection")


def test_in_a_branch_and_in_a_loop() -> None:
    steps = (
        "[{together: [[{repeat: 100, do: [{name: deep, send: hello, expect: hello}]}],"
        " [{wait: 30s}]]}]"
    )
    assert told(talk(some_then_silent, steps)).step == "deep"


def test_open_load() -> None:
    load = "rate: 200/s, max_users: 4, run_time: 1s, graceful_stop: 500ms"
    found = told(talk(some_then_silent, load=load))
    assert (found.step, found.users) == ("ask", 4)


def test_phases() -> None:
    load = (
        "phases: [{users: 4, run_time: 300ms}, {users: 2, run_time: 900ms}], graceful_stop: 500ms"
    )
    found = told(talk(some_then_silent, load=load))
    assert (found.step, found.users) == ("ask", 4)


def test_a_greeting_that_never_comes() -> None:
    steps = "[{name: greet, expect: '220 ready'}]"
    found = told(talk(some_then_silent, steps))
    assert (found.step, found.unserved, found.owed) == ("greet", 4, "9 of 9 bytes")


def test_news_that_never_come_are_owed_by_nobody() -> None:
    steps = "[{send: hello, expect: hello}, {name: news, expect: news}]"
    driven = talk(some_then_silent, steps)
    assert driven.kinds == {}
    assert driven.stats.interrupted == 4
    assert driven.stats.overdue() == []


def test_silence_is_owed_by_nobody() -> None:
    driven = talk(some_then_silent, "[{expect: {silence: 30s}}]")
    assert driven.kinds == {}
    assert driven.stats.overdue() == []


def test_branches_that_a_fault_cancels_owe_nothing() -> None:
    """What a branch awaited when its sibling failed is not what the user was cut off in."""

    def handler(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            if chunk == b"wrong":
                threading.Event().wait(1.2)
                connection.sendall(b"no")

    load = "users: 1, run_time: 1300ms, graceful_stop: 0s"
    steps = "[{together: [[{on: a, send: x, expect: x}], [{on: b, send: wrong, expect: right}]]}]"
    with Server(handler) as server:
        driven = drive(text(steps, load + ", pacing: 9s", "[a, b]"), server.url, "epoll")
    assert driven.kinds == {"mismatch": 1}
    assert driven.stats.overdue() == []
