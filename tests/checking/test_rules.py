"""Each reply form and rule by example: every cut of a stream, ways to be wrong, the bounds."""

from __future__ import annotations

import random

import pytest

from loadmux.checking import rules, verifying
from loadmux.checking.rules import rule
from loadmux.checking.verifying import Exact, LengthOf, RuleVerifier, UntilDelimiter, Verifier

OK = "ok"
QUOTES = b"""it's "so" \\ \n\x00\xff"""
REPLIES = [
    ("echo", b"one two", b"one two"),
    ("upper", b"One two \xe9", b"ONE TWO \xe9"),
    ("ok", b"one", b"ok"),
    ("hello", b"one", b"Hello Client!"),
    ("received", b"one", b"Server received b'one'"),
    ("received", b"it's", b'Server received b"it\'s"'),
    ("received", b'a"b', b"Server received b'a\"b'"),
    ("received", QUOTES, b"Server received " + repr(QUOTES).encode()),
    ("received", b"a'b\"c", b"Server received b\"a'\"Server received b'b\"c'"),
    ("received", b"ab\n", b"Server received b'a'Server received b'b'Server received b'\\n'"),
    ("upper_sb", b"one", b"ONE_SB"),
    ("upper_sb", b"one", b"ON_SBE_SB"),
    ("upper_sb", b"a_b__c_", b"A_B__C__SB"),
    ("upper_sb", b"_", b"__SB"),
]


def owing(name: str, *messages: bytes, lockstep: bool = False) -> RuleVerifier:
    verifier = rule(name).verifier()
    for message in messages:
        verifier.sent(message, lockstep)
    return verifier


def feed(verifier: Verifier, *chunks: bytes) -> bytes:
    """Feed like the driver, which stops at the first wrong byte; what was handed back, joined."""
    rest = b""
    for chunk in chunks:
        if verifier.wrong_at is None:
            rest += verifier.feed(chunk)
    return rest


@pytest.mark.parametrize(("name", "sent", "reply"), REPLIES)
def test_a_right_reply_cut_anywhere(name: str, sent: bytes, reply: bytes) -> None:
    for cut in range(1, len(reply) + 1):
        verifier = owing(name, sent)
        assert feed(verifier, reply[:cut]) == b""
        assert verifier.wrong_at is None
        assert verifier.done == (cut == len(reply))
        assert feed(verifier, reply[cut:]) == b""
        assert verifier.done
        assert verifier.received == reply == verifier.expected()


@pytest.mark.parametrize(("name", "sent", "reply"), REPLIES)
def test_a_right_reply_byte_by_byte_and_what_follows(name: str, sent: bytes, reply: bytes) -> None:
    verifier = owing(name, sent, lockstep=True)
    for byte in reply:
        assert not verifier.done
        assert verifier.feed(bytes([byte])) == b""
    assert verifier.done
    assert verifier.idle
    assert verifier.feed(b"more") == b"more"
    assert verifier.done
    assert verifier.wrong_at is None
    whole = owing(name, sent, lockstep=True)
    assert whole.feed(reply + b"more") == b"more"
    assert whole.received == reply


