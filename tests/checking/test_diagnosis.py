"""The kind of wrong, by example: what each kind looks like, and what tells it from the others."""

from __future__ import annotations

import random
from typing import Literal

import pytest

from loadmux.checking.checksums import checksum, width
from loadmux.checking.diagnosis import Finding, Owed, diagnose, diagnose_surplus, excerpt
from loadmux.checking.verifying import first_difference
from loadmux.errors import Kind

MINE = b"Server received b'This is the message.'"
OTHERS = b"Server received b'It was sent in parts'"
BEFORE = b"Server received b'So it began'"
ELSEWHERE: Owed = [("user 0, socket second", OTHERS), ("user 1, socket first", MINE)]
CROWD: Owed = [
    (f"user {number}, socket main", b"hello from %04d\n" % number) for number in range(500)
]


def judged(
    expected: bytes, received: bytes, previous: bytes = b"", owed_elsewhere: Owed = ()
) -> Finding:
    at = first_difference(expected, received)
    assert at < len(received), "nothing is wrong"
    finding = diagnose(expected, received, at, previous=previous, owed_elsewhere=owed_elsewhere)
    assert finding.offset == at
    assert "\n" not in finding.message
    return finding


def flipped(data: bytes, at: int, bit: int = 1) -> bytes:
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


# What came, with BEFORE as the previous reply and OTHERS owed to another socket.
KINDS = [
    ("one bit", flipped(MINE, 20), Kind.CORRUPT),
    ("the first byte", flipped(MINE, 0), Kind.CORRUPT),
    ("the last byte", flipped(MINE, len(MINE) - 1), Kind.CORRUPT),
    ("a whole byte", MINE[:20] + b"\xff" + MINE[21:], Kind.CORRUPT),
    ("three bytes", MINE[:20] + b"???" + MINE[23:], Kind.CORRUPT),
    ("bytes far apart", flipped(flipped(MINE, 5), 30, 64), Kind.CORRUPT),
    ("one bit, then the next reply", flipped(MINE, 20) + OTHERS, Kind.CORRUPT),
    ("one bit, then the same reply again", flipped(MINE, 20) + MINE, Kind.CORRUPT),
    ("one bit, then a quiet", flipped(MINE, 20)[:25], Kind.CORRUPT),
    ("the previous reply alone", BEFORE, Kind.MISMATCH),
    ("the previous reply twice", BEFORE + BEFORE, Kind.MISMATCH),
    ("the previous reply first", BEFORE + MINE, Kind.DUPLICATE),
    ("the previous reply first, then a part", BEFORE + MINE[:10], Kind.DUPLICATE),
    ("the previous reply first, then the next ones", BEFORE + MINE + OTHERS, Kind.DUPLICATE),
    ("a part of the previous reply", BEFORE[:-4], Kind.MISMATCH),
    ("a part of the previous reply first", BEFORE[:-4] + MINE, Kind.DUPLICATE),
    ("the previous reply in between", MINE[:25] + BEFORE + MINE[25:], Kind.DUPLICATE),
    ("a stretch twice", MINE[:30] + MINE[18:], Kind.DUPLICATE),
    ("a byte twice", MINE[:19] + MINE[18:], Kind.DUPLICATE),
    ("an earlier stretch again", MINE[:30] + MINE[:12] + MINE[30:], Kind.DUPLICATE),
    ("the beginning in place of the end", MINE[:26] + MINE[:13], Kind.MISMATCH),
    ("halves swapped", MINE[20:] + MINE[:20], Kind.REORDERED),
    ("parts swapped", MINE[:18] + MINE[26:30] + MINE[18:26] + MINE[30:], Kind.REORDERED),
    ("three parts mixed", MINE[20:30] + MINE[:10] + MINE[30:] + MINE[10:20], Kind.REORDERED),
    ("two bytes swapped", MINE[:4] + MINE[5:3:-1] + MINE[6:], Kind.REORDERED),
    ("swapped, the end not seen", MINE[:10] + MINE[25:] + MINE[10:20], Kind.REORDERED),
    ("a stretch lost", MINE[:10] + MINE[20:], Kind.TRUNCATED),
    ("a byte lost", MINE[:20] + MINE[21:], Kind.TRUNCATED),
    ("the first byte lost", MINE[1:], Kind.TRUNCATED),
    ("all but the ends lost", MINE[:10] + MINE[-2:], Kind.TRUNCATED),
    ("a stretch lost, then the next reply", MINE[:10] + MINE[20:] + BEFORE, Kind.TRUNCATED),
    ("a stretch lost, then a quiet", MINE[:4] + MINE[9:30], Kind.TRUNCATED),
    ("another's reply alone", OTHERS, Kind.CROSSTALK),
    ("another's reply first", OTHERS + MINE, Kind.CROSSTALK),
    ("another's reply first, then a part", OTHERS + MINE[:9], Kind.CROSSTALK),
    ("another's reply in between", MINE[:25] + OTHERS + MINE[25:], Kind.CROSSTALK),
    ("a part of another's reply", OTHERS[:-9], Kind.CROSSTALK),
    ("another's reply, then something else", OTHERS + b"something else", Kind.CROSSTALK),
    ("a stretch of another's", MINE[:18] + OTHERS[20:] + b"####", Kind.CROSSTALK),
    ("extra bytes", MINE[:20] + b"\x00\x00" + MINE[20:], Kind.SURPLUS),
    ("extra bytes first", b"HTTP/1.1 200 OK" + MINE, Kind.SURPLUS),
    ("extra bytes, then the next reply", MINE[:20] + b"xy" + MINE[20:] + OTHERS, Kind.SURPLUS),
    ("extra bytes, then a quiet", MINE[:20] + b"xy" + MINE[20:30], Kind.SURPLUS),
    ("something else", b"-ERR unknown command\r\n", Kind.MISMATCH),
    ("something else of the same length", b"#" * len(MINE), Kind.MISMATCH),
    ("another body of the same length", MINE[:18] + b"0123456789abcdefghi?'", Kind.MISMATCH),
]


