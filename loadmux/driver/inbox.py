"""What a stream has brought and nobody has taken yet: chunks as they came, none copied to add one.

A chunk is handed out in portions, so that what a reader gives back (the replies behind its own) is
small: with 50,000 replies in a chunk its rest would otherwise be copied 50,000 times.
"""

from __future__ import annotations

PORTION = 16 * 1024


class Inbox:
    """A queue of bytes; its length is theirs."""

    __slots__ = ("_at", "_chunks", "_size")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._at = self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, chunk: bytes) -> None:
        if chunk:
            self._chunks.append(chunk)
            self._size += len(chunk)

    def take(self) -> bytes:
        """The next bytes, PORTION of them at most; there must be some."""
        chunk = self._chunks[self._at]
        if len(chunk) > PORTION:
            starts = range(0, len(chunk), PORTION)
            self._chunks[: self._at + 1] = [chunk[at : at + PORTION] for at in starts]
            self._at = 0
            chunk = self._chunks[0]
        self._at += 1
        self._size -= len(chunk)
        if not self._size:
            self._chunks.clear()
            self._at = 0
        return chunk

    def put_back(self, rest: bytes) -> None:
        """Bytes that come before all others."""
        if not rest:
            return
        self._size += len(rest)
        if self._at:
            self._at -= 1
            self._chunks[self._at] = rest
        else:
            self._chunks.insert(0, rest)

    def take_all(self) -> bytes:
        whole = self.peek()
        self._chunks.clear()
        self._at = self._size = 0
        return whole

    def peek(self, size: int | None = None) -> bytes:
        """The first `size` bytes, or all; they stay here."""
        found: list[bytes] = []
        missing = self._size if size is None else size
        for chunk in self._chunks[self._at :]:
            if missing <= 0:
                break
            found.append(chunk[:missing])
            missing -= len(chunk)
        return b"".join(found)
