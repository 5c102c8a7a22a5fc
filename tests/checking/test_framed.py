"""Verifiers of framed replies: what they take, hand back, and say of a wrong frame."""

from __future__ import annotations

import re

import pytest

from loadmux.checking.bodies import HasLength, IsExactly, Matches
from loadmux.checking.framed import ExactFrame, ExactToEnd, FrameVerifier, match_until
from loadmux.checking.framing import Decoder, Framing
from loadmux.checking.judging import Judge
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.simple import UntilClose, line
from loadmux.checking.verifying import Verifier
from loadmux.errors import Kind

PING = re.compile(rb"\+(?P<word>[A-Z]+)(?P<rest> .*)?")


def verifier(judge: Judge, framing: Framing | None = None) -> FrameVerifier:
    return FrameVerifier((framing or line()).decoder(), judge)


@pytest.mark.parametrize(
    "judge", [Matches(PING), IsExactly(b"+PONG"), HasLength(5)], ids=["regex", "exact", "length"]
)
def test_a_right_frame_cut_anywhere_hands_back_what_follows(judge: Judge) -> None:
    stream = b"+PONG\n+NEXT\n"
    for cut in range(1, len(stream)):
        one = verifier(judge)
        rest = one.feed(stream[:cut])
        assert one.done == (cut >= 6)
        rest += one.feed(stream[cut:])
        assert rest == b"+NEXT\n"
        assert one.done
        assert (one.wrong_at, one.problem()) == (None, None)
        assert one.received == b"+PONG\n"
        assert one.kept() == b"+PONG"


def test_named_groups_are_captured_and_those_that_took_no_part_are_empty() -> None:
    one = verifier(Matches(PING))
    assert one.feed(b"+PONG\n") == b""
    assert one.captured() == {"word": b"PONG", "rest": b""}


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [("a\\d", "'a\\d'"), ("a\nb", "'a\\nb'"), ("a" * 300, f"'{'a' * 200}...'")],
)
def test_how_a_pattern_is_shown(pattern: str, shown: str) -> None:
    problem = Matches(re.compile(pattern.encode()))(b"x").problem
    assert problem is not None
    told = f"the frame's body (1 bytes) does not match the regex {shown}: it should begin with 'a'"
    assert problem.message == told


def test_a_regex_matches_wholly() -> None:
    assert Matches(re.compile(b"a+"))(b"aaab").problem is not None
    assert Matches(re.compile(b"a|ab"))(b"ab").problem is None
    assert Matches(re.compile(b"a.b"))(b"a\nb").problem is not None
    assert Matches(re.compile(b"(?s)a.b"))(b"a\nb").problem is None


@pytest.mark.parametrize(
    ("judge", "body", "kind", "offset", "message"),
    [
        (
            Matches(PING),
            b"-ERR",
            Kind.MISMATCH,
            0,
            "the frame's body (4 bytes) does not match the regex"
            " '\\+(?P<word>[A-Z]+)(?P<rest> .*)?': it should begin with '+'",
        ),
        (HasLength(3), b"four", Kind.SURPLUS, None, "the frame's body has 4 bytes, expected 3"),
        (HasLength(5), b"four", Kind.TRUNCATED, None, "the frame's body has 4 bytes, expected 5"),
        (
            IsExactly(b"hello"),
            b"help!",
            Kind.MISMATCH,
            3,
            "in the frame's body, byte 3 of the reply is 0x70, expected 0x6c; what follows does not"
            " line up either",
        ),
        (
            IsExactly(b"hello"),
            b"hellX",
            Kind.CORRUPT,
            4,
            "in the frame's body, byte 4 of the reply is 0x58, expected 0x6f; the other 4 of 5"
            " bytes are right",
        ),
        (
            IsExactly(b"hello"),
            b"hell",
            Kind.TRUNCATED,
            4,
            "the frame's body ends after 4 of 5 bytes",
        ),
        (
            IsExactly(b"hello"),
            b"hello!",
            Kind.SURPLUS,
            5,
            "the frame's body has 6 bytes, expected 5",
        ),
    ],
)
def test_wrong_bodies(
    judge: Judge, body: bytes, kind: Kind, offset: int | None, message: str
) -> None:
    one = verifier(judge)
    assert one.feed(body + b"\nmore") == b""
    problem = one.problem()
    assert not one.done
    assert one.wrong_at is not None
    assert problem is not None
    assert (problem.kind, problem.offset, problem.message) == (kind, offset, message)
    assert problem.received == body
    assert problem.expected == (judge.expected if isinstance(judge, IsExactly) else None)


