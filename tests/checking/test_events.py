"""Events of a text/event-stream, plain and in chunks, whatever way the stream is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmux.checking.events import Events
from loadmux.checking.framing import Decoder, FrameError
from loadmux.testing import check_framer

HEADER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
CHUNKED = HEADER + b"Transfer-Encoding: chunked\r\n\r\n"


def bodies(chunks: list[bytes]) -> list[bytes]:
    """The bodies of a stream's events; what is left must be none."""
    found: list[bytes] = []
    decoder: Decoder | None = None
    for chunk in chunks:
        while chunk:
            decoder = decoder or Events().decoder()
            frame = decoder.feed(chunk)
            chunk = b""
            if frame is not None:
                found.append(frame.body)
                chunk, decoder = frame.rest, None
    return found


def test_it_keeps_the_contract() -> None:
    frames = {
        b"data: a\n\n": b"data: a",
        b"id: 7\r\nevent: b\r\ndata: c\r\ndata: d\r\n\r\n": b"id: 7\nevent: b\ndata: c\ndata: d",
    }
    check_framer(Events(200), frames)
    over = {
        b":hello\n\ndata: a\n\n": b"data: a",
        b"retry: 3000\n\n:\n\ndata: a\n:x\n\n": b"data: a",
        HEADER + b"\r\ndata: a\n\n": b"data: a",
        CHUNKED + b"9\r\ndata: a\n\n\r\n": b"data: a",
        b"9\r\ndata: a\n\n\r\n": b"data: a",
        b"\r\n9\r\ndata: a\n\n\r\n": b"data: a",
        b"data: ab\r\n4\r\ncd\n\n\r\n": b"data: abcd",
    }
    over[CHUNKED + b"2\r\nda\r\n6\r\nta: b\n\r\n1;x=y\r\n\n\r\n"] = b"data: b"
    check_framer(Events(200), over, tight=False)


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n",
            "begins with status 200, not 'HTTP/1.1 404 Not",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",
            "text/event-stream, not 'text/html'",
        ),
        (CHUNKED + b"data: a\n\n", "a chunk begins with its size"),
        (CHUNKED + b"2\r\ndata: a\n\n", "a chunk of 2 bytes does not end in CR LF"),
        (b"x" * 300, "a frame of more than 200 bytes"),
    ],
)
def test_what_is_none(wire: bytes, message: str) -> None:
    for chunks in ([wire], [wire[i : i + 1] for i in range(len(wire))]):
        decoder = Events(200).decoder()
        with pytest.raises(FrameError, match=message):
            [decoder.feed(chunk) for chunk in chunks]


def test_data_is_as_good_as_the_event() -> None:
    found = Events().decoder().feed(b"event: x\ndata: one\ndata:two\ndata\n\n")
    assert found is not None
    assert found.other == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("data", "rest"),
    [
        (b"", b""),
        (b":\n\n", b""),
        (b"\r\n", b""),
        (b":keep", b""),
        (b"0\r\n\r\n", b""),
        (b"\r\n0\r\nA: b\r\n\r\n", b""),
        (b"\r\n5\r\n:hi\n\n\r\n", b""),
        (b"data: a\n\n", b"data: a\n\n"),
        (b":\n\ndata: a", b"data: a"),
    ],
)
def test_what_may_come_unasked(data: bytes, rest: bytes) -> None:
    if data:
        assert Events().unasked(data).rest == rest


@pytest.mark.parametrize("rest", [b"\r", b"\r\n5", b"5\r\n:h", b"0\r\n", b":hi", b"0\r\n\r"])
def test_what_may_begin_unasked(rest: bytes) -> None:
    assert Events().begun(rest)
    assert not Events().begun(b"data: a\n" + rest)


LINES = st.lists(st.sampled_from([b"event: b", b"id: 5", b"data: xyz"]), max_size=3)
EVENTS = LINES.map(lambda lines: b"\n".join([b"data: a", *lines]) + b"\n\n")
# Servers put whole events into a chunk, or an event into several.
SPLIT = st.builds(
    lambda event, marks: cut(event, marks), EVENTS, st.lists(st.integers(1, 300), max_size=4)
)
TOGETHER = st.lists(EVENTS, min_size=1, max_size=3).map(lambda events: [b"".join(events)])


def cut(stream: bytes, marks: list[int]) -> list[bytes]:
    at = sorted({0, len(stream), *(mark % len(stream) for mark in marks)})
    return [stream[a:b] for a, b in pairwise(at)]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(SPLIT | TOGETHER, min_size=1, max_size=4),
    st.lists(st.integers(0, 600), max_size=8),
    st.booleans(),
)
def test_no_chunks_and_no_cutting_change_the_events(
    parts: list[list[bytes]], cuts: list[int], chunked: bool
) -> None:
    chunks = [chunk for part in parts for chunk in part]
    text = b"".join(chunks)
    stream = HEADER + b"\r\n" + text
    if chunked:
        stream = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in chunks)
    wanted = text.split(b"\n\n")[:-1]
    assert bodies([stream]) == wanted
    assert bodies(cut(stream, cuts)) == wanted
    assert bodies([stream[i : i + 1] for i in range(len(stream))]) == wanted