@pytest.mark.parametrize(
    ("received", "kind"), [pytest.param(*case[1:], id=case[0]) for case in KINDS]
)
def test_each_kind(received: bytes, kind: Kind) -> None:
    finding = judged(MINE, received, BEFORE, ELSEWHERE)
    assert finding.kind == kind, finding.message
    owner = "user 0, socket second" if kind is Kind.CROSSTALK else None
    assert finding.belongs_to == owner
    if owner is not None:
        assert owner in finding.message


@pytest.mark.parametrize("behind", [[b"Server received b'next'", b"and the last"], [MINE] * 3])
@pytest.mark.parametrize(
    ("received", "kind"), [pytest.param(*case[1:], id=case[0]) for case in KINDS]
)
def test_right_replies_behind_it_change_nothing(
    received: bytes, kind: Kind, behind: list[bytes]
) -> None:
    """Also where all are alike, and the end of any of them lines up with that of the wrong one."""
    came = received + b"".join(behind)
    finding = diagnose(
        MINE,
        came,
        first_difference(MINE, came),
        previous=BEFORE,
        owed_elsewhere=ELSEWHERE,
        later=[(f"step {number}", reply) for number, reply in enumerate(behind)],
        pending=True,
    )
    assert finding.kind == kind, finding.message


@pytest.mark.parametrize(
    ("expected", "received", "previous", "elsewhere", "kind"),
    [
        # One byte: nothing but what this socket itself had can be recognised in it.
        (b"a", b"b", b"", [], Kind.MISMATCH),
        (b"a", b"c", b"", [], Kind.CORRUPT),  # one bit
        (b"a", b"b", b"b", [], Kind.MISMATCH),
        (b"a", b"ba", b"b", [], Kind.DUPLICATE),
        (b"a", b"b", b"", [("user 1, socket main", b"b")], Kind.MISMATCH),
        (b"a", b"ba", b"", [("user 1, socket main", b"b")], Kind.SURPLUS),
        # Two and more.
        (b"ok", b"oj", b"", [], Kind.CORRUPT),
        (b"ok", b"no", b"", [], Kind.MISMATCH),
        (b"ok", b"ko", b"", [], Kind.REORDERED),
        (b"ok", b"no", b"no", [], Kind.MISMATCH),
        (b"ok", b"nook", b"no", [], Kind.DUPLICATE),
        (b"ok", b"k", b"", [], Kind.TRUNCATED),
        (b"ok", b"oxk", b"", [], Kind.SURPLUS),
        # The first byte is that of a short previous reply, and all the rest is right in place.
        (b"yyyyy", b"xyyyy", b"x", [], Kind.CORRUPT),
        (b"yyyyy", b"xyyyyy", b"x", [], Kind.DUPLICATE),
        # Repetitive replies.
        (b"ab" * 8, b"ab" * 4 + b"x" + b"ab" * 4, b"", [], Kind.SURPLUS),
        (b"ab" * 8, b"ab" * 4 + b"b" + b"ab" * 4, b"", [], Kind.DUPLICATE),
        (b"ab" * 8, b"ab" * 4 + b"ax" + b"ab" * 3, b"", [], Kind.CORRUPT),
        (b"ab" * 8, b"ab" * 4 + b"b" + b"ab" * 3, b"", [], Kind.TRUNCATED),
        (b"ab" * 8, b"ab" * 4 + b"ba" + b"ab" * 3, b"", [], Kind.REORDERED),
        (b"a" * 8, b"aaabaaaa", b"", [], Kind.CORRUPT),
        (b"a" * 8, b"aaabaaaaa", b"", [], Kind.SURPLUS),
        # What another socket awaits too is no crosstalk if it was this one's previous reply.
        (b"second", b"first", b"first", [("user 1, socket main", b"first")], Kind.MISMATCH),
        (b"third", b"first", b"second", [("user 1, socket main", b"first")], Kind.CROSSTALK),
        (b"second", b"first", b"first", [("user 1, socket main", b"firs")], Kind.MISMATCH),
        # Padding that another's reply has too proves nothing.
        (
            b"header" + bytes(32),
            b"header" + b"\xff" * 32,
            b"",
            [("user 1, socket main", b"other" + b"\xff" * 64)],
            Kind.MISMATCH,
        ),
        # A template: the rest after the wrong byte is everybody's.
        (b"no 5: the same for all", b"no 4: the same for all", b"no 4: the same for all", [],
         Kind.MISMATCH),
        (b"no 5: the same for all", b"no 4: the same for all", b"no 3: the same for all", [],
         Kind.CORRUPT),
        (b"no 5: the same for all", b"no 7: the same for", b"no 3: the same for all", [],
         Kind.CORRUPT),
    ],
)  # fmt: skip
def test_what_may_be_several_kinds(
    expected: bytes, received: bytes, previous: bytes, elsewhere: Owed, kind: Kind
) -> None:
    finding = judged(expected, received, previous, elsewhere)
    assert finding.kind == kind, finding.message


