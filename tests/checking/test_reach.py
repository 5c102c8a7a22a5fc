"""How far a reply fits a regex: never past what fits, and never an error, whatever comes."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadmux.checking.bodies import Matches
from loadmux.checking.reach import LONGEST, reach


def told(pattern: str, data: bytes) -> tuple[str, int | None]:
    problem = Matches(re.compile(pattern.encode()))(data).problem
    assert problem is not None
    return problem.message.partition(f"'{pattern}'")[2], problem.offset


@pytest.mark.parametrize(
    ("pattern", "data", "text", "offset"),
    [
        (
            r"VALUE (?P<key>\S+) 0 (\d+)",
            b"VALUE foo 1 36",
            ": it fits for 10 bytes, then '0' should follow",
            10,
        ),
        (r"\d{3} .*", b"2x0 ok", r": it fits for 1 byte, then \d should follow", 1),
        ("(GET|POST) /", b"POKE /", ": it fits for 2 bytes, then 'S' should follow", 2),
        ("(foo|bar){2}!", b"foobaz!", ": it fits for 5 bytes, then 'r' should follow", 5),
        ("(a(b(c(d))))e", b"abcx", ": it fits for 3 bytes, then 'd' should follow", 3),
        (".*foo", b"barfo", ": it fits as far as it goes, then 'o' should follow", 5),
        ("[0-9a-f]{8}", b"012345xx", ": it fits for 6 bytes, then [0-9a-f] should follow", 6),
        (r"[^\r\n]+", b"", r": it should begin with [^\r\n]", 0),
        (r"\+OK", b"-ERR", ": it should begin with '+'", 0),
        ("abc", b"abcd", ": it fits for 3 bytes, and 1 more came", 3),
        ("", b"x", ": it should be empty", 0),
        ("(?i)hello", b"HELP", ": it fits for 3 bytes, then 'l' should follow", 3),
        ("a.c", b"a\nc", ": it fits for 1 byte, then any byte but a line feed should follow", 1),
        (r"\x00\xff", b"\0\xfe", r": it fits for 1 byte, then '\xff' should follow", 1),
        (
            r"(?P<n>\d)(?P<l>[a-z])(?P=n)",
            b"1a2",
            ": it fits for 2 bytes, then more of the pattern should follow",
            2,
        ),
    ],
)
def test_how_far_it_fits(pattern: str, data: bytes, text: str, offset: int) -> None:
    assert told(pattern, data) == (text, offset)


def test_where_it_would_take_long_nothing_is_said() -> None:
    assert told(r"(\w+ )+x", b"foo bar y") == ("", None)
    assert reach(re.compile(b"a*b"), b"a" * (LONGEST + 1)) is None


PATTERNS = st.text("ab(?P<n>)[]{}\\\\*+|^$.01-,dws=!:", max_size=15)


@settings(max_examples=500)
@given(PATTERNS, st.binary(max_size=12) | st.text("ab01 ", max_size=12).map(str.encode))
@example("(?P<a>a)(?P=a)", b"ab")
@example("(?:a|b)++c", b"abd")
@example("(?>a+)b", b"aac")
@example("a{3,}?b", b"aab")
@example("(?<=a)b", b"bb")
@example("(" * 90 + ")" * 90, b"a")
@example("a{1000}", b"a" * 999)
@example("", b"a")
def test_it_is_within_the_reply_and_never_an_error(pattern: str, data: bytes) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern.encode())
    except (re.error, OverflowError, RecursionError):
        return
    if compiled.fullmatch(data) is not None:
        return
    found = reach(compiled, data)
    assert found is None or 0 <= found.end <= len(data)
    assert found is None or found.wanted or found.end < len(data)


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=40), st.data())
def test_of_constant_bytes_it_is_the_first_that_differs(reply: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(reply) - 1))
    wrong = draw.draw(st.integers(0, 255).filter(lambda byte: byte != reply[at]))
    came = reply[:at] + bytes([wrong]) + reply[at + 1 :]
    found = reach(re.compile(re.escape(reply), re.DOTALL), came)
    assert found is not None
    assert found.end == at
