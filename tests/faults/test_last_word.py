"""A server answers before it has taken a message whole: its last word is judged, and shown.

`Early` reads the first byte of a message, answers, and then goes on in one of several ways. The
message is larger than all buffers between, or drips in pieces, so that it is still being sent when
the answer comes.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from driving import POLLERS, Driven, Handler, Server, answering, drive, reset
from guarded import Guarded
from transports import UdpServer, server_of
from websocket_frames import accepted, served

from loadmux.checking.received import received_reply

WORD = "ERR bad command\n"
SAID = json.dumps(WORD)
LARGE = "{repeat: x, times: 12000000}"
DRIP = '"hello, is there anybody?\\n", pieces: each_byte, gap: 10ms'
SIZES = {LARGE: 12_000_000, DRIP: 25}
LOAD = "load: {users: 2, iterations: 2}\ntimeout: 1s\n"


class Talk:
    """Runs steps against a handler that serves one kind of transport."""

    def __init__(self, scheme: str, folder: Path) -> None:
        self.scheme = scheme
        self._folder = folder

    def __call__(
        self, handler: Handler, steps: str, poller: str | None = None, load: str = LOAD
    ) -> Driven:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        server, options = server_of(self.scheme, handler, folder)
        with server:
            text = f"sockets: {{main: {options}}}\nsteps: {steps}\n{load}"
            return drive(text, server.url, poller)


@pytest.fixture(params=["tcp", "unix", "tls"])
def talk(request: pytest.FixtureRequest, tmp_path: Path) -> Talk:
    return Talk(request.param, tmp_path)


# --- what a server does after its word ----------------------------------------------------------


def linger(connection: socket.socket) -> int:
    """End in order, and read what the client still sends; how many bytes that is."""
    socket.socket.shutdown(connection, socket.SHUT_WR)  # TLS reads on
    return read_on(connection)


def read_on(connection: socket.socket) -> int:
    """Wait for the client's end."""
    size = 0
    with contextlib.suppress(OSError):
        while chunk := connection.recv(65536):
            size += len(chunk)
    return size


def close(connection: socket.socket) -> int:
    """A RST at once if more of the message has come, and otherwise as soon as it does."""
    connection.close()
    return 0


def cut(connection: socket.socket) -> int:
    reset(connection)
    return 0


def hold(connection: socket.socket) -> int:
    """Neither read nor end."""
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLRDHUP)
    poller.poll()
    return 0


Then = Callable[[socket.socket], int]
# A large message that is read as it comes has left whole before its answer is seen.
WAYS = [(LARGE, close), (LARGE, cut), (LARGE, hold)]
WAYS += [(DRIP, linger), (DRIP, read_on), (DRIP, close), (DRIP, cut), (DRIP, hold)]
ways = pytest.mark.parametrize(
    ("message", "then"),
    WAYS,
    ids=[f"{'large' if message == LARGE else 'drip'}-{then.__name__}" for message, then in WAYS],
)


class Early:
    """Says `word` when the first byte has come, then does as `then`; counts what it was sent."""

    def __init__(self, word: str = WORD, then: Then = linger) -> None:
        self._word = word.encode()
        self._then = then
        self.heard: list[int] = []

    def __call__(self, connection: socket.socket, number: int) -> None:
        if not connection.recv(1):
            return
        connection.sendall(self._word)
        self.heard.append(1 + self._then(connection))


# --- whole words --------------------------------------------------------------------------------


def asking(message: str, expected: str) -> str:
    return f"[{{name: ask, send: {message}, expect: {json.dumps(expected)}}}]"


@ways
def test_a_right_word_ends_the_sending(talk: Talk, message: str, then: Then) -> None:
    """Whatever the server does next; another message has a connection of its own."""
    server = Early(then=then)
    driven = talk(server, asking(message, WORD))
    assert driven.kinds == {}
    assert driven.stats.steps["ask"].right == 4
    assert len(server.heard) == 4
    assert max(server.heard) < SIZES[message]


@ways
def test_a_wrong_word_is_the_fault_and_is_shown(talk: Talk, message: str, then: Then) -> None:
    driven = talk(Early(then=then), asking(message, "OK\n"))
    assert driven.kinds == {"mismatch": 4}
    assert {(one.offset, one.received) for one in driven.faults} == {(0, WORD.encode())}


@pytest.mark.parametrize("poller", POLLERS)
@ways
def test_on_every_poller(poller: str, message: str, then: Then) -> None:
    with Server(Early(then=then)) as server:
        right = drive(f"steps: {asking(message, WORD)}\n{LOAD}", server.url, poller)
        wrong = drive(f"steps: {asking(message, 'OK')}\n{LOAD}", server.url, poller)
    assert (right.kinds, wrong.kinds) == ({}, {"mismatch": 4})


