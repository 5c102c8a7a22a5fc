"""The rule `received`: the server answers each chunk with `Server received ` and Python's repr.

It can be read in one way only, because a quote that ends a repr is never the first byte of what
could go on: the stream itself says where it was cut.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from loadmux.checking.chunks import Reads, recut, split
from loadmux.checking.verifying import RuleVerifier, answers_owed, first_difference

WINDOW_LEAST = 64


WINDOW_MOST = 64 * 1024


HEAD = b"Server received b"


ESCAPE = re.compile(rb"\\(?:x[0-9a-f]{2}|[nrt\\'\"])")


UNESCAPED = {
    **{b"\\x%02x" % value: bytes([value]) for value in range(256)},
    **{b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t"},
    **{b"\\" + each: each for each in (b"\\", b"'", b'"')},
}


class NextByte:
    """Where a byte value comes next, found once for many questions with rising starts."""

    __slots__ = ("_at", "_value")

    def __init__(self, value: int) -> None:
        self._value = value
        self._at = 0

    def __call__(self, data: bytearray, start: int, limit: int) -> int:
        """The first place in data[start:limit]; `limit` if there is none."""
        at = max(self._at, start)
        if at < len(data) and data[at] != self._value:
            at = data.find(self._value, at)
            at = len(data) if at < 0 else at
        self._at = at
        return min(at, limit)


def escaped(chunk: bytes | bytearray, quote: bytes) -> bytes:
    """The inside of a bytes repr in these quotes; in double ones `chunk` must hold none of them.

    repr() takes double quotes exactly when there are single ones and no double ones inside, and
    escapes single ones when there are both (CPython, Objects/bytesobject.c, PyBytes_Repr).
    """
    if quote == b"'":
        return repr(bytes(chunk) + b"'\"")[2:-4].encode("ascii")
    return repr(b"'" + chunk)[3:-1].encode("ascii")


def unescaped(text: bytes) -> bytes:
    """What `text` is the inside of a repr of; as it is where it is no such thing."""
    return ESCAPE.sub(lambda found: UNESCAPED[found[0]], text)


def received_reply(chunk: bytes | bytearray) -> bytes:
    return b"Server received " + repr(bytes(chunk)).encode("ascii")


class Received(RuleVerifier):
    """`received`: `Server received ` and Python's repr, for chunks that join to what was sent.

    A reply under way stands for the chunk that begins at `_start` of `_sent`; it can hold nothing
    that was sent after its first byte had come (`_limit`). Its quote says what the chunk holds, and
    so where it may end: `_ends`. Its text is compared with windows of the right text, which grow,
    so that neither short nor long chunks cost more than their length.
    """

    __slots__ = (
        "_at",
        "_begin",
        "_double",
        "_ends",
        "_from",
        "_head",
        "_last",
        "_limit",
        "_most",
        "_quote",
        "_sent",
        "_single",
        "_start",
        "_text",
        "_to",
    )

    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self._most = reads.most
        self._sent = bytearray()
        self._start = self._limit = self._last = 0
        self._begin = self._head = self._at = self._from = self._to = 0
        self._quote = self._text = b""
        self._ends: tuple[range, ...] = ()
        self._single = NextByte(ord("'"))
        self._double = NextByte(ord('"'))

    def sent(self, data: bytes, lockstep: bool) -> None:
        self._sent += data
        self.done = self.idle = self._start == len(self._sent)

    def restart(self) -> None:
        self._begin -= len(self.received)
        super().restart()
        if not self._head:
            del self._sent[: self._start]
            self._start = 0
            self._single, self._double = NextByte(ord("'")), NextByte(ord('"'))

    def feed(self, data: bytes) -> bytes:
        at = 0
        while at < len(data) and self._start < len(self._sent) and self.wrong_at is None:
            if self._quote:
                at = self._take_text(data, at)
            elif self._head < len(HEAD):
                at = self._take_head(data, at)
            else:
                at = self._take_quote(data, at)
        if self.wrong_at is not None:
            self.received += data
            return b""
        self.received += data[:at]
        self.done = self.idle = self._start == len(self._sent)
        return data[at:]

    def _take_head(self, data: bytes, at: int) -> int:
        if not self._head:
            self._begin = len(self.received) + at
            self._limit = min(len(self._sent), self._start + self._most)
        came = data[at : at + len(HEAD) - self._head]
        if not HEAD.startswith(came, self._head):
            at += first_difference(HEAD[self._head :], came)
            self.wrong_at = len(self.received) + at
            return at
        self._head += len(came)
        return at + len(came)

    def _take_quote(self, data: bytes, at: int) -> int:
        quote = data[at : at + 1]
        ends = [some for some in self._possible_ends(quote) if some]
        if not ends:
            self.wrong_at = len(self.received) + at
            return at
        self._quote = quote
        self._ends = tuple(ends)
        self._last = ends[-1][-1]
        self._from = self._to = self._start
        self._text, self._at = b"", 0
        return at + 1

    def _possible_ends(self, quote: bytes) -> tuple[range, ...]:
        """Where in `_sent` a chunk can end whose repr has this quote; rising."""
        start, limit = self._start, self._limit
        single = self._single(self._sent, start, limit)
        double = self._double(self._sent, start, limit)
        if quote == b"'":
            return range(start + 1, single + 1), range(max(single, double) + 1, limit + 1)
        if quote == b'"':
            return (range(single + 1, double + 1),)
        return ()

    def _take_text(self, data: bytes, at: int) -> int:
        while at < len(data):
            if self._at == len(self._text):
                self._next_window()
            right = self._text[self._at : self._at + len(data) - at]
            came = data[at : at + len(right)]
            if not right or came != right:
                same = first_difference(right, came)
                self._at += same
                return self._take_end(data, at + same)
            self._at += len(right)
            at += len(right)
        return at

    def _next_window(self) -> None:
        size = min(max(2 * (self._to - self._from), WINDOW_LEAST), WINDOW_MOST)
        self._from = self._to
        self._to = min(self._from + size, self._last)
        self._text = escaped(self._sent[self._from : self._to], self._quote)
        self._at = 0

    def _take_end(self, data: bytes, at: int) -> int:
        """The text does not go on as the chunk would: its end, or a wrong byte."""
        end = self._end() if data[at : at + 1] == self._quote else None
        if end is None or not any(end in ends for ends in self._ends):
            self.wrong_at = len(self.received) + at
            return at
        self._start = end
        self._head = 0
        self._quote = b""
        return at + 1

    def _end(self) -> int | None:
        """Where in `_sent` the text is now; None within an escape."""
        if not self._at:
            return self._from
        window = self._sent[self._from : self._to]

        def length(size: int) -> int:
            return len(escaped(window[:size], self._quote))

        size = bisect_right(range(len(window) + 1), self._at, key=length) - 1
        return self._from + size if length(size) == self._at else None

    def expected(self) -> bytes:
        if self._start == len(self._sent):
            return bytes(self.received)
        under_way = self._head > 0 or self.wrong_at is not None
        begin = self._begin if under_way else len(self.received)
        right, skipped = bytes(self.received[: max(begin, 0)]), max(-begin, 0)
        if self.wrong_at is not None and not skipped:
            chunks = split(recut(self._sent, self._start, *self._bodies()), self._most)
            guess = right + b"".join(map(received_reply, chunks))
            if first_difference(guess, self.received) == self.wrong_at:
                return guess
        end = self._last if self._quote else self._limit if under_way else len(self._sent)
        chunks = [bytes(self._sent[self._start : end]), bytes(self._sent[end:])]
        return right + b"".join(map(received_reply, split(chunks, self._most)))[skipped:]

    def _bodies(self) -> tuple[list[bytes], bool]:
        """What the replies stand for that came from `_begin` on; is the last one whole?"""
        came = bytes(self.received[self._begin :])
        first, *texts = came.split(HEAD)
        if first:
            texts.insert(0, first[len(HEAD) :])
        bodies = [unescaped(text[1:-1]) for text in texts]
        return bodies, came.endswith((b"'", b'"'))

    def owed(self) -> str:
        return "nothing" if self.done else answers_owed(len(self._sent) - self._start)
