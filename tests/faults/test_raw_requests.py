"""Responses to requests that were sent as plain bytes: in pieces, pipelined, one by one."""

from __future__ import annotations

import socket

import pytest
from driving import POLLERS, Driven, Handler, Server, drive

pollers = pytest.mark.parametrize("poller", POLLERS)
GET, HEAD = (method + " /%s HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" for method in ("GET", "HEAD"))
LOAD = "load: {users: 1, iterations: 3}\ntimeout: 500ms\n"


def http(swapped: bool = False) -> Handler:
    """Answers each request with its path; `swapped`: two that came at once in the wrong order."""

    def handler(connection: socket.socket, number: int) -> None:
        got = b""
        while chunk := connection.recv(65536):
            *whole, got = (got + chunk).split(b"\r\n\r\n")
            answers = [answer(*request.split()[:2]) for request in whole]
            connection.sendall(b"".join(reversed(answers) if swapped else answers))

    return handler


def answer(method: bytes, path: bytes) -> bytes:
    body = b"" if method == b"HEAD" else path
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), body)


def talk(steps: str, poller: str | None = None, *, swapped: bool = False) -> Driven:
    with Server(http(swapped)) as server:
        return drive(f"steps:\n{steps}{LOAD}", server.url, poller)


@pollers
def test_responses_answer_the_requests_in_their_order(poller: str) -> None:
    driven = talk(
        f'  - {{send: "{HEAD % "a"}{GET % "b"}{GET % "c"}"}}\n'
        "  - {name: a, expect: {http: 200}}\n"
        "  - {name: b, expect: {http: {body: /b}}}\n"
        "  - {name: c, expect: {http: {body: {regex: '/(?P<c>.)'}}}}\n"
        f'  - {{name: d, send: "{HEAD % "d"}", expect: {{http: 200}}}}\n'
        f'  - name: two\n    send: "{HEAD % "e"}{GET % "f"}"\n'
        "    expect: [{http: 200}, {http: {body: /f}}]\n"
        "  - {name: own, send: {http: \"/${c}\"}, expect: {http: {body: {regex: '/${c}'}}}}\n",
        poller,
    )
    assert driven.kinds == {}
    steps = driven.stats.steps
    assert {steps[name].kind for name in ("a", "b", "c", "d", "two", "own")} == {"exchange"}
    assert all(steps[name].count == 3 for name in ("a", "b", "c", "d", "two", "own"))


@pollers
@pytest.mark.parametrize("pieces", ["", ", pieces: 5"])
def test_a_request_in_several_sends_has_one_response(poller: str, pieces: str) -> None:
    begin, end = (HEAD % "a")[:7], (HEAD % "a")[7:]
    driven = talk(
        f'  - {{send: "{begin}"{pieces}}}\n'
        f'  - {{name: rest, send: "{end}"{pieces}, expect: {{http: 200}}}}\n'
        f'  - {{name: get, send: "{GET % "b"}"{pieces}, expect: {{http: {{body: /b}}}}}}\n',
        poller,
    )
    assert driven.kinds == {}
    assert driven.stats.steps["rest"].count == 3


@pollers
def test_responses_in_the_wrong_order_are_found(poller: str) -> None:
    driven = talk(
        f'  - {{send: "{GET % "a"}{GET % "b"}"}}\n'
        "  - {expect: {http: {body: /a}}}\n"
        "  - {expect: {http: {body: /b}}}\n",
        poller,
        swapped=True,
    )
    assert set(driven.kinds) <= {"corrupt", "mismatch", "reordered"}
    assert driven.kinds
