"""What kind of wrong: judges a wrong reply, or bytes that nobody asked for, after the fact. Pure.

A fault is called by what happened, as far as the bytes say so, and `mismatch` where they do not.
What a wrong reply may be, and in which order that is tried, stands in `stories`.
"""

from __future__ import annotations

from loadmux.checking.case import EVIDENCE, Alike, Case, Finding, Owed, owned
from loadmux.checking.stories import STORIES
from loadmux.errors import EXCERPT, Kind

__all__ = [
    "EVIDENCE",
    "Alike",
    "Finding",
    "Owed",
    "diagnose",
    "diagnose_surplus",
    "excerpt",
    "owned",
]

ROW = 16
CONTEXT = 32


def diagnose(
    expected: bytes,
    received: bytes,
    wrong_at: int,
    *,
    previous: bytes = b"",
    owed_elsewhere: Owed = (),
    later: Owed = (),
    pending: bool = False,
    crowd: int = 0,
    alike: Alike | None = None,
    ended: bool = False,
) -> Finding:
    """Judge `received`: right up to `wrong_at`, where `expected`, the whole reply, differs.

    `previous` is the last complete reply on this socket. An empty `expected` means that the reply
    is not known beforehand and has only grown too long. `later` are the replies that the next steps
    await on this socket, by the steps' names. `pending`: replies to other messages are under way.
    `crowd` is how many sockets there are, where those of `owed_elsewhere` are not all. `ended`: no
    more can come, as `received` is the whole body of a frame.
    """
    others = [(who, reply) for who, reply in owed_elsewhere if reply not in (expected, previous)]
    crowd = max(crowd, len({who for who, _ in others}))
    received, count = _in_place(received, wrong_at, later)
    pending = pending and not (count and count == len(later))
    known = previous, others, later, pending, crowd, alike, ended
    case = Case(expected, received, wrong_at, *known)
    if wrong_at >= len(expected):
        text = f"{len(received)} bytes came, and byte {wrong_at} is beyond the longest right reply"
        return case.found(Kind.MISMATCH, text)
    for judge in STORIES:
        if (finding := judge(case)) is not None:
            return finding
    return case.found(Kind.MISMATCH, f"{case.first_wrong()}; what follows does not line up either")


def _in_place(received: bytes, at: int, later: Owed) -> tuple[bytes, int]:
    """What came in place of the reply, and how many of the later ones have come right behind it.

    They would be taken for a rest that lines up, or for the reply itself where all are alike.
    """
    for count in range(len(later), 0, -1):
        behind = b"".join(reply for _, reply in later[:count])
        end = len(received) - len(behind)
        if behind and end > at and received.endswith(behind):
            return received[:end], count
    return received, 0


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
            text = f"{size} bytes that nobody asked for: {owned(owners)}"
            return Finding(Kind.CROSSTALK, 0, text, owners[0])
    if size >= EVIDENCE and previous.endswith(extra):
        return Finding(Kind.DUPLICATE, 0, f"the last {size} bytes of the previous reply came again")
    return Finding(
        Kind.SURPLUS, 0, f"{size} {'byte' if size == 1 else 'bytes'} came that nobody asked for"
    )


def _tells(reply: bytes) -> bool:
    """Long enough that other bytes do not begin like it by accident."""
    return len(reply) >= EVIDENCE


def _is_whole(extra: bytes, reply: bytes) -> bool:
    return len(reply) >= EVIDENCE and extra.startswith(reply)


def _begins_alike(extra: bytes, reply: bytes) -> bool:
    return len(extra) >= EVIDENCE and reply.startswith(extra)


def excerpt(
    expected: bytes, received: bytes, offset: int, size: int = EXCERPT
) -> tuple[int, bytes, bytes]:
    """Where an excerpt begins, then `size` bytes at most of each from there on.

    It begins a little before `offset`, at a row of a hexdump.
    """
    begin = max(0, offset // ROW * ROW - CONTEXT)
    return begin, expected[begin : begin + size], received[begin : begin + size]
