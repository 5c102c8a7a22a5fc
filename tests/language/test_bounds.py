"""Bounds that the file itself contradicts: the default gives way, a chosen one is refused."""

from __future__ import annotations

import pytest

from loadmux.checking.framing import Framing
from loadmux.checking.verifying import MAX_FRAME
from loadmux.errors import ScenarioErrors
from loadmux.language.loading import load
from loadmux.language.meaning.expected import Answer, Frame
from loadmux.language.meaning.stepvalues import Exchange
from loadmux.plugins.payloads import Framed

MIB = 2**20
HEAD = "target: tcp://127.0.0.1:9\n"
TWENTY = "{random: 20MiB}"
TEXT = "{repeat: a, times: 20971520}"


def scenario(framing: str, step: str) -> str:
    sockets = f"sockets: {{main: {{framing: {framing}}}}}\n" if framing else ""
    return f"{HEAD}{sockets}steps: [{step}]\n"


def exchange(framing: str, step: str) -> Exchange:
    (found,) = load("s.yaml", text=scenario(framing, step)).steps
    assert isinstance(found, Exchange)
    return found


def awaited(framing: str, step: str) -> Framing:
    expect = exchange(framing, step).expect
    assert expect is not None
    assert isinstance(expect.reply, Frame | Answer)
    return expect.reply.framing


def refusal(framing: str, step: str) -> str:
    with pytest.raises(ScenarioErrors) as caught:
        load("s.yaml", text=scenario(framing, step))
    (error,) = caught.value.errors
    return f"{error.where.line}:{error.where.column}: {error.message}"


LARGE = f"{{expect: {{frame: {{length: {20 * MIB}}}}}}}"


@pytest.mark.parametrize(
    ("framing", "frame"),
    [
        ("line", b"x" * (20 * MIB) + b"\n"),
        ("{delimiter: '--'}", b"x" * (20 * MIB) + b"--"),
        ("{length_prefix: {bytes: 4}}", (20 * MIB).to_bytes(4, "big") + b"x" * (20 * MIB)),
        ("until_close", b"x" * (20 * MIB)),
    ],
)
def test_a_default_bound_gives_way_to_a_length(framing: str, frame: bytes) -> None:
    decoder = awaited(framing, LARGE).decoder()
    found = decoder.feed(frame) or decoder.end()
    assert found is not None
    assert len(found.body) == 20 * MIB


HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (20 * MIB)
FORMS = [
    (
        "",
        "{send: {http: /}, expect: {http: {body: {length: 20MiB}}}}",
        HTTP + b"x" * (20 * MIB),
    ),
    (
        "",
        f"{{send: {{http: /}}, expect: {{http: {{body: {TEXT}}}}}}}",
        HTTP + b"a" * (20 * MIB),
    ),
    (
        "",
        f"{{send: {{resp: [GET, a]}}, expect: {{resp: {'a' * 9}}}}}",
        b"$9\r\n" + b"a" * 9 + b"\r\n",
    ),
    (
        "websocket",
        "{expect: {websocket: {binary: {length: 20MiB}}}}",
        b"\x82\x7f" + (20 * MIB).to_bytes(8, "big") + b"x" * (20 * MIB),
    ),
]


@pytest.mark.parametrize(("framing", "step", "reply"), FORMS)
def test_a_default_bound_gives_way_to_a_body_of_a_protocol(
    framing: str, step: str, reply: bytes
) -> None:
    found = awaited(framing, step).decoder().feed(reply)
    assert found is not None
    assert found.rest == b""


