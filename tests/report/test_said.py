"""What is text is shown as text, in a bounded number of lines; what is none is left to the dump."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmux.errors import SAID, Evidence, Kind
from loadmux.report.said import LINES, WIDEST, as_text, lines, text_of


def heard(data: bytes, size: int | None = None) -> Evidence:
    evidence = Evidence(Kind.MISMATCH, "it was wrong")
    evidence.heard(data, size)
    return evidence


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"-ERR no\r\n", ["-ERR no"]),
        (b"550 5.1.1 nobody\r\n550 here\r\n", ["550 5.1.1 nobody", "550 here"]),
        ("größer als erlaubt".encode(), ["größer als erlaubt"]),
        (b"\x1b[31mred alert\x1b[0m", ["\x1b[31mred alert\x1b[0m"]),
        (b"two\n\nlines", ["two", "", "lines"]),
        (b"", []),
        (b"\x00\x00\x00\x05hello", []),
        (b"\xff\xfe\xfd not UTF-8", []),
        (bytes(range(32)), []),
    ],
)
def test_text_and_what_is_none(data: bytes, shown: list[str]) -> None:
    assert list(lines(heard(data))) == shown


def test_many_lines_are_counted() -> None:
    data = b"0123456789\n" * 20
    shown = list(lines(heard(data)))
    assert shown[:-1] == ["0123456789"] * LINES
    assert shown[-1] == f"… and {len(data) - (LINES * 11 - 1)} bytes more"


def test_a_long_line_is_cut() -> None:
    assert list(lines(heard(b"x" * 1000))) == ["x" * WIDEST + " …"]


def test_what_was_not_kept_is_counted_too() -> None:
    evidence = heard(b"\xc3\xa4" * SAID, 3 * SAID)
    assert len(evidence.said) == SAID
    *_, last = lines(evidence)
    assert last == f"… and {2 * SAID:,} bytes more"


def test_a_character_that_was_cut_in_two_does_not_make_it_binary() -> None:
    assert as_text(b"a\xc3", cut=True) == "a"
    assert as_text(b"a\xc3") is None
    assert text_of(heard("aä".encode()[:2], 3)) == "a"


@given(st.binary(max_size=200))
def test_any_bytes_can_be_looked_at(data: bytes) -> None:
    shown = list(lines(heard(data)))
    assert len(shown) <= LINES + 1
    assert all("\n" not in line for line in shown)
