"""What each lie is called: kind, offset and message, over streams, datagrams, frames, protocols.

One server for all: what it says to the N-th message of its N-th connection is the test's. One of
two users runs here; the other one is, as far as can be seen, in another generator process.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

import needs
import pytest
from driving import Server, drive_scenario, scenario_for
from transports import UdpServer

from loadmux.errors import Evidence

Lie = Callable[[list[bytes]], list[bytes]]
"""What is said to the last of the messages so far."""


class Told:
    """What an honest server says but for its third message, of which `lie` makes something."""

    def __init__(self, lie: Lie, honest: Callable[[bytes], bytes], size: int) -> None:
        self.lie, self.honest, self.size = lie, honest, size
        self.heard: list[bytes] = []

    def replies(self, message: bytes) -> list[bytes]:
        self.heard.append(message)
        if len(self.heard) != 3:
            return [self.honest(message)]
        return self.lie([self.honest(one) for one in self.heard])

    def serve(self, connection: socket.socket, number: int) -> None:
        """Over a stream, where every message has the same size."""
        while message := connection.recv(self.size):
            while len(message) < self.size:
                message += connection.recv(self.size - len(message))
            connection.sendall(b"".join(self.replies(message)))

    def answer(self, datagram: bytes, number: int) -> list[bytes]:
        return self.replies(datagram)


def first_fault(text: str, lie: Lie, honest: Callable[[bytes], bytes], size: int) -> Evidence:
    """The only kind of fault there is, its first example."""
    told = Told(lie, honest, size)
    udp = "udp" in text
    with UdpServer(told.answer) if udp else Server(told.serve) as server:
        scenario = scenario_for(text, server.url, "echo")
        url = scenario.servers[""].url
        assert url is not None
        driven = drive_scenario(scenario, {"": url}, numbers=range(1))
    assert len(driven.kinds) == 1, driven.kinds
    return driven.faults[0]


LOAD = "load: {users: 2, iterations: 4}\ntimeout: 400ms\non_error: stop_user\n"
HELLO = b"hello 0 at 0\n"
TALK = 'steps: [{name: talk, send: "hello ${user} at ${iteration}\\n", expect: reply}]\n'
SENT = TALK.replace("expect: reply", 'expect: "${sent}"')
UDP = f"# udp\n{TALK}"
LINES = """
sockets: {main: {framing: line}}
steps: [{name: talk, send: {frame: "hello ${user} at ${iteration}"}, expect: {frame: "${sent}"}}]
"""
STREAMS = [pytest.param(text, id=name) for name, text in
           [("rule", TALK), ("sent", SENT), ("udp", UDP), ("line", LINES)]]  # fmt: skip


def echo(message: bytes) -> bytes:
    return message


@pytest.mark.parametrize("text", STREAMS)
@pytest.mark.parametrize(
    ("lie", "kind", "offset", "message"),
    [
        pytest.param(
            lambda said: [said[1]], "mismatch", 11,
            "it is equal to .*13 bytes.; the right one did not (follow|come)", id="stale",
        ),
        pytest.param(
            lambda said: [said[0]], "mismatch", 11,
            "it is the reply to iteration 0; this is iteration 2", id="older",
        ),
        pytest.param(
            lambda said: [said[1], said[2]], "duplicate", 11,
            "13 bytes. came again", id="doubled",
        ),
        pytest.param(
            lambda said: [said[2].replace(b"o 0", b"o 1")], "crosstalk", 6,
            "the reply to user 1, socket main came here", id="another's",
        ),
        pytest.param(
            lambda said: [said[2].replace(b"0 at 2", b"1 at 17")], "crosstalk", 6,
            "the reply to user 1, socket main came here", id="another's-later-one",
        ),
        pytest.param(
            lambda said: [said[2].replace(b"o 0", b"o 7")], "corrupt", 6,
            "byte 6 of the reply is 0x37, expected 0x30; the other 12", id="nobody's",
        ),
        pytest.param(
            lambda said: [said[2].replace(b"a", b"A")], "corrupt", 8,
            "byte 8 of the reply is 0x41, expected 0x61 .one bit differs.", id="a-bit",
        ),
        pytest.param(
            lambda said: [said[2].replace(b"hello", b"ehllo")], "reordered", 0,
            "the right bytes came in another order", id="two-bytes-swapped",
        ),
        pytest.param(
            lambda said: [said[2].replace(b"lo 0", b"0")], "truncated", 3,
            "3 of 13 bytes are missing at byte 3", id="a-hole",
        ),
        pytest.param(
            lambda said: [said[2].replace(b"lo 0", b"lo and behold 0")], "surplus", 6,
            "11 bytes too many came at byte 6", id="too-much",
        ),
        pytest.param(
            lambda said: [b"ERR no\n"], "mismatch", 0,
            "byte 0 of the reply is 0x45, expected 0x68", id="an-error",
        ),
    ],
)  # fmt: skip
def test_a_wrong_reply_in_lockstep(
    text: str, lie: Lie, kind: str, offset: int, message: str
) -> None:
    fault = first_fault(text + LOAD, lie, echo, len(HELLO))
    assert (fault.kind, fault.offset) == (kind, offset), fault.message
    assert re.search(message, fault.message), fault.message
    assert (fault.user, fault.iteration, fault.step) == (0, 2, "talk")
    assert fault.belongs_to == ("user 1, socket main" if kind == "crosstalk" else None)


def test_another_s_reply_before_the_right_one() -> None:
    lie: Lie = lambda said: [said[2].replace(b"o 0", b"o 1"), said[2]]  # noqa: E731
    fault = first_fault(TALK + LOAD, lie, echo, len(HELLO))
    assert (fault.kind, fault.belongs_to) == ("crosstalk", "user 1, socket main")


UUIDS = 'steps: [{name: talk, send: "hello ${user} ${uuid}\\n", expect: "${sent}"}]\n'


def test_the_form_of_a_right_reply_with_another_uuid() -> None:
    lie: Lie = lambda said: [said[0]]  # noqa: E731
    fault = first_fault(UUIDS + LOAD, lie, echo, 45)
    assert fault.kind == "mismatch"
    assert fault.message.endswith(
        "it has the form of the right reply, but another uuid: it answers another message"
    )


def test_a_flipped_bit_in_a_uuid_is_corrupt() -> None:
    lie: Lie = lambda said: [said[2][:-2] + bytes([said[2][-2] ^ 1]) + b"\n"]  # noqa: E731
    fault = first_fault(UUIDS + LOAD, lie, echo, 45)
    assert (fault.kind, fault.offset) == ("corrupt", 43)


FEEDER = """
variables: {account: {csv: names.csv, when_short: wrap}}
steps: [{name: talk, send: "I am ${account.name}\\n", expect: "you are ${account.name}\\n"}]
"""


def test_whose_row_of_a_feeder_it_is(tmp_path: pytest.TempPathFactory) -> None:
    """Beside a scenario file, as feeders are found there."""
    from pathlib import Path

    from loadmux.language.loading import load
    from loadmux.language.meaning.scenario import Overrides

    folder = Path(str(tmp_path))
    (folder / "names.csv").write_text("name\nalice\nbobby\n")
    (folder / "s.yaml").write_text(FEEDER + LOAD)
    told = Told(lambda said: [b"you are bobby\n"], lambda said: b"you are alice\n", 11)
    with Server(told.serve) as server:
        scenario = load(str(folder / "s.yaml"), Overrides(target=server.url))
        url = scenario.servers[""].url
        assert url is not None
        driven = drive_scenario(scenario, {"": url}, numbers=range(1))
    assert driven.kinds == {"crosstalk": 1}
    assert driven.faults[0].belongs_to == "user 1, socket main"


# --- several messages under way -------------------------------------------------------------------


def pipelined(replies: list[bytes], sends: str, expects: str) -> Evidence | None:
    """What an iteration ends in whose messages are all answered at once, so."""
    text = f"steps: [{sends}, {expects}]\nload: {{users: 1, iterations: 1}}\ntimeout: 400ms\n"

    def serve(connection: socket.socket, number: int) -> None:
        heard = b""
        while len(heard) < 16:
            heard += connection.recv(16)
        connection.sendall(b"".join(replies))
        connection.recv(1)

    with Server(serve) as server:
        scenario = scenario_for(text, server.url)
        url = scenario.servers[""].url
        assert url is not None
        driven = drive_scenario(scenario, {"": url})
    return driven.faults[0] if driven.faults else None


APART = '{send: "question"}, {send: "question"}'
AT_ONCE = '{send: "questionquestion", expect: "one 1\\n"}'


@pytest.mark.parametrize(
    ("sends", "expects", "right"),
    [
        (APART, '{name: one, expect: "one 1\\n"}, {name: two, expect: "two 2\\n"}',
         [b"one 1\n", b"two 2\n"]),
        (APART, "{name: one, expect: ab}, {name: two, expect: cd}", [b"ab", b"cd"]),
        (AT_ONCE, '{name: two, expect: "two 2\\n"}', [b"one 1\n", b"two 2\n"]),
        (APART, '{name: one, expect: "one 1\\n"}, {name: two, expect: {until: "\\n"}}',
         [b"one 1\n", b"two 2\n"]),
    ],
    ids=["apart", "short", "at once", "not known"],
)  # fmt: skip
def test_swapped_replies_on_one_socket(sends: str, expects: str, right: list[bytes]) -> None:
    assert pipelined(right, sends, expects) is None
    fault = pipelined(right[::-1], sends, expects)
    assert fault is not None
    assert (fault.kind, fault.offset) == ("reordered", 0), fault.message
    assert "came before it" in fault.message


def test_a_later_reply_in_place_of_a_lost_one() -> None:
    expects = '{name: one, expect: "one 1\\n"}, {name: two, expect: "two 2\\n"}'
    fault = pipelined([b"two 2\n"], APART, expects)
    assert fault is not None
    assert (fault.kind, fault.offset) == ("mismatch", 0)
    assert fault.message == "the reply that step 'two' awaits came in its place"


def test_a_flipped_bit_in_a_reply_as_short_as_ok() -> None:
    lie: Lie = lambda said: [b"nk"]  # noqa: E731
    steps = 'steps: [{name: talk, send: "hello ${user} at ${iteration}\\n", expect: reply}]\n'
    told = Told(lie, lambda message: b"ok", len(HELLO))
    with Server(told.serve) as server:
        scenario = scenario_for(steps + LOAD, server.url, "ok")
        url = scenario.servers[""].url
        assert url is not None
        driven = drive_scenario(scenario, {"": url}, numbers=range(1))
    assert driven.kinds == {"corrupt": 1}, driven.faults[0].message


@pytest.mark.parametrize("head", ["# udp\n", "sockets: {main: {framing: line}}\n"])
def test_the_nearest_of_several(head: str) -> None:
    body, end = ('{frame: "%s"}', "") if "line" in head else ('"%s\\n"', "\n")
    forms = ", ".join(body % one for one in ("nope", "hello 0 at ${iteration}", "hello"))
    steps = f"steps: [{{name: talk, send: {body % 'hello 0 at ${iteration}'},"
    text = f"{head}{steps} expect: {{one_of: [{forms}]}}}}]\n{LOAD}"
    fault = first_fault(text, lambda said: [b"iello 0 at 2\n"], echo, len(HELLO))
    assert (fault.kind, fault.offset) == ("corrupt", 0), fault.message
    assert fault.expected == b"hello 0 at 2" + end.encode()


def test_the_last_of_several_replies_comes_again_ahead_of_a_judged_frame() -> None:
    text = """