@pytest.mark.parametrize(
    ("name", "sent", "reply", "wrong_at"),
    [
        ("echo", b"one two", b"one twe", 6),
        ("echo", b"one", b"One and more", 0),
        ("upper", b"one", b"ONe", 2),
        ("upper", b"\xe9", b"\xc9", 0),
        ("ok", b"one", b"oK", 1),
        ("hello", b"one", b"Hello client!", 6),
        ("received", b"one", b"Server received b'onE'", 20),
        ("received", b"one", b"server received b'one'", 0),
        ("received", b"one", b"Server received 'one'", 16),
        ("received", b"one", b"Server received b''", 18),
        ("received", b"one", b'Server received b"one"', 17),
        ("received", b"it's", b"Server received b'it\\'s'", 20),
        ("received", b"it's", b'Server received b"it\\\'s"', 20),
        ("received", b"it's", b'Server received b"it"', 20),
        ("received", b"'\"", b"Server received b'\\''", 20),
        ("received", b"'", b"Server received b'", 17),
        ("received", b"\"'", b'Server received b"', 17),
        ("received", b"\xff", b"Server received b'\\xFF'", 20),
        ("received", b"\xff", b"Server received b'\xff'", 18),
        ("received", b"\n", b"Server received b'\\x0a'", 19),
        ("received", b"\n", b"Server received b'\\'", 19),
        ("received", b"ab", b"Server received b'ab\"", 20),
        ("received", b"ab", b"Server received b'a'Server received b''", 38),
        ("received", b"ab", b"Server received b'abc'", 20),
        ("upper_sb", b"one", b"ONE_Sb", 5),
        ("upper_sb", b"one", b"One_SB", 1),
        ("upper_sb", b"one", b"_SBONE_SB", 0),
        ("upper_sb", b"one", b"ON_SB_SBE_SB", 5),
        ("upper_sb", b"a_b", b"A_Sb", 3),
        ("upper_sb", b"a_b", b"A_c", 2),
        ("upper_sb", b"one", b"ONE one", 3),
    ],
)
def test_the_first_wrong_byte(name: str, sent: bytes, reply: bytes, wrong_at: int) -> None:
    for cut in range(len(reply)):
        verifier = owing(name, sent, lockstep=True)
        assert feed(verifier, reply[:cut], reply[cut:]) == b""
        assert verifier.wrong_at == wrong_at
        assert not verifier.done
        assert verifier.received == (reply if cut <= wrong_at else reply[:cut])
        expected = verifier.expected()
        assert expected[:wrong_at] == reply[:wrong_at]
        assert expected[wrong_at : wrong_at + 1] not in (b"", reply[wrong_at : wrong_at + 1])


@pytest.mark.parametrize(
    ("name", "sent", "came", "expected"),
    [
        ("received", b"abcd", b"Server rec", b"Server received b'abcd'"),
        ("received", b"abcd", b"Server received b'a'Serv", None),
        ("received", b"it's", b'Server received b"i', b'Server received b"it\'s"'),
        ("received", b"a'b\"c", b'Server received b"a', None),
        ("upper_sb", b"abcd", b"AB", b"ABCD_SB"),
        ("upper_sb", b"abcd", b"AB_", b"AB_SBCD_SB"),
        ("upper_sb", b"abcd", b"ABCD", b"ABCD_SB"),
        ("ok", b"abcd", b"", b"ok"),
        ("hello", b"abcd", b"Hell", b"Hello Client!"),
    ],
)
def test_what_is_expected_while_the_reply_is_under_way(
    name: str, sent: bytes, came: bytes, expected: bytes | None
) -> None:
    if expected is None and sent == b"abcd":
        expected = b"Server received b'a'Server received b'bcd'"
    elif expected is None:
        expected = b"Server received b\"a'b\"Server received b'\"c'"
    verifier = owing(name, sent)
    assert verifier.feed(came) == b""
    assert verifier.expected() == expected


@pytest.mark.parametrize(
    ("name", "came", "expected"),
    [
        # A changed byte: the cuts of what came.
        (
            "received",
            b"Server received b'axc'Server received b'def'",
            b"Server received b'abc'Server received b'def'",
        ),
        ("upper_sb", b"AXC_SBDEF_SB", b"ABC_SBDEF_SB"),
        # A chunk twice: the cuts after it.
        (
            "received",
            b"Server received b'abc'Server received b'abc'"
            b"Server received b'de'Server received b'f'",
            b"Server received b'abc'Server received b'de'Server received b'f'",
        ),
        ("upper_sb", b"ABC_SBABC_SBDE_SBF_SB", b"ABC_SBDE_SBF_SB"),
        # A chunk lost.
        (
            "received",
            b"Server received b'a'Server received b'def'",
            b"Server received b'a'Server received b'bc'Server received b'def'",
        ),
        ("upper_sb", b"A_SBDEF_SB", b"A_SBBC_SBDEF_SB"),
        # Two chunks swapped, one longer than the other.
        (
            "received",
            b"Server received b'cdef'Server received b'ab'",
            b"Server received b'abcd'Server received b'ef'",
        ),
        ("upper_sb", b"CDEF_SBAB_SB", b"ABCD_SBEF_SB"),
        # A part of an answer.
        ("received", b"Server received b'abXYZ", b"Server received b'abcdef'"),
        ("received", b"Server abcdef", b"Server received b'abcdef'"),
        ("upper_sb", b"ABC_SDEF_SB", b"ABC_SBDEF_SB"),
    ],
)
def test_what_is_expected_after_a_wrong_byte_is_cut_like_what_came(
    name: str, came: bytes, expected: bytes
) -> None:
    verifier = owing(name, b"abcdef")
    verifier.feed(came)
    assert verifier.wrong_at is not None
    assert verifier.expected() == expected


