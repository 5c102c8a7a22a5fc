"""Servers that lie in HTTP, RESP and WebSocket: the kind of each fault, and what is said of it."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import needs
import pytest
from driving import Driven, Handler, Server, answering, drive, reset
from websocket_frames import accepted, served

LOAD = "load: {users: 1, iterations: 2}\ntimeout: 300ms\n"
OK = b"HTTP/1.1 200 OK\r\n"
PAGE = OK + b"Content-Length: 5\r\n\r\nhello"
GET = "steps: [{name: get, send: {http: /}, expect: {http: {body: hello}}}]\n"
ECHO = "steps: [{name: ask, send: {resp: [ECHO, hello]}, expect: {resp: hello}}]\n"
TALK = """
sockets: {main: {framing: {websocket: {path: /, subprotocol: v1}}}}
steps: [{name: talk, send: {websocket: hello}, expect: {websocket: hello}}]
"""


@pytest.fixture(autouse=True)
def packages() -> None:
    needs.package("h11")
    needs.package("wsproto")


def saying(*chunks: bytes) -> Handler:
    """Says the same to all that it reads."""
    return answering(lambda chunk: b"".join(chunks))


def dripping(reply: bytes) -> Handler:
    def handler(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            for byte in reply:
                connection.sendall(bytes([byte]))

    return handler


def then_closing(reply: bytes) -> Handler:
    """Reads once, replies, and closes in order."""

    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(reply)
        connection.close()

    return handler


def then_resetting(reply: bytes) -> Handler:
    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(reply)
        reset(connection)

    return handler


def told(handler: Handler, steps: str) -> tuple[dict[str, int], str]:
    """Kinds with their counts, and the first message."""
    with Server(handler) as server:
        driven = drive(steps + LOAD, server.url)
    return driven.kinds, driven.faults[0].message if driven.faults else ""


def right(handler: Handler, steps: str) -> Driven:
    with Server(handler) as server:
        driven = drive(steps + LOAD, server.url)
    assert driven.kinds == {}, driven.faults
    assert driven.stats.iterations == 2
    return driven


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("{starts_with: he}", None, ""),
        ("{contains: ll}", None, ""),
        (
            "{starts_with: hallo}",
            "corrupt",
            "the response's body (5 bytes) does not start with b'hallo'",
        ),
        ("{contains: lost}", "mismatch", "the response's body (5 bytes) does not contain b'lost'"),
    ],
)
def test_a_part_of_a_body(body: str, kind: str | None, message: str) -> None:
    kinds, said = told(saying(PAGE), GET.replace("body: hello", f"body: {body}"))
    assert (kinds, said) == ({} if kind is None else {kind: 2}, message)


# --- http ---------------------------------------------------------------------------------------

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "handler",
    [
        saying(PAGE),
        dripping(PAGE),
        saying(CHUNKED),
        dripping(CHUNKED),
        saying(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n", PAGE),
        then_closing(OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello"),
        then_closing(OK + b"\r\nhello"),
        then_closing(b"HTTP/1.0 200 OK\r\n\r\nhello"),
        then_closing(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        saying(OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello"),
    ],
)
def test_right_responses(handler: Handler) -> None:
    right(handler, GET)


def test_a_server_that_announces_the_end_is_connected_to_anew() -> None:
    driven = right(saying(OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello"), GET)
    assert driven.stats.connects.right == 2
    assert right(saying(PAGE), GET).stats.connects.right == 1


@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        (saying(b"SSH-2.0-OpenSSH\r\n\r\n"), "mismatch", "illegal status line: b'SSH-2.0-OpenSSH'"),
        (saying(OK + b"oops\r\n\r\n"), "mismatch", "illegal header line: b'oops'"),
        (saying(PAGE.replace(b"200", b"503")), "mismatch", "'HTTP/1.1 503 OK', expected the"),
        (saying(PAGE.replace(b"hello", b"hexlo")), "corrupt", "in the response's body, byte 2"),
        (saying(OK + b"Content-Length: 4\r\n\r\nhell"), "truncated", "ends after 4 of 5 bytes"),
        (saying(OK + b"Content-Length: 9\r\n\r\nhello"), "truncated", "owed: 4 of 9 bytes of the"),
        (saying(PAGE, b"more"), "surplus", "4 bytes"),
        (saying(OK + b"Content-Length: 0\r\n\r\n"), "truncated", "ends after 0 of 5 bytes"),
        (then_closing(b""), "closed", "instead of replying; still owed: the status line"),
        (then_closing(OK + b"Content-L"), "closed", "still owed: the status line and headers"),
        (then_closing(PAGE[:-2]), "closed", "still owed: 2 of 5 bytes of the body"),
        (then_closing(CHUNKED[:-9]), "closed", "still owed: the rest of a chunked body"),
        (then_resetting(PAGE[:-2]), "reset", "the connection was lost"),
        (then_resetting(OK + b"\r\nhello"), "reset", "the connection was lost"),
        (saying(OK + b"\r\nhello"), "truncated", "owed: the end of the connection"),
        (saying(b"HTTP/1.1 200 OK\r\n"), "truncated", "owed: the status line and headers"),
        (saying(CHUNKED.replace(b"3\r\n", b"x\r\n")), "mismatch", "illegal chunk header"),
        (answering(lambda chunk: b""), "timeout", "owed: the status line and headers"),
    ],
)  # fmt: skip
def test_wrong_responses(handler: Handler, kind: str, message: str) -> None:
    kinds, said = told(handler, GET)
    assert list(kinds) == [kind]
    assert message in said


def test_a_body_that_head_must_not_have_is_surplus() -> None:
    steps = "steps: [{name: h, send: {http: {method: HEAD}}, expect: {http: {body: ''}}}]\n"
    kinds, _ = told(saying(PAGE), steps)
    assert kinds == {"surplus": 1}


def test_a_larger_response_than_max_is_no_endless_buffer() -> None:
    steps = f"sockets: {{main: {{framing: {{http: true, max: 1KiB}}}}}}\n{GET}"
    kinds, said = told(saying(OK + b"Content-Length: 5000\r\n\r\n" + bytes(5000)), steps)
    assert kinds == {"mismatch": 2}
    assert said == "a frame of more than 1024 bytes ('max') came"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ("{x-id: a}", "the response has no header 'x-id'"),
        ("{content-type: a}", "the response's header 'content-type'"),
        ("{content-type: {regex: a+}}", "does not match the regex 'a+'"),
    ],
)
def test_wrong_headers(headers: str, message: str) -> None:
    steps = f"steps: [{{send: {{http: /}}, expect: {{http: {{headers: {headers}}}}}}}]\n"
    reply = OK + b"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
    _, said = told(saying(reply), steps)
    assert message in said


# --- resp ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [b"$5\r\nhello\r\n", b"+hello\r\n", b"=9\r\ntxt:hello\r\n"])
@pytest.mark.parametrize("make", [saying, dripping])
def test_right_values(reply: bytes, make: Callable[[bytes], Handler]) -> None:
    right(make(reply), ECHO)


@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        (saying(b"hello\r\n"), "mismatch", "b'h' begins no RESP value"),
        (saying(b"$5\r\nhelloxx"), "mismatch", "a string of 5 bytes does not end in CR LF"),
        (saying(b"$five\r\n"), "mismatch", "b'five' is no length"),
        (saying(b"-ERR oops\r\n"), "mismatch", "the reply is the error b'ERR oops', expected"),
        (saying(b"$5\r\nhexlo\r\n"), "mismatch", "b'hexlo', expected the string b'hello'"),
        (saying(b"$5\r\nhel"), "truncated", "owed: 4 bytes of a string"),
        (saying(b"$5\r\nhello\r\n:1\r\n"), "surplus", "4 bytes"),
        (then_closing(b"$5\r\nhel"), "closed", "still owed: 4 bytes of a string"),
        (then_closing(b""), "closed", "still owed: a whole RESP value"),
        (saying(b"*2\r\n+a\r\n"), "truncated", "owed: 1 more values of 1 open lists"),
        (then_resetting(b"$5\r\nhel"), "reset", "the connection was lost"),
    ],
)  # fmt: skip
def test_wrong_values(handler: Handler, kind: str, message: str) -> None:
    kinds, said = told(handler, ECHO)
    assert list(kinds) == [kind]
    assert message in said


PUSH = b">3\r\n$7\r\nmessage\r\n+ch\r\n$3\r\nhey\r\n"
ATTRIBUTE = b"|1\r\n+ttl\r\n:3600\r\n"
BULK = b"$5\r\nhello\r\n"


@pytest.mark.parametrize(
    ("reply", "pushes"),
    [
        (PUSH + BULK, 2),
        (PUSH + PUSH + BULK, 4),
        (BULK + PUSH, 2),
        (PUSH + BULK + PUSH + PUSH, 6),
        (ATTRIBUTE + BULK, 0),
        (ATTRIBUTE + PUSH + ATTRIBUTE + BULK, 2),
        (b">0\r\n" + BULK, 2),
        (b"|0\r\n" * 3000 + BULK, 0),
    ],
)
@pytest.mark.parametrize("framing", ["", "sockets: {main: {framing: resp}}\n"])
def test_pushes_are_no_replies(reply: bytes, pushes: int, framing: str) -> None:
    with Server(saying(reply)) as server:
        driven = drive(framing + ECHO + LOAD, server.url)
    assert (driven.kinds, driven.stats.served) == ({}, 1)
    assert driven.stats.passed_over == pushes


@pytest.mark.parametrize("reply", [PUSH + BULK + PUSH, ATTRIBUTE + PUSH + BULK])
def test_pushes_cut_anywhere_are_no_replies(reply: bytes) -> None:
    right(dripping(reply), ECHO)


def test_a_push_that_comes_slowly_between_two_steps_is_no_surplus() -> None:
    """Its second half comes after the next command, in front of the reply."""

    def handler(connection: socket.socket, number: int) -> None:
        half = len(PUSH) // 2
        connection.recv(65536)
        connection.sendall(BULK + PUSH[:half])
        connection.recv(65536)
        connection.sendall(PUSH[half:] + BULK)
        connection.recv(65536)

    with Server(handler) as server:
        driven = drive(ECHO + LOAD, server.url)
    assert (driven.kinds, driven.stats.passed_over) == ({}, 1)


def test_offsets_count_from_the_reply_not_from_the_pushes_before_it() -> None:
    with Server(saying(PUSH + PUSH + b"*1\r\n?x\r\n")) as server:
        driven = drive(ECHO + LOAD, server.url)
    first = driven.faults[0]
    assert (first.kind, first.offset, first.received) == ("mismatch", 4, b"*1\r\n?x\r\n")


def test_a_push_is_expected_by_its_name() -> None:
    steps = (
        "steps:\n- {name: sub, send: {resp: [SUBSCRIBE, ch]}, expect: {resp: {push: [subscribe, ch,"
        " 1]}}}\n- {name: heard, expect: {resp: {push: [message, ch, {regex: '...'}]}}}\n"
    )
    subscribed = b">3\r\n+subscribe\r\n+ch\r\n:1\r\n"
    right(saying(subscribed + PUSH), steps)
    kinds, said = told(saying(b"*3\r\n+subscribe\r\n+ch\r\n:1\r\n"), steps)
    assert list(kinds) == ["mismatch"]
    assert "the reply is a list of 3, expected a push of 3" in said


def test_a_server_that_only_pushes_is_late() -> None:
    """What answers nothing does not keep a reply from being late."""

    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        for _ in range(40):
            connection.sendall(PUSH)
            time.sleep(0.05)

    kinds, said = told(handler, ECHO)
    assert list(kinds) == ["timeout"]
    assert "pushes were passed over; {push: [...]} expects one" in said


@pytest.mark.parametrize(
    ("words", "reply", "right_so"),
    [
        ("ERR", b"-ERR\r\n", True),
        ("ERR", b"-ERR unknown command\r\n", True),
        ("ERR unknown", b"-ERR unknown command\r\n", True),
        ("ERR unknown command '", b"-ERR unknown command 'x'\r\n", True),
        ("ERR", b"!7\r\nERR foo\r\n", True),
        ("", b"-ANY thing\r\n", True),
        ("ERR", b"-ERRATA foo\r\n", False),
        ("ERR", b"-ERR_X foo\r\n", False),
        ("ERR unkn", b"-ERR unknown command\r\n", False),
        ("ERR", b"-XERR\r\n", False),
        ("ERR", b"-ER\r\n", False),
        ("ERR", b"+ERR foo\r\n", False),
    ],
)
def test_an_error_begins_with_whole_words(words: str, reply: bytes, right_so: bool) -> None:
    steps = f'steps: [{{send: {{resp: [X]}}, expect: {{resp: {{error: "{words}"}}}}}}]\n'
    if right_so:
        right(saying(reply), steps)
        return
    kinds, said = told(saying(reply), steps)
    assert list(kinds) == ["mismatch"]
    assert f"an error that begins with the words {words.encode()!r}" in said


# --- websocket ----------------------------------------------------------------------------------


def handshake(request: bytes, **changed: bytes) -> bytes:
    """The right answer to a request for an upgrade, but for what is `changed`."""
    key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = {
        "status": b"HTTP/1.1 101 Switching Protocols",
        "upgrade": b"Upgrade: websocket",
        "connection": b"Connection: Upgrade",
        "accept": b"Sec-WebSocket-Accept: " + base64.b64encode(digest),
        "protocol": b"Sec-WebSocket-Protocol: v1",
        **changed,
    }
    return b"\r\n".join(filter(None, lines.values())) + b"\r\n\r\n"


def upgraded(reply: bytes, end: bool = False, **changed: bytes) -> Handler:
    """Shakes hands, then says the same to each message."""

    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(handshake(connection.recv(65536), **changed))
        while connection.recv(65536):
            connection.sendall(reply)
            if end:
                connection.close()
                return

    return handler


HELLO = served("text", b"hello")


@pytest.mark.parametrize(
    "reply",
    [
        HELLO,
        b"\x01\x02he\x80\x03llo",
        served("ping", b"x") + HELLO,
        b"\x01\x02he" + served("ping", b"x") + b"\x80\x03llo",
        served("pong", b"") + HELLO,
    ],
)
def test_right_messages(reply: bytes) -> None:
    """The server is given our pongs too, and answers only messages."""
    heard: list[bytes] = []

    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(handshake(connection.recv(65536)))
        while chunk := connection.recv(65536):
            heard.append(chunk)
            while chunk:  # a pong and the next message may come at once
                if chunk[0] == 0x81:
                    connection.sendall(reply)
                chunk = chunk[6 + (chunk[1] & 0x7F) :]

    right(handler, TALK)
    pongs = b"".join(heard).count(b"\x8a\x81")
    assert pongs == (2 if served("ping", b"x") in reply else 0)


def test_a_ping_behind_a_reply_is_answered_and_no_surplus() -> None:
    heard: list[int] = []

    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(handshake(connection.recv(65536)))
        for _ in range(2):
            heard.append(connection.recv(65536)[0])
            connection.sendall(HELLO + served("ping", b""))
            heard.append(connection.recv(6)[0])

    right(handler, TALK)
    assert heard == [0x81, 0x8A, 0x81, 0x8A]


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (served("text", b"hexlo"), "corrupt", "in the text, byte 2"),
        (served("binary", b"hello"), "mismatch", "a binary of 5 bytes came, expected a text"),
        (b"\x81\x05hel", "truncated", "owed: the rest of a message"),
        (b"\x81\x02\xff\xff", "mismatch", "no right WebSocket frame"),
        (b"\x81\x85\0\0\0\0hello", "mismatch", "masked"),
        (b"\x83\x00", "mismatch", "Invalid opcode 0x3"),
        (b"\x80\x01x", "mismatch", "unexpected CONTINUATION"),
        (HELLO + HELLO, "duplicate", ""),
        (HELLO + served("text", b"other"), "surplus", ""),
        (served("close", b"\x03\xf3"), "closed", "the server closed: 1011"),
        (b"", "timeout", "owed: a whole message"),
    ],
)  # fmt: skip
def test_wrong_messages(reply: bytes, kind: str, message: str) -> None:
    kinds, said = told(upgraded(reply), TALK)
    assert list(kinds) == [kind]
    assert message in said


def test_a_server_that_only_pings_is_late() -> None:
    """Pings are answered, and do not keep a message from being late."""

    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(handshake(connection.recv(65536)))
        connection.recv(65536)
        for _ in range(40):
            connection.sendall(served("ping", b""))
            time.sleep(0.05)

    kinds, said = told(handler, TALK)
    assert list(kinds) == ["timeout"]
    assert "owed: a whole message" in said


def test_offsets_count_from_the_message_not_from_the_pings_before_it() -> None:
    reply = served("ping", b"x") + served("ping", b"y") + b"\x81\x05hel"

    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(handshake(connection.recv(65536)))
        connection.recv(65536)
        connection.sendall(reply)
        while connection.recv(65536):
            pass

    with Server(handler) as server:
        driven = drive(TALK + LOAD, server.url)
    first = driven.faults[0]
    assert (first.kind, first.received) == ("truncated", b"\x81\x05hel")


def test_an_end_without_a_close_frame_is_closed() -> None:
    kinds, said = told(upgraded(HELLO[:3], end=True), TALK)
    assert kinds == {"closed": 2}
    assert "still owed: the rest of a message" in said


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"status": b"HTTP/1.1 403 Forbidden"}, "refused: 'HTTP/1.1 403 Forbidden'"),
        ({"accept": b"Sec-WebSocket-Accept: AAAA"}, "has b'AAAA' as 'sec-websocket-accept'"),
        ({"accept": b""}, "has b'' as 'sec-websocket-accept'"),
        ({"upgrade": b"Upgrade: h2c"}, "has b'h2c' as 'upgrade', expected b'websocket'"),
        ({"protocol": b"Sec-WebSocket-Protocol: v2"}, "has b'v2' as 'sec-websocket-protocol'"),
        ({"extra": b"Sec-WebSocket-Extensions: permessage-deflate"}, "expected none"),
        ({"status": b"Hello!"}, "no right answer to the handshake"),
    ],
)
def test_a_wrong_handshake(changed: dict[str, bytes], message: str) -> None:
    with Server(upgraded(HELLO, False, **changed)) as server:
        driven = drive(TALK + LOAD, server.url)
    assert driven.kinds == {"mismatch": 2}
    assert message in driven.faults[0].message
    assert driven.faults[0].step == "connect"


def test_masks_and_keys_come_from_the_seed() -> None:
    said: list[bytes] = []

    def handler(connection: socket.socket, number: int) -> None:
        request = connection.recv(65536)
        said.append(request.partition(b"Key: ")[2])
        connection.sendall(handshake(request))
        while chunk := connection.recv(65536):
            said.append(chunk)
            connection.sendall(HELLO)

    right(handler, TALK)
    first, said = said, []
    right(handler, TALK)
    assert said == first
    assert len(set(first)) == 3


def opcodes(data: bytes) -> Iterator[int]:
    """Those of a client's small frames, of which one read may bring several."""
    at = 0
    while at < len(data):
        yield data[at] & 15
        at += 2 + 4 + (data[at + 1] & 127)  # head, mask, body


