"""The rules on anything: no right server is ever blamed, and nothing that can be seen goes unseen.

The judge is brute force: all the ways to cut a short message into chunks, and so all right streams.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from loadmux.checking.chunks import ORDINARY, UNKNOWN, Reads
from loadmux.checking.rules import RULES, ExactRule, rule
from loadmux.checking.verifying import RuleVerifier

ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "echo": lambda chunk: chunk,
    "upper": lambda chunk: chunk.upper(),
    "ok": lambda chunk: b"ok",
    "received": lambda chunk: b"Server received " + repr(chunk).encode(),
    "upper_sb": lambda chunk: chunk.upper() + b"_SB",
    "hello": lambda chunk: b"Hello Client!",
    "sink": lambda chunk: b"",
}
NAMES = st.sampled_from(RULES)
READS = st.one_of(st.sampled_from([ORDINARY, UNKNOWN]), st.integers(1, 5).map(Reads.at_most))
TRICKY = [
    b"'",
    b'"',
    b"\\",
    b"_",
    b"s",
    b"b",
    b"_sb",
    b"_SB",
    b"\n",
    b"\xff",
    b"o",
    b"k",
    b"Server",
]
SHORT = st.lists(st.sampled_from(TRICKY[:-1]), min_size=1, max_size=6).map(
    lambda parts: b"".join(parts)[:6]
)
LONG = st.lists(
    st.one_of(st.sampled_from(TRICKY), st.binary(min_size=1, max_size=40)), min_size=1, max_size=8
).map(b"".join)


@st.composite
def cut(draw: st.DrawFn, data: bytes, most: int = 1 << 20) -> list[bytes]:
    """`data` in pieces of 1 to `most` bytes."""
    pieces = []
    while data:
        size = draw(st.integers(1, min(most, len(data))))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


@cache
def streams(name: str, sent: bytes, most: int) -> frozenset[bytes]:
    """All right replies to `sent`, of a server that reads `most` bytes at a time."""
    answer = ANSWERS[name]
    return frozenset(
        answer(sent[:size]) + rest
        for size in range(1, min(len(sent), most) + 1)
        for rest in (streams(name, sent[size:], most) if size < len(sent) else [b""])
    )


def common(left: bytes, right: bytes) -> int:
    """The length of the common prefix."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(left), len(right)))


def outcome(right: frozenset[bytes], came: bytes) -> tuple[bool, int | None, bytes]:
    """What a verifier has to say of `came`: done, wrong_at, and what it hands back."""
    explained = max(common(stream, came) for stream in right)
    complete = [size for size in range(explained + 1) if came[:size] in right]
    if explained == len(came):
        return bool(complete), None, b""
    if complete:
        return True, None, came[complete[-1] :]
    return False, explained, b""


def fed(verifier: RuleVerifier, pieces: list[bytes]) -> tuple[bool, int | None, bytes]:
    """Feed like the driver: no more after a wrong byte; what was handed back comes first."""
    rest = b""
    for piece in pieces:
        if verifier.wrong_at is None:
            rest = verifier.feed(rest + piece)
    return verifier.done, verifier.wrong_at, rest


@st.composite
def mutilated(draw: st.DrawFn, stream: bytes) -> bytes:
    """`stream` after one accident, or none."""
    at = draw(st.integers(0, len(stream)))
    length = draw(st.integers(1, 8))
    accident = draw(st.sampled_from(["none", "flip", "lose", "insert", "repeat", "replace", "cut"]))
    if accident == "flip" and at < len(stream):
        bit = 1 << draw(st.integers(0, 7))
        return stream[:at] + bytes([stream[at] ^ bit]) + stream[at + 1 :]
    if accident == "lose":
        return stream[:at] + stream[at + length :]
    if accident == "insert":
        return stream[:at] + draw(st.sampled_from(TRICKY)) + stream[at:]
    if accident == "repeat":
        return stream[: at + length] + stream[at:]
    if accident == "replace":
        return stream[:at] + draw(st.sampled_from(TRICKY)) + stream[at + 1 :]
    return stream[:at] if accident == "cut" else stream


@given(st.data(), NAMES, LONG)
def test_any_cutting_by_server_and_network_is_right(
    data: st.DataObject, name: str, sent: bytes
) -> None:
    most = data.draw(st.integers(1, 64))
    reply = b"".join(map(ANSWERS[name], data.draw(cut(sent, most))))
    reads = data.draw(st.sampled_from([ORDINARY, UNKNOWN, Reads.at_most(most)]))
    verifier = rule(name, reads).verifier()
    verifier.sent(sent, False)
    assert fed(verifier, data.draw(cut(reply))) == (True, None, b"")
    assert verifier.received == reply


@settings(max_examples=300)
@given(st.data(), NAMES, SHORT, READS)
def test_the_verdict_is_that_of_brute_force(
    data: st.DataObject, name: str, sent: bytes, reads: Reads
) -> None:
    right = streams(name, sent, reads.most)
    stream = data.draw(st.sampled_from(sorted(right)))
    came = data.draw(mutilated(stream))
    if data.draw(st.booleans()):
        came = data.draw(mutilated(came))
    verifier = rule(name, reads).verifier()
    verifier.sent(sent, False)
    done, wrong_at, rest = outcome(right, came)
    assert fed(verifier, data.draw(cut(came))) == (done, wrong_at, rest)
    if wrong_at is not None:
        assert came.startswith(verifier.received)
        expected = verifier.expected()
        assert any(stream.startswith(expected) for stream in right)
        assert expected[:wrong_at] == came[:wrong_at]
        assert expected[wrong_at] != came[wrong_at]
    elif not rest:
        assert verifier.received == came
        assert verifier.idle == (done and not any(s.startswith(came) for s in right - {came}))
        assert any(stream.startswith(verifier.expected()) for stream in right)


