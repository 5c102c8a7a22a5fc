"""A wrong reply: what was to come, what came, and what is known of the sockets around. Pure.

What may explain it is told by `stories`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadmux.errors import Kind

EVIDENCE = 4
"""Bytes below which a match with another socket's reply, or a part of one's own, says nothing."""

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
class Alike:
    """What came is a right reply but for its values; `text` says whose, as far as that is known.

    `crowd` is how many such replies there are, at least about.
    """

    text: str
    crowd: int


@dataclass(frozen=True, slots=True)
class Case:
    """What was to come, what came, and what is known of the sockets around."""

    expected: bytes
    received: bytes
    at: int
    previous: bytes
    others: Owed
    later: Owed
    pending: bool
    crowd: int
    alike: Alike | None
    ended: bool = False
    """Whether no more than `received` can come: it is the whole body of a frame."""

    def found(self, kind: Kind, message: str, belongs_to: str | None = None) -> Finding:
        return Finding(kind, self.at, message, belongs_to)

    def came_whole(self, reply: bytes) -> bool:
        """Did `reply` come from the first byte on, and after it nothing, or the right reply?

        Of the latter a part is enough if `reply` is no mere byte or two.
        """
        if len(reply) <= self.at or not self.received.startswith(reply):
            return False
        rest = self.received[len(reply) :]
        return not rest or self.is_right(rest, begun=len(reply) >= EVIDENCE)

    def is_right(self, rest: bytes, begun: bool) -> bool:
        """Whether `rest` is the right reply, or more; `begun`: its beginning is enough."""
        return bool(rest) and (
            rest.startswith(self.expected) or (begun and self.expected.startswith(rest))
        )

    def came_in_part(self, reply: bytes) -> bool:
        """Does `reply` agree with what came as far as both go, and farther than our own does?"""
        common = min(len(reply), len(self.received))
        return common >= self.at + EVIDENCE and agree(reply, self.received)

    def changed(self, size: int) -> tuple[int, int]:
        """Of the first `size` bytes: how many are wrong, and where the last wrong one ends."""
        at = self.at
        right = int.from_bytes(self.expected[at:size], "big")
        came = int.from_bytes(self.received[at:size], "big")
        differences = (right ^ came).to_bytes(size - at, "big")
        return len(differences) - differences.count(0), at + len(differences.rstrip(b"\0"))

    def one_differs(self) -> bool:
        """Whether no more than one byte differs, of as many as there should be."""
        size = len(self.expected)
        more = self.received[size:]
        again = len(more) >= EVIDENCE and repeats(self.expected, more)
        whole = len(self.received) == size or again
        if self.pending and size < EVIDENCE:  # what follows is the reply to the next message
            whole = len(self.received) > size
        return whole and self.changed(size)[0] == 1

    def one_changed_so_far(self) -> bool:
        size = min(len(self.expected), len(self.received))
        return size > 1 and self.changed(size)[0] == 1

    def first_wrong(self) -> str:
        at, came, right = self.at, self.received[self.at], self.expected[self.at]
        return f"byte {at} of the reply is {came:#04x}, expected {right:#04x}"


def repeats(reply: bytes, data: bytes) -> bool:
    """Whether data is this reply, again and again."""
    return (reply * (len(data) // len(reply) + 1)).startswith(data)


def agree(left: bytes, right: bytes) -> bool:
    size = min(len(left), len(right))
    return left[:size] == right[:size]


def owned(owners: list[str], part: str = "", came: str = " came here") -> str:
    sockets = list(dict.fromkeys(owners))
    others = f" (or to one of {len(sockets) - 1} others)" if len(sockets) > 1 else ""
    return f"{part}the reply to {sockets[0]}{others}{came}"