def websocket_server(answer: Callable[[bytes], bytes]) -> Handler:
    """Shakes hands, and says to each read what `answer` makes of it."""

    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(accepted(connection.recv(65536)))
        while data := connection.recv(65536):
            connection.sendall(answer(data))

    return handler


def test_a_pong_that_came_before_it_was_awaited() -> None:
    needs.package("wsproto")
    text = """
    sockets: {main: {framing: websocket}}
    steps:
      - {send: {websocket: {ping: hi}}}
      - {wait: 20ms}
      - {send: {websocket: hello}}
      - {expect: {websocket: {pong: hi}}}
      - {expect: {websocket: hello}}
    load: {users: 1, iterations: 2}
    timeout: 500ms
    """

    def answer(data: bytes) -> bytes:
        return served("pong", b"hi") if data[0] & 15 == 9 else served("text", b"hello")

    with Server(websocket_server(answer)) as server:
        assert drive(text, server.url).kinds == {}


def test_half_a_ping_when_the_client_closes() -> None:
    needs.package("wsproto")
    text = """
    sockets: {main: {framing: websocket}}
    steps: [{send: {websocket: hello}, expect: {websocket: hello}}, {close: main}]
    load: {users: 1, iterations: 2}
    timeout: 500ms
    """
    with Server(websocket_server(lambda data: served("text", b"hello") + b"\x89\x05h")) as server:
        assert drive(text, server.url).kinds == {}