def test_chunks_of_a_large_body_find_room() -> None:
    decoder = awaited("", FORMS[0][1]).decoder()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = (b"1000\r\n" + b"x" * 4096 + b"\r\n") * (20 * MIB // 4096)
    data = head + chunks + b"0\r\n\r\n"
    found = None
    for at in range(0, len(data), 65536):  # as it is read; h11 copies all that it holds
        assert found is None
        found = decoder.feed(data[at : at + 65536])
    assert found is not None
    assert len(found.body) == 20 * MIB


@pytest.mark.parametrize("framing", ["line", "until_close", "{length_prefix: {bytes: 4}}"])
def test_a_default_bound_gives_way_to_what_is_sent_and_to_its_answer(framing: str) -> None:
    step = f"{{send: {{frame: {TEXT}}}, expect: {{frame: {{rule: received}}}}}}"
    send = exchange(framing, step).send
    assert send is not None
    assert isinstance(send.payload, Framed)
    assert len(send.payload.framing.encode(b"a" * (20 * MIB))) >= 20 * MIB
    answer = b"Server received b'" + b"a" * (20 * MIB) + b"'"
    assert len(awaited(framing, step).encode(answer)) > 20 * MIB


def test_what_is_small_keeps_the_bound_as_it_is() -> None:
    for framing, step in (
        ("line", "{expect: {frame: {length: 5}}}"),
        ("line", "{send: {frame: a}, expect: {frame: {rule: echo}}}"),
        ("", "{send: {http: /}, expect: {http: {body: {length: 5MiB}}}}"),
        ("resp", "{send: {resp: [GET, a]}, expect: {resp: b}}"),
        ("websocket", "{expect: {websocket: hi}}"),
    ):
        assert awaited(framing, step).max_size == MAX_FRAME  # type: ignore[attr-defined]


MAX = "max: 1MiB}"


@pytest.mark.parametrize(
    ("framing", "step", "told"),
    [
        (
            "{line: true, " + MAX,
            "{expect: {frame: {length: 2MiB}}}",
            "3:26: this reply can never come: its frame has 2097153 bytes, more than 'max'"
            " (1048576); give the framing 'max: 2097153'",
        ),
        (
            "{length_prefix: {bytes: 4}, " + MAX,
            "{expect: {frame: {length: 1MiB}}}",
            "3:26: this reply can never come: its frame has 1048580 bytes, more than 'max'"
            " (1048576); give the framing 'max: 1048580'",
        ),
        (
            "{until_close: true, " + MAX,
            "{expect: {frame: {length: 2MiB}}}",
            "3:26: this reply can never come: its frame has 2097152 bytes, more than 'max'"
            " (1048576); give the framing 'max: 2MiB'",
        ),
        (
            "{line: true, " + MAX,
            "{send: {frame: {random: 2MiB}}}",
            "3:24: this body cannot be framed: its frame has 2097153 bytes, more than 'max'"
            " (1048576); give the framing 'max: 2097153'",
        ),
        (
            "{http: true, " + MAX,
            "{send: {http: /}, expect: {http: {body: {length: 2MiB}}}}",
            "3:42: this reply can never come: its frame has at least 2097169 bytes, more than"
            " 'max' (1048576); give the framing 'max: 5MiB'",
        ),
        (
            "{websocket: true, " + MAX,
            "{expect: {websocket: {binary: {length: 2MiB}}}}",
            "3:30: this reply can never come: its frame has at least 2097154 bytes, more than"
            " 'max' (1048576); give the framing 'max: 5MiB'",
        ),
        (
            "{resp: true, max: 16}",
            "{send: {resp: [GET, a]}, expect: {resp: [abcdefgh, ijklmnop]}}",
            "3:49: this reply can never come: its frame has at least 19 bytes, more than 'max'"
            " (16); give the framing 'max: 1MiB'",
        ),
        (
            "{length_prefix: {bytes: 1}}",
            "{expect: {frame: {length: 256}}}",
            "3:26: this reply can never come: it needs the length 256, and a length of 1 byte"
            " holds at most 255",
        ),
        (
            "{fixed: 8}",
            "{expect: {frame: {length: 9}}}",
            "3:26: this reply can never come: it has 9 bytes, and every frame has 8 ('fixed')",
        ),
        (
            "{fixed: 8}",
            "{expect: {frame: {length: 7}}}",
            "3:26: this reply can never come: every frame has 8 bytes ('fixed')",
        ),
        (
            "line",
            "{expect: {frame: {length: 2GiB}}}",
            "3:26: this reply can never come: its frame has 2147483649 bytes, and the largest has"
            " 1073741824",
        ),
    ],
)
def test_what_can_never_come_is_refused(framing: str, step: str, told: str) -> None:
    assert refusal(framing, step) == told


def test_an_answer_by_a_rule_is_not_refused_for_what_it_might_be() -> None:
    step = "{send: {frame: {random: 900KiB}}, expect: {frame: {rule: echo}}}"
    assert awaited("{line: true, " + MAX, step).max_size == MIB  # type: ignore[attr-defined]
