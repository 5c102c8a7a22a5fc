"""What a step sends, and how it is cut into pieces.

Whatever varies from one user or moment to the next is a `Render`; the compiler makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from loadmux.checking.rules import Rule
from loadmux.driver.connection import Connection
from loadmux.driver.user import VirtualUser

Render = Callable[[VirtualUser, str, bytes], bytes]
"""Bytes for a user, the name of a socket, and what the same step sent."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a step sends: `constant`, or what `render` makes of the moment.

    `pieces` are sizes in bytes, or what tells them, the last one repeating; none sends all at once.
    `gap` is in seconds, and so is `delay`: by which the iteration that begins with it was late.
    `urgent`: out of band. `oneway`: nothing answers it. Sockets are named: `rules` has the reply
    rules by which some step checks what this one sends on them, `read` those that some step reads
    at all.
    """

    constant: bytes | None
    render: Render
    pieces: tuple[int | Render, ...] = ()
    gap: float = 0.0
    rules: Mapping[str, Rule] = field(default_factory=dict)
    read: frozenset[str] = frozenset()
    delay: float = 0.0
    urgent: bool = False
    oneway: bool = False

    def bytes_for(self, user: VirtualUser, socket: str) -> bytes:
        return self.render(user, socket, b"") if self.constant is None else self.constant

    def told(self, payload: bytes, user: VirtualUser, connection: Connection) -> Iterable[bytes]:
        """What the server reads of a payload, as far as a rule knows: a datagram each, or all."""
        if connection.datagrams:
            return self.cut(payload, user, connection.name)
        return (payload[: len(payload) - self.urgent],)

    def cut(self, payload: bytes, user: VirtualUser, socket: str) -> Iterator[bytes]:
        if not self.pieces:
            yield payload
            return
        found = [
            one if isinstance(one, int) else int(one(user, socket, payload)) for one in self.pieces
        ]
        at, sizes, size = 0, iter(found), found[-1]
        while at < len(payload):
            size = next(sizes, size)
            yield payload[at : at + size]
            at += size
