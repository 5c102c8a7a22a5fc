"""What may come at any time is taken out of a stream, whatever the stream and its cutting are."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from loadmux.checking.bodies import HasLength, IsExactly, Matches
from loadmux.checking.framing import Framing
from loadmux.checking.judging import Judge
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.sifting import Sieve
from loadmux.checking.simple import Delimited, Fixed, line

QUICK = settings(max_examples=300, deadline=None)
FRAMINGS: list[Framing] = [
    line(),
    Delimited(b"\r\n"),
    Delimited(b";;;"),
    LengthPrefixed(2),
    LengthPrefixed(1, counts_itself=True),
]
JUDGES: list[Judge] = [
    IsExactly(b"tick"),
    Matches(re.compile(rb"(?:ping|pong) (?P<token>\d+(?:\.\d+)?)")),
    HasLength(1),
]
TAKEN = [b"tick", b"ping 1", b"pong 22", b"x", b"ping 4711", b"ping 4.5"]
OTHERS = [b"", b"ticks", b"tic", b"ping", b"pong x", b"hello", b"ping 12 "]
BODIES = st.lists(st.sampled_from(TAKEN + OTHERS), max_size=8)
CUTS = st.lists(st.integers(1, 7), min_size=1, max_size=6)


class Sifted:
    """A sieve with all the judges, and what it has taken."""

    def __init__(self, framing: Framing) -> None:
        self.taken: list[tuple[int, dict[str, bytes]]] = []
        self.sieve = Sieve(framing, lambda: JUDGES, lambda *one: self._take(*one))

    def _take(self, which: int, names: object) -> None:
        assert isinstance(names, dict)
        self.taken.append((which, names))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    found, number = [], 0
    while data:
        size = cuts[number % len(cuts)]
        found.append(data[:size])
        data, number = data[size:], number + 1
    return found


@QUICK
@given(st.sampled_from(FRAMINGS), BODIES, CUTS)
def test_any_cutting_takes_the_same_frames(
    framing: Framing, bodies: list[bytes], cuts: list[int]
) -> None:
    sifted = Sifted(framing)
    stream = b"".join(map(framing.encode, bodies))
    passed = b"".join(sifted.sieve.feed(piece) for piece in pieces(stream, cuts))
    assert passed == b"".join(framing.encode(one) for one in bodies if one not in TAKEN)
    assert len(sifted.taken) == sum(one in TAKEN for one in bodies)
    assert not sifted.sieve.busy
    assert not sifted.sieve.held


@QUICK
@given(st.sampled_from(FRAMINGS), BODIES, CUTS, st.integers(0, 60))
def test_what_is_held_back_is_not_lost(
    framing: Framing, bodies: list[bytes], cuts: list[int], end: int
) -> None:
    sifted = Sifted(framing)
    stream = b"".join(map(framing.encode, bodies))[:end]
    passed = b"".join(sifted.sieve.feed(piece) for piece in pieces(stream, cuts))
    passed += sifted.sieve.release()
    taken = sum(len(framing.encode(one)) for one in bodies if one in TAKEN)
    assert len(passed) >= len(stream) - taken
    whole = b"".join(map(framing.encode, bodies))
    for one in bodies:
        if one in TAKEN:
            whole = whole.replace(framing.encode(one), b"", 1)
    if end >= len(b"".join(map(framing.encode, bodies))):
        assert len(passed) == len(whole)


def test_names_of_a_regex_are_told() -> None:
    sifted = Sifted(line())
    assert sifted.sieve.feed(b"pin") == b""
    assert sifted.sieve.feed(b"g 42\nrest") == b"rest"
    assert sifted.taken == [(1, {"token": b"42"})]


def test_a_line_that_none_can_take_is_passed_on_before_its_end() -> None:
    sieve = Sieve(line(), lambda: JUDGES[:2], lambda *one: None)
    assert sieve.feed(b"pi") == b""
    assert sieve.feed(b"ne") == b"pine"
    assert sieve.feed(b"s\ntick\n") == b"s\n"


def test_what_is_no_frame_is_passed_on_with_all_that_follows() -> None:
    sifted = Sifted(LengthPrefixed(1, counts_itself=True))
    assert sifted.sieve.feed(b"\0\5tick") == b"\0\5tick"
    assert sifted.sieve.feed(b"\5tick") == b"\5tick"
    assert sifted.taken == []


def test_whether_a_known_reply_passes() -> None:
    sieve = Sifted(line()).sieve
    assert sieve.passes(b"hello\n")
    assert sieve.passes(b"hello\nworld\n")
    assert not sieve.passes(b"hello")
    assert not sieve.passes(b"hello\ntick\n")
    sieve.feed(b"ti")
    assert not sieve.passes(b"hello\n")


def test_a_frame_without_a_known_beginning_waits_for_its_end() -> None:
    sieve = Sieve(Fixed(4), lambda: JUDGES, lambda *one: None)
    assert sieve.feed(b"abc") == b""
    assert sieve.held == b"abc"
    assert sieve.feed(b"dtic") == b"abcd"
    assert sieve.feed(b"k") == b""
