"""Who says nothing may not even have read: what nobody answers is looked for where it lies."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import run
from driving import POLLERS, Driven, Handler, Server, drive
from transports import UdpServer, server_of

from loadmux.measuring.unread import Unread

pollers = pytest.mark.parametrize("poller", POLLERS)
everywhere = pytest.mark.parametrize(
    ("scheme", "poller"),
    [*(("tcp", poller) for poller in POLLERS), ("unix", "epoll"), ("tls", "epoll")],
)

SEND = "[{name: pour, send: drop of water, expect: reply}]"
FIVE = "users: 5, iterations: 20"
SENT = 5 * 20 * len("drop of water")


def text(steps: str = SEND, load: str = FIVE, options: str = "{}") -> str:
    return f"sockets: {{main: {options}}}\nsteps: {steps}\nload: {{{load}}}\n"


def pour(
    scheme: str, handler: Handler, poller: str, folder: Path, steps: str = SEND, load: str = FIVE
) -> Driven:
    server, options = server_of(scheme, handler, folder)
    with server:
        return drive(text(steps, load, options), server.url, poller, "sink")


def told(driven: Driven) -> Unread:
    assert driven.kinds == {}
    (found,) = driven.stats.unread.values()
    return found


def drain(connection: socket.socket, number: int) -> None:
    while connection.recv(65536):
        pass
    connection.close()


@contextlib.contextmanager
def nobody(scheme: str, folder: Path) -> Iterator[str]:
    """A listener that never accepts."""
    family = socket.AF_UNIX if scheme == "unix" else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind(str(folder / "socket") if scheme == "unix" else ("127.0.0.1", 0))
        listener.listen(64)
        at = listener.getsockname()
        yield f"unix://{at}" if scheme == "unix" else f"tcp://127.0.0.1:{at[1]}"


# --- those that do not read -----------------------------------------------------------------------


@pollers
def test_a_listener_that_never_accepts(poller: str, tmp_path: Path) -> None:
    with nobody("tcp", tmp_path) as url:
        found = told(drive(text(), url, poller, "sink"))
    assert (found.stuck, found.mostly, found.unaccepted) == (5, 5, 5)
    assert found.left == found.sent == SENT
    assert found.doubtful


@pollers
def test_connections_that_are_closed_after_each_message(poller: str, tmp_path: Path) -> None:
    """They are looked at now and then: the first of them at once."""
    steps = f"{SEND[:-1]}, {{close: main}}]"
    with nobody("tcp", tmp_path) as url:
        found = told(drive(text(steps, "users: 1, iterations: 3"), url, poller, "sink"))
    assert 1 <= found.stuck == found.unaccepted <= 3
    assert found.left == found.sent == found.stuck * len("drop of water")
    assert found.doubtful


def test_a_unix_listener_that_never_accepts(tmp_path: Path) -> None:
    with nobody("unix", tmp_path) as url:
        found = told(drive(text(), url, "epoll", "sink"))
    assert (found.stuck, found.mostly, found.sent, found.left) == (5, 5, SENT, SENT)


@everywhere
def test_a_server_that_accepts_and_reads_nothing(scheme: str, poller: str, tmp_path: Path) -> None:
    over = threading.Event()

    def idle(connection: socket.socket, number: int) -> None:
        over.wait(30)

    server, options = server_of(scheme, idle, tmp_path)
    with server:
        driven = drive(text(options=options), server.url, poller, "sink")
        over.set()
    found = told(driven)
    assert (found.stuck, found.mostly, found.unaccepted) == (5, 5, 0)
    assert found.left == found.sent == SENT


@pollers
def test_messages_without_an_expect(poller: str, tmp_path: Path) -> None:
    with nobody("tcp", tmp_path) as url:
        found = told(drive(text("[{send: drop of water}]"), url, poller))
    assert (found.stuck, found.left) == (5, SENT)


@pollers
def test_users_that_are_cut_off(poller: str, tmp_path: Path) -> None:
    load = "users: 5, run_time: 200ms, graceful_stop: 0s"
    with nobody("tcp", tmp_path) as url:
        found = told(drive(text(f"{SEND[:-1]}, {{wait: 30s}}]", load), url, poller, "sink"))
    assert (found.unaccepted, found.left) == (5, SENT // 20)


@pollers
def test_a_server_that_stops_reading_in_the_middle(poller: str, tmp_path: Path) -> None:
    over = threading.Event()

    def half(connection: socket.socket, number: int) -> None:
        left = 1_000_000
        while left:
            left -= len(connection.recv(left))
        over.wait(30)

    server, _ = server_of("tcp", half, tmp_path)
    steps = "[{send: {random: 1000000}, expect: reply}, {send: one more, expect: reply}]"
    with server:
        driven = drive(text(steps, "users: 2, iterations: 1"), server.url, poller, "sink")
        over.set()
    found = told(driven)
    assert (found.stuck, found.mostly, found.left) == (2, 0, 2 * len("one more"))
    assert not found.doubtful
    assert found.told("it") is not None


@pollers
def test_a_datagram_socket_that_nobody_reads(poller: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{deaf.getsockname()[1]}"
        found = told(drive(text(), url, poller, "sink"))
    assert (found.stuck, found.mostly, found.sent, found.left) == (5, 5, SENT, SENT)
    assert found.doubtful


# --- those that do --------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("end", ["", ", {close: main}"])
def test_a_server_that_reads_to_the_end(scheme: str, poller: str, end: str, tmp_path: Path) -> None:
    driven = pour(scheme, drain, poller, tmp_path, f"{SEND[:-1]}{end}]")
    assert driven.kinds == {}
    assert driven.stats.unread == {}
    assert driven.stats.iterations == 100


@everywhere
def test_a_server_that_reads_and_keeps_its_side_open(
    scheme: str, poller: str, tmp_path: Path
) -> None:
    over = threading.Event()

    def keep(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            pass
        over.wait(30)

    server, options = server_of(scheme, keep, tmp_path)
    with server:
        driven = drive(text(options=options), server.url, poller, "sink")
        over.set()
    assert driven.kinds == {}
    assert driven.stats.unread == {}


@pollers
def test_a_server_that_reads_slowly(poller: str, tmp_path: Path) -> None:
    over = threading.Event()

    def slowly(connection: socket.socket, number: int) -> None:
        while not over.wait(0.1) and connection.recv(50_000):
            pass

    server, _ = server_of("tcp", slowly, tmp_path)
    steps = "[{send: {random: 3000000}, expect: reply}]"
    with server:
        driven = drive(text(steps, "users: 2, iterations: 1"), server.url, poller, "sink")
        over.set()
    assert driven.kinds == {}
    assert driven.stats.unread == {}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "both"])
def test_servers_of_either_family(host: str) -> None:
    """One that is bound to all addresses has IPv4 connections among those of IPv6."""
    over = threading.Event()

    def idle(connection: socket.socket, number: int) -> None:
        over.wait(30)

    server = Server(idle, "::1" if host == "::1" else "127.0.0.1")
    if host == "both":
        server._listener.close()
        server._listener = socket.create_server(
            ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True
        )
        server.url = f"tcp://127.0.0.1:{server._listener.getsockname()[1]}"
    with server:
        found = told(drive(text(), server.url, "epoll", "sink"))
        over.set()
    assert (found.stuck, found.left, found.unaccepted) == (5, SENT, 0)


@pollers
def test_a_datagram_server_that_reads(poller: str) -> None:
    with UdpServer(lambda datagram, number: []) as server:
        driven = drive(text(), server.url, poller, "sink")
    assert driven.kinds == {}
    assert not any(one.told("it") for one in driven.stats.unread.values())


@pollers
def test_a_server_that_answers_has_read(poller: str, tmp_path: Path) -> None:
    over = threading.Event()

    def once(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(b"drop of water")
        over.wait(30)

    server, _ = server_of("tcp", once, tmp_path)
    steps = "[{send: drop of water, expect: drop of water, pieces: 3}]"
    with server:
        driven = drive(text(steps, "users: 2, iterations: 1"), server.url, poller)
        over.set()
    assert driven.stats.unread == {}


# --- the verdict ----------------------------------------------------------------------------------


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "pour.yaml"
    path.write_text(f"steps: {SEND}\nload: {{users: 4, iterations: 20}}\n")
    return path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_nobody_read_is_no_success(scenario: Path, workers: str, tmp_path: Path) -> None:
    with nobody("tcp", tmp_path) as url:
        words = ["--target", url, "--reply", "sink", "--workers", workers]
        done = run(scenario, *words, folder=tmp_path)
    assert done.code == 3, done.out
    assert done.told["unread"] == [
        {
            "target": url,
            "stuck": 4,
            "unaccepted": 4,
            "sent": 1040,
            "left": 1040,
            "unknown": 0,
        }
    ]
    assert done.told["reason"] == (
        f"{url} has not read what it was sent: 1,040 of 1,040 bytes lie unread on 4 connections,"
        " none of which was ever accepted"
    )
    assert done.told["reason"] in done.told["notes"]


def test_a_sink_that_reads_passes_without_a_remark(scenario: Path, tmp_path: Path) -> None:
    with Server(drain) as server:
        words = ["--target", server.url, "--reply", "sink"]
        done = run(scenario, *words, folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["unread"] == []
    assert done.told["notes"] == []


def test_so_does_a_bundled_one(scenario: Path, tmp_path: Path) -> None:
    done = run(scenario, "--target", "threads", "--reply", "sink", folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["notes"] == []