@given(st.data(), NAMES, SHORT, READS)
def test_the_likely_reply_is_right_and_final(
    data: st.DataObject, name: str, sent: bytes, reads: Reads
) -> None:
    likely = rule(name, reads).likely(sent)
    if likely is None:
        counts = name in ("ok", "hello") and len(sent) > reads.whole
        assert counts or len(sent) > reads.most or (name == "upper_sb" and b"_SB" in sent.upper())
        return
    assert likely == ANSWERS[name](sent)
    verifier = rule(name, reads).verifier()
    verifier.sent(sent, True)
    assert fed(verifier, data.draw(cut(likely))) == (True, None, b"")
    assert verifier.idle


@given(st.data(), st.sampled_from(["echo", "upper", "received", "upper_sb"]), LONG)
def test_a_changed_lost_or_added_byte_is_seen_where_it_is(
    data: st.DataObject, name: str, sent: bytes
) -> None:
    """Where the only other explanation would be another cutting, which one byte cannot make."""
    reply = b"".join(map(ANSWERS[name], data.draw(cut(sent))))
    at = data.draw(st.integers(0, len(reply) - 1))
    accident = data.draw(st.sampled_from(["flip", "lose", "add"]))
    byte = bytes([reply[at] ^ (1 << data.draw(st.integers(0, 7)))])
    tail = {"flip": byte + reply[at + 1 :], "lose": reply[at + 1 :], "add": byte + reply[at:]}
    came = reply[:at] + tail[accident]
    verifier = rule(name).verifier()
    verifier.sent(sent, False)
    done, wrong_at, rest = fed(verifier, data.draw(cut(came)))
    assert not done or rest
    assert wrong_at is None or wrong_at >= at
    if name in ("echo", "upper") and accident == "flip":
        assert wrong_at == at
    if wrong_at is None:
        assert rest or len(came) < len(reply)


class Server:
    """Reads from what was sent and answers; nothing is lost, nothing is wrong.

    It reads as `reads` says: `whole` unread bytes left in one send, alone, and are read at once if
    it can.
    """

    def __init__(self, name: str, reads: Reads) -> None:
        self.answer = ANSWERS[name]
        self.reads = reads
        self.unread = b""
        self.whole = 0
        self.answered = b""

    def read(self, size: int) -> None:
        whole = self.whole if self.whole <= self.reads.whole else 0
        size = min(max(size, whole), len(self.unread), self.reads.most)
        self.whole = 0
        if size:
            self.answered += self.answer(self.unread[:size])
            self.unread = self.unread[size:]

    def deliver(self, size: int) -> bytes:
        came, self.answered = self.answered[:size], self.answered[size:]
        return came


class Client:
    """Does with a verifier what the driver does, and fails on any fault."""

    def __init__(self, name: str, server: Server) -> None:
        self.verifier = rule(name, server.reads).verifier()
        self.server = server
        self.inbox = b""

    def send(self, message: bytes) -> None:
        verifier = self.verifier
        if verifier.done:
            self.inbox = verifier.feed(self.inbox)
            assert self.inbox == b""
        alone = verifier.idle
        verifier.sent(message, alone)
        if alone:
            self.server.whole = len(message)
        self.server.unread += message

    def take(self, data: bytes) -> None:
        self.inbox += data
        if not self.verifier.done:
            self.inbox = self.verifier.feed(self.inbox)
            assert self.verifier.wrong_at is None


@settings(max_examples=200)
@given(st.data(), NAMES, READS)
def test_no_right_server_is_blamed_in_any_order_of_events(
    data: st.DataObject, name: str, reads: Reads
) -> None:
    server = Server(name, reads)
    client = Client(name, server)
    events = st.sampled_from(["send", "read", "read", "deliver", "deliver", "restart", "settle"])
    for event in data.draw(st.lists(events, max_size=30)):
        if event == "send":
            client.send(data.draw(SHORT))
        elif event == "read":
            server.read(data.draw(st.integers(1, 10)))
        elif event == "deliver":
            client.take(server.deliver(data.draw(st.integers(1, 30))))
        elif event == "restart" and client.verifier.done:
            client.verifier.restart()
        elif event == "settle" and client.verifier.idle:
            client.verifier = rule(name, reads).verifier()
    while server.unread:
        server.read(data.draw(st.integers(1, 10)))
    client.take(server.answered)
    assert client.verifier.done
    assert client.verifier.feed(client.inbox) == b""
    assert client.verifier.wrong_at is None


@given(st.binary(min_size=1, max_size=50), st.binary(max_size=50))
def test_an_exact_rule_is_its_function(first: bytes, second: bytes) -> None:
    verifier = ExactRule(bytes.upper)
    verifier.sent(first, True)
    verifier.sent(second, False)
    assert verifier.expected() == (first + second).upper()
