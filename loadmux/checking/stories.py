"""The stories that may explain a wrong reply, and how much each has to explain. Pure.

Several stories may explain the same bytes, so they are tried in a fixed order. What decides is
how much a story explains, then how likely it is by accident:

1. The reply that a later step awaits came first (messages were pipelined): `reordered` if ours
   came after it, else `mismatch`.
2. The previous reply of this socket came whole. It needs nothing but this socket, and a whole reply
   does not come by accident. With the right one after it, it is a `duplicate`: a copy in addition.
   Alone it is a wrong value, so `mismatch`: a cache, a buffer, a step behind.
3. `crosstalk`: another socket's reply came whole, alone or before the right one. When it differs
   from ours in one byte only (replies that tell user numbers apart), a flipped bit may have made
   it: then crosstalk must be the likelier of the two, see `_likelier_than_a_flip`. Replies below
   EVIDENCE bytes prove nothing: with enough sockets, somebody awaits any byte.
   Nor is it one if it begins with the whole previous reply, which may have been cut short to be
   kept.
4. `mismatch`: the scenario's own text with other values in it (`alike`), unless a flipped bit is
   likelier.
5. `corrupt`: same length, one byte changed. No other story is as short. So is a wrong checksum
   (two bytes or more) behind bytes that are right.
6. Bytes came in between, or are missing, and *all* the rest lines up. What came in between names
   the kind: `duplicate` if it is a stretch of this or the previous reply, `crosstalk` if another
   socket's, `reordered` if it came whole before ours while other messages were under way, else
   `surplus`. What is missing is `truncated`.
7. `reordered`: the very same bytes in another order. Before `corrupt` with several changed bytes,
   which would have to make the same bytes again by accident; after 6, because in a repetitive
   reply an inserted byte looks like a new order as long as one overlooks the byte too many.
8. The same where only some of the rest was seen (PROBE bytes must line up); the beginning of the
   previous reply or of another socket's.
9. `corrupt`: bytes changed in place, at most a quarter (or if the end did not come, at most half
   of those from the first wrong one on). If the changed stretch was found elsewhere, it is a
   `mismatch` or `crosstalk`.
10. A stretch after the first wrong byte that was found in this reply, the previous one, or another
    socket's, in this order: what this socket can explain is never blamed on another.
11. `mismatch`.

`received` may end early, since the gathering stops after a short quiet, or go on with later
replies. All searches use find() and memcmp, and each runs a few times at most over what it is
given.
"""

from __future__ import annotations

from collections.abc import Callable

from loadmux.checking.case import EVIDENCE, Case, Finding, Owed, agree, owned
from loadmux.checking.checksums import ending
from loadmux.checking.verifying import first_difference
from loadmux.errors import EXCERPT, Kind

PROBE = 8
"""Bytes that must line up for a shift to be believed if the whole rest was not seen."""
STRETCH = 16
DISTINCT = 4
"""A stretch with fewer different byte values (padding, say) does not tell where it came from."""

# --- the stories, in the order of the module's docstring ------------------------------------------


def _of_a_later_step(case: Case) -> Finding | None:
    for step, reply in case.later:
        if len(reply) <= case.at or not case.received.startswith(reply):
            continue
        if case.received.find(case.expected, len(reply)) >= 0:
            text = f"the reply that step {step!r} awaits came before it"
            return case.found(Kind.REORDERED, text)
        if len(reply) >= EVIDENCE and len(case.received) == len(reply):
            text = f"the reply that step {step!r} awaits came in its place"
            return case.found(Kind.MISMATCH, text)
    return None


def _previous_whole(case: Case) -> Finding | None:
    size = len(case.previous)
    if size <= case.at or not case.received.startswith(case.previous):
        return None
    rest = case.received[size:]
    if case.is_right(rest, begun=size >= EVIDENCE):
        text = f"the previous reply ({size} bytes) came again"
        return case.found(Kind.DUPLICATE, text)
    if rest.replace(case.previous, b""):
        return None
    times = f", {len(case.received) // size} times" if rest else ""
    text = f"it is equal to the previous reply ({size} bytes){times}; the right one did not follow"
    return case.found(Kind.MISMATCH, text)


