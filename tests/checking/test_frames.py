"""Frames in any order, and frames that are passed over: which is which, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmux.checking.bodies import IsExactly, Matches, Named, StartsWith, anything
from loadmux.checking.frames import Frames, WithBody
from loadmux.checking.judging import Judge
from loadmux.checking.simple import line
from loadmux.errors import Kind

LINE = line()


def want(judge: Judge) -> WithBody:
    return WithBody(judge, b"%b\n" % judge.expected if isinstance(judge, IsExactly) else b"")


def frames(*judges: Judge, skip: Judge | None = None, first: bool = True) -> Frames:
    wanted = [want(judge) for judge in judges]
    return Frames(LINE.decoder, wanted, None if skip is None else want(skip), first)


def fed(verifier: Frames, stream: bytes, cuts: Sequence[int] = ()) -> bytes:
    rest, ends = b"", sorted({one for one in cuts if one < len(stream)} | {len(stream)} - {0})
    for begin, end in zip([0, *ends], ends, strict=False):
        if verifier.wrong_at is None and begin < end:
            rest += verifier.feed(stream[begin:end])
    return rest


THREE: list[Judge] = [
    IsExactly(b"one"),
    IsExactly(b"two"),
    Matches(re.compile(rb"(?P<what>.*) three")),
]


@given(st.permutations([b"one", b"two", b"the three"]), st.lists(st.integers(0, 30)))
def test_any_order_and_any_chunking_is_right(order: list[bytes], cuts: list[int]) -> None:
    verifier = frames(*THREE)
    stream = b"".join(b"%b\n" % one for one in order)
    assert fed(verifier, stream + b"more", cuts) == b"more"
    assert verifier.done
    assert bytes(verifier.received) == stream
    assert verifier.captured() == {"what": b"the"}
    assert verifier.kept() == b"".join(order)
    assert verifier.answers == 3


@given(st.permutations([b"a1", b"a2", b"b1", b"xx"]))
def test_what_fits_several_is_given_to_whoever_is_left(order: list[bytes]) -> None:
    """Whoever takes the first that fits finds no place for the last."""
    verifier = frames(
        Named(anything, "any"),
        Named(StartsWith(b"a"), "a"),
        Named(Matches(re.compile(rb".1")), "one"),
        IsExactly(b"a1"),
    )
    fed(verifier, b"".join(b"%b\n" % one for one in order))
    assert verifier.done
    assert verifier.captured() == {"any": b"xx", "a": b"a2", "one": b"b1"}


@pytest.mark.parametrize(
    ("stream", "kind", "wrong_at"),
    [
        (b"two\none\ntwo\n", Kind.DUPLICATE, 8),
        (b"two\none\nthe threE\n", Kind.MISMATCH, 16),
        (b"two\noNe\n", Kind.CORRUPT, 5),
        (b"twoX\n", Kind.SURPLUS, 3),
        (b"tw\n", Kind.TRUNCATED, 2),
    ],
)
@pytest.mark.parametrize("cuts", [(), tuple(range(30))])
def test_what_fits_none_is_told_by_the_nearest(
    stream: bytes, kind: Kind, wrong_at: int, cuts: Sequence[int]
) -> None:
    verifier = frames(*THREE)
    fed(verifier, stream, cuts)
    problem = verifier.problem()
    assert problem is not None
    assert (problem.kind, verifier.wrong_at) == (kind, wrong_at)
    assert not verifier.done


def test_what_is_owed_says_which_frames() -> None:
    verifier = frames(*THREE)
    verifier.feed(b"two\n")
    assert verifier.owed() == "2 of 3 frames (b'one\\n')"
    verifier.feed(b"on")
    assert verifier.owed() == "2 of 3 frames (b'one\\n'); of the next the delimiter b'\\n'"


@given(st.lists(st.integers(0, 60)), st.integers(0, 4))
def test_frames_to_be_skipped_are_passed_over(cuts: list[int], ticks: int) -> None:
    verifier = frames(IsExactly(b"answer"), skip=StartsWith(b"TICK"))
    assert fed(verifier, b"TICK 1\n" * ticks + b"answer\nmore", cuts) == b"more"
    assert verifier.done
    assert verifier.aside == ticks
    assert (bytes(verifier.received), verifier.kept()) == (b"answer\n", b"answer")


def test_a_skipped_frame_brings_the_reply_no_nearer() -> None:
    verifier = frames(IsExactly(b"answer"), skip=StartsWith(b"TICK"))
    verifier.feed(b"TICK 1\n")
    assert not verifier.moved
    verifier.feed(b"ans")
    assert verifier.moved


@pytest.mark.parametrize("first", [True, False])
def test_what_fits_both_is_skipped_or_not(first: bool) -> None:
    verifier = frames(anything, skip=StartsWith(b"TICK"), first=first)
    verifier.feed(b"TICK 1\nx\n")
    assert verifier.done
    assert verifier.kept() == (b"TICK 1" if first else b"x")


@pytest.mark.parametrize("cuts", [(), tuple(range(30))])
def test_a_wrong_frame_behind_skipped_ones_is_told_from_its_own_first_byte(
    cuts: Sequence[int],
) -> None:
    verifier = frames(IsExactly(b"answer"), skip=StartsWith(b"TICK"))
    fed(verifier, b"TICK 1\nTICK 2\nanswEr\n", cuts)
    assert verifier.wrong_at == 4
    assert bytes(verifier.received) == b"answEr\n"
    assert verifier.aside == 2


def test_datagrams_hold_whole_frames() -> None:
    verifier = frames(*THREE)
    verifier.take_whole(b"two\n")
    assert verifier.wrong_at is None
    verifier.take_whole(b"on")
    assert verifier.wrong_at is not None