def test_replies_that_differ_in_the_user_number_only() -> None:
    mine = b"hello from 0012\n"
    others = [one for one in CROWD if one[1] != mine]
    near = [one for one in others if one[0] in ("user 13, socket main", "user 70, socket main")]
    assert judged(mine, b"hello from 0070\n", b"", others).belongs_to == "user 70, socket main"
    assert judged(mine, b"hello from 0070\n", b"", near).belongs_to == "user 70, socket main"
    # One bit away: with two others, a mix-up is likelier than a flip into just this one ...
    assert judged(mine, b"hello from 0013\n", b"", near).belongs_to == "user 13, socket main"
    # ... with 499 others, it is not; but the report says so.
    finding = judged(mine, b"hello from 0013\n", b"", others)
    assert finding.kind is Kind.CORRUPT
    assert finding.belongs_to is None
    assert "user 13, socket main" in finding.message
    # A byte that no user number has.
    finding = judged(mine, b"hello from 001\x32\n"[:-2] + b":\n", b"", others)
    assert finding.kind is Kind.CORRUPT
    assert "user" not in finding.message


def test_a_byte_of_a_short_message_that_many_others_await() -> None:
    mine = b"Server received b'a'"
    others = [
        (f"user {number}, socket main", b"Server received b'%c'" % (98 + number % 25))
        for number in range(1000)
    ]
    finding = judged(mine, b"Server received b'c'", b"", others)
    assert finding.kind is Kind.CROSSTALK
    assert finding.belongs_to == "user 1, socket main"
    assert "(or to one of 39 others)" in finding.message


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (
            flipped(MINE, 20, 2),
            "byte 20 of the reply is 0x6b, expected 0x69 (one bit differs);"
            " the other 38 of 39 bytes are right",
        ),
        (
            MINE[:20] + b"\x00\x00" + MINE[22:],
            "byte 20 of the reply is 0x00, expected 0x69, and 1 more up to byte 21;"
            " the other 37 of 39 bytes are right",
        ),
        (
            flipped(MINE, 20, 2)[:25],
            "byte 20 of the reply is 0x6b, expected 0x69;"
            " the other 24 of 25 bytes are right, 14 did not come",
        ),
        (
            BEFORE,
            "it is equal to the previous reply (30 bytes); the right one did not follow",
        ),
        (
            BEFORE * 3,
            "it is equal to the previous reply (30 bytes), 3 times; the right one did not follow",
        ),
        (BEFORE + MINE, "the previous reply (30 bytes) came again"),
        (
            BEFORE[:-4],
            "its first 26 bytes are those of the previous reply; the right one did not follow",
        ),
        (BEFORE[:-4] + MINE, "26 bytes of the previous reply came again"),
        (
            MINE[:25] + BEFORE + MINE[25:],
            "the previous reply (30 bytes) came again, at byte 25 of this one",
        ),
        (MINE[:30] + MINE[18:], "12 bytes of the reply came twice, the second time at byte 30"),
        (
            MINE[:30] + MINE[:12] + MINE[30:],
            "12 bytes from byte 0 of the reply came again at byte 30",
        ),
        (
            MINE[:18] + MINE[26:30] + MINE[18:26] + MINE[30:],
            "the right bytes came in another order from byte 18 on",
        ),
        (
            MINE[20:] + MINE[:20],
            "the right bytes came in another order from byte 0 on: first what belongs to byte 20",
        ),
        (MINE[:10] + MINE[20:], "10 of 39 bytes are missing at byte 10, then the reply goes on"),
        (OTHERS, "the reply to user 0, socket second came here"),
        (
            MINE[:25] + OTHERS + MINE[25:],
            "the reply to user 0, socket second came here, at byte 25",
        ),
        (OTHERS[:-9], "the beginning of the reply to user 0, socket second came here"),
        (
            MINE[:18] + OTHERS[20:] + b"####",
            "at byte 18 16 bytes of the reply to user 0, socket second came here",
        ),
        (MINE[:20] + b"xy" + MINE[20:], "2 bytes too many came at byte 20, then the reply goes on"),
        (
            b"-ERR\r\n",
            "byte 0 of the reply is 0x2d, expected 0x53; what follows does not line up either",
        ),
    ],
)
def test_messages(received: bytes, message: str) -> None:
    assert judged(MINE, received, BEFORE, ELSEWHERE).message == message


