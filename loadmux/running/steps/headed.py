"""Replies that are one frame of which the header is judged beside the body.

Where both are known beforehand it is an exact reply like any other. A header that does not fit its
framing when the step runs is the scenario's mistake (DriverFault), as such a body is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from loadmux.checking.checked import Checked, unchecked
from loadmux.checking.framed import WholeFrameVerifier
from loadmux.checking.framing import Framing
from loadmux.checking.headed import BothRight, ExactPrefixed, HeaderIs
from loadmux.checking.judging import Judge
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.rules import Rule
from loadmux.driver.user import VirtualUser
from loadmux.running.steps.framed import ANSWERS, body_of
from loadmux.running.steps.matching import Layout, Quick, around, by_judge, exactly, headed
from loadmux.running.steps.messages import Render
from loadmux.running.steps.place import Place
from loadmux.running.steps.replies import Judged, Reply
from loadmux.running.steps.swift import Match


@dataclass(frozen=True, slots=True)
class Asked:
    """What one part of a frame is asked: to be exactly what `constant`, `render` or `rule` says, or
    to be right for what `judge` makes.
    """

    constant: bytes | None = None
    render: Render | None = None
    judge: Callable[[VirtualUser, str, bytes], Judge] | None = None
    rule: Rule | None = None
    fixed: Judge | None = None
    layout: Layout | None = None

    def quick(self, user: VirtualUser, socket: str, sent: bytes) -> Quick:
        """What knows it when it is right."""
        if self.layout is not None:
            return self.layout.now(user, socket, sent)
        if (exact := self.now(user, socket, sent)) is not None:
            return exactly(exact)
        judge = self.fixed or self.judged(user, socket, sent)
        assert judge is not None
        return by_judge(judge)

    @property
    def known(self) -> bool:
        return self.constant is not None or self.fixed is not None

    def now(self, user: VirtualUser, socket: str, sent: bytes) -> bytes | None:
        """Exactly what it must be; None where a judge says."""
        if self.rule is not None:
            return ANSWERS.get(self.rule.name, self.rule.likely)(sent)
        return None if self.render is None else self.render(user, socket, sent)

    def judged(self, user: VirtualUser, socket: str, sent: bytes) -> Judge | None:
        return None if self.judge is None else self.judge(user, socket, sent)


@dataclass(frozen=True, slots=True)
class HeadedReply(Reply):
    """One frame with this header and body; `answers` as of other framed replies."""

    framing: Framing
    header: Asked
    body: Asked
    place: Place
    answers: bool

    @property
    def swift(self) -> bool:
        return True

    @property
    def matching(self) -> bool:
        exact = self.header.judge is None and self.body.judge is None
        framing = self.framing
        return isinstance(framing, LengthPrefixed) and not (framing.varint or exact)

    def match(self, user: VirtualUser, socket: str, payload: bytes) -> Match | None:
        framing = self.framing
        if not (self.matching and isinstance(framing, LengthPrefixed)):
            return None
        sent = body_of(framing, payload) if self.answers else payload
        header = self.header.now(user, socket, sent)
        if header is None:
            before = self.header.quick(user, socket, sent)
        else:
            try:
                first, length, last = framing.parted(header)
            except ValueError:
                return None
            before = around(first, len(length), last)
        inside = self.body.quick(user, socket, sent)
        return partial(headed, framing, framing.size, before, inside)

    def known(self, payload: bytes) -> Judged | None:
        if not (self.header.known and self.body.known):
            return None
        judges = [self.header.fixed, self.body.fixed]
        try:
            return self._judged(self.header.constant, self.body.constant, judges)
        except ValueError:
            return None

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        sent = body_of(self.framing, payload) if self.answers else payload
        header, body = self.header.now(user, socket, sent), self.body.now(user, socket, sent)
        judges = [one.judged(user, socket, sent) for one in (self.header, self.body)]
        try:
            return self._judged(header, body, judges)
        except ValueError as error:
            raise self.place.refuse(user, socket, body or b"", error) from None

    def _judged(
        self, header: bytes | None, body: bytes | None, judges: list[Judge | None]
    ) -> Judged:
        """Of each half exactly these bytes, or where that is None what its judge says.

        Raises ValueError where no frame has these.
        """
        if header is not None:
            self.framing.check_header(header)
            judges[0] = HeaderIs(prefixed(self.framing), header)
        if body is not None:
            return self._exactly(header, judges[0], body)
        asked, inside = judges
        assert asked is not None
        assert inside is not None
        both, framing = BothRight(asked, inside), self.framing
        return None, lambda: WholeFrameVerifier(framing.decoder(), both)

    def _exactly(self, header: bytes | None, judge: Judge | None, body: bytes) -> Judged:
        framing = prefixed(self.framing)
        checked = self.framing if isinstance(self.framing, Checked) else None
        exactly = partial(ExactPrefixed, framing, body=body, checked=checked)
        if header is not None:
            frame = self.framing.headed(header, body)
            return frame, partial(exactly, frame=frame, told=True)
        return None, partial(exactly, frame=self.framing.encode(body), told=False, judge=judge)


def prefixed(framing: Framing) -> LengthPrefixed:
    """The part of a framing that has the header."""
    inner = unchecked(framing)
    assert isinstance(inner, LengthPrefixed), "only framings with a header take one"
    return inner
