"""A response that is read without a parser is, in every part, the one that h11 reads."""

from __future__ import annotations

import importlib
import random
from types import ModuleType

import needs
import pytest

GOOD = (
    b"Content-Type: text/plain; charset=utf-8",
    b"Date: Mon, 01 Jan 2024 00:00:00 GMT",
    b"Connection: Keep-Alive",
    b"a:b",
)
ODD = (
    *(b"Connection: close", b"Connection: keep-alive, close", b"X:  a  b", b"X: ", b"X:", b"X : a"),
    *(b" folded", b"X: a\tb", b"X: a\x80b", b"X: a ", b"Content-Length: 5, 5", b"nothing"),
)
MEASURES = (
    *(b"Content-Length: 5", b"content-length:05", b"Transfer-Encoding: chunked"),
    *(b"transfer-encoding: Chunked", b"Content-Length: 6", b"Content-Length: +5", b"X-None: 1"),
)
BODIES = (
    *(b"hello", b"hell", b"hello!", b"", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n"),
    *(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"5;x=1\r\nhello\r\n0\r\n\r\n", b"0\r\n\r\n"),
    *(
        b"5\r\nhello\r\n0\r\nT: 1\r\n\r\n",
        b"05\r\nhello\r\n00\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
    ),
    *(b"5 \r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\nx", b"A\r\n0123456789\r\n0\r\n\r\n"),
)
LINES = (b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 500 Oh  no", b"HTTP/1.0 200 OK",
    b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 100 Continue",
    b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"http/1.1 200 OK", b"HTTP/1.1 600 No")  # fmt: skip


@pytest.fixture
def http() -> ModuleType:
    needs.package("h11")
    return importlib.import_module("loadmux.protocols.http_responses")


def drawn(chance: random.Random) -> bytes:
    """A response, mostly a right one, or one that is nearly right."""
    line = chance.choice(LINES[:2] if chance.random() < 0.8 else LINES)
    headers = [chance.choice(GOOD) for _ in range(chance.randint(0, 2))]
    headers += [chance.choice(ODD)] * (chance.random() < 0.2)
    at = chance.choice((0, 2)) if chance.random() < 0.6 else None
    measures = MEASURES if at is None else MEASURES[at : at + 1]
    headers += [chance.choice(measures)] * chance.choice((1, 1, 1, 1, 0, 2))
    chance.shuffle(headers)
    body = chance.choice(BODIES) if at is None else BODIES[2 * at + 2 * (chance.random() < 0.5)]
    data = b"\r\n".join([line, *headers, b"", b""]) + body
    if chance.random() < 0.2:
        at = chance.randrange(len(data))
        data = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    return data


def parsed(http: ModuleType, data: bytes) -> object:
    """As h11 has it; None where these bytes are no response, or not just one."""
    try:
        found = http.ResponseParser(b"GET", 1 << 20).feed(data)
    except ValueError:
        return None
    return None if found is None or found.rest else found


def test_both_ways_are_the_same(http: ModuleType) -> None:
    chance, plain, right = random.Random(7), 0, 0
    for _ in range(3000):
        data = drawn(chance)
        found = http.plainly(data)
        plain += found is not None
        if found is not None or chance.random() < 0.1:
            expected = parsed(http, data)
            right += expected is not None
            if found is not None:
                status, reason, headers, body = found
                again = http.Response(body, b"", status, b"1.1", reason, headers, True)
                assert again == expected, data
    assert right > plain > 200  # and some that are right are not plain


def test_a_response_that_is_longer_than_allowed_is_none(http: ModuleType) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    assert http.parsed(data, b"GET", len(data)).body == b"hello"
    assert http.parsed(data, b"GET", len(data) - 1) is None
    assert http.parsed(data, b"HEAD", len(data)) is None