@pytest.mark.parametrize("name", ["ok", "hello"])
def test_a_lockstep_message_gets_exactly_one_answer(name: str) -> None:
    word = rule(name).likely(b"x")
    assert word
    verifier = owing(name, bytes(1024), lockstep=True)
    assert verifier.owed() == f"at least one {word.decode()!r}"
    assert verifier.feed(word + word) == word
    assert (verifier.done, verifier.idle, verifier.owed()) == (True, True, "nothing")


def test_a_long_message_may_get_more_answers_up_to_one_a_byte() -> None:
    verifier = owing(OK, bytes(1025), lockstep=True)
    assert verifier.feed(b"okok") == b""
    assert (verifier.done, verifier.idle) == (True, False)
    assert verifier.feed(b"ok" * 1030) == b"ok" * 7
    assert verifier.idle


def test_pipelined_messages_get_one_answer_or_more() -> None:
    verifier = owing(OK, b"ab", b"c")
    verifier.feed(b"ok")
    assert verifier.done
    verifier.restart()
    assert verifier.feed(b"okokok") == b"ok"
    assert verifier.received == b"okok"
    assert verifier.idle


def test_an_answer_that_had_come_before_a_message_does_not_answer_it() -> None:
    verifier = owing(OK, b"ab")
    assert verifier.feed(b"oko") == b""
    verifier.sent(b"cd", lockstep=True)
    verifier.restart()
    assert verifier.owed() == "at least 2 'ok'"
    verifier.feed(b"k")
    assert not verifier.done
    verifier.feed(b"ok")
    assert verifier.done
    assert verifier.expected() == b"kok"


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_what_is_no_further_answer_is_handed_back_from_its_begin(cut: int) -> None:
    verifier = owing(OK, b"abc")
    came = b"okoX"
    assert feed(verifier, came[:cut], came[cut:]) == b"oX"
    assert verifier.received == b"ok"
    assert verifier.wrong_at is None


def test_a_half_answer_taken_before_a_restart_is_handed_back_too() -> None:
    verifier = owing(OK, b"abc")
    verifier.feed(b"oko")
    verifier.restart()
    assert verifier.done
    assert verifier.feed(b"X") == b"oX"
    assert verifier.received == b""


def test_upper_sb_with_the_suffix_in_the_payload_may_go_on() -> None:
    verifier = owing("upper_sb", b"a_sb")
    assert verifier.feed(b"A_SB") == b""
    assert not verifier.done
    assert verifier.feed(b"_SB") == b""
    assert (verifier.done, verifier.idle) == (True, False)
    assert verifier.feed(b"_SB!") == b"!"
    assert (verifier.done, verifier.idle) == (True, True)


@pytest.mark.parametrize("cut", range(1, 9))
def test_upper_sb_hands_back_what_began_like_more(cut: int) -> None:
    verifier = owing("upper_sb", b"a_sb")
    came = b"A_SB_SB_X"
    assert feed(verifier, came[:cut], came[cut:]) == b"_X"
    assert verifier.received == b"A_SB_SB"
    assert verifier.idle


def test_upper_sb_more_is_owed_after_what_began_like_more() -> None:
    verifier = owing("upper_sb", b"a_sb")
    verifier.feed(b"A_SB_SB_S")
    assert verifier.done
    verifier.sent(b"b", lockstep=False)
    verifier.restart()
    assert verifier.feed(b"BB_SB") == b""
    assert verifier.done
    other = owing("upper_sb", b"a_sb")
    other.feed(b"A_SB_SB_S")
    other.sent(b"b", lockstep=False)
    other.restart()
    other.feed(b"BX")
    assert other.wrong_at == 1


