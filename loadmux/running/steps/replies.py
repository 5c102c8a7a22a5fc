"""What a step expects in answer to its message: the contract, and the replies that hold no other.

A `Reply` says what is right, never whether something was right: it makes a verifier for that, and
tells the bytes of the right reply where those are known, so that a step can compare with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from loadmux.checking.rules import Rule
from loadmux.checking.verifying import Exact, RuleVerifier, Verifier
from loadmux.driver.user import VirtualUser
from loadmux.running.steps import stretches
from loadmux.running.steps.messages import Render
from loadmux.running.steps.stretches import Stretch
from loadmux.running.steps.swift import Match

Judged = tuple[bytes | None, Callable[[], Verifier]]
"""The reply if it is known and comes in one piece; what makes the verifier for any other case."""

EXACT_RULES = ("echo", "upper")
"""Rules whose reply is known, however a server reads."""


class Reply:
    """What a step expects in answer to a payload."""

    def known(self, payload: bytes) -> Judged | None:
        """The same for every user, or None where it varies."""
        raise NotImplementedError

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        judged = self.known(payload)
        assert judged is not None
        return judged

    @property
    def swift(self) -> bool:
        """Whether it may be judged in one go; see `swift`."""
        return False

    @property
    def entire(self) -> bool:
        """Whether no beginning of it is a right reply by itself, so that the rest must come."""
        return False

    @property
    def several(self) -> bool:
        """Whether it is several messages: as many datagrams, where it comes in such."""
        return False

    @property
    def single(self) -> bool:
        """Whether it answers just one message, and needs nothing but its bytes."""
        return True

    @property
    def matching(self) -> bool:
        """Whether it is never known beforehand, but by `match` when it comes."""
        return False

    @property
    def asks(self) -> int:
        """How many requests it answers, where the protocol tells them apart."""
        return 1

    @property
    def quick(self) -> bool:
        """Whether `match` is as fast as a comparison with the last right reply."""
        return False

    def match(self, user: VirtualUser, socket: str, payload: bytes) -> Match | None:
        """What knows a whole right reply faster than its verifier."""
        return None

    def stretch(self, user: VirtualUser, socket: str, payload: bytes) -> Stretch | None:
        """What finds a right reply among others quickly; None if nobody does, or it has names."""
        return None

    def alone(self) -> Callable[[], Verifier] | None:
        """Makes the verifier where what is right hangs on the reply's bytes alone; else None."""
        return None

    def answers_alike(self, payload: bytes) -> bool:
        """Whether what `alone` makes judges the answer to this (HEAD is answered unlike GET)."""
        return True


@dataclass(frozen=True, slots=True)
class ExactReply(Reply):
    constant: bytes | None
    render: Render

    @property
    def swift(self) -> bool:
        return True

    @property
    def entire(self) -> bool:
        return True

    def known(self, payload: bytes) -> Judged | None:
        return None if self.constant is None else (self.constant, partial(Exact, self.constant))

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        expected = self.constant
        if expected is None:
            expected = self.render(user, socket, payload)
        return expected, partial(Exact, expected)

    def stretch(self, user: VirtualUser, socket: str, payload: bytes) -> Stretch | None:
        expected = self.constant
        return stretches.text(self.render(user, socket, payload) if expected is None else expected)


@dataclass(frozen=True, slots=True)
class RuleReply(Reply):
    rule: Rule

    @property
    def single(self) -> bool:
        return False

    @property
    def entire(self) -> bool:
        return self.rule.name in EXACT_RULES

    def known(self, payload: bytes) -> Judged | None:
        return self.rule.likely(payload), partial(lockstep, self.rule, payload)


@dataclass(frozen=True, slots=True)
class RuleReplies(Reply):
    """Several sockets of one step, each with the rule of its own target; `rules` by their names."""

    rules: Mapping[str, Rule]

    @property
    def single(self) -> bool:
        return False

    def known(self, payload: bytes) -> Judged | None:
        return None

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        rule = self.rules[socket]
        return rule.likely(payload), partial(lockstep, rule, payload)


@dataclass(frozen=True, slots=True)
class FormReply(Reply):
    """A reply known by its form (`length`, `until`), whatever was sent; `found` finds its end."""

    make: Callable[[], Verifier]
    found: Stretch | None = None

    def known(self, payload: bytes) -> Judged | None:
        return None, self.make

    @property
    def swift(self) -> bool:
        return True

    def stretch(self, user: VirtualUser, socket: str, payload: bytes) -> Stretch | None:
        return self.found

    def alone(self) -> Callable[[], Verifier] | None:
        return self.make


def lockstep(rule: Rule, payload: bytes) -> RuleVerifier:
    """The verifier of the reply to one message, sent in one piece with nothing else under way."""
    verifier = rule.verifier()
    verifier.sent(payload, True)
    return verifier
