"""Reply rules as stream verifiers: is this stream of bytes a right reply to what was sent?

A server answers chunks, and TCP cuts a message into chunks as it likes. A rule is therefore a
transducer from what was sent to the set of reply streams that *some* cutting explains, and a
verifier decides whether what came so far begins a member of that set:

- *Exact* rules (`echo`, `upper`): every cutting gives the same stream; compare.
- *Invertible* rules (`received`, `upper_sb`): the stream says where it was cut; each has a module.
- *Counting* rules (`ok`, `hello`): only how many replies came can be judged. The bounds follow
  from causes: a chunk has at least one byte, and a reply that had begun to arrive before some
  bytes were sent does not answer these. Hence `weak`: where messages are pipelined, a lost reply
  can go unseen; a right server is never blamed.

What is known of how a server reads (`chunks.Reads`) makes the bounds tighter: no chunk is larger
than what it reads at a time, so n bytes have at least n / that many replies; and a message that is
no larger, fits in one segment, and leaves in one send with nothing else under way, is one chunk.

A reply can be complete and yet allow more (`ok` after a long message; `upper_sb` with the suffix
in the payload). Then `done` is true, `idle` is not, and `feed` goes on taking what the rule
explains.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from loadmux.checking.chunks import ORDINARY, Reads
from loadmux.checking.frozen import dataclass
from loadmux.checking.received import Received, received_reply
from loadmux.checking.upper_sb import SUFFIX, UpperSuffixed
from loadmux.checking.verifying import RuleVerifier, bytes_owed, first_difference

LIKELY_MOST = 64 * 1024
"""A longer message is not answered in one piece, so its reply is not worked out beforehand."""


class ExactRule(RuleVerifier):
    """`echo`, `upper`: f(ab) = f(a)f(b), so the cutting does not show."""

    __slots__ = ("_answer", "_reply")

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._answer = answer
        self._reply: bytes | bytearray = b""

    def sent(self, data: bytes, lockstep: bool) -> None:
        if not self._reply:
            self._reply = self._answer(data)  # a MiB is not copied where it is all that is owed
        else:
            if isinstance(self._reply, bytes):
                self._reply = bytearray(self._reply)
            self._reply += self._answer(data)
        self.done = self.idle = len(self.received) == len(self._reply)

    def restart(self) -> None:
        came = len(self.received)
        if came == len(self._reply):
            self._reply = b""
        elif isinstance(self._reply, bytearray):
            del self._reply[:came]
        else:
            self._reply = self._reply[came:]
        super().restart()

    def feed(self, data: bytes) -> bytes:
        rest = self._match(self._reply, data)
        self.idle = self.done
        return rest

    def expected(self) -> bytes:
        return bytes(self._reply)

    def owed(self) -> str:
        return bytes_owed(len(self._reply) - len(self.received), len(self._reply))


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
