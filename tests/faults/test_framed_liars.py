"""Servers that speak in frames, right ones and liars: each fault has its name, no other is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest
from driving import POLLERS, Driven, Handler, Server, answering, drive, reset

from loadmux.errors import DriverFault

pollers = pytest.mark.parametrize("poller", POLLERS)

LOAD = "load: {users: 1, iterations: 3}\ntimeout: 300ms\n"
HELLO = "steps: [{name: talk, send: {frame: hello}, expect: {frame: hello}}]\n"


def talk(
    handler: Handler,
    steps: str = HELLO,
    framing: str = "line",
    poller: str | None = None,
    rule: str | None = None,
) -> Driven:
    text = f"sockets: {{main: {{framing: {framing}}}}}\n{steps}{LOAD}"
    with Server(handler) as server:
        return drive(text, server.url, poller, rule)


def saying(*chunks: bytes) -> Handler:
    """Says the same to all that it reads."""
    return answering(lambda chunk: b"".join(chunks))


def then_closing(reply: bytes) -> Handler:
    """Reads once, replies, and closes in order."""

    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(reply)
        connection.close()

    return handler


def echo(chunk: bytes) -> bytes:
    return chunk


FRAMINGS = [
    "line",
    '{delimiter: "\\r\\n", max: 7}',
    "{length_prefix: {bytes: 4, order: little}}",
    "{length_prefix: {bytes: 2, counts_itself: true}}",
    "{length_prefix: {at: 1, varint: true}}",
    "{length_prefix: {at: 2, bytes: 3, header: 9, adjust: 4}}",
    "{length_prefix: {digits: 4}}",
    "{start: '<', end: '>>'}",
    "{lines_until: 'h.*'}",
    "{length_prefix: {bytes: 2}, check: crc32}",
    "{fixed: 7, check: crc16_modbus, order: little}",
    "{line: true, check: crc16_ccitt}",
    "{start: '<', end: '>', check: xor8}",
    "{fixed: 5}",
]
BODIES = ["hello", "{regex: 'h.*o'}", "{length: 5}", "reply", "'${sent}'"]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("body", BODIES)
def test_an_honest_server_has_no_faults(framing: str, body: str) -> None:
    body = "hello" if "lines" in framing and body == "reply" else body
    steps = f"steps: [{{name: talk, send: {{frame: hello}}, expect: {{frame: {body}}}}}]\n"
    driven = talk(answering(echo), steps, framing, rule="echo")
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


@pollers
@pytest.mark.parametrize("body", BODIES)
def test_a_drip_is_slow_but_right(poller: str, body: str) -> None:
    def drip(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            for byte in chunk:
                connection.sendall(bytes([byte]))

    steps = f"steps: [{{name: talk, send: {{frame: hello}}, expect: {{frame: {body}}}}}]\n"
    assert talk(drip, steps, poller=poller, rule="echo").kinds == {}


@pollers
def test_pipelined_frames_are_taken_one_by_one(poller: str) -> None:
    steps = """
steps:
  - {send: {join: [{frame: one 1}, {frame: two 22}, {frame: three}]}, expect: {frame: one 1}}
  - {expect: {regex: 'two (?P<number>\\d+)'}}
  - {expect: {frame: three}, save: last}
  - {send: {frame: "${number} ${last}"}, expect: {frame: 22 three}}
"""
    driven = talk(answering(echo), steps, poller=poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 3


def test_what_a_frame_and_a_regex_save() -> None:
    seen: list[bytes] = []

    def note(chunk: bytes) -> bytes:
        seen.append(chunk)
        return b"id=7;\n"

    steps = """
variables: {absent: something}
steps:
  - {send: a, expect: {frame: "id=7;"}, save: whole}
  - {send: "${whole}|", expect: {regex: 'id=(?P<id>\\d);(?P<absent>x)?'}, save: body}
  - {send: "${id}|${absent}|${body}|", expect: {regex: "(?s).*", until: ";"}, save: part}
  - {expect: {frame: ""}}
  - {send: "${part}|", expect: {frame: {length: 5}}, save: five}
  - {send: "${five}|", expect: {until: "\\n"}}
