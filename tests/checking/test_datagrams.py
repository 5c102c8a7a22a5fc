"""Datagrams: replies by rule, one for each, and what is wrong with one."""

from __future__ import annotations

import pytest

from loadmux.checking import datagrams, rules
from loadmux.checking.datagrams import Datagrams
from loadmux.errors import Kind


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("echo", b"a_SB\xff"),
        ("upper", b"A_SB\xff"),
        ("ok", b"ok"),
        ("received", b"Server received b'a_SB\\xff'"),
        ("upper_sb", b"A_SB\xff_SB"),
        ("hello", b"Hello Client!"),
    ],
)
def test_a_rule_has_one_reply_to_a_datagram(name: str, reply: bytes) -> None:
    rule = datagrams.rule(rules.rule(name))
    assert rule.likely(b"a_SB\xff") == reply
    assert not rule.weak
    verifier = rule.verifier()
    assert verifier.idle
    verifier.sent(b"a_SB\xff", True)
    assert not verifier.done
    assert verifier.feed(reply) == b""
    assert verifier.done
    assert verifier.feed(b"more") == b"more"


def test_every_rule_is_known() -> None:
    silent = {name for name in rules.RULES if not datagrams.rule(rules.rule(name)).likely(b"x")}
    assert silent == {"sink"}


def test_an_empty_datagram_has_a_reply_too() -> None:
    verifier = datagrams.rule(rules.rule("echo")).verifier()
    verifier.sent(b"", True)
    assert not verifier.done
    verifier.feed(b"")
    assert verifier.done


def test_a_new_reply_begins_after_the_last_one() -> None:
    verifier = Datagrams(bytes)
    verifier.sent(b"one", False)
    verifier.sent(b"two", False)
    verifier.feed(b"one")
    assert verifier.owed() == "one datagram"
    verifier.restart()
    assert (verifier.expected(), bytes(verifier.received)) == (b"two", b"")
    verifier.feed(b"twO")
    assert verifier.wrong_at == 2


@pytest.mark.parametrize(
    ("due", "arrived", "later", "pending", "kind"),
    [
        (["a1", "b2"], ["b2"], ["a1"], False, Kind.REORDERED),
        (["a1", "b2"], ["b2"], [], False, Kind.TIMEOUT),
        (["a1", "b2"], ["a1", "a1"], ["b2"], False, Kind.DUPLICATE),
        (["a1"], ["previous"], ["a1"], False, Kind.DUPLICATE),
        (["a1"], ["stranger"], ["a1"], False, Kind.SURPLUS),
        (["a1"], ["stranger"], ["a1"], True, Kind.REORDERED),
        (["a1"], ["somebody's"], ["a1"], False, Kind.CROSSTALK),
        (["a1"], ["somebody's"], [], False, Kind.CROSSTALK),
        (["message"], ["mess"], [], False, Kind.TRUNCATED),
        (["message"], [""], [], False, Kind.TRUNCATED),
        (["message"], ["message!"], [], False, Kind.SURPLUS),
        (["message"], ["messagemessage"], [], False, Kind.DUPLICATE),
        (["message"], ["massage"], [], False, Kind.CORRUPT),
        (["message"], ["0123456"], [], False, Kind.MISMATCH),
    ],
)
def test_what_is_wrong_with_a_datagram(
    due: list[str], arrived: list[str], later: list[str], pending: bool, kind: Kind
) -> None:
    finding = datagrams.diagnose(
        [one.encode() for one in due],
        [one.encode() for one in arrived],
        [one.encode() for one in later],
        pending=pending,
        previous=b"previous",
        owed_elsewhere=[("user 7, socket main", b"somebody's")],
    )
    assert finding.kind is kind
    assert (finding.belongs_to is not None) is (kind is Kind.CROSSTALK)


@pytest.mark.parametrize(
    ("extra", "kind", "text"),
    [
        ([b""], Kind.SURPLUS, "an empty datagram came that nobody asked for"),
        ([b"previous"], Kind.DUPLICATE, "the previous reply (8 bytes) came again"),
        ([b"news"], Kind.SURPLUS, "4 bytes came that nobody asked for"),
        ([b"news", b"x"], Kind.SURPLUS, "4 bytes came that nobody asked for; 2 datagrams in all"),
    ],
)
def test_datagrams_that_nobody_asked_for(extra: list[bytes], kind: Kind, text: str) -> None:
    finding = datagrams.diagnose_surplus(extra, previous=b"previous")
    assert (finding.kind, finding.message) == (kind, text)
