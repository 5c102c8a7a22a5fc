"""What kind of wrong: judges a wrong reply, or bytes that nobody asked for, after the fact. Pure.

Several stories may explain the same bytes, so they are tried in a fixed order. What decides is
how much a story explains, then how likely it is by accident:

1. `duplicate`: the previous reply of this socket came whole, alone or before the right one. It
   goes first because it needs nothing but this socket, and a whole reply does not come by
   accident.
2. `crosstalk`: another socket's reply came whole, alone or before the right one. When it differs
   from ours in one byte only (replies that tell user numbers apart), a flipped bit may have made
   it: then crosstalk must be the likelier of the two, see `_likelier_than_a_flip`. Replies below
   EVIDENCE bytes prove nothing: with enough sockets, somebody awaits any byte.
   Nor is it one if it begins with the whole previous reply, which may have been cut short to be
   kept.
3. `corrupt`: same length, one byte changed. No other story is as short.
4. Bytes came in between, or are missing, and *all* the rest lines up. What came in between names
   the kind: `duplicate` if it is a stretch of this or the previous reply, `crosstalk` if another
   socket's, else `surplus`. What is missing is `truncated`.
5. `reordered`: the very same bytes in another order. Before `corrupt` with several changed bytes,
   which would have to make the same bytes again by accident; after 4, because in a repetitive
   reply an inserted byte looks like a new order as long as one overlooks the byte too many.
6. The same where only some of the rest was seen (PROBE bytes must line up); the beginning of the
   previous reply or of another socket's.
7. `corrupt`: bytes changed in place, at most a quarter (or if the end did not come, at most half
   of those from the first wrong one on). If the changed stretch was
   found elsewhere, it is a `duplicate` or `crosstalk`.
8. A stretch after the first wrong byte that was found in this reply, the previous one, or another
   socket's, in this order: what this socket can explain is never blamed on another.
9. `mismatch`.

`received` may end early, since the gathering stops after a short quiet, or go on with later
replies. All searches use find() and memcmp, and each runs a few times at most over what it is
given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadmux.checking.rules import first_difference
from loadmux.errors import EXCERPT, Kind

EVIDENCE = 4
"""Bytes below which a match with another socket's reply, or a part of one's own, says nothing."""
PROBE = 8
"""Bytes that must line up for a shift to be believed if the whole rest was not seen."""
STRETCH = 16
DISTINCT = 4
"""A stretch with fewer different byte values (padding, say) does not tell where it came from."""
ROW = 16
CONTEXT = 32

Owed = Sequence[tuple[str, bytes]]
"""Label of another socket, such as `user 12, socket main`, and the reply it awaits or last got."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`offset` is where the first wrong byte is; `message` is one line for a person."""

    kind: Kind
    offset: int
    message: str
    belongs_to: str | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    expected: bytes
    received: bytes
    at: int
    previous: bytes
    others: Owed

    def found(self, kind: Kind, message: str, belongs_to: str | None = None) -> Finding:
        return Finding(kind, self.at, message, belongs_to)


def diagnose(
    expected: bytes,
    received: bytes,
    wrong_at: int,
    *,
    previous: bytes = b"",
    owed_elsewhere: Owed = (),
) -> Finding:
    """Judge `received`: right up to `wrong_at`, where `expected`, the whole reply, differs.

    `previous` is the last complete reply on this socket. An empty `expected` means that the reply
    is not known beforehand and has only grown too long.
    """
    others = [(who, reply) for who, reply in owed_elsewhere if reply not in (expected, previous)]
    case = _Case(expected, received, wrong_at, previous, others)
    if wrong_at >= len(expected):
        text = f"{len(received)} bytes came, and byte {wrong_at} is beyond the longest right reply"
        return case.found(Kind.MISMATCH, text)
    for judge in _STORIES:
        if (finding := judge(case)) is not None:
            return finding
    return case.found(Kind.MISMATCH, f"{_first_wrong(case)}; what follows does not line up either")