"""
    assert talk(answering(note), steps).kinds == {}
    assert seen[:5] == [b"a", b"id=7;|", b"7||id=7;|", b"id=7;|", b"id=7;|"]


@pollers
@pytest.mark.parametrize(
    ("reply", "kind", "offset"),
    [
        (b"hellO\n", "corrupt", 4),
        (b"help\n", "mismatch", 3),
        (b"hell", "truncated", 4),
        (b"helo\n", "truncated", 3),
        (b"hello", "truncated", 5),
        (b"", "timeout", None),
    ],
)
def test_a_wrong_frame_is_told_like_any_wrong_reply(
    poller: str, reply: bytes, kind: str, offset: int | None
) -> None:
    driven = talk(answering(lambda chunk: reply), poller=poller)
    assert driven.kinds == {kind: 3}
    assert driven.faults[0].offset == offset


@pytest.mark.parametrize(
    ("framing", "reply", "kind", "offset"),
    [
        ("{at: 1, varint: true}", b"\x30\x06hello", "corrupt", 1),
        ("{at: 1, varint: true}", b"\x30\x04hello", "corrupt", 1),
        ("{at: 1, varint: true}", b"\x30\x05hellO", "corrupt", 6),
        ("{at: 1, varint: true}", b"\x30\x05hell", "truncated", 6),
        ("{at: 1, varint: true}", b"\x30", "truncated", 1),
        ("{bytes: 3, header: 8}", b"\0\0\x06abcdehello", "corrupt", 2),
        ("{bytes: 3, header: 8}", b"\0\0\x05abcdehullo", "corrupt", 9),
        ("{digits: 4}", b"0006hello", "corrupt", 3),
        ("{digits: 4}", b"000Xhello", "corrupt", 3),
        ("{bytes: 2, adjust: -2}", b"\0\x05hello", "corrupt", 1),
        ("{bytes: 2, counts_itself: true}", b"\0\x05hello", "corrupt", 1),
    ],
)
def test_a_length_that_lies(framing: str, reply: bytes, kind: str, offset: int) -> None:
    driven = talk(saying(reply), framing=f"{{length_prefix: {framing}}}")
    assert driven.kinds == {kind: 3}
    assert driven.faults[0].offset == offset


BINARY = "{length_prefix: {at: 8, bytes: 4, header: 24}}"
ASKING = """
variables: {{key: k}}
steps:
  - set: {{opaque: {{random: 4, of: digits}}, no: "${{iteration}}"}}
  - name: get
    send:
      frame: {{join: ["${{key}}", "${{user}}"]}}
      header: {{join: [{{hex: 800c000200000000ffffffff}}, "${{opaque}}", {{repeat: x, times: 8}}]}}
    expect: {{frame: {body}, header: {header}}}