def _other_whole(case: Case) -> Finding | None:
    if len(case.previous) >= case.at + PROBE and case.received.startswith(case.previous):
        return None
    matches = [
        (who, reply)
        for who, reply in case.others
        if len(reply) >= EVIDENCE and case.came_whole(reply)
    ]
    owners = [who for who, _ in matches]
    if not owners or not _likelier_than_a_flip(case, matches):
        return None
    return case.found(Kind.CROSSTALK, owned(owners), owners[0])


def _likelier_than_a_flip(case: Case, matches: Owed) -> bool:
    """A flipped bit makes one of 8 * length replies; a mix-up, one of those of all the sockets."""
    if len(matches[0][1]) != len(case.expected) or not case.one_differs():
        return True
    return 8 * len(case.expected) * len({who for who, _ in matches}) >= case.crowd


def _with_other_values(case: Case) -> Finding | None:
    alike = case.alike
    if alike is None or (case.one_differs() and 8 * len(case.expected) < alike.crowd):
        return None
    return case.found(Kind.MISMATCH, f"{case.first_wrong()}; {alike.text}")


def _checksum_wrong(case: Case) -> Finding | None:
    size = len(case.expected)
    found = ending(case.expected) if len(case.received) >= size else None
    if found is None or case.at < size - found[1]:
        return None
    right, came = (reply[size - found[1] : size].hex() for reply in (case.expected, case.received))
    return case.found(Kind.CORRUPT, f"wrong checksum: {came} came, the {found[0]} is {right}")


def _one_byte_changed(case: Case) -> Finding | None:
    size = len(case.expected)
    if not case.one_differs():
        return None
    flipped = (case.expected[case.at] ^ case.received[case.at]).bit_count() == 1
    if size == 1 and not flipped:
        return None
    text = case.first_wrong()
    if flipped:
        text += " (one bit differs)"
    if size > 1:
        text += f"; the other {size - 1} of {size} bytes are right"
    owners = [who for who, reply in case.others if reply == case.received]
    if owners and size >= EVIDENCE:
        text += f"; it may also be {owned(owners, came='')}"
    elif case.alike is not None:
        text += f"; or {case.alike.text}"
    return case.found(Kind.CORRUPT, text)


def _reordered(case: Case) -> Finding | None:
    size, at = len(case.expected), case.at
    came, right = case.received[at:size], case.expected[at:]
    if len(came) != len(right) or any(came.count(v) != right.count(v) for v in set(right)):
        return None
    text = f"the right bytes came in another order from byte {at} on"
    return case.found(Kind.REORDERED, text + _found_at(case))


def _all_the_rest_lines_up(case: Case) -> Finding | None:
    more = len(case.received) - len(case.expected)
    if more > 0 and case.received.endswith(case.expected[case.at :], case.at + more):
        return _inserted(case, more)
    if more < 0 and case.expected.endswith(case.received[case.at :], case.at - more):
        return _missing(case, -more)
    return None


def _begins_as_previous(case: Case) -> Finding | None:
    if not case.came_in_part(case.previous):
        return None
    size = first_difference(case.previous, case.received)
    if case.is_right(case.received[size:], begun=True):
        return case.found(Kind.DUPLICATE, f"{size} bytes of the previous reply came again")
    text = f"its first {size} bytes are those of the previous reply; the right one did not follow"
    return case.found(Kind.MISMATCH, text)


def _after_others(case: Case) -> Finding | None:
    """Ours came, behind what may be other replies."""
    if not case.pending or len(case.expected) < EVIDENCE:
        return None
    found = case.received.find(case.expected)
    return None if found < 1 else _came_before(case, found)


def _came_before(case: Case, size: int) -> Finding:
    if size >= EVIDENCE and case.previous.endswith(case.received[:size]):
        text = f"the last {size} bytes of the previous reply came again"
        return case.found(Kind.DUPLICATE, text)
    text = f"{size} bytes came before it, while replies to other messages were under way"
    return case.found(Kind.REORDERED, text)


def _seen_rest_lines_up(case: Case) -> Finding | None:
    at, right, came = case.at, case.expected[case.at :], case.received[case.at :]
    more = came.find(right[:PROBE], 1) if len(right) >= PROBE else -1
    if more > 0 and agree(right, came[more:]):
        return _inserted(case, more)
    less = right.find(came[:PROBE], 1) if len(came) >= PROBE else -1
    if less > 0 and came.startswith(right[less:]):
        rest = came[len(right) - less :]
        if rest and agree(right[:less], rest):
            text = f"parts of the reply came in another order from byte {at} on"
            return case.found(Kind.REORDERED, text + _found_at(case))
    if less > 0 and agree(right[less:], came):
        return _missing(case, less)
    return None


