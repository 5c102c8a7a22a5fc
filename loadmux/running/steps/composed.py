"""Replies that are judged as they come, and replies that hold others: in turn, or one of several.

What judges them is made of what they hold (`Made`), once where that is always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from loadmux.checking import frames
from loadmux.checking.composed import Alternatives, InTurn, Item
from loadmux.checking.framed import FrameVerifier
from loadmux.checking.framing import Framing, Talkative
from loadmux.checking.judging import Judge
from loadmux.checking.parts import Fast, HasParts
from loadmux.checking.simple import Delimited, DelimitedDecoder
from loadmux.checking.verifying import MAX_FRAME, Verifier
from loadmux.driver.user import VirtualUser
from loadmux.running.steps import matching, stretches
from loadmux.running.steps.framed import body_of
from loadmux.running.steps.made import Made
from loadmux.running.steps.matching import Layout
from loadmux.running.steps.messages import Render
from loadmux.running.steps.replies import Judged, Reply
from loadmux.running.steps.stretches import Stretch
from loadmux.running.steps.swift import Match


@dataclass(frozen=True, slots=True)
class JudgedFrame(Reply):
    """One frame whose body is right for what judges it."""

    framing: Framing
    made: Made[Judge]
    answers: bool
    matched: Match | None = None
    layout: Layout | None = None

    @property
    def swift(self) -> bool:
        return True

    @property
    def matching(self) -> bool:
        return not isinstance(self.framing, Talkative)

    def known(self, payload: bytes) -> Judged | None:
        judge = self.made.constant
        return None if judge is None else (None, self._verifiers(payload, judge))

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        sent = payload
        if self.answers and self.made.constant is None:
            sent = body_of(self.framing, payload)
        return None, self._verifiers(payload, self.made.make(user, socket, sent))

    @property
    def quick(self) -> bool:
        return self.matched is not None

    def match(self, user: VirtualUser, socket: str, payload: bytes) -> Match | None:
        if self.matched is not None:
            return self.matched
        framing, judge, sent = self.framing.answering(payload), self.made.constant, payload
        if judge is None:
            sent = body_of(self.framing, payload) if self.answers else payload
            if self.layout is not None:
                return matching.frame(framing, self.layout.now(user, socket, sent))
            judge = self.made.make(user, socket, sent)
        fast = judge.fast if isinstance(judge, HasParts) else None
        return matching.frame(framing, matching.by_judge(judge) if fast is None else fast.match)

    def stretch(self, user: VirtualUser, socket: str, payload: bytes) -> Stretch | None:
        judge = self.made.constant
        if judge is None:
            sent = body_of(self.framing, payload) if self.answers else payload
            judge = self.made.make(user, socket, sent)
        return stretches.framed(self.framing.answering(payload), judge)

    def _verifiers(self, payload: bytes, judge: Judge) -> Callable[[], Verifier]:
        framing = self.framing.answering(payload)
        return lambda: FrameVerifier(framing.decoder(), judge)


def matched(framing: Framing, judge: Judge | None) -> Match | None:
    """What knows a whole frame that is right for a judge which can be fast."""
    if not isinstance(judge, HasParts) or judge.fast is None:
        return None
    return partial(_delimited, framing, judge.fast) if isinstance(framing, Delimited) else None


def _delimited(framing: Delimited, fast: Fast, data: bytes) -> Mapping[str, bytes] | None:
    """What the body of one whole frame gives names to, if it is right."""
    delimiter = framing.delimiter
    end = len(data) - len(delimiter)
    if data.find(delimiter) != end or len(data) > framing.max_size:
        return None
    return fast.match(data[:end])


@dataclass(frozen=True, slots=True)
class UntilReply(Reply):
    """What comes up to and with a delimiter is right for what judges it."""

    delimiter: bytes
    made: Made[Judge]

    @property
    def swift(self) -> bool:
        return True

    def known(self, payload: bytes) -> Judged | None:
        judge = self.made.constant
        return None if judge is None else (None, partial(self._verifier, judge))

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        return None, partial(self._verifier, self.made.make(user, socket, payload))

    def stretch(self, user: VirtualUser, socket: str, payload: bytes) -> Stretch | None:
        return stretches.until(self.delimiter, self.made.make(user, socket, payload))

    def _verifier(self, judge: Judge) -> Verifier:
        decoder = DelimitedDecoder(self.delimiter, MAX_FRAME, kept=len(self.delimiter))
        return FrameVerifier(decoder, judge)


@dataclass(frozen=True, slots=True)
class FramesReply(Reply):
    """Frames in any order, others among them passed over; see `checking.frames`.

    `wholes` makes the bytes of each, where those are known and none passed over can be one of them.
    """

    framing: Framing
    wants: Made[tuple[frames.Want, ...]]
    skip: Made[frames.Want] | None
    first: bool
    captures: bool
    wholes: Sequence[Render] | None = None

    @property
    def single(self) -> bool:
        return False

    @property
    def swift(self) -> bool:
        return True

    def known(self, payload: bytes) -> Judged | None:
        skip = None if self.skip is None else self.skip.constant
        if self.wants.constant is None or (self.skip is not None and skip is None):
            return None
        return self._judged(payload, self.wants.constant, skip)

    @property
    def matching(self) -> bool:
        if self.wholes is not None:
            return True
        talks = isinstance(self.framing, Talkative)
        return self.captures and not talks and len(self.wants.constant or ()) == 1

    def match(self, user: VirtualUser, socket: str, payload: bytes) -> Match | None:
        if self.wholes is not None:
            now = [whole(user, socket, payload) for whole in self.wholes]
            return partial(stretches.in_any_order, now) if all(now) else None
        wants = self.wants.constant
        if wants is None or len(wants) > 1:
            return None
        skip = None if self.skip is None or self.first else self.skip.make(user, socket, payload)
        return matching.wanted(self.framing.answering(payload), wants[0], skip)

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        now = user, socket, payload
        skip = None if self.skip is None else self.skip.make(*now)
        return self._judged(payload, self.wants.make(*now), skip)

    def _judged(
        self, payload: bytes, wants: Sequence[frames.Want], skip: frames.Want | None
    ) -> Judged:
        framing = self.framing.answering(payload)
        wholes = [one.whole for one in wants]
        # Of several nobody knows which comes first.
        likely = wholes[0] if len(wholes) == 1 and not self.captures else None
        return likely, lambda: frames.Frames(framing.decoder, wants, skip, self.first)


@dataclass(frozen=True, slots=True)
class Choice:
    """A reply among others; `save` names what came."""

    reply: Reply
    save: str | None = None

    def item(self, user: VirtualUser, socket: str, payload: bytes) -> Item:
        return Item(lambda: self.reply.judged(user, socket, payload)[1](), self.save)


@dataclass(frozen=True, slots=True)
class InTurnReply(Reply):
    """One after the other; what one `captures` may stand in the next.

    `requests`: each answers a request of its own, as this tells them apart.
    """

    items: Sequence[Choice]
    captures: bool
    requests: Callable[[bytes], tuple[list[bytes], bytes]] | None = None

    @property
    def single(self) -> bool:
        return False

    @property
    def swift(self) -> bool:
        return self.requests is None and all(one.reply.swift for one in self.items)

    @property
    def several(self) -> bool:
        return len(self.items) > 1 or self.items[0].reply.several

    @property
    def matching(self) -> bool:
        known = all(one.reply.entire for one in self.items)
        return self.swift and not (self.captures or known)

    def match(self, user: VirtualUser, socket: str, payload: bytes) -> Match | None:
        found = self.stretch(user, socket, payload)
        return None if found is None else partial(stretches.alone, found)

    def stretch(self, user: VirtualUser, socket: str, payload: bytes) -> Stretch | None:
        if self.captures or self.requests is not None:
            return None
        found = list[Stretch]()
        for one in self.items:
            stretch = one.reply.stretch(user, socket, payload)
            if stretch is None:
                return None
            found.append(stretch)
        return partial(stretches.in_turn, found)

    @property
    def asks(self) -> int:
        return self._answers

    def known(self, payload: bytes) -> Judged | None:
        payloads = self._payloads(payload)
        found = [one.reply.known(p) for one, p in zip(self.items, payloads, strict=True)]
        judged = [one for one in found if one is not None]
        if self.captures or len(judged) < len(found):
            return None
        return self._judged(judged)

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        both = list(zip(self.items, self._payloads(payload), strict=True))
        if not self.captures:
            return self._judged([one.reply.judged(user, socket, p) for one, p in both])
        items = [one.item(user, socket, p) for one, p in both]
        return None, lambda: InTurn(items, partial(_name, user), self._answers)

    def _judged(self, judged: Sequence[Judged]) -> Judged:
        wholes = [one[0] or b"" for one in judged]
        items = [Item(make) for _, make in judged]
        likely = b"".join(wholes) if all(wholes) and self.requests is None else None
        return likely, lambda: InTurn(items, None, self._answers)

    @property
    def _answers(self) -> int:
        return 1 if self.requests is None else len(self.items)

    def _payloads(self, payload: bytes) -> list[bytes]:
        """What each reply answers."""
        count = len(self.items)
        if self.requests is None:
            return [payload] * count
        whole, rest = self.requests(payload)
        return (whole + [rest] * count)[:count]


def _name(user: VirtualUser, captured: Mapping[str, bytes]) -> None:
    for name, value in captured.items():
        user.set(name, value)


@dataclass(frozen=True, slots=True)
class OneOfReply(Reply):
    """One of several; see `checking.composed.Alternatives`."""

    options: Sequence[Choice]
    labels: Sequence[str]
    which: str | None
    names: Sequence[str]

    @property
    def single(self) -> bool:
        return False

    @property
    def asks(self) -> int:
        return max(one.reply.asks for one in self.options)

    @property
    def swift(self) -> bool:
        return True

    @property
    def several(self) -> bool:
        return any(one.reply.several for one in self.options)

    def known(self, payload: bytes) -> Judged | None:
        found = [one.reply.known(payload) for one in self.options]
        makes = [one[1] for one in found if one is not None]
        if len(makes) < len(found):
            return None
        saves = [one.save for one in self.options]
        return self._judged([Item(*both) for both in zip(makes, saves, strict=True)])

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        return self._judged([one.item(user, socket, payload) for one in self.options])

    def _judged(self, items: Sequence[Item]) -> Judged:
        return None, lambda: Alternatives(items, self.labels, self.which, self.names)
