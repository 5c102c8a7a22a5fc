"""The small verifiers in a stream: numbers, what has a length, anything."""

from __future__ import annotations

import pytest
from feeding import fed
from hypothesis import given
from hypothesis import strategies as st

from loadmux.checking.bodies import HasLength, Prefix
from loadmux.checking.framed import FrameVerifier
from loadmux.checking.pieces import CountedStretch, NumberOf, Some, VarintOf

CUTS = st.lists(st.integers(0, 20))


def test_numbers_are_kept_in_decimal() -> None:
    verifier = NumberOf(2, "little")
    assert verifier.feed(b"\x01\x02rest") == b"rest"
    assert verifier.kept() == b"513"
    varint = VarintOf()
    assert varint.feed(b"\xac") == b""
    assert varint.feed(b"\x02rest") == b"rest"
    assert varint.kept() == b"300"
    endless = VarintOf()
    endless.feed(b"\xff" * 11)
    assert endless.wrong_at is not None
    assert endless.problem() is not None


@pytest.mark.parametrize(
    ("prefix", "stream"),
    [
        (Prefix(2), b"\x00\x05hello"),
        (Prefix(2, order="little", adjust=-2), b"\x07\x00hello"),
        (Prefix(varint=True), b"\x05hello"),
        (Prefix(digits=3), b"005hello"),
    ],
)
@given(cuts=CUTS)
def test_what_has_a_length_ends_there(prefix: Prefix, stream: bytes, cuts: list[int]) -> None:
    verifier = FrameVerifier(CountedStretch(prefix).decoder(), HasLength(5))
    rest = fed(verifier, stream + b"more", cuts)
    assert verifier.done
    assert (verifier.kept(), rest) == (b"hello", b"more")


def test_a_length_that_is_none_is_wrong() -> None:
    verifier = FrameVerifier(CountedStretch(Prefix(digits=3)).decoder(), HasLength(5))
    verifier.feed(b"0x5hello")
    assert verifier.wrong_at == 0
    large = FrameVerifier(CountedStretch(Prefix(4)).decoder(), HasLength(5))
    large.feed(b"\xff\xff\xff\xff")
    assert large.wrong_at == 0


def test_anything_takes_what_there_is() -> None:
    verifier = Some()
    assert not verifier.done
    assert verifier.feed(b"whatever") == b""
    assert verifier.done
    assert verifier.feed(b"more") == b"more"