"""
HEADERS = [
    '{join: [{hex: 81 0c 0002 00 00 0000 00000000}, "${opaque}", {hex: 0000000000000001}]}',
    "{regex: '(?s)\\x81\\x0c.{10}(?P<said>\\d{4}).{8}'}",
    "{length: 24}",
]
IN_FRAME = ['"k${user}"', "'${sent}'", "{regex: 'k\\d'}", "{length: 2}", "{rule: echo}"]


def answered(chunk: bytes) -> bytes:
    """As a right server answers: the opaque and the key come back."""
    assert chunk[8:12] == (len(chunk) - 24).to_bytes(4, "big")
    return b"\x81" + chunk[1:16] + bytes(7) + b"\x01" + chunk[24:]


@pytest.mark.parametrize("expected", ["hello", "{regex: 'h.*o'}", "{length: 5}"])
@pytest.mark.parametrize(
    ("framing", "reply", "offset"),
    [
        ("{line: true, check: sum8}", b"hello\x15\n", 5),
        ("{length_prefix: {bytes: 1}, check: crc32}", b"\x09hello\x36\x10\xa6\x87", 9),
        ("{length_prefix: {varint: true, at: 1}, check: sum8}", b"x\x06hello\x15", 7),
        ("{fixed: 6, check: xor8}", b"hello\x63", 5),
        ("{start: '<', end: '>', check: sum8}", b"<hello\x15>", 6),
        ("{start: '<', end: '>', check: sum8}", b"<hello>>", 6),
    ],
)
def test_a_checksum_that_lies(framing: str, reply: bytes, offset: int, expected: str) -> None:
    steps = f"steps: [{{name: talk, send: a, expect: {{frame: {expected}}}}}]\n"
    driven = talk(saying(reply), steps, framing)
    assert driven.kinds == {"corrupt": 3}
    assert "wrong checksum" in driven.faults[0].message
    assert driven.faults[0].offset in range(offset - 3, offset + 1)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"250-one\r\n250 two\r\n", None),
        (b"250 two\r\n", "truncated"),
        (b"250-one\r\n250-two\r\n", "truncated"),
        (b"250-one\r\n550 two\r\n", "corrupt"),
        (b"250-one\r\n250 two\r\n250 three\r\n", "surplus"),
    ],
)
def test_lines_that_lie(reply: bytes, kind: str | None) -> None:
    steps = 'steps: [{name: talk, send: {frame: EHLO}, expect: {frame: "250-one\\r\\n250 two"}}]\n'
    driven = talk(saying(reply), steps, "{lines_until: '\\d{3} .*'}")
    assert set(driven.kinds) == ({kind} if kind else set())


STREAM = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pollers
@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        (STREAM + "\r\n:hi\n\ndata: one\n\nevent: e\ndata: two\n\n:bye\n\n", set()),
        (
            STREAM + "Transfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n7\r\n: one\n\n\r\n"
            "16\r\nevent: e\ndata: two\n\n:\n\r\n",
            set(),
        ),
        (STREAM + "\r\ndata: one\n\ndata: two\n\n", {"truncated"}),
        (STREAM + "\r\ndata: one\n\nevent: e\ndata: twO\n\n", {"corrupt"}),
        (STREAM + "\r\ndata: one\n\nevent: e\ndata: two\n", {"truncated"}),
        (STREAM + "\r\ndata: one\n\nevent: e\ndata: two\n\ndata: x\n\n", {"surplus"}),
        (STREAM.replace("200 OK", "404 No") + "\r\ndata: one\n\n", {"mismatch"}),
        (STREAM.replace("event-stream", "html") + "\r\ndata: one\n\n", {"mismatch"}),
    ],
)
def test_a_stream_of_events(said: str, kinds: set[str], poller: str) -> None:
    steps = """
steps:
  - {name: first, send: "GET / HTTP/1.1\\r\\n\\r\\n", expect: {frame: one}}
  - {name: second, expect: {frame: "event: e\\ndata: two"}}
  - {close: main}
"""
    assert set(talk(saying(said.encode()), steps, "sse", poller).kinds) == kinds


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("body", IN_FRAME)
def test_a_header_goes_with_a_body(header: str, body: str) -> None:
    def dripping(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            for byte in answered(chunk):
                connection.sendall(bytes([byte]))

    steps = ASKING.format(body="'k${user}'" if "sent" in body else body, header=header)
    for handler in (answering(answered), dripping):
        driven = talk(handler, steps, BINARY, rule="echo")
        assert driven.kinds == {}
        assert driven.stats.steps["get"].right == 3


@pytest.mark.parametrize("header", HEADERS[:2])
@pytest.mark.parametrize("body", IN_FRAME)
@pytest.mark.parametrize("place", [0, 1, 12, 15])
def test_a_header_that_lies(header: str, body: str, place: int) -> None:
    def lie(chunk: bytes) -> bytes:
        reply = bytearray(answered(chunk))
        reply[place] ^= 0x80
        return bytes(reply)

    steps = ASKING.format(body="'k${user}'" if "sent" in body else body, header=header)
    driven = talk(answering(lie), steps, BINARY, rule="echo")
    assert driven.kinds == {"mismatch" if "regex" in header else "corrupt": 3}
    assert driven.faults[0].offset is not None
    assert driven.faults[0].offset <= place


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_with_a_wrong_length(header: str) -> None:
    def lie(chunk: bytes) -> bytes:
        reply = bytearray(answered(chunk))
        reply[11] += 1
        return bytes(reply)

    driven = talk(answering(lie), ASKING.format(body=IN_FRAME[0], header=header), BINARY)
    assert driven.kinds == {"corrupt": 3}
    assert driven.faults[0].offset == 11


def test_what_a_header_captures() -> None:
    seen: list[bytes] = []

    def note(chunk: bytes) -> bytes:
        seen.append(chunk)
        return b"a\x05bhello" if chunk.startswith(b"?") else b"ok"

    steps = """