UNASKED, PONG = served("pong", b"beat 12"), served("pong", b"hi")
PING = """
sockets: {main: {framing: websocket}}
steps: [{name: ask, send: {websocket: {ping: hi}}, expect: {websocket: {pong: hi}}}]
load: {users: 1, iterations: 2}
timeout: 300ms
"""


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        (UNASKED + PONG, {}),
        (served("pong", b"") + PONG, {}),
        (UNASKED * 3 + served("ping", b"x") + PONG + UNASKED, {}),
        (PONG + UNASKED, {}),
        (PONG + PONG, {"duplicate": 1}),
        (served("pong", b"ho"), {"corrupt": 2}),
        (UNASKED, {"mismatch": 2}),
        (UNASKED + HELLO, {"mismatch": 2}),
        (b"", {"timeout": 2}),
    ],
)
def test_a_pong_that_answers_no_ping_is_passed_over(said: bytes, kinds: dict[str, int]) -> None:
    """RFC 6455, 5.5.3; where no other comes in time, it is what came in place of the right one."""

    def answer(data: bytes) -> bytes:
        return said * sum(opcode == 9 for opcode in opcodes(data))

    with Server(websocket_server(answer)) as server:
        driven = drive(PING, server.url)
    assert driven.kinds == kinds
    told = [one.message for one in driven.faults if one.kind == "mismatch"]
    assert all("pong" in one for one in told)