sockets: {main: {framing: line}}
steps:
  - repeat: 2
    do: [{name: first, send: "a\\nsixty\\n", expect: [{frame: a}, {frame: sixty}]}]
  - {name: talk, send: {frame: three 3}, expect: {frame: {join: [three, any]}}}
"""
    lie: Lie = lambda said: [said[1][2:], said[2]]  # noqa: E731
    fault = first_fault(text + LOAD, lie, echo, 8)
    assert fault.kind == "duplicate", fault.message


def test_a_frame_ahead_of_the_right_one() -> None:
    text = LINES.replace('"${sent}"}}', '"${sent}", skip: {frame: TICK}}}')
    assert "skip" in text
    fault = first_fault(text + LOAD, lambda said: [b"JUNK\n", said[2]], echo, len(HELLO))
    assert (fault.kind, fault.offset) == ("mismatch", 0), fault.message
    assert fault.message.endswith("the right one came behind it")


# --- other sockets of the same user ---------------------------------------------------------------

PAIR = """
sockets: [a, b]
before: [{connect: b}]
steps:
  - {name: first, on: a, send: {random: 16}, expect: reply}
  - {close: a}
  - {name: second, on: b, send: {random: 16}, expect: reply}
load: {users: 1, iterations: 1}
timeout: 400ms
"""


@pytest.mark.parametrize("close", ["  - {close: a}\n", ""], ids=["gone", "there"])
def test_what_another_socket_got_a_moment_ago(close: str) -> None:
    last: list[bytes] = []

    def parrot(connection: socket.socket, number: int) -> None:
        while message := connection.recv(16):
            last.append(message)
            connection.sendall(last[0])

    with Server(parrot) as server:
        scenario = scenario_for(PAIR.replace("  - {close: a}\n", close), server.url, "echo")
        url = scenario.servers[""].url
        assert url is not None
        driven = drive_scenario(scenario, {"": url})
    assert driven.kinds == {"crosstalk": 1}
    assert driven.faults[0].belongs_to == "user 0, socket a"


# --- forms of which no bytes are known ------------------------------------------------------------

UNTIL = "steps: [{send: hi, expect: {regex: '200 .*\\n', until: \"\\n\"}}]\n"
REGEX = "sockets: {main: {framing: line}}\nsteps: [{send: hi, expect: {regex: '200 .*'}}]\n"


@pytest.mark.parametrize("steps", [UNTIL, REGEX])
@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (b"486 Busy\n", "mismatch", "does not match the regex '200 "),
        (b"200 OK", "truncated", "is not a whole reply; still owed: the delimiter b'\\n'"),
        (b"200 OK\nand more", "surplus", "the datagram goes on for 8 bytes after the reply"),
        (b"", "truncated", "the datagram of 0 bytes is not a whole reply"),
    ],
)
def test_a_datagram_that_does_not_match(steps: str, reply: bytes, kind: str, message: str) -> None:
    fault = first_fault(f"# udp\n{steps}{LOAD}", lambda said: [reply], lambda said: b"200 OK\n", 2)
    assert fault.kind == kind
    assert message in fault.message
    assert fault.received in (reply, reply[:-1])
    assert fault.offset is None or fault.offset <= len(reply)


HTTP = """
steps: [{name: talk, send: {http: "/${iteration}"}, expect: {http: {body: "page ${iteration}"}}}]
"""
RESP = 'steps: [{name: talk, send: {resp: [GET, x]}, expect: {resp: "value ${iteration}"}}]\n'


def page(number: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npage %d" % number


def value(number: int) -> bytes:
    return b"$7\r\nvalue %d\r\n" % number


ANOTHERS = """
steps: [{send: {http: "/${user}"}, expect: {http: {body: "I am ${user} at ${iteration}"}}}]
"""
VALUES = 'steps: [{send: {resp: [GET, x]}, expect: {resp: "I am ${user} at ${iteration}"}}]\n'


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        (ANOTHERS, b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n%s"),
        (VALUES, b"$11\r\n%s\r\n"),
    ],
    ids=["http", "resp"],
)
@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"I am 1 at 5", "crosstalk", "the reply to user 1, socket main came here"),
        (b"I am 0 at 7", "mismatch", "it is the reply to iteration 7; this is iteration 0"),
        (b"I am x at 0", None, ""),
    ],
)
def test_another_s_value_in_a_protocol(
    text: str, frame: bytes, body: bytes, kind: str | None, message: str
) -> None:
    """RESP compares values, so what is nobody's is no more than a mismatch there."""
    needs.package("h11")
    kind = kind or ("corrupt" if text is ANOTHERS else "mismatch")

    def serve(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(frame % body)
        connection.recv(65536)

    with Server(serve) as server:
        scenario = scenario_for(text + LOAD, server.url)
        url = scenario.servers[""].url
        assert url is not None
        driven = drive_scenario(scenario, {"": url}, numbers=range(1))
    assert driven.kinds == {kind: 1}, driven.faults[0].message
    assert message in driven.faults[0].message
    assert driven.faults[0].belongs_to == ("user 1, socket main" if kind == "crosstalk" else None)


@pytest.mark.parametrize(("text", "say"), [(HTTP, page), (RESP, value)], ids=["http", "resp"])
def test_a_stale_value_in_a_protocol(text: str, say: Callable[[int], bytes]) -> None:
    needs.package("h11")
    said: list[bytes] = []

    def serve(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            said.append(say(1 if len(said) == 2 else len(said)))
            connection.sendall(said[-1])

    with Server(serve) as server:
        scenario = scenario_for(text + LOAD, server.url)
        url = scenario.servers[""].url
        assert url is not None
        driven = drive_scenario(scenario, {"": url}, numbers=range(1))
    assert driven.kinds == {"mismatch": 1}
    assert driven.faults[0].message.endswith("it is equal to the previous reply")