def diagnose_surplus(extra: bytes, *, previous: bytes, owed_elsewhere: Owed = ()) -> Finding:
    """Judge bytes that came after all that was asked for; offsets count from the first of them."""
    size = len(extra)
    times = size // len(previous) if previous else 0
    if times and (extra == previous * times or (_tells(previous) and extra.startswith(previous))):
        text = f"the previous reply ({len(previous)} bytes) came again"
        if size > len(previous):
            text += f", {size} bytes in all that nobody asked for"
        return Finding(Kind.DUPLICATE, 0, text)
    if previous.startswith(extra):
        text = f"the first {size} of the {len(previous)} bytes of the previous reply came again"
        return Finding(Kind.DUPLICATE, 0, text)
    others = [(who, reply) for who, reply in owed_elsewhere if reply != previous]
    for same in (_is_whole, _begins_alike):
        owners = [who for who, reply in others if same(extra, reply)]
        if owners:
            text = f"{size} bytes that nobody asked for: {_owned(owners)}"
            return Finding(Kind.CROSSTALK, 0, text, owners[0])
    if size >= EVIDENCE and previous.endswith(extra):
        return Finding(Kind.DUPLICATE, 0, f"the last {size} bytes of the previous reply came again")
    return Finding(
        Kind.SURPLUS, 0, f"{size} {'byte' if size == 1 else 'bytes'} came that nobody asked for"
    )


def _tells(reply: bytes) -> bool:
    """Long enough that other bytes do not begin like it by accident."""
    return len(reply) >= EVIDENCE


