"""What a server says in place of the right reply is taken in whole, and stands in the evidence."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from driving import POLLERS, Driven, Handler, Server, answering, drive, reset
from transports import UdpServer, server_of
from websocket_frames import accepted, served

DENIED = b"-ERR unknown command 'SETT', with args beginning with: 'a' 'b'\r\n"
SETT = '{name: ask, send: "SETT a b\\r\\n", expect: "+OK\\r\\n"}'
LOAD = "\nload: {users: 1, iterations: 2}\ntimeout: 300ms\n"


def talk(
    handler: Handler, steps: str = f"[{SETT}]", options: str = "{}", poller: str | None = None
) -> Driven:
    with Server(handler) as server:
        text = f"sockets: {{main: {options}}}\nsteps: {steps}{LOAD}"
        return drive(text, server.url, poller)


def saying(*chunks: bytes, then: Callable[[socket.socket], object] | None = None) -> Handler:
    """Answers what it reads in several segments, and ends the connection if `then` says how."""

    def handler(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            for chunk in chunks:
                connection.sendall(chunk)
                connection.getpeername()
            if then is not None:
                then(connection)
                return

    return handler


def end(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


def said(driven: Driven) -> set[bytes]:
    return {one.said for one in driven.faults}


@pytest.mark.parametrize("poller", POLLERS)
@pytest.mark.parametrize("then", [None, end, reset])
def test_an_error_is_heard_to_its_end(
    poller: str, then: Callable[[socket.socket], object] | None
) -> None:
    """It is longer than what was expected, and the first of its kind: nothing came before it."""
    driven = talk(saying(DENIED[:6], DENIED[6:20], DENIED[20:], then=then), poller=poller)
    assert driven.kinds == {"mismatch": 2}
    assert said(driven) == {DENIED}
    assert {one.said_size for one in driven.faults} == {len(DENIED)}


@pytest.mark.parametrize("scheme", ["unix", "tls"])
def test_over_other_transports(scheme: str, tmp_path: Path) -> None:
    server, options = server_of(scheme, saying(DENIED), tmp_path)
    with server:
        driven = drive(f"sockets: {{main: {options}}}\nsteps: [{SETT}]{LOAD}", server.url)
    assert driven.kinds == {"mismatch": 2}
    assert said(driven) == {DENIED}


def test_over_udp() -> None:
    with UdpServer(lambda datagram, number: [DENIED]) as server:
        driven = drive(f"steps: [{SETT}]{LOAD}", server.url)
    assert driven.kinds == {"mismatch": 2}
    assert said(driven) == {DENIED}


PAGE = b"HTTP/1.1 500 Oops\r\nContent-Length: 19\r\n\r\nthe disk is full, ok"[:-1]
FORMS = {
    "http": ("{http: /}", "{http: 200}", "{}", PAGE),
    "resp": ("{resp: [SETT, a]}", "{resp: OK}", "{}", DENIED),
    "line": ("{frame: SETT}", "{frame: OK}", "{framing: line}", DENIED),
    "regex": ("{frame: SETT}", "{regex: OK}", "{framing: line}", DENIED),
    "length": ("SETT", "{frame: OK}", "{framing: {length_prefix: {bytes: 1}}}", b"\x03no!"),
    "until": ("SETT", '{until: "OK"}', "{}", DENIED),
}


@pytest.mark.parametrize("form", FORMS)
def test_in_every_form_of_reply(form: str) -> None:
    send, expect, options, reply = FORMS[form]
    driven = talk(saying(reply), f"[{{send: {send}, expect: {expect}}}]", options)
    assert sum(driven.kinds.values()) == 2
    assert said(driven) == {reply}


def test_in_a_websocket() -> None:
    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(accepted(connection.recv(65536)))
        while connection.recv(65536):
            connection.sendall(served("text", b"you may not"))

    steps = "[{send: {websocket: hello}, expect: {websocket: hello}}]"
    driven = talk(handler, steps, "{framing: websocket}")
    assert driven.kinds == {"mismatch": 2}
    assert said(driven) == {served("text", b"you may not")}


@pytest.mark.parametrize(
    ("reply", "then", "kind"),
    [
        (b"+O", None, "truncated"),
        (b"+O", end, "closed"),
        (b"+O", reset, "reset"),
        (b"+OK\r\n" + DENIED, None, "surplus"),
    ],
)
def test_with_every_kind_of_fault(
    reply: bytes, then: Callable[[socket.socket], object] | None, kind: str
) -> None:
    driven = talk(saying(reply, then=then))
    assert set(driven.kinds) == {kind}
    assert said(driven) == {reply.removeprefix(b"+OK\r\n")}


def test_nothing_is_said_where_nothing_came() -> None:
    driven = talk(saying(b""))
    assert driven.kinds == {"timeout": 2}
    assert said(driven) == {b""}


def test_a_flood_is_bounded() -> None:
    def flood(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        while True:
            connection.sendall(b"lots of it\n" * 10_000)

    driven = talk(flood)
    assert driven.kinds == {"mismatch": 2}
    assert said(driven) == {(b"lots of it\n" * 10_000)[:4096]}
    assert all(one.said_size >= 4096 for one in driven.faults)


@pytest.mark.parametrize("at", [0, 1, 3, 4])
def test_right_replies_behind_a_flipped_one_do_not_hide_the_flip(at: int) -> None:
    """The replies are all alike, so the end of any of them lines up with that of the wrong one."""
    flipped = bytearray(b"+OK\r\n")
    flipped[at] ^= 1

    def reply(chunk: bytes) -> bytes:
        return bytes(flipped) + b"+OK\r\n" * (chunk.count(b"\n") - 1)

    steps = f'[{{send: "A\\n"}}, {{send: "B\\n"}}, {{send: "C\\n"}}, {", ".join([EXPECT] * 3)}]'
    together = '[{send: "A\\nB\\nC\\n"}, ' + ", ".join([EXPECT] * 3) + "]"
    for each in (steps, together):
        driven = talk(gathering(b"C\n", reply), each)
        assert driven.kinds == {"corrupt": 2}
        assert {one.offset for one in driven.faults} == {at}


EXPECT = '{expect: "+OK\\r\\n"}'


def gathering(last: bytes, reply: Callable[[bytes], bytes]) -> Handler:
    """Answers once it has read all up to `last`."""

    def handler(connection: socket.socket, number: int) -> None:
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
            if data.endswith(last):
                connection.sendall(reply(data))
                data = b""

    return handler


def test_the_report_shows_the_text(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    path.write_text(f"steps: [{SETT}]{LOAD}")
    reply = DENIED + b"\x1b[2Jgone\x07\r\n"
    with Server(answering(lambda chunk: reply)) as server:
        done = run(path, "--target", server.url, folder=tmp_path)
    assert "\x1b" not in done.out
    assert "\x07" not in done.out
    lines = done.out.splitlines()
    at = lines.index(f"    the server said ({len(reply)} B):")
    assert lines[at + 1 : at + 3] == [
        "      -ERR unknown command 'SETT', with args beginning with: 'a' 'b'",
        "      \\x1b[2Jgone\\x07",
    ]
    example = done.told["faults"][0]["examples"][0]
    assert example["said_text"] == reply.decode()
    assert bytes.fromhex(example["said"]) == reply
    assert example["said_size"] == len(reply)