PINGS = """
sockets: {main: {framing: websocket}}
steps:
  - {send: {websocket: {ping: one}}}
  - {send: {websocket: {ping: other}}}
  - {expect: {websocket: {pong: one}}}
  - {expect: {websocket: {pong: other}}}
load: {users: 1, iterations: 3}
timeout: 2s
"""


def test_an_end_behind_a_pong_that_answers_nothing_is_closed() -> None:
    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(accepted(connection.recv(65536)))
        connection.recv(100)
        connection.sendall(UNASKED)
        connection.shutdown(socket.SHUT_RDWR)

    with Server(handler) as server:
        assert drive(PING, server.url).kinds == {"closed": 2}


def test_the_pong_to_the_first_of_two_pings_comes_again() -> None:
    one, other = served("pong", b"one"), served("pong", b"other")
    answers = iter([one * 2 + other])
    with Server(websocket_server(lambda data: next(answers, b""))) as server:
        assert drive(PINGS.replace("3", "1"), server.url).kinds == {"duplicate": 1}


def test_a_pong_that_answers_neither_of_two_pings() -> None:
    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(accepted(connection.recv(65536)))
        with connection.makefile("rb") as frames:
            while head := frames.read(2):
                rest = frames.read(4 + (head[1] & 127))
                body = bytes(one ^ rest[at % 4] for at, one in enumerate(rest[4:]))
                connection.sendall(UNASKED + served("pong", body) + UNASKED)

    with Server(handler) as server:
        assert drive(PINGS, server.url).kinds == {}


def test_a_wrong_status_whose_body_does_not_come() -> None:
    """It is told of at once: neither the time-out nor the body says more."""
    text = GET + LOAD.replace("300ms", "60s")
    with Server(saying(b"HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\nno")) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {"mismatch": 2}
    assert "the response is 'HTTP/1.1 500 Oops', expected the status 2xx" in str(driven.faults[0])


def test_a_server_that_says_it_ends_the_connection_and_does_not() -> None:
    """The next request goes out on a new one, also where it goes the careful way."""
    raw = r"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    steps = f'steps: [{{send: "{raw}", pieces: 9, gap: 1us, expect: {{http: 200}}}}]\n'
    reply = PAGE.replace(b"Content", b"Connection: close\r\nContent")

    def handler(connection: socket.socket, number: int) -> None:
        heard = b""
        while chunk := connection.recv(65536):
            heard += chunk
            if b"\r\n\r\n" in heard:
                connection.sendall(reply)
                break
        threading.Event().wait(1.0)

    right(handler, steps)
