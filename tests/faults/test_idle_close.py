"""`idle_close: allowed`: a server may end a connection while nothing is owed, and only then."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import POLLERS, Driven, Handler, Server, drive
from transports import Authority, TlsServer

STEPS = r'[{name: ask, send: "ask\n", expect: "told\n"}, {wait: 100ms}]'
LOGIN = r'on_connect: [{name: login, send: "LOGIN\n", expect: "OK\n"}]'


def text(options: str = "idle_close: allowed") -> str:
    return (
        f"sockets: {{main: {{{options}}}}}\nsteps: {STEPS}\n"
        "load: {users: 2, iterations: 4}\ntimeout: 2s\n"
    )


def closing(last: bytes = b"told\n", end: Callable[[socket.socket], None] | None = None) -> object:
    """Answers logins and one question, then ends the connection."""

    def handler(connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                if line == b"LOGIN\n":
                    connection.sendall(b"OK\n")
                    continue
                connection.sendall(last)
                (end or (lambda one: one.shutdown(socket.SHUT_WR)))(connection)

    return handler


def driven(handler: object, options: str, poller: str | None = None) -> Driven:
    with Server(handler) as listening:  # type: ignore[arg-type]
        return drive(text(options), listening.url, poller)


@pytest.mark.parametrize("poller", POLLERS)
def test_the_socket_connects_anew_at_its_next_use(poller: str) -> None:
    found = driven(closing(), f"idle_close: allowed, {LOGIN}", poller)
    assert found.kinds == {}
    assert found.stats.steps["ask"].right == 8
    assert found.stats.steps["login"].right == 8
    assert found.stats.ended_idle == 6  # the last ends are those of the run


def test_without_it_that_is_a_fault() -> None:
    found = driven(closing(), "nodelay: true")
    assert set(found.kinds) == {"closed"}


def test_an_end_in_the_middle_of_a_reply_is_one() -> None:
    found = driven(closing(b"tol"), "idle_close: allowed")
    assert found.kinds == {"closed": 8}


def test_a_reset_is_one() -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(100)
        connection.sendall(b"told\n")
        connection.recv(0)
        reset(connection)

    found = driven(handler, "idle_close: allowed")
    assert set(found.kinds) == {"reset"}


def test_bytes_before_the_end_are_surplus() -> None:
    found = driven(closing(b"told\nmore\n"), "idle_close: allowed")
    assert "surplus" in found.kinds
    assert set(found.kinds) == {"surplus"}


def refusing(answered: int, end: Callable[[socket.socket], None], read: bool) -> Handler:
    """Ends a connection when it is asked once more than so often; tells nobody before."""

    def handler(connection: socket.socket, number: int) -> None:
        with connection.makefile("rb", 0) as lines:
            for _ in range(answered):
                lines.readline()
                connection.sendall(b"told\n")
            if read:
                lines.readline()
            else:
                connection.recv(100, socket.MSG_PEEK)
        end(connection)

    return handler


def shut_and_close(connection: socket.socket) -> None:
    """What is unread then is refused: close(2) sends a RST behind the FIN."""
    connection.shutdown(socket.SHUT_WR)
    connection.close()


STEP = pytest.mark.parametrize(
    "step", ['send: "ask\\n"', 'send: "ask\\n", pieces: 2, gap: 1ms', r'send: "${uuid}\n"']
)
LOAD = pytest.mark.parametrize(
    "load", ["users: 2, iterations: 6", "rate: 100/s, max_users: 1, run_time: 100ms"]
)


def asked(step: str, load: str, handler: Handler) -> Driven:
    steps = f'[{{name: ask, {step}, expect: "told\\n"}}]'
    text = f"sockets: {{main: {{idle_close: allowed}}}}\nsteps: {steps}\nload: {{{load}}}\n"
    with Server(handler) as listening:
        return drive(text, listening.url)


@pytest.mark.parametrize("end", [shut_and_close, socket.socket.close])
@STEP
@LOAD
def test_an_end_as_a_message_comes_is_one_of_an_idle_connection(
    load: str, step: str, end: Callable[[socket.socket], None]
) -> None:
    """Two ways to close what has not been read: FIN and RST, or RST alone."""
    found = asked(step, load, refusing(2, end, read=False))
    assert found.kinds == {}
    assert found.stats.ended_idle >= 2


@STEP
def test_who_has_read_the_message_is_at_fault(step: str) -> None:
    found = asked(step, "users: 2, iterations: 3", refusing(2, shut_and_close, read=True))
    assert found.kinds == {"closed": 2}


def test_over_tls_nobody_can_tell(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    text = (
        f"sockets: {{main: {{idle_close: allowed, tls: {{ca: {authority.path}}}}}}}\n"
        'steps: [{name: ask, send: "ask\\n", expect: "told\\n"}]\n'
        "load: {users: 2, iterations: 3}\n"
    )

    def end(connection: socket.socket) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        connection.unwrap()

    with TlsServer(refusing(2, end, read=True), authority.server()) as listening:
        found = drive(text, listening.url)
    assert found.kinds == {}


def test_one_that_never_answers_is_at_fault() -> None:
    steps = r'[{name: ask, send: "ask\n", expect: "told\n"}]'
    text = f"sockets: {{main: {{idle_close: allowed}}}}\nsteps: {steps}\nload: {{iterations: 2}}\n"
    with Server(refusing(0, shut_and_close, read=False)) as listening:
        found = drive(text, listening.url)
    assert found.kinds == {"closed": 2}
    assert found.stats.ended_idle == 0