def excerpt(
    expected: bytes, received: bytes, offset: int, size: int = EXCERPT
) -> tuple[int, bytes, bytes]:
    """Where an excerpt begins, then `size` bytes at most of each from there on.

    It begins a little before `offset`, at a row of a hexdump.
    """
    begin = max(0, offset // ROW * ROW - CONTEXT)
    return begin, expected[begin : begin + size], received[begin : begin + size]


# --- the stories, in the order of the module's docstring -----------------------------------------


def _previous_whole(case: _Case) -> Finding | None:
    if not _came_whole(case, case.previous):
        return None
    return case.found(Kind.DUPLICATE, f"the previous reply ({len(case.previous)} bytes) came again")


def _other_whole(case: _Case) -> Finding | None:
    if len(case.previous) >= case.at + PROBE and case.received.startswith(case.previous):
        return None
    matches = [
        (who, reply)
        for who, reply in case.others
        if len(reply) >= EVIDENCE and _came_whole(case, reply)
    ]
    owners = [who for who, _ in matches]
    if not owners or not _likelier_than_a_flip(case, matches):
        return None
    return case.found(Kind.CROSSTALK, _owned(owners), owners[0])


def _likelier_than_a_flip(case: _Case, matches: Owed) -> bool:
    """A flipped bit makes one of 8 * length replies; a mix-up, one of those of all the sockets."""
    size = len(case.expected)
    reply = matches[0][1]
    if len(reply) != size or len(case.received) != size or _changed(case, size)[0] > 1:
        return True
    sockets = len({who for who, _ in case.others})
    return 8 * size * len({who for who, _ in matches}) >= sockets


def _one_byte_changed(case: _Case) -> Finding | None:
    size = len(case.expected)
    if len(case.received) != size or _changed(case, size)[0] > 1:
        return None
    flipped = (case.expected[case.at] ^ case.received[case.at]).bit_count() == 1
    if size == 1 and not flipped:
        return None
    text = _first_wrong(case)
    if flipped:
        text += " (one bit differs)"
    if size > 1:
        text += f"; the other {size - 1} of {size} bytes are right"
    owners = [who for who, reply in case.others if reply == case.received]
    if owners and size >= EVIDENCE:
        text += f"; it may also be {_owned(owners, came='')}"
    return case.found(Kind.CORRUPT, text)


def _reordered(case: _Case) -> Finding | None:
    size, at = len(case.expected), case.at
    came, right = case.received[at:size], case.expected[at:]
    if len(came) != len(right) or any(came.count(v) != right.count(v) for v in set(right)):
        return None
    text = f"the right bytes came in another order from byte {at} on"
    return case.found(Kind.REORDERED, text + _found_at(case))


def _all_the_rest_lines_up(case: _Case) -> Finding | None:
    more = len(case.received) - len(case.expected)
    if more > 0 and case.received.endswith(case.expected[case.at :], case.at + more):
        return _inserted(case, more)
    if more < 0 and case.expected.endswith(case.received[case.at :], case.at - more):
        return _missing(case, -more)
    return None


def _begins_as_previous(case: _Case) -> Finding | None:
    if not _came_in_part(case, case.previous):
        return None
    size = first_difference(case.previous, case.received)
    return case.found(Kind.DUPLICATE, f"{size} bytes of the previous reply came again")


def _seen_rest_lines_up(case: _Case) -> Finding | None:
    at, right, came = case.at, case.expected[case.at :], case.received[case.at :]
    more = came.find(right[:PROBE], 1) if len(right) >= PROBE else -1
    if more > 0 and _agree(right, came[more:]):
        return _inserted(case, more)
    less = right.find(came[:PROBE], 1) if len(came) >= PROBE else -1
    if less > 0 and came.startswith(right[less:]):
        rest = came[len(right) - less :]
        if rest and _agree(right[:less], rest):
            text = f"parts of the reply came in another order from byte {at} on"
            return case.found(Kind.REORDERED, text + _found_at(case))
    if less > 0 and _agree(right[less:], came):
        return _missing(case, less)
    return None


def _begins_as_other(case: _Case) -> Finding | None:
    owners = [who for who, reply in case.others if _came_in_part(case, reply)]
    if not owners or _one_changed_so_far(case):
        return None
    return case.found(Kind.CROSSTALK, _owned(owners, "the beginning of "), owners[0])


def _several_bytes_changed(case: _Case) -> Finding | None:
    size = min(len(case.expected), len(case.received))
    missing = len(case.expected) - size
    count, end = _changed(case, size)
    most = (size - case.at) // 2 if missing else size // 4
    if count > most and (count > 1 or size == 1):
        return None
    changed = case.received[case.at : end]
    origin = _origin(case, changed) if len(changed) >= PROBE else None
    if origin is not None:
        return origin
    text = _first_wrong(case)
    if count > 1:
        text += f", and {count - 1} more up to byte {end - 1}"
    text += f"; the other {size - count} of {size} bytes are right"
    if missing:
        text += f", {missing} did not come"
    return case.found(Kind.CORRUPT, text)


def _stretch_known(case: _Case) -> Finding | None:
    stretch = case.received[case.at : case.at + STRETCH]
    return _origin(case, stretch) if len(stretch) >= PROBE else None


_STORIES: tuple[Callable[[_Case], Finding | None], ...] = (
    _previous_whole,
    _other_whole,
    _one_byte_changed,
    _all_the_rest_lines_up,
    _reordered,
    _begins_as_previous,
    _seen_rest_lines_up,
    _begins_as_other,
    _several_bytes_changed,
    _stretch_known,
)


# --- what they are made of -----------------------------------------------------------------------


def _came_whole(case: _Case, reply: bytes) -> bool:
    """Did `reply` come from the first byte on, and after it nothing, or the right reply?

    Of the latter a part is enough if `reply` is no mere byte or two.
    """
    if len(reply) <= case.at or not case.received.startswith(reply):
        return False
    rest = case.received[len(reply) :]
    if not rest or rest.startswith(case.expected):
        return True
    return len(reply) >= EVIDENCE and case.expected.startswith(rest)


def _came_in_part(case: _Case, reply: bytes) -> bool:
    """Do `reply` and what came agree as far as both go, and beyond what our own reply has too?"""
    common = min(len(reply), len(case.received))
    return common >= case.at + EVIDENCE and _agree(reply, case.received)


def _agree(left: bytes, right: bytes) -> bool:
    size = min(len(left), len(right))
    return left[:size] == right[:size]


def _changed(case: _Case, size: int) -> tuple[int, int]:
    """Of the first `size` bytes: how many are wrong, and where the last wrong one ends."""
    at = case.at
    right = int.from_bytes(case.expected[at:size], "big")
    came = int.from_bytes(case.received[at:size], "big")
    differences = (right ^ came).to_bytes(size - at, "big")
    return len(differences) - differences.count(0), at + len(differences.rstrip(b"\0"))


def _one_changed_so_far(case: _Case) -> bool:
    size = min(len(case.expected), len(case.received))
    return size > 1 and _changed(case, size)[0] == 1


def _inserted(case: _Case, size: int) -> Finding:
    """`size` bytes came at `at`, then the reply goes on."""
    at = case.at
    extra = case.received[at : at + size]
    if case.expected[max(0, at - size) : at] == extra:
        text = f"{size} bytes of the reply came twice, the second time at byte {at}"
        return case.found(Kind.DUPLICATE, text)
    if extra == case.previous:
        text = f"the previous reply ({size} bytes) came again, at byte {at} of this one"
        return case.found(Kind.DUPLICATE, text)
    owners = [who for who, reply in case.others if reply == extra and size >= EVIDENCE]
    if owners:
        return case.found(Kind.CROSSTALK, f"{_owned(owners)}, at byte {at}", owners[0])
    origin = _origin(case, extra) if size >= PROBE else None
    if origin is not None:
        return origin
    text = f"{size} bytes too many came at byte {at}, then the reply goes on"
    return case.found(Kind.SURPLUS, text)


def _missing(case: _Case, size: int) -> Finding:
    text = f"{size} of {len(case.expected)} bytes are missing at byte {case.at}"
    return case.found(Kind.TRUNCATED, f"{text}, then the reply goes on")


def _origin(case: _Case, stretch: bytes) -> Finding | None:
    """Where a wrong stretch comes from, if it can be told."""
    if len(set(stretch[:EXCERPT])) < DISTINCT:
        return None
    size, at = len(stretch), case.at
    own = case.expected.find(stretch)
    if own > at:
        text = f"at byte {at} came what belongs to byte {own}"
        return case.found(Kind.REORDERED, text)
    if own >= 0:
        text = f"{size} bytes from byte {own} of the reply came again at byte {at}"
        return case.found(Kind.DUPLICATE, text)
    if stretch in case.previous:
        text = f"{size} bytes of the previous reply came again at byte {at}"
        return case.found(Kind.DUPLICATE, text)
    owners = [who for who, reply in case.others if stretch in reply]
    if owners:
        text = f"at byte {at} {_owned(owners, f'{size} bytes of ')}"
        return case.found(Kind.CROSSTALK, text, owners[0])
    return None


def _found_at(case: _Case) -> str:
    piece = case.received[case.at : case.at + STRETCH]
    found = case.expected.find(piece, case.at + 1) if len(piece) >= EVIDENCE else -1
    return f": first what belongs to byte {found}" if found >= 0 else ""


def _is_whole(extra: bytes, reply: bytes) -> bool:
    return len(reply) >= EVIDENCE and extra.startswith(reply)


def _begins_alike(extra: bytes, reply: bytes) -> bool:
    return len(extra) >= EVIDENCE and reply.startswith(extra)


def _first_wrong(case: _Case) -> str:
    at = case.at
    return f"byte {at} of the reply is {case.received[at]:#04x}, expected {case.expected[at]:#04x}"


def _owned(owners: list[str], part: str = "", came: str = " came here") -> str:
    sockets = list(dict.fromkeys(owners))
    others = f" (or to one of {len(sockets) - 1} others)" if len(sockets) > 1 else ""
    return f"{part}the reply to {sockets[0]}{others}{came}"
