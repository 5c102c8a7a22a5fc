"""Framings of one's own, as plugins bring them: frames with structure, several for one body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest

from loadmux.checking import rules
from loadmux.checking.framed import FrameVerifier
from loadmux.checking.framing import Decoder, Frame, FrameError, Framing
from loadmux.checking.judging import Judgement
from loadmux.checking.verifying import Verifier
from loadmux.errors import Kind, Position
from loadmux.running.steps.framed import FrameByRule, FrameReply, body_of
from loadmux.running.steps.place import Place

PLACE = Place(Position("s.yaml", 1, 1), "talk")


@dataclass(frozen=True, slots=True)
class Netstring(Frame):
    """A frame that says more than its body."""

    zeros: int


class NetstringDecoder(Decoder):
    """`LENGTH:BODY,` (cr.yp.to/proto/netstrings.txt), leading zeros allowed."""

    def __init__(self) -> None:
        self._taken = b""

    def feed(self, data: bytes) -> Frame | None:
        self._taken += data
        digits, colon, after = self._taken.partition(b":")
        if digits and not digits.isdigit():
            raise FrameError("a netstring begins with digits", 0)
        if not colon or len(after) <= int(digits):
            return None
        size = int(digits)
        if after[size : size + 1] != b",":
            raise FrameError("a netstring ends in a comma", len(digits) + 1 + size)
        zeros = len(digits) - len(str(size))
        return Netstring(after[:size], after[size + 1 :], zeros)

    def owed(self) -> str:
        return "the rest of the netstring"


@dataclass(frozen=True, slots=True)
class Netstrings(Framing):
    symmetric: ClassVar[bool] = True

    def encode(self, body: bytes) -> bytes:
        return b"%d:%b," % (len(body), body)

    def decoder(self) -> Decoder:
        return NetstringDecoder()


@dataclass(frozen=True, slots=True)
class Questions(Netstrings):
    """Ours differ from the server's."""

    symmetric: ClassVar[bool] = False

    def encode(self, body: bytes) -> bytes:
        return b"?" + body


def made(reply: FrameReply | FrameByRule, payload: bytes) -> Verifier:
    judged = reply.known(payload)
    assert judged is not None
    likely, make = judged
    assert likely is None
    return make()


def hello(framing: Framing) -> FrameReply:
    return FrameReply(framing, b"hello", lambda user, socket, sent: b"", PLACE, False)


@pytest.mark.parametrize("framing", [Netstrings(), Questions()])
@pytest.mark.parametrize("wire", [b"5:hello,", b"005:hello,"])
def test_every_frame_of_a_body_is_right(framing: Framing, wire: bytes) -> None:
    for cut in range(1, len(wire)):
        verifier = made(hello(framing), b"")
        assert verifier.feed(wire[:cut]) == b""
        assert not verifier.done
        assert verifier.feed(wire[cut:] + b"1:x,") == b"1:x,"
        assert verifier.done
        assert verifier.kept() == b"hello"


@pytest.mark.parametrize(
    ("wire", "kind", "offset"),
    [
        (b"5:hellx,", Kind.CORRUPT, 4),
        (b"4:hell,", Kind.TRUNCATED, 4),
        (b"6:hello!,", Kind.SURPLUS, 5),
        (b"5:hello;", Kind.MISMATCH, 7),
        (b"hello", Kind.MISMATCH, 0),
    ],
)
def test_what_is_wrong_with_a_frame(wire: bytes, kind: Kind, offset: int) -> None:
    verifier = made(hello(Netstrings()), b"")
    assert verifier.feed(wire) == b""
    assert verifier.wrong_at is not None
    problem = verifier.problem()
    assert problem is not None
    assert (problem.kind, problem.offset) == (kind, offset)


def test_each_verifier_has_a_decoder_of_its_own() -> None:
    judged = hello(Netstrings()).known(b"")
    assert judged is not None
    one, other = judged[1](), judged[1]()
    one.feed(b"5:he")
    assert other.feed(b"5:hello,") == b""
    assert other.done


def test_a_judge_can_see_more_than_the_body_through_the_verifier() -> None:
    verifier = FrameVerifier(NetstringDecoder(), lambda body: Judgement())
    verifier.feed(b"007:netwerk,")
    assert verifier.done
    assert isinstance(verifier.frame, Netstring)
    assert verifier.frame.zeros == 2


@pytest.mark.parametrize(
    ("name", "answer"),
    [("echo", bytes), ("upper", bytes.upper), ("ok", lambda body: b"ok")],
)
def test_a_rule_answers_the_body(name: str, answer: Callable[[bytes], bytes]) -> None:
    reply = FrameByRule(Netstrings(), {"main": rules.rule(name)}, PLACE)
    verifier = made(reply, b"5:hello,")
    assert verifier.feed(Netstrings().encode(answer(b"hello"))) == b""
    assert verifier.done


def test_what_is_not_known_beforehand_is_none() -> None:
    assert FrameByRule(Netstrings(), {"main": rules.rule("sink")}, PLACE).known(b"1:a,") is None
    assert FrameByRule(Netstrings(), {"main": rules.rule("echo")}, PLACE).known(b"no frame") is None
    assert FrameByRule(Netstrings(), {"main": rules.rule("echo")}, PLACE).known(b"3:part") is None


def test_what_is_no_whole_frame_has_no_body() -> None:
    assert body_of(Netstrings(), b"2:ab,") == b"ab"
    with pytest.raises(ValueError, match="no whole frame"):
        body_of(Netstrings(), b"2:a")