def test_a_reply_without_an_end_is_a_mismatch() -> None:
    finding = diagnose(b"", b"abcdef", 5, previous=b"abc", owed_elsewhere=ELSEWHERE)
    assert finding == Finding(
        Kind.MISMATCH, 5, "6 bytes came, and byte 5 is beyond the longest right reply"
    )


@pytest.mark.parametrize(
    ("extra", "previous", "kind", "message"),
    [
        (BEFORE, BEFORE, Kind.DUPLICATE, "the previous reply (30 bytes) came again"),
        (
            BEFORE + BEFORE,
            BEFORE,
            Kind.DUPLICATE,
            "the previous reply (30 bytes) came again, 60 bytes in all that nobody asked for",
        ),
        (
            BEFORE[:3],
            BEFORE,
            Kind.DUPLICATE,
            "the first 3 of the 30 bytes of the previous reply came again",
        ),
        (
            BEFORE[-4:],
            BEFORE,
            Kind.DUPLICATE,
            "the last 4 bytes of the previous reply came again",
        ),
        (b"n'", BEFORE, Kind.SURPLUS, "2 bytes came that nobody asked for"),
        (MINE, MINE, Kind.DUPLICATE, "the previous reply (39 bytes) came again"),
        (
            OTHERS,
            BEFORE,
            Kind.CROSSTALK,
            "39 bytes that nobody asked for: the reply to user 0, socket second came here",
        ),
        (OTHERS[:30], BEFORE, Kind.CROSSTALK, None),
        (OTHERS + b"more", BEFORE, Kind.CROSSTALK, None),
        (b"Ser", b"", Kind.SURPLUS, "3 bytes came that nobody asked for"),
        (b"EXTRA", b"", Kind.SURPLUS, "5 bytes came that nobody asked for"),
    ],
)
def test_surplus(extra: bytes, previous: bytes, kind: Kind, message: str | None) -> None:
    finding = diagnose_surplus(extra, previous=previous, owed_elsewhere=ELSEWHERE)
    assert finding.kind == kind
    assert finding.offset == 0
    assert message in (None, finding.message)
    assert finding.belongs_to == ("user 0, socket second" if kind is Kind.CROSSTALK else None)


def test_a_short_reply_of_others_makes_no_crosstalk_of_surplus() -> None:
    finding = diagnose_surplus(b"ok", previous=b"yes", owed_elsewhere=[("user 1, socket a", b"ok")])
    assert finding.kind is Kind.SURPLUS