steps:
  - send: "?"
    expect: {frame: {regex: '(?P<word>hel)lo'}, header: {regex: '(?P<first>.)(?s:.)(?P<last>.)'}}
    save: body
  - {send: "${first}${last} ${word} ${body}", expect: ok}
"""
    driven = talk(answering(note), steps, "{length_prefix: {at: 1, bytes: 1, header: 3}}")
    assert driven.kinds == {}
    assert seen[:2] == [b"?", b"ab hel hello"]


def test_a_header_that_does_not_fit_is_not_the_server_s_fault() -> None:
    step = '{name: talk, send: {frame: a, header: "${iteration}"}, expect: any}'
    step = step.replace("any", "{length: 1}")
    with pytest.raises(
        DriverFault, match="its header has 1 bytes, and the framing's has 24, any 4"
    ):
        talk(saying(b"a"), f"steps: [{step}]\n", BINARY)


@pollers
@pytest.mark.parametrize("expected", ["hello", "{regex: hello}"])
def test_a_frame_that_comes_twice_is_a_duplicate(poller: str, expected: str) -> None:
    steps = f"steps: [{{name: talk, send: a, expect: {{frame: {expected}}}}}]\n"
    assert set(talk(saying(b"hello\nhello\n"), steps, poller=poller).kinds) == {"duplicate"}


@pollers
@pytest.mark.parametrize("expected", ["hello", "{regex: hello}"])
def test_bytes_after_a_frame_are_surplus(poller: str, expected: str) -> None:
    steps = f"steps: [{{name: talk, send: a, expect: {{frame: {expected}}}}}]\n"
    driven = talk(saying(b"hello\n?!"), steps, poller=poller)
    assert set(driven.kinds) == {"surplus"}
    assert driven.faults[0].received == b"?!"


@pollers
def test_a_regex_that_does_not_match_tells_the_pattern_and_what_came(poller: str) -> None:
    steps = "steps: [{name: talk, send: a, expect: {regex: 'h[aeiou]llo'}}]\n"
    driven = talk(saying(b"hello world\n"), steps, poller=poller)
    assert driven.kinds == {"mismatch": 3}
    fault = driven.faults[0]
    told = "(11 bytes) does not match the regex 'h[aeiou]llo': it fits for 5 bytes, and 6 more came"
    assert told in fault.message
    assert (fault.offset, fault.expected, fault.received) == (5, None, b"hello world")
    assert (fault.step, fault.socket) == ("talk", "main")


@pollers
def test_a_regex_with_until(poller: str) -> None:
    steps = "steps: [{name: talk, send: a, expect: {regex: 'h(?P<v>[aeiou])llo;', until: ;}}]\n"
    assert talk(saying(b"hello;"), steps, poller=poller).kinds == {}
    driven = talk(saying(b"hallo "), steps, poller=poller)
    assert driven.kinds == {"truncated": 3}
    assert "the delimiter b';'" in driven.faults[0].message
    assert talk(saying(b"hllo;"), steps, poller=poller).kinds == {"mismatch": 3}


@pollers
@pytest.mark.parametrize("expected", ["hello", "{regex: hello}", "{length: 5}"])
def test_an_early_close(poller: str, expected: str) -> None:
    steps = f"steps: [{{name: talk, send: a, expect: {{frame: {expected}}}}}, {{expect: closed}}]\n"
    assert talk(then_closing(b""), steps, poller=poller).kinds == {"closed": 3}
    assert talk(then_closing(b"hello"), steps, poller=poller).kinds == {"closed": 3}
    assert talk(then_closing(b"hello\n"), steps, poller=poller).kinds == {}


@pollers
@pytest.mark.parametrize(
    ("framing", "reply", "offset", "message"),
    [
        ("{line: true, max: 64}", b"x" * 100, 64, "a frame of more than 64 bytes ('max') came"),
        ("{delimiter: ab, max: 4}", b"xxxab", 4, "a frame of more than 4 bytes ('max') came"),
        (
            "{length_prefix: {bytes: 4}}",
            b"HTTP/1.1 400 Bad Request",
            0,
            "the length 1213486160 means a frame of 1213486164 bytes, more than 'max' (16777216)",
        ),
        (
            "{length_prefix: {bytes: 2, counts_itself: true}}",
            b"\0\1x",
            0,
            "the length 1 is less than the 2 bytes that it takes itself",
        ),
    ],
)
def test_a_frame_that_is_none_is_a_mismatch(
    poller: str, framing: str, reply: bytes, offset: int, message: str
) -> None:
    steps = "steps: [{name: talk, send: a, expect: {regex: '(?s).*'}}]\n"
    driven = talk(saying(reply), steps, framing, poller)
    assert driven.kinds == {"mismatch": 3}
    fault = driven.faults[0]
    assert (fault.offset, fault.message) == (offset, message)
    assert fault.received is not None
    assert reply.startswith(fault.received[:8])


def test_an_endless_line_ends_at_max() -> None:
    def flood(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        while True:
            connection.sendall(bytes(65536))

    steps = "steps: [{name: talk, send: a, expect: {regex: '(?s).*'}}]\n"
    driven = talk(flood, steps, "{line: true, max: 1MiB}")
    assert driven.kinds == {"mismatch": 3}
    assert driven.faults[0].offset == 2**20


# --- until_close --------------------------------------------------------------------------------


@pollers
@pytest.mark.parametrize(
    "expected", ["hello", "{regex: 'h.*o'}", "{length: 5}", "'h${tail}'", "{rule: echo}"]
)
def test_an_end_completes_a_frame_and_the_socket_connects_anew(poller: str, expected: str) -> None:
    step = f"{{name: talk, send: {{frame: hello}}, expect: {{frame: {expected}}}}}"
    steps = f"variables: {{tail: ello}}\nsteps: [{step}]\n"
    driven = talk(then_closing(b"hello"), steps, "until_close", poller)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3
    assert driven.stats.connects.right == 3


@pollers
def test_an_empty_frame_until_close(poller: str) -> None:
    steps = "steps: [{name: talk, send: a, expect: {frame: ''}}]\n"
    assert talk(then_closing(b""), steps, "until_close", poller).kinds == {}
    assert talk(then_closing(b"x"), steps, "until_close", poller).kinds == {"surplus": 3}


@pollers
def test_a_half_closed_socket_reads_to_the_end_and_sends_again(poller: str) -> None:
    steps = """
