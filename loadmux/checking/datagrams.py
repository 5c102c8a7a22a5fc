"""Replies that are datagrams: which must come, and what is wrong with one that came. Pure.

A datagram arrives whole or not at all, in any order, once or more than once (RFC 768 promises no
more). So a reply is judged datagram by datagram, and what the network can do to datagrams is told
apart from what only a server can do to bytes: what has come too early is `reordered` if the missing
one still comes, and `timeout` if it does not, for a lost datagram cannot be told from one that was
never sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loadmux.checking import diagnosis
from loadmux.checking.diagnosis import EVIDENCE, Alike, Finding, Owed
from loadmux.checking.received import received_reply
from loadmux.checking.rules import WORDS, Rule
from loadmux.checking.verifying import RuleVerifier, first_difference
from loadmux.errors import Kind

Answer = Callable[[bytes], bytes]

_ANSWERS: dict[str, Answer] = {
    "echo": bytes,
    "upper": bytes.upper,
    "received": received_reply,
    "upper_sb": lambda sent: sent.upper() + b"_SB",
    **{name: lambda sent, word=word: word for name, word in WORDS.items()},  # type: ignore[misc]
}
"""What a server makes of a datagram by each rule; a rule that is not here (`sink`) is silent."""


class Datagrams(RuleVerifier):
    """Judges all datagrams that a socket gets by one rule: `due` are to come, `arrived` have.

    What was sent as one datagram was read as one, so every reply is known beforehand. Each call of
    `feed` brings one datagram.
    """

    __slots__ = ("_answer", "arrived", "due")

    def __init__(self, answer: Answer | None) -> None:
        super().__init__()
        self._answer = answer
        self.due: list[bytes] = []
        self.arrived: list[bytes] = []

    def sent(self, data: bytes, lockstep: bool) -> None:
        """`data` is about to be sent as one datagram, also if it is empty."""
        if self._answer is not None:
            self.due.append(self._answer(data))
            self.done = self.idle = False

    def restart(self) -> None:
        super().restart()
        del self.due[: len(self.arrived)]
        self.arrived = []

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return data
        wanted = self.due[len(self.arrived)]
        if data != wanted:
            self.wrong_at = len(self.received) + first_difference(wanted, data)
        self.arrived.append(data)
        self.received += data
        self.done = self.idle = self.wrong_at is None and len(self.arrived) == len(self.due)
        return b""

    def take_whole(self, data: bytes) -> None:
        self.take(data)

    @property
    def messages(self) -> tuple[Sequence[bytes], Sequence[bytes]]:
        return self.due, self.arrived

    def expected(self) -> bytes:
        return b"".join(self.due)

    def owed(self) -> str:
        return count(len(self.due) - len(self.arrived))


def rule(of: Rule) -> Rule:
    """The same rule for a server that answers datagrams: nothing about it is weak any more."""
    answer = _ANSWERS.get(of.name)
    return Rule(of.name, answer or (lambda sent: b""), lambda: Datagrams(answer))


def count(number: int) -> str:
    return "one datagram" if number == 1 else f"{number} datagrams"


def diagnose(
    due: Sequence[bytes],
    arrived: Sequence[bytes],
    later: Sequence[bytes],
    *,
    pending: bool,
    previous: bytes,
    owed_elsewhere: Owed = (),
    ahead: Owed = (),
    crowd: int = 0,
    alike: Alike | None = None,
) -> Finding:
    """Judge the last of `arrived`, the first that is not what was `due` at its place.

    `later` came within a short while after it. `pending`: replies to other messages of this socket
    are under way; `ahead` are those that the next steps await, by the steps' names. `previous` is
    the last datagram of the reply before, the rest is as in `diagnosis.diagnose`. Offsets count
    from the first byte of the wrong datagram.
    """
    at = len(arrived) - 1
    wanted, came = due[at], arrived[at]
    offset = first_difference(wanted, came)
    finding = (
        _other_of_ours(due, arrived, later, previous, ahead)
        or (_before(came, pending, owed_elsewhere) if wanted in later else None)
        or _length(wanted, came, previous)
        or diagnosis.diagnose(
            wanted,
            came,
            offset,
            previous=previous,
            owed_elsewhere=owed_elsewhere,
            crowd=crowd,
            alike=alike,
            ended=True,
        )
    )
    text = finding.message
    if len(due) > 1:
        text = f"datagram {at + 1} of {len(due)}: {text}"
    return Finding(finding.kind, min(offset, len(came)), text, finding.belongs_to)


def _other_of_ours(
    due: Sequence[bytes],
    arrived: Sequence[bytes],
    later: Sequence[bytes],
    previous: bytes,
    ahead: Owed,
) -> Finding | None:
    """A right datagram at the wrong place, or once more."""
    at = len(arrived) - 1
    wanted, came = due[at], arrived[at]
    others = [(f"datagram {number + 1}", due[number]) for number in range(at + 1, len(due))]
    others += [(f"the one that step {step!r} awaits", reply) for step, reply in ahead]
    number = next((name for name, reply in others if reply == came), None)
    if number is not None and wanted in later:
        return Finding(Kind.REORDERED, 0, f"{number} came before it")
    if number is not None:
        text = f"it did not come (lost, or never sent); {number} came in its place"
        return Finding(Kind.TIMEOUT, 0, text)
    if came not in due[:at] and not (came and came == previous):
        return None
    if wanted in later:
        return Finding(Kind.DUPLICATE, 0, f"an earlier datagram ({len(came)} bytes) came again")
    text = f"it is equal to an earlier datagram ({len(came)} bytes); the right one did not come"
    return Finding(Kind.MISMATCH, 0, text)


def _before(came: bytes, pending: bool, owed_elsewhere: Owed) -> Finding:
    """The right datagram came too, after this one."""
    owners = [who for who, reply in owed_elsewhere if reply == came and len(came) >= EVIDENCE]
    if owners:
        text = f"the reply to {owners[0]} came here, before the right one"
        return Finding(Kind.CROSSTALK, 0, text, owners[0])
    if pending:
        return Finding(Kind.REORDERED, 0, "another datagram came before it")
    return Finding(Kind.SURPLUS, 0, f"{_size(came)} that nobody asked for came before the reply")


def _length(wanted: bytes, came: bytes, previous: bytes) -> Finding | None:
    """Right as far as it goes, but not whole; or whole, but not the end."""
    if wanted.startswith(came):
        return Finding(
            Kind.TRUNCATED, 0, f"the datagram has only the first {len(came)} of {len(wanted)} bytes"
        )
    if not came.startswith(wanted):
        return None
    extra = came[len(wanted) :]
    if extra in (wanted, previous):
        text = f"the datagram goes on with {len(extra)} bytes that came before"
        return Finding(Kind.DUPLICATE, 0, text)
    text = f"the datagram goes on for {len(extra)} bytes after the right {len(wanted)}"
    return Finding(Kind.SURPLUS, 0, text)


def diagnose_form(came: bytes, taken: int, owed: str) -> Finding:
    """Judge a datagram that is not of the form that was expected, of which no bytes are known.

    `taken` bytes of it are a whole reply, or the beginning of one that lacks what is `owed`.
    """
    if taken < len(came):
        text = f"the datagram goes on for {len(came) - taken} bytes after the reply"
        return Finding(Kind.SURPLUS, taken, text)
    text = f"the datagram of {len(came)} bytes is not a whole reply; still owed: {owed}"
    return Finding(Kind.TRUNCATED, taken, text)


def diagnose_surplus(
    extra: Sequence[bytes], *, previous: bytes, owed_elsewhere: Owed = ()
) -> Finding:
    """Judge datagrams (at least one) that came after all that was asked for."""
    first = extra[0]
    if not first:
        return Finding(Kind.SURPLUS, 0, "an empty datagram came that nobody asked for")
    found = diagnosis.diagnose_surplus(first, previous=previous, owed_elsewhere=owed_elsewhere)
    more = f"; {count(len(extra))} in all" if len(extra) > 1 else ""
    return Finding(found.kind, found.offset, found.message + more, found.belongs_to)


def _size(datagram: bytes) -> str:
    return f"a datagram of {len(datagram)} bytes" if datagram else "an empty datagram"
