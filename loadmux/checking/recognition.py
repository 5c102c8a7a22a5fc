"""Whose reply is this? Reads a scenario's texts backwards, so that a stray reply names its owner.

A reply that the scenario makes of `${user}` is right for one user only, and its bytes say for whom.
So nobody has to keep or to exchange what others are owed: a reply that went to the wrong place is
known for what it is though its owner got it long ago, or is a user of another generator process.
A `Shape` is the text as a pattern, with a group for each name:

- `user` tells the owner; so does a column of a feeder, where one user alone has the value.
- `iteration` and `socket` say which reply of that user it is.
- Of `uuid` nobody can say whose it is: then the bytes have the form of a right reply, no more.
- What a step saved or set is not known of others. It may be anything where the owner is known
  without it; where not, it must be what it is for us, or it would be taken for a damaged reply.

`${sent}` stands for the pattern of what was sent. By a rule the reply is what the rule makes of
what was sent, so that is taken back first (`opened`), and so is a frame around it.

All this is done once something is wrong, never before. It is bounded: a pattern has few parts of
unknown length, and the more it has, the shorter are the replies that it is tried on (LONGEST).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadmux.checking.received import HEAD, unescaped
from loadmux.checking.upper_sb import SUFFIX

LONGEST = (64 * 1024, 64 * 1024, 2048, 160)
"""Bytes of a reply at most, by the parts of unknown length: n of them cost its n-th power."""

Owner = Callable[[bytes], int | None]
"""The user who alone has this value."""
Opened = Callable[[bytes], tuple[bytes, int] | None]
"""What a whole reply at the beginning of some bytes was made of, and that reply's size."""


@dataclass(frozen=True, slots=True)
class Recognized:
    """`reply` is a right reply; for whom, as far as it says so. `likewise`: only its form is right,
    with other values than ours.
    """

    reply: bytes
    user: int | None = None
    iteration: int | None = None
    socket: str | None = None
    likewise: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """See the module. `owners` are those of feeders' values, by group; `longest` is in bytes."""

    pattern: re.Pattern[bytes]
    opened: Opened
    owners: Mapping[str, Owner]
    sockets: Collection[str]
    longest: int

    def read(self, came: bytes, right: bytes) -> Recognized | None:
        """Whose whole reply came, alone or before `right`, which is ours."""
        alone = came[: len(came) - len(right)] if right and came.endswith(right) else b""
        for part in (came, alone):
            found = self._match(part)
            if found is not None:
                return self._told(part, *found, self._match(right))
        return None

    def _match(self, part: bytes) -> tuple[re.Match[bytes], int] | None:
        opened = self.opened(part) if 0 < len(part) <= self.longest else None
        match = None if opened is None else self.pattern.fullmatch(opened[0])
        return None if opened is None or match is None else (match, opened[1])

    def _told(
        self,
        part: bytes,
        match: re.Match[bytes],
        size: int,
        ours: tuple[re.Match[bytes], int] | None,
    ) -> Recognized | None:
        values, own = match.groupdict(), {} if ours is None else ours[0].groupdict()
        user = self._user(values)
        identified = user is not None and user != self._user(own)
        free = [name for name in values if name.startswith("open")]
        if not identified and any(values[name] != own.get(name) for name in free):
            return None
        iteration, socket = values.get("iteration"), values.get("socket")
        names = {name.lower().encode(): name for name in self.sockets}
        return Recognized(
            part[:size],
            user,
            None if iteration is None else int(iteration),
            None if socket is None else names.get(socket.lower()),
            any(values[name] != own.get(name) for name in values if name.startswith("uuid")),
        )

    def _user(self, values: Mapping[str, bytes]) -> int | None:
        if "user" in values:
            return int(values["user"])
        told = {owner(values[group]) for group, owner in self.owners.items() if group in values}
        return told.pop() if len(told) == 1 else None


@dataclass(slots=True)
class Context:
    """What is known of a step's reply beside its bytes: its shape, and what may be taken for it.

    `users` are the numbers of all users of the run (none where that is not known), `crowd` is how
    many sockets they have at the same target. `later` are the replies that the next steps await on
    the same socket, by those steps' names: worked out for a user and the socket's name.
    """

    make_shape: Callable[[], Shape | None]
    users: range = range(0)
    crowd: int = 0
    later: list[tuple[str, Callable[[Any, str], bytes | None]]] = field(default_factory=list)
    _shapes: list[Shape | None] = field(default_factory=list)

    @property
    def shape(self) -> Shape | None:
        """Made when first asked for: most steps never need one."""
        if not self._shapes:
            self._shapes.append(self.make_shape())
        return self._shapes[0]


def whole(came: bytes) -> tuple[bytes, int]:
    return came, len(came)


def _received(came: bytes) -> tuple[bytes, int] | None:
    quoted = came[len(HEAD) :]
    if not came.startswith(HEAD) or len(quoted) < 2 or quoted[:1] != quoted[-1:]:
        return None
    return unescaped(quoted[1:-1]), len(came)


def _suffixed(came: bytes) -> tuple[bytes, int] | None:
    return (came[: -len(SUFFIX)], len(came)) if came.endswith(SUFFIX) else None


BACK: Mapping[str, Opened] = {
    "echo": whole,
    "upper": whole,
    "received": _received,
    "upper_sb": _suffixed,
}
"""What a chunk was of which a rule made this reply; from the others nothing can be taken back."""


def chained(outer: Opened, inner: Opened) -> Opened:
    """What `inner` makes of what `outer` yields."""

    def opened(came: bytes) -> tuple[bytes, int] | None:
        first = outer(came)
        second = None if first is None else inner(first[0])
        return None if first is None or second is None else (second[0], first[1])

    return opened