def test_a_frame_that_is_none() -> None:
    one = verifier(HasLength(3), LengthPrefixed(2, max_size=10))
    assert one.feed(b"\x7f") == b""
    assert one.owed() == "1 of 2 bytes of the length, then the body"
    assert one.feed(b"\xffabc") == b""
    problem = one.problem()
    assert problem is not None
    assert (problem.kind, problem.offset, one.wrong_at) == (Kind.MISMATCH, 0, 0)
    assert problem.message == "the length 32767 means a frame of 32769 bytes, more than 'max' (10)"
    assert problem.received == b"\x7f\xffabc"


def test_an_end_completes_a_frame_only_where_the_framing_says_so() -> None:
    one = verifier(Matches(PING), UntilClose())
    assert one.feed(b"+PO") == one.feed(b"NG") == b""
    assert not one.done
    assert one.end()
    assert one.done
    assert one.kept() == b"+PONG"
    wrong = verifier(Matches(PING), UntilClose())
    wrong.feed(b"PONG")
    assert wrong.end()
    assert (wrong.done, wrong.wrong_at) == (False, 0)
    cut = verifier(Matches(PING))
    cut.feed(b"+PONG")
    assert not cut.end()
    assert cut.wrong_at is None


def test_up_to_a_delimiter_and_with_it() -> None:
    one = match_until(b"\r\n", re.compile(rb"(?P<code>\d+) ok\r\n"))
    assert one.feed(b"200 o") == b""
    assert one.owed() == "the delimiter b'\\r\\n'"
    assert one.feed(b"k\r\n404 no\r\n") == b"404 no\r\n"
    assert one.done
    assert one.kept() == b"200 ok\r\n"
    assert one.captured() == {"code": b"200"}
    wrong = match_until(b"\r\n", re.compile(rb"\d+"))
    wrong.feed(b"200\r\n")
    problem = wrong.problem()
    assert problem is not None
    assert problem.message.startswith(
        "what came up to b'\\r\\n' (5 bytes) does not match the regex"
    )


def test_an_exact_frame_keeps_its_body() -> None:
    one = ExactFrame(b"hello\n", b"hello")
    assert one.feed(b"hello\nhello\n") == b"hello\n"
    assert one.done
    assert one.kept() == b"hello"


def states(one: Verifier) -> tuple[bool, int | None]:
    return one.done, one.wrong_at


def test_exactly_to_the_end() -> None:
    for cut in range(1, 5):
        one = ExactToEnd(b"hello")
        assert one.feed(b"hello"[:cut]) == b""
        assert not one.end()
        assert one.owed() == f"{5 - cut} of 5 bytes"
        assert one.feed(b"hello"[cut:]) == b""
        assert states(one) == (False, None)
        assert one.owed() == "the end of the connection, which ends the frame"
        assert one.end()
        assert states(one) == (True, None)
    nothing = ExactToEnd(b"")
    assert states(nothing) == (False, None)
    assert nothing.end()


def test_too_much_before_the_end_is_surplus_and_a_wrong_byte_is_told_by_the_bytes() -> None:
    for chunks in ([b"hello!!"], [b"hello", b"!!"]):
        one = ExactToEnd(b"hello")
        for chunk in chunks:
            assert one.feed(chunk) == b""
        assert states(one) == (False, 5)
        problem = one.problem()
        assert problem is not None
        assert (problem.kind, problem.offset) == (Kind.SURPLUS, 5)
    wrong = ExactToEnd(b"hello")
    wrong.feed(b"hullo")
    assert states(wrong) == (False, 1)
    assert wrong.problem() is None


def test_a_decoder_may_refuse_an_end() -> None:
    class Refusing(Decoder):
        def feed(self, data: bytes) -> None:
            return None

        def end(self) -> None:
            line(1).decoder().feed(b"ab")

    one = FrameVerifier(Refusing(), HasLength(1))
    one.feed(b"ab")
    assert one.end()
    assert states(one) == (False, 1)
    assert one.problem() is not None
