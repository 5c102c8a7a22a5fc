"""What whole bodies can be asked, and what is said of those that are wrong."""

from __future__ import annotations

import pytest

from loadmux.checking.bodies import (
    Contains,
    FirstOf,
    HasLength,
    IsCounted,
    IsExactly,
    IsNot,
    Named,
    Prefix,
    StartsWith,
    anything,
    fits,
)
from loadmux.checking.judging import Judge
from loadmux.errors import Kind


@pytest.mark.parametrize(
    ("judge", "right", "wrong", "kind"),
    [
        (StartsWith(b"HTTP/1.1"), b"HTTP/1.1 200", b"HTTP/1.0 200", Kind.CORRUPT),
        (StartsWith(b"TICK"), b"TICK", b"answer", Kind.MISMATCH),
        (StartsWith(b"TICK"), b"TICK 5", b"TIC", Kind.TRUNCATED),
        (Contains(b"ell"), b"hello", b"help", Kind.MISMATCH),
        (IsNot(StartsWith(b"ERR")), b"OK", b"ERR 5", Kind.MISMATCH),
        (IsCounted(Prefix(2), anything), b"\0\1x", b"\0\1xy", Kind.SURPLUS),
        (IsCounted(Prefix(2), anything), b"\0\1x", b"\0\2x", Kind.TRUNCATED),
        (IsCounted(Prefix(1), IsExactly(b"ab")), b"\2ab", b"\2aB", Kind.CORRUPT),
        (IsExactly(b"w8.0.0 abcdefg z"), b"w8.0.0 abcdefg z", b"w9.1.1 az", Kind.MISMATCH),
        (FirstOf([IsExactly(b"aaaa"), IsExactly(b"bbbb")]), b"bbbb", b"bbXb", Kind.CORRUPT),
    ],
)
def test_right_and_wrong(judge: Judge, right: bytes, wrong: bytes, kind: Kind) -> None:
    assert judge(right).problem is None
    assert fits(judge, right)
    problem = judge(wrong).problem
    assert problem is not None
    assert problem.kind is kind
    assert not fits(judge, wrong)


def test_the_first_that_fits_gives_its_name_and_empties_the_others() -> None:
    options: list[Judge] = [Named(StartsWith(b"a"), "first"), Named(HasLength(3), "second")]
    judge = FirstOf(options, ("A", "B"), "which", ("first", "second"))
    assert judge(b"abc").captured == {"which": b"A", "first": b"abc", "second": b""}
    assert judge(b"xyz").captured == {"which": b"B", "first": b"", "second": b"xyz"}
    problem = judge(b"xy").problem
    assert problem is not None
    assert "the nearest (" in problem.message