def test_an_excerpt_begins_at_a_row_before_the_wrong_byte() -> None:
    expected, received = bytes(1000), b"\x01" * 500
    assert excerpt(expected, received, 5) == (0, expected[:256], received[:256])
    assert excerpt(expected, received, 100) == (64, bytes(256), b"\x01" * 256)
    assert excerpt(expected, received, 100, 48) == (64, bytes(48), b"\x01" * 48)
    assert excerpt(expected, received, 499) == (464, bytes(256), b"\x01" * 36)
    assert excerpt(b"", b"abc", 0) == (0, b"", b"abc")
    assert excerpt(b"abc", b"", 0) == (0, b"abc", b"")


CHANCE = random.Random(1)
LARGE = CHANCE.randbytes(1 << 20)
FOREIGN = CHANCE.randbytes(1 << 20)
HALF = 1 << 19


@pytest.mark.parametrize(
    ("received", "previous", "kind"),
    [
        (flipped(LARGE, 777_777), FOREIGN[:65536], Kind.CORRUPT),
        (LARGE[:HALF] + bytes(4096) + LARGE[HALF + 4096 :], b"", Kind.CORRUPT),
        (LARGE[:HALF] + FOREIGN[HALF : HALF + 4096] + LARGE[HALF + 4096 :], b"", Kind.CROSSTALK),
        (LARGE[:HALF] + FOREIGN[:65536] + LARGE[HALF + 65536 :], FOREIGN[:65536], Kind.MISMATCH),
        (LARGE[:HALF] + FOREIGN[:65536] + LARGE[HALF:], FOREIGN[:65536], Kind.DUPLICATE),
        (LARGE[:HALF] + FOREIGN[HALF:], b"", Kind.CROSSTALK),
        (FOREIGN, FOREIGN[:65536], Kind.MISMATCH),
        (FOREIGN, b"", Kind.CROSSTALK),
        (LARGE[:100_000] + LARGE[165_536:], b"", Kind.TRUNCATED),
        (LARGE[:100_000] + LARGE[34_464:], b"", Kind.DUPLICATE),
        (LARGE[:100_000] + b"?" + LARGE[100_000:], b"", Kind.SURPLUS),
        (LARGE[:HALF] + LARGE[HALF + 65536 :] + LARGE[HALF : HALF + 65536], b"", Kind.REORDERED),
        (LARGE[::-1], b"", Kind.REORDERED),
        (CHANCE.randbytes(1 << 20), b"", Kind.MISMATCH),
    ],
)
def test_large_replies(received: bytes, previous: bytes, kind: Kind) -> None:
    elsewhere = [("user 1, socket main", FOREIGN), *CROWD]
    finding = judged(LARGE, received, previous, elsewhere)
    assert finding.kind == kind, finding.message


@pytest.mark.parametrize("byte", [b"\0", b"ab"])
def test_large_repetitive_replies(byte: bytes) -> None:
    mine = byte * (1 << 20)
    assert judged(mine, flipped(mine, 1 << 19), b"", [("user 1, socket main", mine)]).kind is (
        Kind.CORRUPT
    )
    assert judged(mine, mine[: 1 << 19] + b"xyz" + mine[1 << 19 :]).kind is Kind.SURPLUS


def test_a_previous_reply_of_one_byte_is_no_duplicate_by_accident() -> None:
    assert diagnose_surplus(b"unasked", previous=b"u").kind is Kind.SURPLUS
    assert diagnose_surplus(b"u", previous=b"u").kind is Kind.DUPLICATE
    assert diagnose_surplus(b"okok", previous=b"ok").kind is Kind.DUPLICATE


def test_the_last_of_several_replies_comes_again_while_others_are_owed() -> None:
    two = b"w4 4b1z\n" + BEFORE
    found = diagnose(MINE, BEFORE + MINE, 0, previous=two, pending=True)
    assert found.kind is Kind.DUPLICATE
    assert f"the last {len(BEFORE)} bytes of the previous reply" in found.message


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("name", ["crc32", "crc32c", "crc16_modbus", "crc16_ccitt"])
def test_a_wrong_checksum_behind_right_bytes(name: str, order: Literal["big", "little"]) -> None:
    body = b"\x01\x03\x02\x00\x11"
    right = checksum(name, body).to_bytes(width(name), order)
    for wrong in (right[::-1], bytes(byte ^ 0xFF for byte in right)):
        finding = judged(body + right, body + wrong)
        assert finding.kind is Kind.CORRUPT
        text = f"wrong checksum: {wrong.hex()} came, the {name} is {right.hex()}"
        assert finding.message == text
    other = checksum(name, body[:-1] + b"\x12").to_bytes(width(name), order)
    assert "checksum" not in judged(body + right, body[:-1] + b"\x12" + other).message
