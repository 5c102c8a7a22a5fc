"""Replies in turn, and one of several, whatever the chunks in which they come."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest
from feeding import fed
from hypothesis import given
from hypothesis import strategies as st

from loadmux.checking.composed import Alternatives, InTurn, Item
from loadmux.checking.verifying import Exact, LengthOf, UntilDelimiter

RIGHT = b"hello" + b"1234" + b"a line\n" + b"bye"
CUTS = st.lists(st.integers(0, len(RIGHT) + 4))


def in_turn() -> InTurn:
    return InTurn(
        [
            Item(partial(Exact, b"hello")),
            Item(partial(LengthOf, 4), "four"),
            Item(partial(UntilDelimiter, b"\n")),
            Item(partial(Exact, b"bye")),
        ]
    )


@given(CUTS)
def test_replies_in_turn_are_right_however_the_stream_was_cut(cuts: list[int]) -> None:
    verifier = in_turn()
    rest = fed(verifier, RIGHT + b"more", cuts)
    assert verifier.done
    assert verifier.wrong_at is None
    assert (bytes(verifier.received), rest) == (RIGHT, b"more")
    assert verifier.kept() == RIGHT
    assert verifier.captured() == {"four": b"1234"}


@pytest.mark.parametrize("at", [0, 4, 16, 18])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_changed_byte_is_found_at_its_place(at: int, size: int) -> None:
    wrong, verifier = bytearray(RIGHT), in_turn()
    wrong[at] ^= 1
    fed(verifier, bytes(wrong), list(range(0, len(wrong), size)))
    assert verifier.wrong_at == at
    assert not verifier.done


def test_what_is_owed_names_the_reply() -> None:
    verifier = in_turn()
    verifier.feed(b"hello12")
    assert verifier.owed() == "2 of 4 bytes, in reply 2 of 4"
    assert InTurn([Item(partial(Exact, b"a")), Item(partial(Exact, b"b"))]).expected() == b"ab"


def test_a_reply_is_made_once_the_one_before_it_was_right() -> None:
    seen: dict[str, bytes] = {}

    def right(captured: Mapping[str, bytes]) -> None:
        seen.update(captured)

    verifier = InTurn([Item(lambda: LengthOf(3), "x"), Item(lambda: Exact(seen["x"]))], right)
    assert verifier.feed(b"abcabcX") == b"X"
    assert verifier.done


# --- one of several -----------------------------------------------------------------------------


def one_of() -> Alternatives:
    items = [
        Item(partial(Exact, b"+OK\r\n")),
        Item(partial(Exact, b"-ERR no\r\n")),
        Item(in_turn, "all"),
    ]
    return Alternatives(items, ("ok", "no", "hello"), "which", ("all", "four"))


@pytest.mark.parametrize(
    ("stream", "which"), [(b"+OK\r\n", b"ok"), (b"-ERR no\r\n", b"no"), (RIGHT, b"hello")]
)
@given(cuts=CUTS)
def test_one_of_several_is_told_by_its_name(stream: bytes, which: bytes, cuts: list[int]) -> None:
    verifier = one_of()
    rest = fed(verifier, stream + b"more", [cut for cut in cuts if cut < len(stream)])
    assert verifier.done
    assert (bytes(verifier.received), rest) == (stream, b"more")
    found = verifier.captured()
    assert found["which"] == which
    assert found["all"] == (RIGHT if which == b"hello" else b"")
    assert found["four"] == (b"1234" if which == b"hello" else b"")


@pytest.mark.parametrize("cuts", [[], list(range(20))])
def test_what_none_fits_is_wrong_where_the_nearest_is(cuts: list[int]) -> None:
    verifier = one_of()
    fed(verifier, b"-ERR nay\r\n", cuts)
    assert verifier.wrong_at == 6
    assert verifier.expected() == b"-ERR no\r\n"
    assert not verifier.done
