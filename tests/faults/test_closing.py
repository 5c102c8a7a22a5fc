"""Connections are ended in order: no server is reset that has not finished, or waited for in vain.

What the servers here see at the end decides: `fin`, or `reset`.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter
from pathlib import Path

import pytest
from driving import POLLERS, Driven, Handler, Server, answering, drive, how_it_ends
from transports import server_of

pollers = pytest.mark.parametrize("poller", POLLERS)
everywhere = pytest.mark.parametrize(
    ("scheme", "poller"),
    [
        *(("tcp", poller) for poller in POLLERS),
        ("unix", "epoll"),
        ("tls", "epoll"),
        ("tls", "poll"),
    ],
)

LARGE = 1_000_000


class Ends:
    """What servers saw at the end of their connections; `wait` for so many of them."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._changed = threading.Condition()

    def see(self, connection: socket.socket) -> None:
        self.note(how_it_ends(connection))
        connection.close()

    def note(self, how: str) -> None:
        with self._changed:
            self._seen[how] += 1
            self._changed.notify_all()

    def wait(self, count: int) -> dict[str, int]:
        with self._changed:
            assert self._changed.wait_for(lambda: sum(self._seen.values()) >= count, 20)
            return dict(self._seen)


def try_it(
    scheme: str,
    handler: Handler,
    poller: str,
    folder: Path,
    steps: str,
    load: str = "users: 2, iterations: 3",
    rule: str | None = None,
) -> Driven:
    server, options = server_of(scheme, handler, folder)
    text = f"sockets: {{main: {options}}}\nsteps: {steps}\nload: {{{load}}}\ntimeout: 5s\n"
    with server:
        return drive(text, server.url, poller, rule)


def ok_by_ok(ends: Ends) -> Handler:
    """The rule `ok`, for a server that takes its time over each chunk."""

    def handler(connection: socket.socket, number: int) -> None:
        pause = threading.Event()
        try:
            while connection.recv(20_000):
                pause.wait(0.001)
                connection.sendall(b"ok")
        except OSError:
            ends.note("reset")
            return
        ends.see(connection)

    return handler


@everywhere
def test_a_close_waits_for_a_server_that_is_still_answering(
    scheme: str, poller: str, tmp_path: Path
) -> None:
    ends = Ends()
    steps = "[{name: ask, send: {random: 1MB}, expect: reply}, {close: main}]"
    driven = try_it(scheme, ok_by_ok(ends), poller, tmp_path, steps, rule="ok")
    assert driven.kinds == {}
    assert driven.stats.steps["ask"].right == 6
    assert ends.wait(6) == {"fin": 6}


@everywhere
def test_so_does_the_end_of_a_user(scheme: str, poller: str, tmp_path: Path) -> None:
    ends = Ends()
    steps = "[{name: ask, send: {random: 1MB}, expect: reply}]"
    load = "users: 3, iterations: 1"
    driven = try_it(scheme, ok_by_ok(ends), poller, tmp_path, steps, load, "ok")
    assert driven.kinds == {}
    assert ends.wait(3) == {"fin": 3}


@everywhere
@pytest.mark.parametrize("last", ["{close: main}", "{wait: 1ms}"])
def test_what_piled_up_while_reading_was_stopped_is_read(
    scheme: str, poller: str, last: str, tmp_path: Path
) -> None:
    ends = Ends()

    def echo(connection: socket.socket, number: int) -> None:
        left = 2 * LARGE
        while left and (chunk := connection.recv(65536)):
            connection.sendall(chunk)
            left -= len(chunk)
        ends.see(connection)

    steps = (
        "[{send: hello, expect: reply}, {stop_reading: main}, {send: {random: 49995}},"
        f" {{send: {{random: 50000}}}}, {last}]"
    )
    load = "users: 2, iterations: 1"
    driven = try_it(scheme, echo, poller, tmp_path, steps, load, "echo")
    assert driven.kinds == {}
    assert ends.wait(2) == {"fin": 2}


@everywhere
def test_a_server_that_stops_answering_at_our_end_has_answered_before(
    scheme: str, poller: str, tmp_path: Path
) -> None:
    ends = Ends()

    def abort_at_end(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.settimeout(0.2)
        try:
            ends.note("gone too soon" if connection.recv(1) == b"" else "more?")
        except TimeoutError:
            connection.settimeout(None)
            connection.sendall(b"hello")
            ends.see(connection)

    steps = "[{send: hello}, {close: main}, {send: hello, expect: reply}, {close: main}]"
    load = "users: 2, iterations: 1"
    driven = try_it(scheme, abort_at_end, poller, tmp_path, steps, load, "echo")
    assert driven.kinds == {}
    assert ends.wait(4) == {"fin": 4}


@pollers
def test_a_server_that_never_ends_its_side_is_not_waited_for(poller: str) -> None:
    over = threading.Event()

    def keep(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536))
        over.wait(60)

    text = """
    steps: [{send: hello, expect: hello}, {close: main}]
    load: {users: 1, iterations: 200, run_time: 30s}
    """
    with Server(keep) as server:
        driven = drive(text, server.url, poller)
        over.set()
    assert driven.kinds == {}
    assert driven.stats.iterations == 200


