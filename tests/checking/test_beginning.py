"""Whether bytes may be the beginning of a match: never "no" where they are one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmux.checking.beginning import LONGEST, can_begin

PATTERNS = [
    rb"ping \d+",
    rb"(?:ab)*c",
    rb"(?:ab)+c",
    rb"(?:foo)?bar",
    rb"\d+(?:\.\d+)?x",
    rb"(?P<a>ab|abc)d",
    rb"[A-Z]{2,4} .*",
    rb"(?i)push [^ ]*",
    rb"(a|b)*?abb",
    rb"^:\S+ PRIVMSG (?:#a|#b) :.*$",
    rb"(?=p)ping",
    rb"(?s)x.y",
    rb"(a)\1b",
    rb"(?i:pi)ng",
]
TEXTS = [
    b"ping 12",
    b"c",
    b"ababc",
    b"bar",
    b"foobar",
    b"12.5x",
    b"7x",
    b"abcd",
    b"abd",
    b"AB cd",
    b"PuSh now",
    b"abbabb",
    b":me PRIVMSG #b :hello",
    b"x\ny",
    b"aab",
    b"PIng",
    b"ping",
]
MADE = [one for one in PATTERNS if b"(?i" not in one]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_beginning_of_a_match_may_be_one(pattern: bytes) -> None:
    compiled = re.compile(pattern)
    whole = [text for text in TEXTS if compiled.fullmatch(text)]
    assert whole
    for text in whole:
        for end in range(len(text) + 1):
            assert can_begin(compiled, text[:end]), text[:end]


@pytest.mark.parametrize(
    ("pattern", "begun"),
    [
        (rb"ping \d+", b"pong"),
        (rb"ping \d+", b"ping x"),
        (rb"(?:ab)*c", b"aba "),
        (rb"(?:foo)?bar", b"fob"),
        (rb"\d+(?:\.\d+)?x", b"12.x"),
        (rb"[A-Z]{2,4} .*", b"ABCDE"),
        (rb"a{2}", b"aaa"),
        (rb"x.y", b"x\n"),
        (rb"(?i)push .*", b"pull"),
        (rb"a*b", b"a" * 1000 + b"c"),
    ],
)
def test_what_no_match_begins_with(pattern: bytes, begun: bytes) -> None:
    assert not can_begin(re.compile(pattern), begun)


def test_what_is_too_long_to_be_followed_may_be_one() -> None:
    assert can_begin(re.compile(rb"a*b"), b"c" * (LONGEST + 1))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_beginning_of_a_match_is_refused(data: st.DataObject) -> None:
    pattern = re.compile(data.draw(st.sampled_from(MADE)))
    text = data.draw(st.from_regex(pattern, fullmatch=True))
    assert can_begin(pattern, text[: data.draw(st.integers(0, len(text)))])
