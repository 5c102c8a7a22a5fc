"""What steps do with frames: payloads that are wrapped, and replies that are one frame.

A body that is known beforehand becomes the exact bytes of its frame where the framing allows that,
so a framed reply goes the same fast way as any other exact one. A body that turns out at run time
to fit in no frame is the scenario's mistake: it ends the run (DriverFault), and no fault is counted
against the target.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from loadmux.checking.bodies import IsExactly
from loadmux.checking.checked import Checked, unchecked
from loadmux.checking.framed import ExactFrame, ExactToEnd, FrameVerifier
from loadmux.checking.framing import FrameError, Framing, first_frame
from loadmux.checking.headed import ExactPrefixed
from loadmux.checking.judging import Judge
from loadmux.checking.marked import LinesUntil
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.received import received_reply
from loadmux.checking.recognition import Opened
from loadmux.checking.rules import WORDS, Rule
from loadmux.checking.simple import UntilClose
from loadmux.checking.upper_sb import SUFFIX
from loadmux.driver.user import VirtualUser
from loadmux.language.meaning import contents
from loadmux.plugins.payloads import Framed, Payload
from loadmux.running.steps import stretches
from loadmux.running.steps.messages import Render
from loadmux.running.steps.place import Place
from loadmux.running.steps.replies import Judged, Reply
from loadmux.running.steps.stretches import Stretch

ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "echo": bytes,
    "upper": bytes.upper,
    "received": received_reply,
    "upper_sb": lambda body: body.upper() + SUFFIX,
    "ok": lambda body: WORDS["ok"],
    "hello": lambda body: WORDS["hello"],
}
"""What a rule makes of a body; a frame is one chunk, however large it is."""


def wrapped(framing: Framing, render: Render, place: Place, header: Render | None = None) -> Render:
    """Frames around what `render` makes. Raises DriverFault where there is no such frame."""

    def frame(user: VirtualUser, socket: str, sent: bytes) -> bytes:
        head = None if header is None else header(user, socket, sent)
        body = render(user, socket, sent)
        try:
            return framing.encode(body) if head is None else framing.headed(head, body)
        except ValueError as error:
            raise place.refuse(user, socket, body, error) from None

    return frame


def body_of(framing: Framing, frame: bytes) -> bytes:
    """The body of one whole frame. Raises ValueError if it is none."""
    body = framing.sole(frame)
    if body is not None:
        return body
    found = first_frame(framing, frame)
    if found is None:
        raise ValueError("what the step sends is no whole frame")
    return found.body


def unframed(framing: Framing) -> Opened:
    """Takes the frame off that some bytes begin with."""

    def opened(came: bytes) -> tuple[bytes, int] | None:
        try:
            frame = framing.decoder().feed(came)
        except FrameError:
            return None
        return None if frame is None else (frame.body, len(came) - len(frame.rest))

    return opened


def encoded(payload: Framed, of: Callable[[Payload], bytes | None]) -> bytes | None:
    """The frame, if `of` knows all of it; None where there is none."""
    try:
        return contents.framed(payload, of)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class FrameReply(Reply):
    """One frame with a body that `constant` or `render` tells.

    `answers`: the step sends one frame; `render` is given its body as what was sent.
    """

    framing: Framing
    constant: bytes | None
    render: Render
    place: Place
    answers: bool

    @property
    def swift(self) -> bool:
        return True

    @property
    def entire(self) -> bool:
        return self.framing.certain

    def known(self, payload: bytes) -> Judged | None:
        try:
            constant = self.constant
            return None if constant is None else exactly(self.framing.answering(payload), constant)
        except ValueError:
            return None

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        sent = body_of(self.framing, payload) if self.answers else payload
        body = self.render(user, socket, sent)
        try:
            return exactly(self.framing.answering(payload), body)
        except ValueError as error:
            raise self.place.refuse(user, socket, body, error) from None

    def stretch(self, user: VirtualUser, socket: str, payload: bytes) -> Stretch | None:
        if not self.entire:
            return None
        frame, _ = self.judged(user, socket, payload)
        return None if frame is None else stretches.text(frame)


@dataclass(frozen=True, slots=True)
class FrameByRule(Reply):
    """One frame whose body is what a rule makes of the body of the frame that the step sends.

    `rules` by the names of the sockets.
    """

    framing: Framing
    rules: Mapping[str, Rule]
    place: Place

    def known(self, payload: bytes) -> Judged | None:
        first, *others = self.rules.values()
        if any(rule != first for rule in others):
            return None
        try:
            return self._judged(body_of(self.framing, payload), first)
        except ValueError:
            return None

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        try:
            return self._judged(body_of(self.framing, payload), self.rules[socket])
        except ValueError as error:
            raise self.place.refuse(user, socket, payload, error) from None

    def _judged(self, body: bytes, rule: Rule) -> Judged:
        answer = ANSWERS.get(rule.name, rule.likely)(body)
        if answer is None or rule.name == "sink":
            raise ValueError(f"the rule {rule.name!r} does not answer a frame with a frame")
        return exactly(self.framing, answer)


def exactly(framing: Framing, body: bytes) -> Judged:
    """One frame with exactly this body. Raises ValueError if no frame can carry it."""
    frame = framing.encode(body) if framing.symmetric else b""
    checked = framing if isinstance(framing, Checked) else None
    if framing.certain:
        return frame, partial(ExactFrame, frame, body, checked)
    inner = unchecked(framing)
    if isinstance(inner, LengthPrefixed):
        return frame, partial(ExactPrefixed, inner, frame, body, told=False, checked=checked)
    if isinstance(framing, UntilClose):
        return None, partial(ExactToEnd, body)
    expected = framing.expected(body)
    likely = framing.encode(body) if isinstance(framing, LinesUntil) else None
    return likely, verifiers(framing, IsExactly(expected))


def verifiers(framing: Framing, judge: Judge) -> Callable[[], FrameVerifier]:
    """Makes verifiers of one frame with a body that is right for `judge`."""
    return lambda: FrameVerifier(framing.decoder(), judge)


@lru_cache(maxsize=1024)
def remembered(source: bytes) -> re.Pattern[bytes]:
    """A regex in which a user's values may stand; they often come again."""
    return re.compile(source)
