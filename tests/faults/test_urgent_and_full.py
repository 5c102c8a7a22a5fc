"""Urgent bytes, and sends until the socket is full."""

from __future__ import annotations

import select
import socket
import threading
from pathlib import Path

import pytest
from driving import POLLERS, Server, answering, drive, scenario_for
from transports import server_of

from loadmux.errors import ScenarioErrors

pollers = pytest.mark.parametrize("poller", POLLERS)


def inline(connection: socket.socket, number: int) -> None:
    """Echoes the stream, with the urgent byte in its place as `!`."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    while chunk := connection.recv(65536):
        connection.sendall(chunk)


def beside(connection: socket.socket, number: int) -> None:
    """Echoes the stream; the urgent byte is no part of it, and is told at the end."""
    urgent = b""
    while True:
        readable, _, exceptional = select.select([connection], [], [connection])
        if exceptional and not urgent:
            urgent = connection.recv(1, socket.MSG_OOB)
        if not readable:
            continue
        chunk = connection.recv(65536)
        connection.sendall(chunk)
        if chunk.endswith(b"end"):
            connection.sendall(b" and " + urgent)
            urgent = b""
        if not chunk:
            return


URGENT = """
steps:
  - {name: oob, send: {urgent: "stop!"}}
  - {name: more, send: "the end"}
  - {name: said, expect: EXPECTED}
load: {users: 2, iterations: 3}
timeout: 500ms
"""


@pollers
def test_the_last_byte_is_urgent(poller: str) -> None:
    with Server(beside) as server:
        driven = drive(URGENT.replace("EXPECTED", '"stopthe end and !"'), server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 6


@pollers
def test_a_server_may_read_it_inline(poller: str) -> None:
    with Server(inline) as server:
        driven = drive(URGENT.replace("EXPECTED", '"stop!the end"'), server.url, poller)
    assert driven.kinds == {}


def test_a_server_that_loses_it_is_found() -> None:
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(URGENT.replace("EXPECTED", '"stop!the end"'), server.url)
    assert sum(driven.kinds.values()) == 6


def test_a_rule_does_not_see_it() -> None:
    text = """
    steps:
      - {send: {urgent: "ab"}, expect: reply}
      - {send: cd, expect: reply}
    load: {iterations: 3}
    """
    with Server(answering(bytes.upper)) as server:
        driven = drive(text, server.url, rule="upper")
    assert driven.kinds == {}


def test_in_a_branch_that_only_sends() -> None:
    text = """
    steps:
      - together:
        - [{send: a}, {send: {urgent: "${user}!"}}, {send: b}]
        - [{expect: "a0!b"}]
    """
    with Server(inline) as server:
        assert drive(text, server.url).kinds == {}


@pytest.mark.parametrize(
    ("url", "step", "told"),
    [
        ("tls://h:1", "{send: {urgent: a}}", "'urgent' bytes need a tcp target, tls has none"),
        ("udp://h:1", "{send: {urgent: a}}", "udp has none"),
        ("unix:///s", "{send: {urgent: a}}", "unix has none"),
        ("tcp://h:1", "{send: {urgent: a, text: b}}", "urgent"),
        ("tcp://h:1", "{send: {urgent: ''}}", "there is nothing to send"),
        ("tcp://h:1", "{send: {urgent: ab}, pieces: 1}", "leave 'pieces' out"),
        ("tcp://h:1", "{send: {urgent: ab}, until: full}", "leave 'until' out"),
        ("tcp://h:1", "{start_tls: main}, {send: {urgent: a}}", "this socket speaks TLS by now"),
        ("udp://h:1", "{send: a, until: full}", "a datagram socket is never 'full'"),
        ("tcp://h:1", "{send: a, expect: a, until: full}", "expect in a step of its own"),
        ("tcp://h:1", "{send: a, until: full, pieces: 3}", "leave 'pieces' out"),
        ("tcp://h:1", "{send: a, until: ful}", "did you mean 'full'?"),
        ("tcp://h:1", "{send: a, at_most: 1KiB}", "'at_most' needs 'until: full'"),
        ("tcp://h:1", "{expect: a, until: full}", "'until' belongs to a 'send'"),
    ],
)
def test_what_is_wrong_is_told_when_the_file_is_read(url: str, step: str, told: str) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        scenario_for(f"steps: [{step}]\n", url)
    assert any(told in error.message for error in caught.value.errors), caught.value


# --- until: full --------------------------------------------------------------------------------


def test_a_server_that_takes_everything_takes_so_much_at_most() -> None:
    def sink(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            pass

    steps = """
    steps:
      - {send: {repeat: tick, times: 1000}, until: full, at_most: 1MiB, within: 1m}
      - {reset: main}
    """
    with server_of("tcp", sink, Path())[0] as server:
        driven = drive(steps, server.url)
    assert (driven.kinds, driven.stats.iterations) == ({}, 1)


FULL = """
sockets: {main: OPTIONS}
steps:
  - {name: fill, send: {repeat: "tick ${user}", times: 500}, until: full, within: 200ms}
  - {close: main, pending: drop}