KINDS: dict[Then, set[str]] = {
    linger: {"closed"},
    close: {"closed", "reset"},
    cut: {"reset"},
    read_on: {"truncated"},
    hold: {"truncated", "send_stalled"},
}


@ways
def test_half_a_word_is_shown_beside_the_end(talk: Talk, message: str, then: Then) -> None:
    driven = talk(Early(WORD[:5], then), asking(message, WORD), load=LOAD.replace("1s", "300ms"))
    kinds = KINDS[then]
    if (talk.scheme, then) == ("unix", cut):
        kinds = {"closed", "reset"}  # a Unix socket is reset only where something lies unread
    assert set(driven.kinds) <= kinds
    assert driven.stats.errors == 4
    assert {one.received for one in driven.faults} == {WORD[:5].encode()}


def test_the_latency_ends_with_the_reply() -> None:
    """The drip takes two seconds at least, and is not cut short: it answers an earlier message."""
    server = Early(then=read_on)
    steps = f"""
      - {{send: "one"}}
      - {{name: ask, send: "{"x" * 21}", pieces: each_byte, gap: 100ms, expect: {SAID}}}
    """
    driven = lie(server, steps, "load: {users: 1, iterations: 1}")
    assert driven.kinds == {}
    assert driven.stats.steps["ask"].histogram.high < 2
    assert server.heard == [3 + 21]


# --- answers that are right so far --------------------------------------------------------------


def lie(handler: Handler, steps: str, load: str = LOAD, rule: str | None = None) -> Driven:
    with Server(handler) as server:
        return drive(f"steps: {steps}\n{load}", server.url, rule=rule)


@pytest.mark.parametrize("rule", ["echo", "upper", "ok", "hello", "received", "upper_sb"])
def test_answers_to_the_first_pieces_end_nothing(rule: str) -> None:
    """A server that answers each chunk as it comes is given all of them."""
    replies: dict[str, Callable[[bytes], bytes]] = {
        "echo": bytes,
        "upper": bytes.upper,
        "ok": lambda chunk: b"ok",
        "hello": lambda chunk: b"Hello Client!",
        "received": received_reply,
        "upper_sb": lambda chunk: chunk.upper() + b"_SB",
    }
    sent: list[bytes] = []

    def reply(chunk: bytes) -> bytes:
        sent.append(chunk)
        return replies[rule](chunk)

    driven = lie(answering(reply), f"[{{send: {DRIP}, expect: reply}}]", rule=rule)
    assert driven.kinds == {}
    assert sum(map(len, sent)) == 4 * SIZES[DRIP]


def test_a_wrong_answer_to_the_first_piece_is_seen_at_once() -> None:
    server = Early("help", hold)
    driven = lie(server, f"[{{name: ask, send: {DRIP}, expect: reply}}]", rule="echo")
    assert driven.kinds == {"corrupt": 4}
    assert {one.offset for one in driven.faults} == {3}


def test_what_expects_nothing_is_not_there_from_the_start() -> None:
    server = Early("", read_on)
    driven = lie(server, f"[{{send: {DRIP}, expect: reply}}]", rule="sink")
    assert driven.kinds == {}
    assert server.heard == [2 * SIZES[DRIP]] * 2


FORMS = {
    "{length: 16}": "",
    '{until: "\\n"}': "",
    '{regex: "ERR .*\\n", until: "\\n"}': "",
    "{regex: ERR .*}": "line",
    "{frame: ERR bad command}": "line",
    "{frame: {length: 15}}": "line",
}


@pytest.mark.parametrize(("expected", "framing"), FORMS.items())
def test_every_form_of_reply(expected: str, framing: str) -> None:
    text = f"sockets: {{main: {{framing: {framing}}}}}\n" if framing else ""
    server = Early(then=read_on)
    with Server(server) as listening:
        steps = f"steps: [{{send: {DRIP}, expect: {expected}}}]\n"
        driven = drive(text + steps + LOAD, listening.url)
    assert driven.kinds == {}
    assert max(server.heard) < SIZES[DRIP]


# --- ends that are expected ---------------------------------------------------------------------


def test_a_close_that_is_expected_ends_the_sending() -> None:
    server = Early("", linger)
    driven = lie(server, f"[{{name: ask, send: {DRIP}, expect: closed}}]")
    assert driven.kinds == {}
    assert driven.stats.steps["ask"].right == 4
    assert max(server.heard) < SIZES[DRIP]


