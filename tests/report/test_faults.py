"""Faults for a person: the dump, the transcript, and that the amount is bounded."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
from printing import faulty, lines, printed
from samples import (
    EXPECTED,
    fault,
    measured,
    report,
    wrong_byte,
)

from loadmux.errors import Evidence, Kind, Moment
from loadmux.measuring.consequences import Cause
from loadmux.report.faults import EXAMPLES_IN_FULL, GROUPS_OF_A_KIND
from loadmux.report.model import TargetReport


def test_a_wrong_byte_is_shown_beside_the_right_one() -> None:
    shown = lines(faulty(wrong_byte()))
    begin = shown.index("Faults")
    assert shown[begin : shown.index("", begin + 12)] == [
        "Faults",
        "  corrupt at step 'ask': 1 time",
        "    byte 20 should be 'i'",
        "    user 7, iteration 3, socket 'first', 1.250 s after the start",
        "    the first wrong byte is byte 20 of the reply (the first one is byte 0)",
        "",
        "    at  expected                             received",
        "     0  53 65 72 76 65 72 20 72  Server r    53 65 72 76 65 72 20 72  Server r",
        "     8  65 63 65 69 76 65 64 20  eceived     65 63 65 69 76 65 64 20  eceived",
        ">   16  62 27 54 68[69]73 20 69  b'This i    62 27 54 68[1b]73 20 69  b'Th.s i",
        "    24  73 20 27                 s '         73 20 27                 s '",
        "",
        "    what happened on socket 'first'",
        "      0.500000 s              connected",
        '      1.000000 s   +500ms  -> sent          8 B  "This is "',
        "      1.250000 s   +250ms  <- received     27 B  \"Server received b'Th\\x1bs is '\"",
    ]
    assert shown[-1] == "exit code   1 (FAIL)"


@pytest.mark.parametrize("place", range(8))
def test_the_brackets_move_no_column(place: int) -> None:
    wrong = bytes(8 * [0x61])
    evidence = Evidence(Kind.CORRUPT, "m", place, bytes(8), wrong, step="ask")
    [row] = [line for line in lines(faulty(evidence)) if line.startswith(">")]
    cells = ["00"] * 8
    expected = " " + " ".join(cells) + " "
    begin, end = 3 * place, 3 * place + 4
    expected = expected[:begin] + "[00]" + expected[end:]
    received = expected.replace("00", "61")
    assert row == f">    0 {expected} {'.' * 8}   {received} {'a' * 8}"


def test_an_end_that_came_too_early_or_too_late_is_marked() -> None:
    short = Evidence(Kind.TRUNCATED, "m", None, EXPECTED, EXPECTED[:10], step="ask")
    text = printed(faulty(short))
    assert "nothing came from byte 10 of the reply on" in text
    assert ">    8  65 63[65]69 76 65 64 20  eceived     65 63[--]" in text
    long = Evidence(Kind.SURPLUS, "m", 1_000_004, b"abcd", b"abcdXY", 1_000_000, step="ask")
    text = printed(faulty(long))
    assert "nothing was expected from byte 1,000,004 of the reply on" in text
    assert "> 1000000  61 62 63 64[--]          abcd        61 62 63 64[58]59        abcdXY" in text


def test_whose_bytes_they_were_is_told() -> None:
    evidence = wrong_byte()
    evidence.kind, evidence.belongs_to = Kind.CROSSTALK, "user 4, socket second"
    assert "    the bytes belong to user 4, socket second\n" in printed(faulty(evidence))


def test_only_rows_around_the_wrong_byte_are_shown() -> None:
    evidence = Evidence(Kind.CORRUPT, "m", 128, bytes(256), bytes(128) + bytes([1] * 128))
    shown = [line[:6] for line in lines(faulty(evidence)) if re.match(r"[> ] +\d+ [ \[]0", line)]
    assert shown == ["   112", "   120", ">  128", "   136", "   144", "   152"]


def test_the_amount_is_bounded_and_the_rest_is_counted() -> None:
    stats = measured({"ask": [0.01]})
    for number in range(GROUPS_OF_A_KIND + 5):
        fault(f"step {number}", Kind.TIMEOUT, 7, stats)
    fault("step 3", Kind.CLOSED, 1, stats)
    text = printed(report(stats))
    assert text.count("timeout it was") == sum(EXAMPLES_IN_FULL) == 3
    assert text.count("    and 5 more like this\n") == text.count("    and 6 more like this\n") == 1
    assert text.count("timeout at step '") == GROUPS_OF_A_KIND
    assert "  timeout at 5 more steps: 35 times\n" in text
    assert text.count("closed it was") == 1


def at(seconds: float, kind: Kind, step: str, target: str = "tcp://h:1") -> Evidence:
    return Evidence(kind, f"{kind} it was", step=step, at=seconds, target=target)


def test_what_began_first_stands_first_whatever_the_counts() -> None:
    made = faulty(
        at(2.0, Kind.TIMEOUT, "c"),
        *[at(3.0 + number, Kind.TIMEOUT, "a") for number in range(9)],
        at(1.0, Kind.RESET, "b"),
        at(2.5, Kind.RESET, "a"),
    )
    titles = re.findall(r"^  (\w+ at step '\w+')", printed(made), re.MULTILINE)
    assert titles == [
        "reset at step 'b'",
        "timeout at step 'c'",
        "reset at step 'a'",
        "timeout at step 'a'",
    ]
    assert lines(made)[0].endswith("12 errors (2 reset, 10 timeout) in 2 exchanges")


def test_what_only_follows_from_another_fault_is_told_with_it() -> None:
    made = faulty(
        at(1.0, Kind.CLOSED, "ask"),
        at(1.1, Kind.CORRUPT, "ask"),
        *[at(1.0 + number / 100, Kind.CLOSED, "ask") for number in range(1, 5)],
        *[at(1.01 + number / 100, Kind.REFUSED, "connect") for number in range(1500)],
        at(9.0, Kind.CLOSED, "ask"),
    )
    stats = made.stats
    first = Cause(1.0, "tcp://h:1", Kind.CLOSED, "ask")
    stats.consequences.counts[first] = Counter(
        {(Kind.CLOSED, "ask"): 4, (Kind.REFUSED, "connect"): 1500}
    )
    text = printed(made)
    titles = re.findall(r"^  (\w+ at step '\w+': .*)", text, re.MULTILINE)
    assert titles == ["closed at step 'ask': 2 times", "corrupt at step 'ask': 1 time"]
    assert (
        "    and 1,504 more that follow from it:\n"
        "      refused at step 'connect': 1,500 times\n"
        "      closed at step 'ask': 4 times\n"
    ) in text
    assert "1,507 errors (6 closed, 1,500 refused, 1 corrupt)" in text


def test_a_long_transcript_line_keeps_both_ends_and_its_size() -> None:
    data = b"begin" + bytes(54) + b"cut"
    evidence = Evidence(Kind.TIMEOUT, "m", transcript=[Moment(1.0, "sent", data, 1 << 20)])
    [line] = [line for line in lines(faulty(evidence), width=80) if "sent" in line]
    assert len(line) <= 80
    assert re.fullmatch(r' +1\.000000 s +-> sent +1\.00 MiB  "begin(\\x00)+" … ".*cut" …', line)


def test_a_fault_is_said_of_the_target_by_name_or_where_two_share_it_by_url() -> None:
    evidence = replace(wrong_byte(), target="tcp://127.0.0.1:8001")
    stats = measured({"ask": [0.1]})
    stats.record_fault(evidence)
    alone = report(stats)
    assert "socket 'first', 1.250 s after" in printed(alone)
    part = alone.parts[0]
    api, other = replace(part.targets[0], name="api"), TargetReport("b", "tcp://127.0.0.1:8002")
    two = replace(alone, parts=(replace(part, targets=(api, other)),))
    assert "socket 'first' to 'api', 1.250 s after" in printed(two)
    shared = replace(alone, parts=(replace(part, targets=(api, replace(api, name="b"))),))
    assert "socket 'first' to 'tcp://127.0.0.1:8001', 1.250 s after" in printed(shared)