load: {users: 2, iterations: 2}
"""


@pytest.mark.parametrize(
    ("scheme", "poller"), [*(("tcp", one) for one in POLLERS), ("unix", "epoll"), ("tls", "epoll")]
)
def test_a_server_that_reads_no_more(scheme: str, poller: str, tmp_path: Path) -> None:
    done = threading.Event()

    def deaf(connection: socket.socket, number: int) -> None:
        connection.recv(10)
        done.wait(20)

    server, options = server_of(scheme, deaf, tmp_path)
    with server:
        driven = drive(FULL.replace("OPTIONS", options), server.url, poller)
        done.set()
    assert driven.kinds == {}
    assert driven.stats.iterations == 4
    driven.stats.fold()
    fill = driven.stats.steps["fill"]
    assert (fill.kind, fill.right) == ("send", 4)


def test_a_server_that_waits_for_its_replies_to_be_read() -> None:
    """It answers until its own buffers are full; then all that was sent is checked by its rule."""
    text = """
    sockets: {main: {send_buffer: 16KiB, receive_buffer: 16KiB}}
    steps:
      - {send: {random: 10KiB}, until: full, within: 200ms}
      - {name: all, expect: reply}
      - {close: main}
      - {send: hello, expect: reply}
    load: {users: 2, iterations: 2}
    """
    with Server(answering(bytes.upper)) as server:
        driven = drive(text, server.url, rule="upper")
    assert driven.kinds == {}
    assert driven.stats.iterations == 4


def test_one_changed_byte_of_them_is_found() -> None:
    count = [0]

    def lying(chunk: bytes) -> bytes:
        count[0] += len(chunk)
        return chunk if count[0] < 100_000 else bytes([chunk[0] ^ 1]) + chunk[1:]

    text = """
    sockets: {main: {send_buffer: 16KiB, receive_buffer: 16KiB}}
    steps: [{send: {repeat: abcdefgh, times: 2000}, until: full, within: 200ms}, {expect: reply}]
    """
    with Server(answering(lying)) as server:
        driven = drive(text, server.url, rule="echo")
    assert driven.kinds == {"corrupt": 1}


def test_a_server_that_goes_away_meanwhile() -> None:
    def leaving(connection: socket.socket, number: int) -> None:
        connection.recv(100_000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    with Server(leaving) as server:
        driven = drive(FULL.replace("OPTIONS", "{}"), server.url)
    assert set(driven.kinds) <= {"reset", "closed"}
    assert {one.step for one in driven.faults} == {"fill"}


def test_in_a_branch_beside_a_reader() -> None:
    text = """
    sockets: {main: {send_buffer: 16KiB, receive_buffer: 16KiB}}
    steps:
      - together:
        - [{name: fill, send: {repeat: abcd, times: 1000}, until: full, within: 300ms}]
        - [{expect: {length: 4000}}]
      - {close: main, pending: drop}
    load: {iterations: 2}
    """
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert driven.stats.iterations == 2


@pytest.mark.parametrize("asked", ["[{name: ask, send: hello, expect: reply}, ", "["])
def test_a_run_that_ends_while_a_socket_fills_blames_nobody(asked: str) -> None:
    """What the server has echoed until then is judged where a rule says it, else by nobody."""
    text = (
        f"steps: {asked}{{send: {{repeat: x, times: 5000}}, until: full, within: 9s}}]\n"
        "load: {users: 2, run_time: 300ms, graceful_stop: 0s}\n"
    )

    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url, rule="echo")
    assert driven.kinds == {}
    assert driven.stats.interrupted == 2


def test_a_lie_until_then_is_found() -> None:
    text = (
        "steps: [{send: {random: 5KiB}, until: full, within: 9s}, {expect: reply}]\n"
        "load: {users: 1, run_time: 300ms, graceful_stop: 0s}\n"
    )

    def echo(connection: socket.socket, number: int) -> None:
        first = connection.recv(65536)
        connection.sendall(bytes([first[0] ^ 1]) + first[1:])
        while chunk := connection.recv(65536):
            connection.sendall(chunk)

    with Server(echo) as server:
        driven = drive(text, server.url, rule="echo")
    assert driven.kinds == {"corrupt": 1}
    assert driven.faults[0].offset == 0
