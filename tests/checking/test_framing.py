"""Each framing by example: whole, byte by byte, cut anywhere, with more behind, too large."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest

from loadmux.checking.framing import Decoder, Frame, FrameError, Framing
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.simple import Delimited, Fixed, UntilClose, line

CRLF = Delimited(b"\r\n")
WIRE = [
    (line(), b"hello", b"hello\n"),
    (line(), b"", b"\n"),
    (line(), b"hello\r", b"hello\r\n"),
    (CRLF, b"hello", b"hello\r\n"),
    (CRLF, b"a\rb\nc", b"a\rb\nc\r\n"),
    (Delimited(b"aab"), b"aa", b"aaaab"),
    (Delimited(b"--end--"), b"--en", b"--en--end--"),
    (LengthPrefixed(1), b"", b"\x00"),
    (LengthPrefixed(1), b"x" * 255, b"\xff" + b"x" * 255),
    (LengthPrefixed(2), b"hello", b"\x00\x05hello"),
    (LengthPrefixed(2, "little"), b"hello", b"\x05\x00hello"),
    (LengthPrefixed(4, "big", True), b"hello", b"\x00\x00\x00\x09hello"),
    (LengthPrefixed(8, "little", True), b"", b"\x08\0\0\0\0\0\0\0"),
    (Fixed(5), b"hello", b"hello"),
    (Fixed(1), b"\n", b"\n"),
]
ends_itself = pytest.mark.parametrize(("framing", "body", "wire"), WIRE)


def fed(decoder: Decoder, *chunks: bytes) -> Frame | None:
    """What the last chunk gave; the ones before gave nothing."""
    found = None
    for chunk in filter(None, chunks):
        assert found is None
        found = decoder.feed(chunk)
    return found


@ends_itself
def test_what_is_encoded_is_decoded(framing: Framing, body: bytes, wire: bytes) -> None:
    assert framing.encode(body) == wire
    assert framing.decoder().feed(wire) == Frame(body, b"")


@ends_itself
def test_byte_by_byte(framing: Framing, body: bytes, wire: bytes) -> None:
    decoder = framing.decoder()
    for byte in wire[:-1]:
        assert decoder.feed(bytes([byte])) is None
        assert decoder.owed()
    assert decoder.feed(wire[-1:]) == Frame(body, b"")


@ends_itself
def test_cut_anywhere_with_more_behind_it(framing: Framing, body: bytes, wire: bytes) -> None:
    stream = wire + b"next\r\n"
    for cut in range(len(stream) + 1):
        decoder = framing.decoder()
        if cut >= len(wire):
            assert decoder.feed(stream[:cut]) == Frame(body, stream[len(wire) : cut])
        else:
            assert fed(decoder, stream[:cut], stream[cut:]) == Frame(body, b"next\r\n")


@ends_itself
def test_an_end_within_a_frame_gives_none(framing: Framing, body: bytes, wire: bytes) -> None:
    decoder = framing.decoder()
    assert fed(decoder, wire[:-1]) is None
    assert decoder.end() is None


@ends_itself
def test_a_framing_is_a_value_that_travels(framing: Framing, body: bytes, wire: bytes) -> None:
    again = pickle.loads(pickle.dumps(framing))
    assert again == framing
    assert hash(again) == hash(framing)
    assert again.encode(body) == wire


def test_frames_that_come_together_are_taken_one_by_one() -> None:
    rest, bodies = b"one\ntwo\n\nfour\nfi", []
    while (frame := line().decoder().feed(rest)) is not None:
        bodies.append(frame.body)
        rest = frame.rest
    assert bodies == [b"one", b"two", b"", b"four"]
    assert rest == b"fi"


def test_until_close_is_whole_at_the_end_only() -> None:
    decoder = UntilClose().decoder()
    assert fed(decoder, b"one\n") is None
    assert decoder.feed(b"two") is None
    assert "end of the connection" in decoder.owed()
    assert decoder.end() == Frame(b"one\ntwo", b"")
    assert UntilClose().decoder().end() == Frame(b"", b"")
    assert UntilClose().encode(b"one") == b"one"


@pytest.mark.parametrize(
    ("framing", "body", "why"),
    [
        (line(), b"a\nb", "the delimiter b'\\n' would end its frame early"),
        (CRLF, b"a\r\n", "the delimiter b'\\r\\n' would end its frame early"),
        (Delimited(b"aa"), b"ba", "the delimiter b'aa' would end its frame early"),
        (line(4), b"abcd", "its frame has 5 bytes, more than 'max' (4)"),
        (UntilClose(4), b"abcde", "its frame has 5 bytes, more than 'max' (4)"),
        (LengthPrefixed(4, max_size=8), b"abcde", "its frame has 9 bytes, more than 'max' (8)"),
        (
            LengthPrefixed(1),
            bytes(256),
            "it needs the length 256, and a length of 1 byte holds at most 255",
        ),
        (
            LengthPrefixed(2, "little", True),
            bytes(65534),
            "it needs the length 65536, and a length of 2 bytes holds at most 65535",
        ),
        (Fixed(4), b"abc", "it has 3 bytes, and every frame has 4 ('fixed')"),
    ],
)
def test_bodies_that_no_frame_can_carry(framing: Framing, body: bytes, why: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
        framing.encode(body)
    assert str(caught.value) == why


@dataclass(frozen=True)
class Large:
    framing: Framing
    fits: bytes
    too_large: bytes
    known_at: int
    offset: int


@pytest.mark.parametrize(
    "case",
    [
        Large(line(4), b"abc\n", b"abcd\n", 4, 4),
        Large(Delimited(b"\r\n", 4), b"ab\r\n", b"abc\r\n", 4, 4),
        Large(LengthPrefixed(2, max_size=5), b"\0\3abc", b"\0\4abcd", 2, 0),
        Large(LengthPrefixed(2, "big", True, 5), b"\0\5abc", b"\0\6abcd", 2, 0),
        Large(LengthPrefixed(8), b"\0\0\0\0\0\0\0\1a", b"\xff" * 8, 8, 0),
    ],
)
def test_too_large_is_told_when_it_is_known(case: Large) -> None:
    found = fed(case.framing.decoder(), *(bytes([byte]) for byte in case.fits))
    assert found is not None
    assert case.framing.encode(found.body) == case.fits
    decoder = case.framing.decoder()
    assert fed(decoder, *(bytes([byte]) for byte in case.too_large[: case.known_at - 1])) is None
    with pytest.raises(FrameError) as caught:
        decoder.feed(case.too_large[case.known_at - 1 : case.known_at])
    assert caught.value.offset == case.offset
    with pytest.raises(FrameError) as whole:
        case.framing.decoder().feed(case.too_large)
    assert (str(whole.value), whole.value.offset) == (str(caught.value), case.offset)


def test_until_close_too_large() -> None:
    decoder = UntilClose(4).decoder()
    assert decoder.feed(b"abcd") is None
    with pytest.raises(FrameError) as caught:
        decoder.feed(b"e")
    assert caught.value.offset == 4


def test_a_length_that_does_not_count_itself_although_it_should() -> None:
    with pytest.raises(FrameError) as caught:
        LengthPrefixed(2, "big", True).decoder().feed(b"\0\1")
    assert str(caught.value) == "the length 1 is less than the 2 bytes that it takes itself"
    assert caught.value.offset == 0


@pytest.mark.parametrize(
    ("framing", "begun", "owed"),
    [
        (CRLF, b"ab\r", "the delimiter b'\\r\\n'"),
        (LengthPrefixed(4), b"\0\0", "2 of 4 bytes of the length, then the body"),
        (LengthPrefixed(2), b"\0\5ab", "3 of 7 bytes of the frame"),
        (Fixed(8), b"abc", "5 of 8 bytes of the frame"),
    ],
)
def test_what_is_owed(framing: Framing, begun: bytes, owed: str) -> None:
    decoder = framing.decoder()
    assert decoder.feed(begun) is None
    assert decoder.owed() == owed