def _begins_as_other(case: Case) -> Finding | None:
    owners = [who for who, reply in case.others if case.came_in_part(reply)]
    if not owners or case.one_changed_so_far():
        return None
    return case.found(Kind.CROSSTALK, owned(owners, "the beginning of "), owners[0])


def _several_bytes_changed(case: Case) -> Finding | None:
    size = min(len(case.expected), len(case.received))
    missing = len(case.expected) - size
    if case.ended and len(case.received) != len(case.expected):
        return None
    count, end = case.changed(size)
    most = (size - case.at) // 2 if missing else size // 4
    if count > most and (count > 1 or size == 1):
        return None
    changed = case.received[case.at : end]
    origin = _origin(case, changed, Kind.MISMATCH)
    if origin is not None:
        return origin
    text = case.first_wrong()
    if count > 1:
        text += f", and {count - 1} more up to byte {end - 1}"
    text += f"; the other {size - count} of {size} bytes are right"
    if missing:
        text += f", {missing} did not come"
    return case.found(Kind.CORRUPT, text)


def _stretch_known(case: Case) -> Finding | None:
    stretch = case.received[case.at : case.at + STRETCH]
    return _origin(case, stretch, Kind.MISMATCH)


STORIES: tuple[Callable[[Case], Finding | None], ...] = (
    _of_a_later_step,
    _previous_whole,
    _other_whole,
    _with_other_values,
    _checksum_wrong,
    _one_byte_changed,
    _all_the_rest_lines_up,
    _reordered,
    _begins_as_previous,
    _after_others,
    _seen_rest_lines_up,
    _begins_as_other,
    _several_bytes_changed,
    _stretch_known,
)


# --- what they are made of -----------------------------------------------------------------------


def _inserted(case: Case, size: int) -> Finding:
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
        return case.found(Kind.CROSSTALK, f"{owned(owners)}, at byte {at}", owners[0])
    origin = _in_front(case, size) or _origin(case, extra, Kind.DUPLICATE)
    if origin is not None:
        return origin
    text = f"{size} bytes too many came at byte {at}, then the reply goes on"
    return case.found(Kind.SURPLUS, text)


def _in_front(case: Case, size: int) -> Finding | None:
    """`size` bytes came before the whole reply: the beginning of one that is known, or another."""
    if not case.received.startswith(case.expected, size):
        return None
    front = case.received[:size]
    if size >= EVIDENCE and case.previous.startswith(front):
        return case.found(Kind.DUPLICATE, f"{size} bytes of the previous reply came again")
    owners = [who for who, reply in case.others if reply.startswith(front)]
    if size >= EVIDENCE and owners:
        return case.found(Kind.CROSSTALK, owned(owners, "the beginning of "), owners[0])
    told = case.pending and len(case.expected) >= EVIDENCE
    return _came_before(case, size) if told else None


def _missing(case: Case, size: int) -> Finding:
    text = f"{size} of {len(case.expected)} bytes are missing at byte {case.at}"
    return case.found(Kind.TRUNCATED, f"{text}, then the reply goes on")


def _origin(case: Case, stretch: bytes, again: Kind) -> Finding | None:
    """Where a wrong stretch comes from, if it can be told.

    `again` is what it is called if this socket has had it: in addition or in place of the right.
    """
    if len(stretch) < PROBE or len(set(stretch[:EXCERPT])) < DISTINCT:
        return None
    size, at = len(stretch), case.at
    own = case.expected.find(stretch)
    if own > at:
        text = f"at byte {at} came what belongs to byte {own}"
        return case.found(Kind.REORDERED, text)
    if own >= 0:
        text = f"{size} bytes from byte {own} of the reply came again at byte {at}"
        return case.found(again, text)
    if stretch in case.previous:
        text = f"{size} bytes of the previous reply came again at byte {at}"
        return case.found(again, text)
    owners = [who for who, reply in case.others if stretch in reply]
    if owners:
        text = f"at byte {at} {owned(owners, f'{size} bytes of ')}"
        return case.found(Kind.CROSSTALK, text, owners[0])
    return None


def _found_at(case: Case) -> str:
    piece = case.received[case.at : case.at + STRETCH]
    found = case.expected.find(piece, case.at + 1) if len(piece) >= EVIDENCE else -1
    return f": first what belongs to byte {found}" if found >= 0 else ""
