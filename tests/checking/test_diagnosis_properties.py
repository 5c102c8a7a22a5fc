"""Diagnosis on anything: never an exception, the first wrong byte, and nobody accused idly."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loadmux.checking import datagrams
from loadmux.checking.diagnosis import Alike, diagnose, diagnose_surplus
from loadmux.checking.verifying import first_difference
from loadmux.errors import Kind

BYTES = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from([b"a", b"b", b"ab", b"\n", b"user 1", b"hello "]), max_size=8).map(
        b"".join
    ),
)
OTHERS = st.lists(st.tuples(st.sampled_from(["user 1, a", "user 2, b"]), BYTES), max_size=4)
LATER = st.lists(st.tuples(st.sampled_from(["next", "last"]), BYTES), max_size=3)
ALIKE = st.none() | st.builds(Alike, st.just("it is another's"), st.integers(0, 1 << 40))


@st.composite
def wrong(draw: st.DrawFn, expected: bytes, previous: bytes, others: list[bytes]) -> bytes:
    """What may come in place of `expected`: known things one after the other, or damage."""
    parts = [expected, previous, *others, draw(BYTES)]
    if draw(st.booleans()):
        came = b"".join(draw(st.lists(st.sampled_from(parts), min_size=1, max_size=4)))
        return came[draw(st.integers(0, 3)) :]
    at = draw(st.integers(0, len(expected)))
    end = draw(st.integers(at, len(expected)))
    return expected[:at] + draw(st.sampled_from(parts)) + expected[end:]


@settings(max_examples=500)
@given(st.data(), BYTES, BYTES, OTHERS, LATER, st.booleans(), ALIKE)
def test_any_wrong_reply_has_a_name_and_a_place(
    data: st.DataObject,
    expected: bytes,
    previous: bytes,
    others: list[tuple[str, bytes]],
    later: list[tuple[str, bytes]],
    pending: bool,
    alike: Alike | None,
) -> None:
    known = [reply for _, reply in (*others, *later)]
    received = data.draw(wrong(expected, previous, known))
    at = first_difference(expected, received)
    assume(at < len(received))
    finding = diagnose(
        expected,
        received,
        at,
        previous=previous,
        owed_elsewhere=others,
        later=later,
        pending=pending,
        alike=alike,
    )
    assert finding.offset == at
    assert finding.message
    assert "\n" not in finding.message
    assert (finding.belongs_to is not None) == (finding.kind is Kind.CROSSTALK)
    if finding.kind is Kind.CROSSTALK:
        owners = [reply for who, reply in others if who == finding.belongs_to]
        assert any(len(reply) >= 4 and reply[:4] in received for reply in owners) or any(
            received[start : start + 8] in reply
            for reply in owners
            for start in range(len(received))
        )
    if finding.kind is Kind.DUPLICATE:
        assert received != previous


@settings(max_examples=300)
@given(st.data(), st.binary(min_size=2, max_size=40), BYTES, OTHERS)
def test_one_changed_byte_is_crosstalk_only_if_another_awaits_just_that(
    data: st.DataObject, expected: bytes, previous: bytes, others: list[tuple[str, bytes]]
) -> None:
    at = data.draw(st.integers(0, len(expected) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != expected[at]))
    received = expected[:at] + bytes([byte]) + expected[at + 1 :]
    finding = diagnose(expected, received, at, previous=previous, owed_elsewhere=others)
    owners = {who for who, reply in others if reply == received and reply != previous}
    if finding.kind is Kind.CROSSTALK:
        assert finding.belongs_to in owners
        assert 8 * len(expected) * len(owners) >= len({who for who, _ in others})
    elif received == previous:
        assert finding.kind is Kind.MISMATCH
    elif not owners and not previous:
        assert finding.kind is Kind.CORRUPT


@given(BYTES.filter(bool), BYTES, OTHERS)
def test_any_bytes_too_many_have_a_name(
    extra: bytes, previous: bytes, others: list[tuple[str, bytes]]
) -> None:
    finding = diagnose_surplus(extra, previous=previous, owed_elsewhere=others)
    assert finding.kind in (Kind.SURPLUS, Kind.DUPLICATE, Kind.CROSSTALK)
    assert finding.offset == 0
    assert (finding.belongs_to is not None) == (finding.kind is Kind.CROSSTALK)


@given(st.data(), st.lists(BYTES, min_size=1, max_size=3), BYTES, OTHERS, LATER, st.booleans())
def test_any_wrong_datagram_has_a_name_and_a_place(
    data: st.DataObject,
    due: list[bytes],
    previous: bytes,
    others: list[tuple[str, bytes]],
    ahead: list[tuple[str, bytes]],
    pending: bool,
) -> None:
    right = data.draw(st.integers(0, len(due) - 1))
    came = data.draw(wrong(due[right], previous, [reply for _, reply in (*others, *ahead)]))
    assume(came != due[right])
    later = data.draw(st.lists(st.sampled_from([*due, came, previous]), max_size=3))
    finding = datagrams.diagnose(
        due,
        [*due[:right], came],
        later,
        pending=pending,
        previous=previous,
        owed_elsewhere=others,
        ahead=ahead,
    )
    assert 0 <= finding.offset <= len(came)
    assert "\n" not in finding.message
    assert (finding.belongs_to is not None) == (finding.kind is Kind.CROSSTALK)
    if finding.kind in (Kind.DUPLICATE, Kind.REORDERED) and came in (previous, *due[:right]):
        assert due[right] in later
