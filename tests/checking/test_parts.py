"""Parts of a body: where each ends, what is said of a wrong one, and what is saved."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmux.checking.bodies import (
    HasLength,
    IsCounted,
    IsExactly,
    IsVarint,
    Matches,
    Named,
    Prefix,
    anything,
    decimal,
    fits,
    varint_decimal,
)
from loadmux.checking.parts import CountedIn, HasParts, Part, UntilIn, has_parts, varint_in
from loadmux.errors import Kind

WORDS = Matches(re.compile(rb"(?P<text>[a-z]+)"))
PARTS = HasParts(
    [
        Part(IsExactly(b"R"), 1),
        Part(Named(HasLength(2), "id", decimal), 2),
        Part(WORDS),
        Part(IsExactly(b"\0"), 1),
    ]
)


def test_parts_are_found_from_both_ends_and_saved() -> None:
    found = PARTS(b"R\0\x11words\0")
    assert found.problem is None
    assert found.captured == {"id": b"17", "text": b"words"}


@pytest.mark.parametrize(
    ("body", "kind", "offset"),
    [
        (b"Q17words\0", Kind.CORRUPT, 0),
        (b"R17words\1", Kind.CORRUPT, 8),
        (b"R17wo_ds\0", Kind.MISMATCH, 5),
        (b"R1", Kind.TRUNCATED, 2),
        (b"", Kind.TRUNCATED, 0),
        (b"Q", Kind.MISMATCH, 0),
        (b"Q17wo_ds\0", Kind.MISMATCH, 0),
    ],
)
def test_a_wrong_part_is_told_at_its_place(body: bytes, kind: Kind, offset: int) -> None:
    problem = PARTS(body).problem
    assert problem is not None
    assert (problem.kind, problem.offset) == (kind, offset)


def test_parts_of_known_length_leave_no_byte_over() -> None:
    problem = HasParts(PARTS.parts[:2])(b"R17XY").problem
    assert problem is not None
    assert (problem.kind, problem.offset) == (Kind.SURPLUS, 3)


MEASURED = HasParts(
    [
        Part(anything, None, UntilIn(b";")),
        Part(IsCounted(Prefix(1), anything), None, CountedIn(Prefix(1))),
        Part(Named(anything, "rest")),
        Part(IsVarint(), None, varint_in),
        Part(IsCounted(Prefix(digits=2), HasLength(3)), None, CountedIn(Prefix(digits=2))),
    ]
)


@given(st.binary(max_size=20), st.lists(st.integers(0, 127), max_size=9).map(bytes))
def test_lengths_that_stand_in_the_parts_are_used(inner: bytes, rest: bytes) -> None:
    body = b"head;" + bytes([len(inner)]) + inner + rest + b"\xac\x02" + b"03end"
    found = MEASURED(body)
    assert found.problem is None
    assert found.captured == {"rest": rest}


@given(st.binary(max_size=60))
def test_no_body_trips_anyone(body: bytes) -> None:
    for judge in (PARTS, MEASURED, IsVarint(), IsCounted(Prefix(varint=True), anything)):
        found = judge(body).problem
        assert fits(judge, body) is (found is None)


@given(st.integers(0, 8), st.integers(0, 255))
def test_any_changed_byte_of_the_checked_parts_is_found(at: int, byte: int) -> None:
    right = b"R17words\0"
    wrong = right[:at] + bytes([byte]) + right[at + 1 :]
    checked = at in (0, 8) or (at > 2 and not (97 <= byte <= 122))
    if wrong != right and checked:
        assert PARTS(wrong).problem is not None


NAMED = Part(Named(IsVarint(), "n", varint_decimal), None, varint_in)
QUICK = (
    Part(IsExactly(b";a"), 2),
    Part(HasLength(1), 1),
    Part(IsVarint(), None, varint_in),
    Part(anything, None, UntilIn(b";")),
    Part(anything, None, UntilIn(b";a")),
)


@given(
    st.lists(st.sampled_from(QUICK), max_size=4),
    st.sampled_from([(), (NAMED,), (Part(Named(anything, "rest")),)]),
    st.lists(st.sampled_from(QUICK[:2]), max_size=2),
    st.lists(st.sampled_from([b";", b"a", b";a", b"\x80", b"\xff" * 9]), max_size=12).map(b"".join),
)
def test_what_a_regex_says_of_parts_is_what_their_judges_say(
    before: list[Part], middle: tuple[Part, ...], behind: list[Part], body: bytes
) -> None:
    parts = [*before, *middle, *behind]
    if parts:
        quick, slow = has_parts(parts), HasParts(parts)
        assert quick.fast is not None
        assert quick(body).captured == slow(body).captured
        assert (quick(body).problem is None) is (slow(body).problem is None)


def test_no_regex_is_made_where_a_part_ends_behind_one_of_open_length() -> None:
    assert has_parts([Part(anything), Part(IsVarint(), None, varint_in)]).fast is None
    assert has_parts([Part(anything), Part(anything, None, UntilIn(b";"))]).fast is None