steps:
  - {send: {frame: hello}}
  - {half_close: main}
  - {expect: {frame: hello}}
"""
    driven = talk(answering(echo), steps, "until_close", poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 3


@pollers
@pytest.mark.parametrize(
    ("reply", "kind", "offset"),
    [
        (b"hellO", "corrupt", 4),
        (b"hel", "closed", None),
        (b"hello!", "surplus", 5),
        (b"hellohello", "surplus", 5),
    ],
)
def test_a_wrong_frame_until_close(
    poller: str, reply: bytes, kind: str, offset: int | None
) -> None:
    driven = talk(then_closing(reply), framing="until_close", poller=poller)
    assert driven.kinds == {kind: 3}
    assert driven.faults[0].offset == offset


@pollers
def test_a_reset_completes_no_frame(poller: str) -> None:
    arrived = threading.Event()

    def cut(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(b"hello")
        arrived.wait(0.1)
        reset(connection)

    assert talk(cut, framing="until_close", poller=poller).kinds == {"reset": 3}


@pollers
def test_no_end_is_no_frame(poller: str) -> None:
    driven = talk(saying(b"hello"), framing="until_close", poller=poller)
    assert driven.kinds == {"truncated": 3}
    assert "the end of the connection, which ends the frame" in driven.faults[0].message


@pollers
def test_a_regex_on_what_came_until_close(poller: str) -> None:
    steps = "steps: [{name: talk, send: a, expect: {regex: 'hel+o'}}]\n"
    driven = talk(then_closing(b"heo"), steps, "until_close", poller)
    assert driven.kinds == {"mismatch": 3}
    assert driven.faults[0].received == b"heo"


# --- bodies that cannot be framed ---------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        'variables: {text: "a\\nb"}\nsteps: [{name: talk, send: {frame: "${text}"}}]\n',
        'steps: [{name: talk, send: a, expect: {length: 2}, save: v}, {send: {frame: "${v}"}}]\n',
        'variables: {text: "a\\nb"}\nsteps: [{name: talk, send: a, expect: {frame: "${text}"}}]\n',
    ],
)
def test_a_body_that_cannot_be_framed_is_not_the_server_s_fault(steps: str) -> None:
    with pytest.raises(DriverFault) as caught:
        talk(saying(b"\n\n"), steps)
    message = str(caught.value)
    assert message.startswith("test.yaml:")
    assert "of user 0 on socket 'main' needs a frame for a body that cannot be framed" in message
    assert "the delimiter b'\\n' would end its frame early" in message


def test_a_rule_that_answers_nothing_is_not_the_server_s_fault() -> None:
    steps = "steps: [{name: talk, send: {frame: a}, expect: {frame: reply}}]\n"
    with pytest.raises(DriverFault, match="the rule 'sink' does not answer a frame with a frame"):
        talk(answering(echo), steps, rule="sink")


# --- several sockets ----------------------------------------------------------------------------


@pollers
@pytest.mark.parametrize("by", ["'this is ${socket}'", "'${sent}'", "reply"])
def test_frames_swapped_between_two_sockets_are_crosstalk(poller: str, by: str) -> None:
    waiting: list[tuple[socket.socket, bytes]] = []
    lock = threading.Lock()

    def swap(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            with lock:
                waiting.append((connection, chunk))
                if len(waiting) < 2:
                    continue
                (one, first), (other, second) = waiting
                waiting.clear()
                one.sendall(second)
                other.sendall(first)

    text = f"""
    sockets: {{pair: {{count: 2, framing: line}}}}
    steps:
      - {{name: talk, on: pair, send: {{frame: "this is ${{socket}}"}}, expect: {{frame: {by}}}}}
    load: {{users: 1, iterations: 1}}
    timeout: 1s
    """
    with Server(swap) as server:
        driven = drive(text, server.url, poller, "echo")
    assert driven.kinds == {"crosstalk": 1}


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("echo", bytes),
        ("upper", bytes.upper),
        ("ok", lambda body: b"ok"),
        ("hello", lambda body: b"Hello Client!"),
        ("received", lambda body: b"Server received " + repr(body).encode()),
        ("upper_sb", lambda body: body.upper() + b"_SB"),
    ],
)
def test_each_rule_answers_a_frame_with_one(rule: str, answer: Callable[[bytes], bytes]) -> None:
    def serve(connection: socket.socket, number: int) -> None:
        file = connection.makefile("rb")
        while size := file.read(4):
            body = answer(file.read(int.from_bytes(size, "big")))
            connection.sendall(len(body).to_bytes(4, "big") + body)

    steps = """