@pytest.mark.parametrize("message", [LARGE, DRIP], ids=["large", "drip"])
def test_a_reset_that_is_expected_ends_the_sending(message: str) -> None:
    driven = lie(Early("", cut), f"[{{name: ask, send: {message}, expect: {{reset: true}}}}]")
    assert driven.kinds == {}
    assert driven.stats.steps["ask"].right == 4


def test_a_word_in_place_of_the_end_is_surplus_and_shown() -> None:
    driven = lie(Early(then=linger), f"[{{name: ask, send: {DRIP}, expect: closed}}]")
    assert driven.kinds == {"surplus": 4}
    assert {one.received for one in driven.faults} == {WORD.encode()}


# --- sends that nothing in the same step expects ------------------------------------------------


@pytest.mark.parametrize("then", [close, cut])
@pytest.mark.parametrize("message", [LARGE, DRIP], ids=["large", "drip"])
def test_a_later_step_judges_the_word(talk: Talk, message: str, then: Then) -> None:
    def steps(expected: str) -> str:
        return f"[{{name: say, send: {message}}}, {{name: hear, expect: {json.dumps(expected)}}}]"

    right = talk(Early(then=then), steps(WORD))
    wrong = talk(Early(then=then), steps("OK\n"))
    assert right.kinds == {}
    assert wrong.kinds == {"mismatch": 4}
    assert {one.received for one in wrong.faults} == {WORD.encode()}


@pytest.mark.parametrize(("then", "kind"), [(cut, "reset"), (hold, "send_stalled")])
def test_what_no_step_can_judge_is_shown_with_the_failed_send(then: Then, kind: str) -> None:
    load = LOAD.replace("1s", "300ms")
    driven = lie(Early(then=then), f"[{{name: say, send: {LARGE}}}]", load)
    assert driven.kinds == {kind: 4}


# --- several sockets, branches, code ------------------------------------------------------------

PAIR = "sockets: [first, second]\n"


class Unlike:
    """Serves the first connection of each user by one handler, the second by another."""

    def __init__(self, first: Handler, second: Handler) -> None:
        self._handlers = (first, second)

    def __call__(self, connection: socket.socket, number: int) -> None:
        self._handlers[number % 2](connection, number)


def pairs(first: Handler, second: Handler, steps: str) -> Driven:
    text = f"{PAIR}before: [{{connect: [first, second]}}]\nsteps: {steps}\n"
    with Server(Unlike(first, second)) as server:
        return drive(f"{text}load: {{users: 1, iterations: 1}}\ntimeout: 2s\n", server.url)


def silent(connection: socket.socket, number: int) -> None:
    hold(connection)


def answer_whole(connection: socket.socket, number: int) -> None:
    read = 0
    while read < SIZES[LARGE] and (chunk := connection.recv(65536)):
        read += len(chunk)
    connection.sendall(WORD.encode())
    read_on(connection)


def test_a_wrong_word_on_one_socket_while_another_stalls() -> None:
    """It is there long before the other's time is up."""
    steps = f'[{{name: ask, on: [first, second], send: {LARGE}, expect: "OK\\n"}}]'
    driven = pairs(Early(then=hold), silent, steps)
    assert driven.kinds == {"mismatch": 1}
    assert driven.faults[0].socket == "first"


@pytest.mark.parametrize("on", ["[first, second]", "[second, first]"])
def test_right_words_of_several_sockets_one_of_them_early(on: str) -> None:
    steps = f"[{{name: ask, on: {on}, send: {LARGE}, expect: {SAID}}}]"
    driven = pairs(Early(then=hold), answer_whole, steps)
    assert driven.kinds == {}
    assert driven.stats.steps["ask"].right == 2


def test_in_branches() -> None:
    steps = f"""
      - together:
        - [{{name: early, on: first, send: {LARGE}, expect: {SAID}}}]
        - [{{name: whole, on: second, send: {LARGE}, expect: {SAID}}}]
    """
    driven = pairs(Early(then=hold), answer_whole, steps)
    assert driven.kinds == {}
    assert [driven.stats.steps[name].right for name in ("early", "whole")] == [1, 1]


def test_in_python(tmp_path: Path) -> None:
    path = tmp_path / "talk.py"
    path.write_text(
        f"""
from loadmux.scripting import User, scenario

@scenario(users=2, iterations=3, timeout="1s")
async def talk(user: User) -> None:
    main = user["main"]
    heard = await main.exchange("x" * 12_000_000, {WORD!r}, name="ask")
    assert heard == {WORD.encode()!r}, heard
"""
    )
    with Server(Early(then=hold)) as right, Server(Early("NO\n", hold)) as wrong:
        good = run(path, "--target", right.url, folder=tmp_path)
        bad = run(path, "--target", wrong.url, folder=tmp_path)
    assert (good.code, good.told["faults"]) == (0, [])
    assert (bad.code, [one["kind"] for one in bad.told["faults"]]) == (1, ["mismatch"])


