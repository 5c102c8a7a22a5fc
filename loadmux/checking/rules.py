"""Reply forms and reply rules as stream verifiers: is this stream of bytes a right reply, and if
not, which is its first wrong byte? No I/O; whoever receives bytes feeds them as they come.

A server answers chunks, and TCP cuts a message into chunks as it likes. A rule is therefore a
transducer from what was sent to the set of reply streams that *some* cutting explains, and a
verifier decides whether what came so far begins a member of that set:

- *Exact* rules (`echo`, `upper`): every cutting gives the same stream; compare.
- *Invertible* rules (`received`, `upper_sb`): the stream says where it was cut. `received` can be
  read in one way only, because a quote that ends a repr is never the first byte of what could go
  on. `upper_sb` is ambiguous where the payload itself holds the suffix: all possible states are
  kept.
- *Counting* rules (`ok`, `hello`): only how many replies came can be judged. The bounds follow
  from causes: a chunk has at least one byte, and a reply that had begun to arrive before some
  bytes were sent does not answer these. Hence `weak`: where messages are pipelined, a lost reply
  can go unseen; a right server is never blamed.

What is known of how a server reads (`Reads`) makes the bounds tighter: no chunk is larger than what
it reads at a time, so n bytes have at least n / that many replies; and a message that is no larger,
fits in one segment, and leaves in one send while nothing else is under way, is one chunk.

Bytes that are right are compared by whole stretches (memcmp, about 1 GB/s), never one by one;
only the search for a wrong byte, and `upper_sb` around each `_`, goes into detail.

A reply can be complete and yet allow more (`ok` after a long message; `upper_sb` with the suffix
in the payload). Then `done` is true, `idle` is not, and `feed` goes on taking what the rule
explains.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from sys import maxsize

from loadmux.checking.tripping import tripped
from loadmux.errors import Kind

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of a frame at most, unless a scenario says otherwise; so too up to and with an `until`."""
ONE_CHUNK = 1024
"""A message of at most so many bytes, sent at once and alone, arrives in one piece."""
LIKELY_MOST = 64 * 1024
"""A longer message is not answered in one piece, so its reply is not worked out beforehand."""
WINDOW_LEAST = 64
WINDOW_MOST = 64 * 1024
HEAD = b"Server received b"
SUFFIX = b"_SB"
ESCAPE = re.compile(rb"\\(?:x[0-9a-f]{2}|[nrt\\'\"])")
UNESCAPED = {
    **{b"\\x%02x" % value: bytes([value]) for value in range(256)},
    **{b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t"},
    **{b"\\" + each: each for each in (b"\\", b"'", b'"')},
}


def first_difference(left: bytes | bytearray, right: bytes | bytearray) -> int:
    """The first offset at which the two differ; the length of the shorter one if none is."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a reply is wrong, where comparing bytes would not tell. The bytes are no excerpts.

    `offset` is that of the first wrong byte in `received`, None where no one byte is to blame.
    `expected` is None where there is no one right reply.
    """

    kind: Kind
    message: str
    offset: int | None
    expected: bytes | None
    received: bytes


class Verifier:
    """Judges one reply as it comes. After a wrong byte nothing more may be fed.

    `done`: everything that must arrive has arrived and was right. `wrong_at`: offset in `received`
    of the first byte that no right reply has there. `received`: all that was taken for this reply,
    and everything of the chunk with the wrong byte. `context`: what is known of the reply beside
    its bytes, for whoever has to say what is wrong with it (`recognition`).
    """

    __slots__ = ("context", "done", "received", "unreadable", "wrong_at")

    def __init__(self) -> None:
        self.context: object = None
        self.done = False
        self.wrong_at: int | None = None
        self.received = bytearray()
        self.unreadable: Problem | None = None

    def take(self, data: bytes) -> bytes:
        """`feed`, but what trips over the bytes is told by `unreadable` (see `tripping`)."""
        try:
            return self.feed(data)
        except Exception as error:
            self._trip(error, data)
            return b""

    def finish(self) -> bool:
        """`end`, in the same way."""
        try:
            return self.end()
        except Exception as error:
            self._trip(error, b"")
            return True

    def _trip(self, error: Exception, data: bytes) -> None:
        """Whoever reads the reply does not get through it."""
        text = tripped(error)
        if not self.received.endswith(data):
            self.received += data
        self.done = False
        self.wrong_at = len(self.received) - len(data)
        self.unreadable = Problem(Kind.MISMATCH, text, None, None, bytes(self.received))

    def feed(self, data: bytes) -> bytes:
        """Take what belongs to this reply; returns the rest, b"" if a byte is wrong."""
        raise NotImplementedError

    def expected(self) -> bytes:
        """The whole reply that is most likely after what was right so far; b"" if not known."""
        raise NotImplementedError

    def owed(self) -> str:
        """What is still missing, in a few words."""
        raise NotImplementedError

    def end(self) -> bool:
        """The stream has ended in order: true if that ends the reply, `done` or wrong then."""
        return False

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this reply, and is to be closed once it was right."""
        return False

    def answer(self) -> bytes:
        """What the server must be sent at once for what came; asking takes it away."""
        return b""

    @property
    def aside(self) -> int:
        """Messages that were passed over while this reply was awaited."""
        return 0

    @property
    def moved(self) -> bool:
        """Whether what was fed last brought anything of this reply."""
        return True

    def problem(self) -> Problem | None:
        """Why the reply is wrong; None leaves that to `expected`, `received` and `wrong_at`."""
        return None

    def kept(self) -> bytes:
        """What a `save` stores of a right reply."""
        return bytes(self.received)

    def captured(self) -> Mapping[str, bytes]:
        """What else a right reply gives a name to."""
        return {}

    def _wrong(self, data: bytes, offset: int) -> bytes:
        self.wrong_at = len(self.received) + offset
        self.received += data
        return b""

    def _match(self, reply: bytes | bytearray, data: bytes) -> bytes:
        """Take `data` if `reply` has it after what was received; returns what is beyond its end."""
        at = len(self.received)
        due = len(reply) - at
        mine, rest = (data, b"") if len(data) <= due else (data[:due], data[due:])
        if not reply.startswith(mine, at):
            return self._wrong(data, first_difference(reply[at : at + len(mine)], mine))
        self.received += mine
        self.done = len(mine) == due
        return rest


@dataclass(frozen=True, slots=True)
class Reads:
    """How a server reads, in bytes: at most `most` at a time.

    A message of up to `whole` that arrives alone is surely read at once.
    """

    whole: int = ONE_CHUNK
    most: int = maxsize

    @classmethod
    def at_most(cls, size: int) -> Reads:
        """It reads `size` bytes at a time, less only where less has arrived."""
        return cls(min(ONE_CHUNK, size), size)


ORDINARY = Reads()
"""As a bundled target that was not told to read less."""
UNKNOWN = Reads(whole=1)
"""Nothing is known: only a single byte cannot be cut."""


class Exact(Verifier):
    """Exactly these bytes."""

    __slots__ = ("_reply",)

    def __init__(self, expected: bytes) -> None:
        super().__init__()
        self._reply = expected
        self.done = not expected

    def feed(self, data: bytes) -> bytes:
        return self._match(self._reply, data)

    def expected(self) -> bytes:
        return self._reply

    def owed(self) -> str:
        return _bytes_owed(len(self._reply) - len(self.received), len(self._reply))


class LengthOf(Verifier):
    """So many bytes, whatever they are; `expected` is not known."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self.done = not size

    def feed(self, data: bytes) -> bytes:
        due = self._size - len(self.received)
        self.received += data[:due]
        self.done = len(self.received) == self._size
        return data[due:]

    def expected(self) -> bytes:
        return b""

    def owed(self) -> str:
        return _bytes_owed(self._size - len(self.received), self._size)


class UntilDelimiter(Verifier):
    """Everything up to and with the delimiter, MAX_FRAME bytes at most; `expected` is not known."""

    __slots__ = ("_delimiter",)

    def __init__(self, delimiter: bytes) -> None:
        super().__init__()
        self._delimiter = delimiter

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return data
        before = len(self.received)
        self.received += data
        found = self.received.find(self._delimiter, max(0, before - len(self._delimiter) + 1))
        end = len(self.received) if found < 0 else found + len(self._delimiter)
        if end > MAX_FRAME:
            self.wrong_at = MAX_FRAME
            return b""
        self.done = found >= 0
        del self.received[end:]
        return data[end - before :]

    def expected(self) -> bytes:
        return b""

    def owed(self) -> str:
        return "nothing" if self.done else f"the delimiter {self._delimiter!r}"


class RuleVerifier(Verifier):
    """Judges all that a socket gets by one rule, over many messages; begins with nothing owed.

    `idle`: nothing is owed and nothing more may come.
    """

    __slots__ = ("idle",)

    def __init__(self) -> None:
        super().__init__()
        self.done = self.idle = True

    def sent(self, data: bytes, lockstep: bool) -> None:
        """`data` is about to be sent, so more is owed (for b"" nothing is).

        `lockstep`: all that was sent before has been answered, and `data` leaves in one send.
        """
        raise NotImplementedError

    def restart(self) -> None:
        """A new reply begins: `received` and `wrong_at` count from here."""
        self.received = bytearray()
        self.wrong_at = None


class ExactRule(RuleVerifier):
    """`echo`, `upper`: f(ab) = f(a)f(b), so the cutting does not show."""

    __slots__ = ("_answer", "_reply")

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._answer = answer
        self._reply = bytearray()

    def sent(self, data: bytes, lockstep: bool) -> None:
        self._reply += self._answer(data)
        self.done = self.idle = len(self.received) == len(self._reply)

    def restart(self) -> None:
        del self._reply[: len(self.received)]
        super().restart()

    def feed(self, data: bytes) -> bytes:
        rest = self._match(self._reply, data)
        self.idle = self.done
        return rest

    def expected(self) -> bytes:
        return bytes(self._reply)

    def owed(self) -> str:
        return _bytes_owed(len(self._reply) - len(self.received), len(self._reply))


class Sink(RuleVerifier):
    """Nothing arrives: done from the start, and takes nothing."""

    __slots__ = ()

    def sent(self, data: bytes, lockstep: bool) -> None:
        return

    def feed(self, data: bytes) -> bytes:
        return data

    def expected(self) -> bytes:
        return b""

    def owed(self) -> str:
        return "nothing"


class Counting(RuleVerifier):
    """`ok`, `hello`: the same words for every chunk, so only their number can be judged.

    `_count` whole replies and `_part` bytes of the next have come, in all; between `_least` and
    `_most` replies are right. `_first` and `_first_part` are where the current reply began.

    `_chunks` is in bytes, where replies that had begun before a send count as full chunks: of all
    sends that have been made, the largest sum of what had been answered before it and what was sent
    from it on. So many bytes need `_least` chunks.
    """

    __slots__ = (
        "_chunks",
        "_count",
        "_first",
        "_first_part",
        "_least",
        "_most",
        "_part",
        "_reads",
        "_word",
    )

    def __init__(self, word: bytes, reads: Reads) -> None:
        super().__init__()
        self._word = word
        self._reads = reads
        self._count = self._part = self._least = self._most = self._first = self._first_part = 0
        self._chunks = 0

    def sent(self, data: bytes, lockstep: bool) -> None:
        if not data:
            return
        reads = self._reads
        one = lockstep and self.idle and len(data) <= reads.whole
        begun = self._count + bool(self._part)
        self._chunks = max(self._chunks, begun * reads.most) + len(data)
        self._least = -(-self._chunks // reads.most)
        self._most += 1 if one else len(data)
        self.done = self.idle = False

    def restart(self) -> None:
        super().restart()
        self._first, self._first_part = self._count, self._part

    def feed(self, data: bytes) -> bytes:
        word = self._word
        size = min(len(data), (self._most - self._count) * len(word) - self._part)
        right = (word * (size // len(word) + 2))[self._part : self._part + size]
        same = size if data.startswith(right) else first_difference(right, data)
        count, part = divmod(self._part + same, len(word))
        count += self._count
        if same < size and count < self._least:
            return self._wrong(data, same)
        if same < size:
            return self._only_whole(data, count, same - part)
        self.received += data[:size]
        self._settle(count, part)
        return data[size:]

    def _only_whole(self, data: bytes, count: int, end: int) -> bytes:
        """What was owed is there, but what follows is no further reply: hand that back whole.

        `end` is where in `data` the last whole reply ends; before its begin when it ended earlier.
        """
        if end < 0:
            data = self._word[:-end] + data
            del self.received[max(0, len(self.received) + end) :]
            end = 0
        self.received += data[:end]
        self._settle(count, 0)
        return data[end:]

    def _settle(self, count: int, part: int) -> None:
        self._count, self._part = count, part
        self.done = count >= self._least
        self.idle = count == self._most

    def expected(self) -> bytes:
        right = len(self.received) if self.wrong_at is None else self.wrong_at + 1
        shown = -(-(self._first_part + right) // len(self._word))
        return (self._word * max(self._least - self._first, shown))[self._first_part :]

    def owed(self) -> str:
        missing = self._least - self._count
        if missing <= 0:
            return "nothing"
        return f"at least {'one' if missing == 1 else missing} {self._word.decode()!r}"


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
        return "nothing" if self.done else _answers_owed(len(self._sent) - self._start)


class UpperSuffixed(RuleVerifier):
    """`upper_sb`: each chunk in upper case, then `_SB`.

    A state is (place in `_upper`, phase): phase INSIDE a chunk, 1 or 2 bytes into the suffix, or
    BETWEEN chunks. It is kept with the place where its chunk began, the last one of several: what
    the longer chunk allows, the shorter does too. Underscores in the payload make further states;
    each stretch without one is compared at once. `_spare` is what came after the reply was
    complete: one of the states explains it, but it may yet turn out to be surplus.

    A payload of nothing but suffixes has a state for each, and costs the square of its length (6 KB
    of them: 3 s); any other costs about its length.
    """

    __slots__ = ("_most", "_spare", "_states", "_upper")

    INSIDE = 0
    BETWEEN = len(SUFFIX)

    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self._most = reads.most
        self._upper = bytearray()
        self._states = {(0, self.BETWEEN): 0}
        self._spare = b""

    def sent(self, data: bytes, lockstep: bool) -> None:
        if data:
            self._upper += data.upper()
            self._spare = b""
            self.done = self.idle = False

    def restart(self) -> None:
        super().restart()
        consumed = min(place for place, _ in self._states)
        del self._upper[:consumed]
        self._states = {
            (place - consumed, phase): begin - consumed
            for (place, phase), begin in self._states.items()
        }

    def feed(self, data: bytes) -> bytes:
        complete = (len(self._upper), self.BETWEEN)
        at = 0
        completed = None
        while at < len(data) and self._states.keys() != {complete}:
            same = self._stretch(data, at) or self._step(data[at])
            if not same:
                return self._stuck(data, at, completed)
            at += same
            if complete in self._states:
                completed = at
        return self._taken(data, at, completed)

    def _stretch(self, data: bytes, at: int) -> int:
        """Take the bytes up to the next underscore as far as a chunk explains them; how many."""
        if not all(phase in (self.INSIDE, self.BETWEEN) for _, phase in self._states):
            return 0
        end = data.find(SUFFIX[:1], at)
        came = data[at:end] if end >= 0 else data[at:]
        if not came:
            return 0
        upper, size = self._upper, len(came)
        begins = self._begins()
        places = [
            place
            for place, begin in begins.items()
            if place + size <= begin + self._most and upper.startswith(came, place)
        ]
        if not places:
            same = {
                place: min(
                    first_difference(upper[place : place + size], came),
                    begin + self._most - place,
                )
                for place, begin in begins.items()
            }
            size = max(same.values())
            places = [place for place, right in same.items() if right == size]
        if size:
            self._states = {(place + size, self.INSIDE): begins[place] for place in places}
        return size

    def _begins(self) -> dict[int, int]:
        """By place, where its chunk began; for states none of which is within a suffix."""
        begins: dict[int, int] = {}
        for (place, phase), begin in self._states.items():
            begin = place if phase == self.BETWEEN else begin
            begins[place] = max(begin, begins.get(place, begin))
        return begins

    def _step(self, value: int) -> int:
        """Take one byte: 1 if a state explains it, else 0."""
        states: dict[tuple[int, int], int] = {}

        def reached(place: int, phase: int, begin: int) -> None:
            states[place, phase] = max(begin, states.get((place, phase), begin))

        for (place, phase), begin in self._states.items():
            if phase in (self.INSIDE, self.BETWEEN):
                begin = place if phase == self.BETWEEN else begin
                if value in self._upper[place : place + 1] and place < begin + self._most:
                    reached(place + 1, self.INSIDE, begin)
            if phase != self.BETWEEN and value == SUFFIX[phase]:
                reached(place, phase + 1, begin)
        self._states = states or self._states
        return int(bool(states))

    def _taken(self, data: bytes, at: int, completed: int | None) -> bytes:
        self.received += data[:at]
        if completed is not None:
            self.done = True
            self._spare = data[completed:at]
        elif self.done:
            self._spare += data[:at]
        self.idle = self._states.keys() == {(len(self._upper), self.BETWEEN)}
        return data[at:]

    def _stuck(self, data: bytes, at: int, completed: int | None) -> bytes:
        """No state explains data[at]. If the reply was complete, all that followed is rest."""
        if completed is None and not self.done:
            return self._wrong(data, at)
        if completed is None:
            del self.received[max(0, len(self.received) - len(self._spare)) :]
            data, completed = self._spare + data, 0
        self._states = {(len(self._upper), self.BETWEEN): 0}
        return self._taken(data[:completed], completed, completed) + data[completed:]

    def expected(self) -> bytes:
        if self.done and self.wrong_at is None:
            return bytes(self.received)
        place, phase = max(self._states)
        at = len(self.received) if self.wrong_at is None else self.wrong_at
        right = bytes(self.received[:at])
        if phase == self.INSIDE and place == len(self._upper):
            return right + SUFFIX
        if phase not in (self.INSIDE, self.BETWEEN):
            right += SUFFIX[phase:]
        bodies = bytes(self.received[at:]).split(SUFFIX)
        whole = not bodies[-1]
        chunks = recut(self._upper, place, bodies[:-1] if whole else bodies, whole)
        if phase == self.INSIDE:  # the chunk that has begun takes no more than its room
            room = self._states[place, phase] + self._most - place
            first, rest = chunks[0][:room], chunks[0][room:]
            return right + first + SUFFIX + self._suffixed([rest, *chunks[1:]])
        return right + self._suffixed(chunks)

    def _suffixed(self, chunks: list[bytes]) -> bytes:
        return b"".join(chunk + SUFFIX for chunk in split(chunks, self._most))

    def owed(self) -> str:
        if self.done:
            return "nothing"
        return _answers_owed(len(self._upper) - max(place for place, _ in self._states))


def recut(payload: bytearray, start: int, bodies: list[bytes], whole: bool) -> list[bytes]:
    """Cut payload[start:] as the server seems to have cut it, for a report that lines up.

    `bodies` is what came in place of each chunk, the first with the wrong byte, the last one cut
    short unless `whole`. Bodies at the end that are right keep their cuts, whatever was lost or
    added before them; the others keep their lengths; the last of these takes what is left.
    """
    end, bodies = len(payload), bodies[:]
    right: list[bytes] = []
    while whole and bodies and bodies[-1] and payload.endswith(bodies[-1], start, end):
        end -= len(bodies[-1])
        right.append(bodies.pop())
    chunks = []
    for body in bodies[:-1]:
        if body and start + len(body) < end:
            chunks.append(bytes(payload[start : start + len(body)]))
            start += len(body)
    if start < end:
        chunks.append(bytes(payload[start:end]))
    return chunks + right[::-1]


def split(chunks: Iterable[bytes], most: int) -> list[bytes]:
    """The chunks, those of more than `most` bytes cut further; none is empty."""
    return [chunk[at : at + most] for chunk in chunks for at in range(0, len(chunk), most)]


def _bytes_owed(missing: int, total: int) -> str:
    return f"{missing} of {total} bytes" if missing else "nothing"


def _answers_owed(missing: int) -> str:
    if not missing:
        return "nothing more to answer, only the end of the reply"
    return f"the answer to the last {missing} bytes that were sent"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a server answers.

    `likely` gives the whole reply to a message that the server reads as one chunk: if exactly this
    has come, nothing more may come. None where that cannot be said beforehand. `weak`: the rule
    only counts replies.
    """

    name: str
    likely: Callable[[bytes], bytes | None]
    verifier: Callable[[], RuleVerifier]
    weak: bool = False


WORDS = {"ok": b"ok", "hello": b"Hello Client!"}
RULES = ("echo", "upper", "ok", "received", "upper_sb", "hello", "sink")


@cache
def rule(name: str, reads: Reads = ORDINARY) -> Rule:
    """The rule of this name. Raises KeyError if it is not one of RULES."""
    return _MAKERS[name](name, reads)


def _exact(answer: Callable[[bytes], bytes]) -> Callable[[str, Reads], Rule]:
    return lambda name, reads: Rule(name, answer, lambda: ExactRule(answer))


def _counting(name: str, reads: Reads) -> Rule:
    word = WORDS[name]

    def likely(sent: bytes) -> bytes | None:
        if not sent:
            return b""
        return word if len(sent) <= reads.whole else None

    return Rule(name, likely, lambda: Counting(word, reads), weak=True)


def _received(name: str, reads: Reads) -> Rule:
    most = min(LIKELY_MOST, reads.most)

    def likely(sent: bytes) -> bytes | None:
        if not sent:
            return b""
        return received_reply(sent) if len(sent) <= most else None

    return Rule(name, likely, lambda: Received(reads))


def _upper_sb(name: str, reads: Reads) -> Rule:
    most = min(LIKELY_MOST, reads.most)

    def likely(sent: bytes) -> bytes | None:
        """None also where the payload holds the suffix: a complete reply may yet go on."""
        if not sent:
            return b""
        upper = sent.upper()
        return None if len(sent) > most or upper.find(SUFFIX, 1) >= 0 else upper + SUFFIX

    return Rule(name, likely, lambda: UpperSuffixed(reads))


def _sink(name: str, reads: Reads) -> Rule:
    return Rule(name, lambda sent: b"", Sink)


_MAKERS: dict[str, Callable[[str, Reads], Rule]] = {
    "echo": _exact(bytes),
    "upper": _exact(bytes.upper),
    "ok": _counting,
    "received": _received,
    "upper_sb": _upper_sb,
    "hello": _counting,
    "sink": _sink,
}