steps:
  - {name: talk, send: {frame: "it's _SB ${iteration}"}, expect: {frame: reply}}
  - {name: large, send: {frame: {random: 100KB}}, expect: {frame: reply}}
  - {name: cut, send: {frame: a_sb_sb}, pieces: 2, expect: {frame: reply}}
"""
    driven = talk(serve, steps, "{length_prefix: {bytes: 4}}", rule=rule)
    assert driven.kinds == {}
    assert driven.stats.iterations == 3


@pytest.mark.parametrize(("answers", "kind"), [("ba", "reordered"), ("b", "mismatch")])
def test_the_reply_to_a_later_message_in_place_of_a_judged_one(answers: str, kind: str) -> None:
    replies = {"a": b"told a: 1\n", "b": b"told b: 22\n"}

    def handler(connection: socket.socket, number: int) -> None:
        heard = b""
        while b"b\n" not in heard:
            heard += connection.recv(100)
        connection.sendall(b"".join(replies[one] for one in answers))
        connection.recv(100)

    steps = """
steps:
  - {send: {frame: a}}
  - {send: {frame: b}}
  - {expect: {frame: {join: ["told a: ", {regex: "[0-9]"}]}}}
  - {name: second, expect: {frame: "told b: 22"}}
"""
    driven = talk(handler, steps)
    assert driven.kinds == {kind: 3}
    assert "the reply that step 'second' awaits came" in driven.faults[0].message


def test_one_of_several_judged_frames_comes_again() -> None:
    """But for one byte it is the next; that comes behind it, so nothing was changed."""
    told = [b"a long tale %d\n" % number for number in (0, 1, 1, 2)]
    one = "{frame: {join: [{regex: '[a-z ]*'}, '%d']}}"
    expect = ", ".join(one % number for number in range(3))
    driven = talk(saying(*told), f"steps: [{{send: {{frame: go}}, expect: [{expect}]}}]\n")
    assert driven.kinds == {"duplicate": 3}
