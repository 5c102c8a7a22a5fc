"""What an exchange knows before the run: its bytes, the likely reply, which short ways it may go.

A short way compares a reply that came whole with the one that is likely; only what differs is
verified. It may be gone where the likely reply is known beforehand (`plan`), was learned from the
last right one (`learned`), or is soon worked out from what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from loadmux.checking.rules import WORDS, Rule
from loadmux.checking.verifying import Verifier
from loadmux.driver.connection import SMALL, Plan
from loadmux.driver.user import VirtualUser
from loadmux.errors import DriverFault
from loadmux.measuring.recorder import Record
from loadmux.running.steps.careful import Careful
from loadmux.running.steps.learning import Learned
from loadmux.running.steps.messages import Message
from loadmux.running.steps.replies import RuleReplies, RuleReply


@dataclass(slots=True)
class Prepared(Careful):
    """`constant`: message and reply are always the same bytes, whatever else is under way.
    `direct`, `swift`, `several` are the short ways that it may go; the last is that of several
    sockets, or of pieces. `bare`: so is that of an answer to what was sent before. `payload` is the
    message if it is constant, `parts` are its pieces, `counting` is a rule after whose reply more
    may come.
    """

    direct: bool = field(init=False)
    bare: bool = field(init=False)
    swift: bool = field(init=False)
    several: bool = field(init=False)
    parts: Sequence[bytes] = field(init=False, default=())
    matching: bool = field(init=False)
    counting: Rule | None = field(init=False, default=None)
    plan: Plan | None = field(init=False, default=None)
    learned: Learned | None = field(init=False, default=None)
    payload: bytes = field(init=False, default=b"")
    sizes: tuple[int, int] = field(init=False, default=(-1, -1))
    sized: Record = field(init=False)
    constant: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        message = self.message
        whole = message is not None and not (message.pieces or message.urgent)
        keeps = self.save is not None or self.captures
        alone = whole and len(self.sockets) == 1
        # One datagram is never two replies, even if it holds the bytes of both.
        alone = alone and not (self.datagrams and self.reply.several)
        self.swift = alone and self.reply.swift
        self.matching = self.swift and self.reply.matching
        self.several = self._many(keeps)
        learns = alone or self.several
        if learns and message is not None and not message.rules and not self.reply.quick:
            self.learned = self._learning(message, keeps)
        one = message is None and len(self.sockets) == 1 and not (keeps or self.datagrams)
        self.bare = one and self.reply.single
        self.direct = alone and (not keeps or self.learned is not None)
        if self.direct and isinstance(self.reply, RuleReply) and self.reply.rule.name in WORDS:
            self.counting = self.reply.rule
        if message is None or message.constant is None:
            return
        self.payload = message.constant
        if self.learned is not None:
            return
        judged = self.reply.known(message.constant)
        if judged is not None and judged[0] and len(judged[0]) < SMALL:
            self.plan = self._plan(self.payload, judged[0], judged[1])
            self.constant = self.direct and self.counting is None

    def _many(self, keeps: bool) -> bool:
        """Whether it may go the short way on several sockets, or in pieces."""
        message, reply = self.message, self.reply
        if message is None or message.urgent or message.gap or self.bounded or keeps:
            return False
        rules = [reply.rule] if isinstance(reply, RuleReply) else []
        rules += reply.rules.values() if isinstance(reply, RuleReplies) else []
        counting = any(rule.name in WORDS for rule in rules)
        return not counting and (len(self.sockets) > 1 or bool(message.pieces))

    def _learning(self, message: Message, keeps: bool) -> Learned | None:
        """What learns the replies, where that can be and is worth it."""
        likely, judge = None, self.reply.alone()
        if message.constant is not None:
            known = (
                None if isinstance(self.reply, RuleReply) else self.reply.known(message.constant)
            )
            likely, judge = known or (None, None)
        if judge is None or (likely and not keeps) or (likely and len(likely) >= SMALL):
            return None
        sent, context = len(message.constant or b""), self.context
        words = self.timeout, context, keeps, self.bounded
        return Learned(likely or b"", judge, self.record, sent, *words)

    def awaited(self, user: VirtualUser, socket: str) -> bytes | None:
        """The reply that this step would await now, without a message of its own; None if none."""
        try:
            return self.reply.judged(user, socket, b"")[0]
        except DriverFault:  # a name that it needs has no value yet
            return None

    def _plan(self, payload: bytes, likely: bytes, judge: Callable[[], Verifier]) -> Plan:
        sizes = len(payload), len(likely)
        if sizes != self.sizes:
            self.sizes, self.sized = sizes, self.record.sized(*sizes)
        words = self.timeout, self.context, self.bounded
        return Plan(likely, judge, self.record, self.sized, *words)
