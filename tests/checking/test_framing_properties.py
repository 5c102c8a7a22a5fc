"""Framings on anything: the cutting of a stream changes no frame, and decoding undoes encoding."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loadmux.checking import checksums
from loadmux.checking.checked import Checked
from loadmux.checking.framing import Decoder, FrameError, Framing
from loadmux.checking.marked import LinesUntil, Marked
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.simple import Delimited, Fixed, line

QUICK = settings(max_examples=300, deadline=None)

# Few letters, so that delimiters are met in bodies, in part and whole.
LETTERS = st.sampled_from([b"a", b"b", b"\n", b"\r"])
BODIES = st.lists(LETTERS, max_size=12).map(b"".join) | st.binary(max_size=40)
DELIMITERS = st.lists(LETTERS, min_size=1, max_size=4).map(b"".join)
LIMITS = st.integers(8, 64)
FRAMINGS: st.SearchStrategy[Framing] = st.one_of(
    st.builds(line, LIMITS),
    st.builds(Delimited, DELIMITERS, LIMITS),
    st.builds(
        LengthPrefixed,
        st.sampled_from([1, 2, 4, 8]),
        st.sampled_from(["big", "little"]),
        st.booleans(),
        LIMITS,
    ),
    st.builds(
        LengthPrefixed,
        st.sampled_from([1, 2, 3, 4]),
        max_size=LIMITS,
        at=st.integers(0, 2),
        header=st.sampled_from([None, 6, 9]),
        adjust=st.integers(-3, 3),
    ),
    st.builds(
        LengthPrefixed,
        at=st.integers(0, 2),
        header=st.sampled_from([None, 6]),
        varint=st.just(True),
        counts_itself=st.booleans(),
        max_size=st.integers(64, 200),
    ),
    st.builds(LengthPrefixed, digits=st.integers(1, 4), max_size=LIMITS),
    st.builds(Fixed, st.integers(1, 12)),
    st.builds(Marked, DELIMITERS, DELIMITERS, LIMITS),
)
NAMES = st.sampled_from(checksums.NAMES)
PLAIN, FRAMINGS = FRAMINGS, FRAMINGS | st.builds(Checked, FRAMINGS, NAMES)


def framed(framing: Framing, body: bytes) -> bytes | None:
    try:
        return framing.encode(body)
    except ValueError:
        return None


def frames(framing: Framing, chunks: list[bytes]) -> list[bytes | tuple[str, int]]:
    """The bodies in a stream, and how it ends: the error, or what is left of it."""
    found: list[bytes | tuple[str, int]] = []
    decoder: Decoder | None = None
    left = b""
    for chunk in chunks:
        while chunk:
            decoder = decoder or framing.decoder()
            left += chunk
            try:
                frame = decoder.feed(chunk)
            except FrameError as error:
                return [*found, (str(error), error.offset)]
            chunk = b""
            if frame is not None:
                found.append(frame.body)
                assert left.endswith(frame.rest)
                chunk, decoder, left = frame.rest, None, b""
    return [*found, left]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in pairwise(marks)]


@QUICK
@given(FRAMINGS, BODIES)
def test_decoding_undoes_encoding(framing: Framing, body: bytes) -> None:
    wire = framed(framing, body)
    assume(wire is not None)
    assert wire is not None
    frame = framing.decoder().feed(wire)
    assert frame is not None
    assert (frame.body, frame.rest) == (body, b"")


@QUICK
@given(FRAMINGS, st.lists(BODIES, max_size=5), BODIES, st.lists(st.integers(0, 200), max_size=8))
def test_no_cutting_changes_the_frames(
    framing: Framing, bodies: list[bytes], noise: bytes, places: list[int]
) -> None:
    known = [body for body in bodies if framed(framing, body) is not None]
    stream = b"".join(framing.encode(body) for body in known) + noise
    whole = frames(framing, [stream])
    assert whole[: len(known)] == known
    assert frames(framing, cut(stream, places)) == whole
    assert frames(framing, [bytes([byte]) for byte in stream]) == whole


@QUICK
@given(PLAIN, BODIES)
def test_a_certain_frame_is_the_only_one_with_its_body(framing: Framing, stream: bytes) -> None:
    assume(framing.certain)
    try:
        frame = framing.decoder().feed(stream) if stream else None
    except FrameError:
        frame = None
    if frame is not None:
        assert framing.encode(frame.body) + frame.rest == stream


@QUICK
@given(FRAMINGS, BODIES, NAMES, st.integers(0, 10**6), st.integers(0, 7))
def test_any_changed_bit_of_a_body_or_its_checksum_is_found(
    inner: Framing, body: bytes, name: str, at: int, bit: int
) -> None:
    framing = Checked(inner, name)
    assume(not isinstance(inner, Checked))
    wire = framed(framing, body)
    assume(wire is not None)
    assert wire is not None
    both = body + framing.sum_of(body)
    begin = wire.rindex(both)
    changed = bytearray(wire)
    changed[begin + at % len(both)] ^= 1 << bit
    found = frames(framing, [bytes(changed)])
    assert not found or found[0] != body


LINES = st.lists(st.sampled_from([b"250-a", b"250 b", b"", b"x", b"250"]), max_size=5)
ENDS = st.sampled_from([b"\n", b"\r\n"])


@QUICK
@given(LINES, ENDS, BODIES, st.lists(st.integers(0, 200), max_size=8))
def test_lines_end_with_the_first_that_matches(
    lines: list[bytes], end: bytes, noise: bytes, places: list[int]
) -> None:
    framing = LinesUntil(r"250 .*")
    stream = b"".join(line + end for line in lines) + noise
    whole = frames(framing, [stream])
    assert frames(framing, cut(stream, places)) == whole
    assert frames(framing, [bytes([byte]) for byte in stream]) == whole
    last = next((i for i, line in enumerate(lines) if line == b"250 b"), None)
    if last is not None:
        assert whole[0] == end.join(lines[: last + 1])