# --- connections after it -----------------------------------------------------------------------


def test_a_login_on_the_connection_is_said_again() -> None:
    """The connection goes with the message that was given up, and with it what `before` did."""
    server = Guarded(every=1000)
    text = """
before: [{name: login, send: "LOGIN\\n", expect: "OK\\n"}]
steps: [{name: ask, send: "x\\n too long", pieces: [2, 1], gap: 20ms, expect: "told\\n"}]
load: {users: 1, iterations: 3}
"""
    with Server(server) as listening:
        driven = drive(text, listening.url)
    assert driven.kinds == {}
    assert server.attempts == 3
    assert driven.stats.steps["ask"].right == 3


def test_bytes_behind_the_word_are_surplus_for_the_next_message() -> None:
    driven = lie(Early(WORD + "and more", read_on), asking(DRIP, WORD))
    assert set(driven.kinds) == {"surplus"}
    assert {one.received for one in driven.faults} == {b"and more"}


# --- protocols ----------------------------------------------------------------------------------

REFUSED = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
REQUEST = f"{{http: {{method: POST, path: /, body: {LARGE}}}}}"
POST = f"[{{name: post, send: {REQUEST}, expect: {{http: 413}}}}]"


class Refusing(Early):
    """Answers the head of a request."""

    def __call__(self, connection: socket.socket, number: int) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (chunk := connection.recv(1024)):
                return
            head += chunk
        connection.sendall(self._word)
        self._then(connection)


@pytest.mark.parametrize("then", [linger, close, cut, hold])
@pytest.mark.parametrize(
    "response",
    [
        REFUSED,
        REFUSED.replace(b"Connection: close\r\n", b""),
        b"HTTP/1.1 100 Continue\r\n\r\n" + REFUSED,
        REFUSED.replace(b"Length: 0", b"Length: 4") + b"no!\n",
    ],
    ids=["closes", "keeps", "continue", "body"],
)
def test_an_early_response(talk: Talk, response: bytes, then: Then) -> None:
    if then is linger and b"close" not in response:
        then = hold  # a request that has left whole would find the connection closed
    assert talk(Refusing(response.decode(), then), POST).kinds == {}


def test_an_early_response_that_the_end_completes(talk: Talk) -> None:
    server = Refusing("HTTP/1.0 413 Too Large\r\n\r\nno, thank you", linger)
    expected = '{http: {status: 413, body: "no, thank you"}}'
    driven = talk(server, POST.replace("{http: 413}", expected))
    assert driven.kinds == ({"closed": 4} if talk.scheme == "tls" else {})  # without close_notify


def test_an_early_response_that_is_wrong(talk: Talk) -> None:
    driven = talk(Refusing(REFUSED.decode(), cut), POST.replace("{http: 413}", "{http: 200}"))
    assert driven.kinds == {"mismatch": 4}
    assert "413 Too Large" in driven.faults[0].message


def test_a_pong_waits_for_the_end_of_our_own_message() -> None:
    """The ping comes in the middle of a large message: no pong may stand within its frame."""
    size = 4 * 2**20
    heard: list[bytes] = []

    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(accepted(connection.recv(65536)))
        connection.recv(1, socket.MSG_PEEK)
        connection.sendall(served("ping", b"?"))
        select.select([], [], [], 0.2)  # the message fills the buffers meanwhile
        frame = b""
        while len(frame) < 14 + size + 7:
            frame += connection.recv(65536)
        heard.append(frame)
        connection.sendall(served("text", b"thanks"))
        read_on(connection)

    text = f"""
sockets: {{main: {{framing: websocket}}}}
steps:
  - send: {{websocket: {{binary: {{repeat: x, times: {size}}}}}}}
    expect: {{websocket: thanks}}
"""
    with Server(handler) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    (frame,) = heard
    head, mask, body, pong = frame[:10], frame[10:14], frame[14 : 14 + size], frame[14 + size :]
    assert head == b"\x82\xff" + struct.pack(">Q", size)
    assert body == bytes(byte ^ ord("x") for byte in mask) * (size // 4)
    assert pong[:2] == b"\x8a\x81"


def test_datagrams_in_pieces() -> None:
    """Each piece is a datagram; the reply to the first leaves nothing to be sent."""
    seen: list[bytes] = []

    def reply(datagram: bytes, number: int) -> list[bytes]:
        seen.append(datagram)
        return [] if number % 25 else [WORD.encode()]

    with UdpServer(reply) as server:
        text = f"steps: {asking(DRIP, WORD)}\nload: {{users: 1, iterations: 1}}\n"
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert len(seen) < SIZES[DRIP]