@pytest.mark.parametrize("name", ["echo", "upper", "received", "upper_sb"])
def test_a_restart_in_the_middle_counts_from_there(name: str) -> None:
    reply = rule(name).likely(b"abcdef")
    assert reply is not None
    for cut in range(1, len(reply)):
        verifier = owing(name, b"abcdef")
        verifier.feed(reply[:cut])
        verifier.restart()
        assert not verifier.done
        assert verifier.received == b""
        assert verifier.expected() == reply[cut:]
        wrong = owing(name, b"abcdef")
        wrong.feed(reply[:cut])
        wrong.restart()
        wrong.feed(b"\x01")
        assert wrong.wrong_at == 0
        assert wrong.expected()[:1] == reply[cut : cut + 1]
        verifier.feed(reply[cut:])
        assert verifier.done
        verifier.restart()
        assert verifier.done
        assert verifier.expected() == b""


def test_received_holds_nothing_that_was_sent_after_its_answer_had_begun() -> None:
    verifier = owing("received", b"ab")
    verifier.feed(b"S")
    verifier.sent(b"c", lockstep=False)
    verifier.feed(b"erver received b'abc'")
    assert verifier.wrong_at == 20
    fresh = owing("received", b"ab", b"c")
    fresh.feed(b"Server received b'abc'")
    assert fresh.done


def test_received_a_quote_of_a_later_message_does_not_excuse_an_escape() -> None:
    verifier = owing("received", b"'")
    verifier.feed(b"Server received b")
    verifier.sent(b'"', lockstep=False)
    verifier.feed(b"'")
    assert verifier.wrong_at == 17


@pytest.mark.parametrize("name", rules.RULES)
def test_nothing_sent_owes_nothing(name: str) -> None:
    verifier = rule(name).verifier()
    verifier.sent(b"", lockstep=True)
    assert (verifier.done, verifier.idle, verifier.expected()) == (True, True, b"")
    assert verifier.owed() == "nothing"
    assert verifier.feed(b"x") == b"x"
    assert verifier.received == b""


def test_sink_awaits_nothing_and_takes_nothing() -> None:
    verifier = owing("sink", b"abc", lockstep=True)
    assert (verifier.done, verifier.idle, verifier.owed()) == (True, True, "nothing")
    assert verifier.feed(b"abc") == b"abc"


@pytest.mark.parametrize(
    ("name", "sent", "likely"),
    [
        ("echo", b"aB", b"aB"),
        ("upper", b"aB\xe9", b"AB\xe9"),
        ("ok", b"a" * 1024, b"ok"),
        ("ok", b"a" * 1025, None),
        ("hello", b"a", b"Hello Client!"),
        ("hello", b"a" * 1025, None),
        ("received", b"it's", b'Server received b"it\'s"'),
        ("received", bytes(65537), None),
        ("upper_sb", b"aB", b"AB_SB"),
        ("upper_sb", b"_sB", b"_SB_SB"),
        ("upper_sb", b"a_sB", None),
        ("upper_sb", bytes(65537), None),
        ("sink", b"a", b""),
        *((name, b"", b"") for name in rules.RULES),
    ],
)
def test_the_likely_reply(name: str, sent: bytes, likely: bytes | None) -> None:
    assert rule(name).likely(sent) == likely


def test_only_counting_rules_are_weak() -> None:
    assert rules.RULES == ("echo", "upper", "ok", "received", "upper_sb", "hello", "sink")
    assert [name for name in rules.RULES if rule(name).weak] == ["ok", "hello"]
    assert [rule(name).name for name in rules.RULES] == list(rules.RULES)


@pytest.mark.parametrize(
    ("name", "came", "owed"),
    [
        ("echo", b"On", "4 of 6 bytes"),
        ("received", b"Server received b'On'", "the answer to the last 4 bytes that were sent"),
        ("upper_sb", b"ONE", "the answer to the last 3 bytes that were sent"),
        ("upper_sb", b"ONE TW", "nothing more to answer, only the end of the reply"),
        ("ok", b"o", "at least one 'ok'"),
        ("hello", b"", "at least one 'Hello Client!'"),
    ],
)
def test_what_is_owed(name: str, came: bytes, owed: str) -> None:
    verifier = owing(name, b"One Tw")
    verifier.feed(came)
    assert verifier.owed() == owed


