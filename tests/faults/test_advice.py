"""Faults that tell the scenario's likely mistake: a text where a frame is meant."""

from __future__ import annotations

import pytest
from driving import Server, answering, drive

ASK = "; a whole frame came, with just the expected body: `expect: {frame: …}` asks for it"
FRAME = "; what was sent is no whole frame of this socket: `send: {frame: …}` makes one"
LINES = r'sockets: {main: {framing: {delimiter: "\r\n"}}}'
PREFIXED = "sockets: {main: {framing: {length_prefix: {bytes: 2}}}}"
LOAD = "load: {users: 1, iterations: 1}\ntimeout: 300ms\n"


@pytest.mark.parametrize(
    ("sockets", "step", "kind", "message"),
    [
        (
            LINES,
            "{send: {frame: PING}, expect: PING}",
            "surplus",
            "2 bytes came that nobody asked for" + ASK,
        ),
        (
            LINES,
            "{send: {frame: PING}, expect: PONG}",
            "corrupt",
            "byte 1 of the reply is 0x49, expected 0x4f; the other 3 of 4 bytes are right",
        ),
        (
            PREFIXED,
            "{send: {frame: hello}, expect: hello}",
            "surplus",
            "2 bytes too many came at byte 0, then the reply goes on" + ASK,
        ),
        (
            PREFIXED,
            "{send: {frame: hello}, expect: hullo}",
            "mismatch",
            "byte 0 of the reply is 0x00, expected 0x68; what follows does not line up either",
        ),
    ],
)
def test_a_frame_where_a_text_is_expected(sockets: str, step: str, kind: str, message: str) -> None:
    with Server(answering(bytes)) as server:
        driven = drive(f"{sockets}\nsteps: [{step}]\n{LOAD}", server.url, "poll")
    (fault,) = driven.faults
    assert (fault.kind.value, fault.message) == (kind, message)


@pytest.mark.parametrize(
    ("sockets", "more"),
    [
        (LINES, FRAME),
        (PREFIXED, FRAME),
        ("sockets: [main]", ""),
        ("sockets: {main: {framing: until_close}}", ""),
    ],
)
def test_what_is_no_frame_is_not_answered(sockets: str, more: str) -> None:
    text = f"{sockets}\nsteps: [{{send: PING, expect: PONG}}]\n{LOAD}"
    with Server(answering(lambda _: b"")) as server:
        driven = drive(text, server.url, "poll")
    (fault,) = driven.faults
    told = (fault.kind.value, fault.message)
    assert told == ("timeout", "no reply within 0.3 s; owed: 4 of 4 bytes" + more)


def test_a_whole_frame_without_an_answer() -> None:
    text = f"{LINES}\nsteps: [{{send: {{frame: PING}}, expect: {{frame: PONG}}}}]\n{LOAD}"
    with Server(answering(lambda _: b"")) as server:
        driven = drive(text, server.url, "poll")
    (fault,) = driven.faults
    assert "whole frame" not in fault.message