@everywhere
def test_sockets_that_a_fault_drops_are_ended_in_order(
    scheme: str, poller: str, tmp_path: Path
) -> None:
    ends = Ends()

    def wrong_or_slow(connection: socket.socket, number: int) -> None:
        asked = connection.recv(65536)
        if asked == b"wrong":
            connection.sendall(b"no")
        else:
            connection.sendall(bytes(LARGE))
        ends.see(connection)

    server, options = server_of(scheme, wrong_or_slow, tmp_path)
    text = f"""
    sockets: {{one: {options}, other: {options}}}
    steps:
      - {{on: other, send: slow}}
      - {{on: one, name: talk, send: wrong, expect: right}}
      - {{on: other, expect: {{length: {LARGE}}}}}
    load: {{users: 2, iterations: 2}}
    """
    with server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {"mismatch": 4}
    assert ends.wait(8) == {"fin": 8}


@everywhere
def test_users_that_are_cut_off_end_in_order(scheme: str, poller: str, tmp_path: Path) -> None:
    ends = Ends()

    def slow(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        for _ in range(10):
            connection.sendall(bytes(LARGE // 10))
            threading.Event().wait(0.05)
        ends.see(connection)

    steps = f"[{{send: hello, expect: {{length: {LARGE}}}}}]"
    load = "users: 3, run_time: 200ms, graceful_stop: 0s"
    driven = try_it(scheme, slow, poller, tmp_path, steps, load)
    assert driven.kinds == {}
    assert driven.stats.interrupted == 3
    assert ends.wait(3) == {"fin": 3}


@everywhere
def test_only_a_reset_resets(scheme: str, poller: str, tmp_path: Path) -> None:
    ends = Ends()

    def echo(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536))
        ends.see(connection)

    steps = "[{send: hello, expect: hello}, {reset: main}]"
    driven = try_it(scheme, echo, poller, tmp_path, steps)
    assert driven.kinds == {}
    # A Unix socket knows no RST: its end is an end.
    assert ends.wait(6) == {"fin" if scheme == "unix" else "reset": 6}


@pollers
@pytest.mark.parametrize("send", ["{send: hello, expect: hello}", "{send: hello}"])
def test_a_linger_of_no_time_resets(poller: str, send: str, tmp_path: Path) -> None:
    ends = Ends()

    def read(connection: socket.socket, number: int) -> None:
        if send.endswith("expect: hello}"):
            connection.sendall(connection.recv(65536))
        ends.see(connection)

    server, _ = server_of("tcp", read, tmp_path)
    text = f"sockets: {{main: {{linger: 0s}}}}\nsteps: [{send}, {{wait: 20ms}}, {{close: main}}]\n"
    with server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert ends.wait(1) == {"reset": 1}


@pollers
def test_a_reply_that_ends_its_connection_is_read_to_the_end(poller: str) -> None:
    ends = Ends()

    def once(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        ends.see(connection)

    text = "steps: [{name: get, send: {http: /}, expect: {http: 200}}]\nload: {iterations: 5}\n"
    with Server(once) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.connects.right == 5
    assert ends.wait(5) == {"fin": 5}


@pollers
def test_what_a_server_says_of_a_broken_off_conversation_is_no_fault(poller: str) -> None:
    ends = Ends()

    def comment(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            pass
        connection.sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        ends.see(connection)

    text = """
    steps: [{send: "GET / HTTP/1.1\\r\\n\\r\\n", pieces: each_byte, gap: 100ms, expect: "200"}]
    load: {users: 2, run_time: 200ms, graceful_stop: 0s}
    """
    with Server(comment) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert ends.wait(2) == {"fin": 2}


@pollers
def test_a_plain_echo_server_is_never_reset(poller: str) -> None:
    ends = Ends()

    def echo(connection: socket.socket, number: int) -> None:
        try:
            answering(bytes)(connection, number)
        except OSError:
            ends.note("reset")
            raise
        ends.note("fin")

    text = """
    steps: [{send: hello, expect: reply}, {close: main}, {send: {random: 300KB}, expect: reply}]
    load: {users: 5, run_time: 500ms, graceful_stop: 0s}
    """
    with Server(echo) as server:
        driven = drive(text, server.url, poller, "echo")
        assert driven.kinds == {}
        # Before the server is stopped: that ends connections whose threads have not seen ours yet.
        assert set(ends.wait(driven.stats.connects.count)) == {"fin"}


def test_what_is_left_of_a_close_that_judges_nothing_is_never_judged() -> None:
    """Time is up while it reads on: the rest is no reply, as the beginning was passed over."""
    text = """
    sockets: {main: {read: {size: 1, gap: 100us}}}
    steps: [{send: {random: 64KiB}}, {close: main, pending: drop}]
    load: {users: 4, run_time: 300ms, graceful_stop: 0s}
    """
    with Server(answering(lambda chunk: chunk)) as server:
        assert drive(text, server.url, rule="echo").kinds == {}