def test_exact() -> None:
    verifier = Exact(b"abcdef")
    assert verifier.owed() == "6 of 6 bytes"
    assert verifier.feed(b"abc") == b""
    assert (verifier.done, verifier.owed()) == (False, "3 of 6 bytes")
    assert verifier.feed(b"defgh") == b"gh"
    assert (verifier.done, verifier.owed(), bytes(verifier.received)) == (
        True,
        "nothing",
        b"abcdef",
    )
    assert verifier.feed(b"i") == b"i"
    assert Exact(b"").done
    wrong = Exact(b"abcdef")
    wrong.feed(b"ab")
    assert wrong.feed(b"cDefgh") == b""
    assert (wrong.wrong_at, bytes(wrong.received)) == (3, b"abcDefgh")
    assert wrong.expected() == b"abcdef"


def test_length() -> None:
    verifier = LengthOf(5)
    assert verifier.feed(b"abc") == b""
    assert (verifier.done, verifier.owed()) == (False, "2 of 5 bytes")
    assert verifier.feed(b"defg") == b"fg"
    assert (verifier.done, bytes(verifier.received), verifier.expected()) == (True, b"abcde", b"")
    assert verifier.feed(b"h") == b"h"
    assert LengthOf(0).done


def test_until_a_delimiter_that_is_cut_anywhere() -> None:
    stream = b"a-b--\r\n--c"
    for first in range(len(stream)):
        for second in range(first, len(stream)):
            verifier = UntilDelimiter(b"\r\n--")
            chunks = stream[:first], stream[first:second], stream[second:]
            assert feed(verifier, *chunks) == b"c"
            assert verifier.received == b"a-b--\r\n--"
            assert verifier.done


def test_until_a_delimiter_that_does_not_come() -> None:
    verifier = UntilDelimiter(b"\n")
    assert verifier.feed(b"abc") == b""
    assert (verifier.done, verifier.owed()) == (False, "the delimiter b'\\n'")


def test_until_a_delimiter_within_the_longest_frame() -> None:
    verifier = UntilDelimiter(b"\n\n")
    assert verifier.feed(bytes(verifying.MAX_FRAME - 2)) == b""
    assert verifier.feed(b"\n\nx") == b"x"
    assert verifier.done
    late = UntilDelimiter(b"\n\n")
    late.feed(bytes(verifying.MAX_FRAME - 1))
    assert late.feed(b"\n\nx") == b""
    assert (late.done, late.wrong_at) == (False, verifying.MAX_FRAME)


@pytest.mark.parametrize("name", ["echo", "upper", "received", "upper_sb"])
@pytest.mark.parametrize("seed", [1, 2])
def test_large_replies(name: str, seed: int) -> None:
    chance = random.Random(seed)
    sent = chance.randbytes(300_000)
    step = chance.choice([1_000, 16_384, 65_536])
    reply = b"".join(
        rule(name).likely(sent[at : at + step]) or b"" for at in range(0, len(sent), step)
    )
    verifier = owing(name, sent)
    assert feed(verifier, *(reply[at : at + 65_536] for at in range(0, len(reply), 65_536))) == b""
    assert verifier.done
    place = chance.randrange(len(reply))
    flipped = reply[:place] + bytes([reply[place] ^ 0x80]) + reply[place + 1 :]
    verifier = owing(name, sent)
    feed(verifier, *(flipped[at : at + 65_536] for at in range(0, len(flipped), 65_536)))
    assert verifier.wrong_at == place
    verifier.received += flipped[len(verifier.received) :]
    assert verifier.expected() == reply


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 100])
def test_first_difference(size: int) -> None:
    left = bytes(range(size))
    assert verifying.first_difference(left, left + b"x") == size
    for place in range(size):
        right = left[:place] + b"\xff" + left[place + 1 :]
        assert verifying.first_difference(left, right) == place
        assert verifying.first_difference(left + b"ab", right) == place
