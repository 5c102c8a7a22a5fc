"""What a stream has brought and nobody has taken yet: chunks as they came, none copied to add one.

A chunk is handed out in portions, so that what a reader gives back (the replies behind its own) is
small: with 50,000 replies in a chunk its rest would otherwise be copied 50,000 times.
"""

from __future__ import annotations

PORTION = 16 * 1024
LITTLE = 2 * 1024


class Inbox(list[bytes]):
    """A queue of chunks, none of them empty: true if there is one.

    A list, as that is asked at every step of every user.
    """

    __slots__ = ()

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return sum(map(len, self))

    def add(self, chunk: bytes) -> None:
        """Put it behind all others; little ones are joined, so that a drip makes no long list."""
        if not chunk:
            return
        if self and len(self[-1]) + len(chunk) < LITTLE:
            self[-1] += chunk
        else:
            self.append(chunk)

    def take(self) -> bytes:
        """The next bytes, PORTION of them at most; there must be some."""
        chunk = self.pop(0)
        if len(chunk) > PORTION:
            starts = range(PORTION, len(chunk), PORTION)
            self[:0] = [chunk[at : at + PORTION] for at in starts]
            chunk = chunk[:PORTION]
        return chunk

    def put_back(self, rest: bytes) -> None:
        """Bytes that come before all others."""
        if rest:
            self.insert(0, rest)

    def take_all(self) -> bytes:
        whole = b"".join(self)
        self.clear()
        return whole

    def peek(self, size: int) -> bytes:
        """The first `size` bytes, or all; they stay here."""
        found: list[bytes] = []
        for chunk in self:
            if size <= 0:
                break
            found.append(chunk[:size])
            size -= len(chunk)
        return b"".join(found)
