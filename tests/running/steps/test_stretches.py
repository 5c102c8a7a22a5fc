"""Replies that are seen to be right without their verifiers: these say the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from loadmux.checking.bodies import IsExactly, Matches, StartsWith, anything
from loadmux.checking.composed import InTurn, Item
from loadmux.checking.framed import FrameVerifier
from loadmux.checking.frames import Frames, WithBody
from loadmux.checking.framing import Framing
from loadmux.checking.judging import Judge
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.simple import Delimited, DelimitedDecoder
from loadmux.checking.verifying import MAX_FRAME, Exact, LengthOf, UntilDelimiter, Verifier
from loadmux.running.steps import stretches
from loadmux.running.steps.stretches import Stretch

LINE, SIZED, VARINT = Delimited(b"\n", 6), LengthPrefixed(1), LengthPrefixed(varint=True)
LETTERS = Matches(re.compile(b"[a-z]+"))


def framed(framing: Framing, judge: Judge) -> tuple[Stretch, Callable[[], Verifier]]:
    found = stretches.framed(framing, judge)
    assert found is not None
    return found, lambda: FrameVerifier(framing.decoder(), judge)


def until_letters() -> Verifier:
    return FrameVerifier(DelimitedDecoder(b";", MAX_FRAME, 1), StartsWith(b"a"))


REPLIES: list[tuple[Stretch, Callable[[], Verifier]]] = [
    (stretches.text(b"ab"), partial(Exact, b"ab")),
    (stretches.length(2), partial(LengthOf, 2)),
    (stretches.until(b"\n"), partial(UntilDelimiter, b"\n")),
    (stretches.until(b";", StartsWith(b"a")), until_letters),
    framed(LINE, LETTERS),
    framed(LINE, anything),
    framed(SIZED, LETTERS),
    framed(VARINT, IsExactly(b"ab")),
]
PIECES = st.sampled_from([b"ab", b"a", b";", b"\n", b"\2", b"\0", b"ab\n", b"a;", b"\2ab", b"\x82"])


@given(st.lists(st.sampled_from(REPLIES), min_size=1, max_size=4), st.lists(PIECES, max_size=9))
def test_several_are_right_exactly_where_their_verifiers_say_so(
    replies: list[tuple[Stretch, Callable[[], Verifier]]], pieces: list[bytes]
) -> None:
    data = b"".join(pieces)
    verifier = InTurn([Item(make) for _, make in replies])
    right = not verifier.take(data) and verifier.done
    found = stretches.alone(partial(stretches.in_turn, [one for one, _ in replies]), data)
    assert (found is not None) is right


BODIES = st.sampled_from([b"a", b"ab", b"abc", b""])


@given(
    st.sampled_from([LINE, SIZED]),
    st.lists(BODIES, min_size=1, max_size=4),
    st.lists(BODIES, max_size=5),
    st.sampled_from([b"", b"a", b"\n"]),
)
def test_frames_in_any_order_are_right_exactly_where_their_verifier_says_so(
    framing: Framing, wanted: list[bytes], came: list[bytes], behind: bytes
) -> None:
    data = b"".join(map(framing.encode, came)) + behind
    wants = [WithBody(IsExactly(one), framing.encode(one)) for one in wanted]
    verifier = Frames(framing.decoder, wants)
    right = bool(data) and not verifier.take(data) and verifier.done
    found = stretches.in_any_order([one.whole for one in wants], data)
    assert (found is not None) is right
