"""Servers that say anything at all, at every moment of a connection: no run ends of it."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Callable

import needs
import pytest
from driving import Handler, Server, drive, reset
from transports import UdpServer
from websocket_frames import accepted

USERS = 40
LOAD = f"load: {{users: {USERS}, iterations: 2}}\ntimeout: 100ms\n"
PIECES = [
    *(
        b"|0\r\n" * 3000,
        b"*1\r\n" * 3000,
        b">1\r\n" * 500,
        b"*3\r\n+a\r\n",
        b"$5\r\nhello\r\n",
        b":1\r\n",
    ),
    *(
        b"HTTP/1.1 200 OK\r\n",
        b"Content-Length: 5\r\n",
        b"\r\n\r\n",
        b"hello",
        b"Server received b'",
    ),
    *(
        b"\x81\x05hello",
        b"\x88\x02\x03\xe8",
        b"\x89\x00" * 300,
        b"\x81\xff",
        b"\x15\x03\x03\x00\x02",
    ),
    *(
        b"\x16\x03\x03\x00\x7a\x02",
        b"\0" * 70,
        b"\xff" * 70,
        b"ok",
        b"_SB",
        b"hello\n",
        b"\xf0\x9f",
    ),
]


def damaged(number: int) -> bytes:
    """What the server says on its connection of this number."""
    rng = random.Random(number)
    pieces = [rng.choice(PIECES) for _ in range(rng.randint(0, 5))]
    data = bytearray(b"".join(pieces))
    for _ in range(rng.randint(0, 3) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randint(0, 7)
    return bytes(data[: rng.choice([1, 20, 100_000])])


def saying(greeting: Callable[[bytes, int], bytes]) -> Handler:
    """Says what is asked, if anything, then anything at all, and ends in one of three ways."""

    def handler(connection: socket.socket, number: int) -> None:
        rng = random.Random(number)
        connection.settimeout(2)
        with contextlib.suppress(OSError):
            if rng.random() < 0.8:
                connection.sendall(greeting(connection.recv(65536), number))
            connection.sendall(damaged(number))
            if rng.random() < 0.4:
                connection.recv(65536)
                connection.sendall(damaged(number + 1))
            if rng.random() < 0.3:
                reset(connection)
            elif rng.random() < 0.5:
                connection.recv(65536)

    return handler


def nothing(request: bytes, number: int) -> bytes:
    return b""


def handshake(request: bytes, number: int) -> bytes:
    """Mostly the right one."""
    return accepted(request) if number % 5 else damaged(number)


RESP = "sockets: {main: {framing: resp}}\n"
WEBSOCKET = "sockets: {main: {framing: websocket}}\n"
STEPS = [
    ("", "[{send: hello, expect: hello}, {wait: 5ms}, {send: a, expect: {length: 3}}]", nothing),
    ("", "[{send: hello, expect: {rule: received}}, {send: a, expect: {until: '--'}}]", nothing),
    ("", "[{send: {http: /}, expect: {http: 200}}, {wait: 5ms}]", nothing),
    (RESP, "[{send: {resp: [A]}, expect: {resp: [a]}}, {wait: 5ms}]", nothing),
    (RESP, "[{expect: {resp: {push: [a]}}}, {send: {resp: [A]}, expect: {resp: 1}}]", nothing),
    (WEBSOCKET, "[{send: {websocket: a}, expect: {websocket: hello}}, {wait: 5ms}]", handshake),
    ("sockets: {main: {framing: line}}\n", "[{send: a, expect: {regex: 'h.*'}}]", nothing),
]


@pytest.mark.parametrize(("sockets", "steps", "greeting"), STEPS)
def test_anything_at_all(sockets: str, steps: str, greeting: Callable[[bytes, int], bytes]) -> None:
    needs.package("h11")
    needs.package("wsproto")
    with Server(saying(greeting)) as server:
        driven = drive(f"{sockets}steps: {steps}\n{LOAD}", server.url)
    assert driven.unreachable is None
    assert driven.stats.iterations + len(driven.faults) > 0
    assert all(fault.message.isprintable() for fault in driven.faults)


def test_anything_at_all_in_place_of_a_tls_handshake() -> None:
    with Server(saying(nothing)) as server:
        url = server.url.replace("tcp:", "tls:")
        driven = drive(f"steps: [{{send: hello, expect: hello}}]\n{LOAD}", url)
    assert set(driven.kinds) <= {"tls", "reset", "connect_timeout"}
    assert sum(driven.kinds.values()) > 0


@pytest.mark.parametrize("rule", ["received", "upper_sb", "ok"])
def test_any_datagrams_at_all(rule: str) -> None:
    replies = [damaged(number)[:60_000] for number in range(USERS)]
    with UdpServer(lambda data, number: [replies[number % USERS], data]) as server:
        driven = drive(f"steps: [{{send: hello, expect: {{rule: {rule}}}}}]\n{LOAD}", server.url)
    assert driven.stats.iterations + len(driven.faults) > 0
