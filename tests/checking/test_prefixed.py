"""Frames with a length somewhere in a header: by example, and whatever is changed in them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmux.checking.headed import ExactPrefixed
from loadmux.checking.prefixed import HeadedFrame, LengthPrefixed
from loadmux.testing.framers import raised

MQTT = LengthPrefixed(varint=True, at=1)
WIRE = [
    (LengthPrefixed(3), b"hello", b"\0\0\x05hello"),
    (LengthPrefixed(4, at=8, header=24), b"hello", bytes(8) + b"\0\0\0\x05" + bytes(12) + b"hello"),
    (LengthPrefixed(2, adjust=-2), b"hello", b"\0\x07hello"),
    (LengthPrefixed(2, adjust=3), b"hello", b"\0\x02hello"),
    (LengthPrefixed(1, at=1, header=4, counts_itself=True), b"hello", b"\0\x09\0\0hello"),
    (MQTT, b"hello", b"\0\x05hello"),
    (MQTT, b"x" * 300, b"\0\xac\x02" + b"x" * 300),
    (LengthPrefixed(varint=True, header=3), b"x" * 128, b"\x80\x01\0\0" + b"x" * 128),
    (LengthPrefixed(varint=True, counts_itself=True), b"x" * 126, b"\x7f" + b"x" * 126),
    (LengthPrefixed(varint=True, counts_itself=True), b"x" * 127, b"\x81\x01" + b"x" * 127),
    (LengthPrefixed(digits=4), b"hello", b"0005hello"),
    (LengthPrefixed(digits=6, counts_itself=True), b"hello", b"000011hello"),
]


@pytest.mark.parametrize(("framing", "body", "wire"), WIRE)
def test_frames(framing: LengthPrefixed, body: bytes, wire: bytes) -> None:
    assert framing.encode(body) == wire
    found = framing.decoder().feed(wire + b"more")
    assert found is not None
    assert (found.body, found.rest) == (body, b"more")


def test_a_header_is_told_and_its_length_filled_in() -> None:
    assert MQTT.headed(b"\x32\0", b"hello") == b"\x32\x05hello"
    assert MQTT.headed(b"\x32\xff\x7f", b"hello") == b"\x32\x05hello"
    framing = LengthPrefixed(2, "little", at=1, header=5)
    assert framing.headed(b"abcde", b"xyz") == b"a\x03\0dexyz"
    with pytest.raises(ValueError, match="has 4 bytes, and the framing's has 5, any 2 for the"):
        framing.headed(b"abcd", b"xyz")


@pytest.mark.parametrize(
    ("framing", "wire", "offset"),
    [
        (LengthPrefixed(digits=4, at=1), b"a00x", 3),
        (LengthPrefixed(digits=4, at=1), b"ax", 1),
        (LengthPrefixed(varint=True, at=1), b"a" + b"\xff" * 10, 1),
        (LengthPrefixed(2, adjust=-3), b"\0\2", 0),
        (LengthPrefixed(2, at=1, max_size=9), b"a\0\7", 1),
    ],
)
def test_a_length_that_is_none(framing: LengthPrefixed, wire: bytes, offset: int) -> None:
    for cut in range(1, len(wire)):
        error = raised(framing, [wire[:cut], wire[cut:]])
        assert error is not None
        assert error.offset == offset


def test_what_is_owed() -> None:
    framing = LengthPrefixed(2, at=4, header=8)
    decoder = framing.decoder()
    assert decoder.feed(b"abc") is None
    assert decoder.owed() == "5 of 8 bytes of the header, then the body"
    assert decoder.feed(b"d\0\5") is None
    assert decoder.owed() == "7 of 13 bytes of the frame"
    assert decoder.feed(b"efhello!") == HeadedFrame(b"hello", b"!", b"abcd\0\5ef")


# --- exactly one body ---------------------------------------------------------------------------

QUICK = settings(max_examples=200, deadline=None)
FRAMINGS = st.one_of(
    st.builds(LengthPrefixed, st.sampled_from([1, 2, 3, 8]), at=st.integers(0, 3)),
    st.builds(
        LengthPrefixed,
        at=st.integers(0, 3),
        header=st.sampled_from([None, 9]),
        varint=st.just(True),
        counts_itself=st.booleans(),
    ),
    st.builds(LengthPrefixed, digits=st.integers(3, 5), at=st.integers(0, 2)),
)
BODIES = st.binary(max_size=20) | st.binary(min_size=120, max_size=140)


def exactly(framing: LengthPrefixed, body: bytes, told: bool) -> ExactPrefixed:
    frame = framing.headed(bytes(framing.size), body)
    return ExactPrefixed(framing, frame, body, told)


def fed(one: ExactPrefixed, stream: bytes, cuts: list[int]) -> bytes:
    marks = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    rest = b""
    for start, end in pairwise(marks):
        rest = stream[start:end] if one.done else one.feed(stream[start:end])
        if one.wrong_at is not None:
            break
    return rest


@QUICK
@given(FRAMINGS, BODIES, st.binary(min_size=12, max_size=12), st.lists(st.integers(0, 200)))
def test_any_header_is_right_unless_it_is_told(
    framing: LengthPrefixed, body: bytes, header: bytes, cuts: list[int]
) -> None:
    frame = framing.headed(header[: framing.size], body)
    one = exactly(framing, body, told=False)
    fed(one, frame, cuts)
    assert one.done
    assert one.received == frame
    assert (one.kept(), one.problem()) == (body, None)
    other = exactly(framing, body, told=True)
    fed(other, frame, cuts)
    assert other.done == (frame == exactly(framing, body, told=True).expected())


@QUICK
@given(
    FRAMINGS,
    BODIES,
    st.booleans(),
    st.integers(0, 1000),
    st.integers(1, 255),
    st.lists(st.integers(0, 200)),
)
def test_any_changed_byte_that_is_checked_is_found(
    framing: LengthPrefixed, body: bytes, told: bool, at: int, by: int, cuts: list[int]
) -> None:
    frame = bytearray(framing.encode(body))
    head = len(frame) - len(body)
    behind = framing.size - framing.at - framing.width
    checked = [i for i in range(len(frame)) if told or i >= head or framing.at <= i < head - behind]
    place = checked[at % len(checked)]
    frame[place] ^= by
    one = exactly(framing, body, told)
    # What follows lets a length end that the change has made longer.
    fed(one, bytes(frame) + bytes(8), cuts)
    assert not one.done
    assert one.wrong_at is not None
    assert one.wrong_at <= place


def test_a_varint_may_be_longer_than_need_be() -> None:
    for told in (False, True):
        one = exactly(MQTT, b"hello", told)
        assert one.feed(b"\0\x85\x80\0hello!") == b"!"
        assert one.done


def test_a_wrong_length_is_told_as_soon_as_it_came() -> None:
    one = exactly(MQTT, b"hello", told=False)
    assert one.feed(b"\x30\x06") == b""
    assert one.wrong_at == 1
    assert one.expected() == b"\x30\x05hello"
