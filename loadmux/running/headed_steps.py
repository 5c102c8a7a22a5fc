"""Replies that are one frame of which the header is judged beside the body.

Where both are known beforehand it is an exact reply like any other. A header that does not fit its
framing when the step runs is the scenario's mistake (DriverFault), as such a body is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from loadmux.checking.checked import Checked, unchecked
from loadmux.checking.framed import (
    BothRight,
    ExactPrefixed,
    HeaderIs,
    Judge,
    WholeFrameVerifier,
)
from loadmux.checking.framing import Framing
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.rules import Rule
from loadmux.driver.user import VirtualUser
from loadmux.running.frame_steps import ANSWERS, Place, body_of
from loadmux.running.steps import Judged, Render, Reply

HEADER, BODY = "the frame's header", "the frame's body"


@dataclass(frozen=True, slots=True)
class Asked:
    """What one part of a frame is asked: to be exactly what `constant`, `render` or `rule` says, or
    to be right for a judge that `judge` makes for what the report calls the part.
    """

    constant: bytes | None = None
    render: Render | None = None
    judge: Callable[[str], Judge] | None = None
    rule: Rule | None = None

    def now(self, user: VirtualUser, socket: str, sent: bytes) -> bytes | None:
        """Exactly what it must be; None where a judge says."""
        if self.rule is not None:
            return ANSWERS.get(self.rule.name, self.rule.likely)(sent)
        return None if self.render is None else self.render(user, socket, sent)

    @property
    def known(self) -> bool:
        return self.constant is not None or self.judge is not None


@dataclass(frozen=True, slots=True)
class HeadedReply(Reply):
    """One frame with this header and body; `answers` as of other framed replies."""

    framing: Framing
    header: Asked
    body: Asked
    place: Place
    answers: bool

    def known(self, payload: bytes) -> Judged | None:
        if not (self.header.known and self.body.known):
            return None
        try:
            return self._judged(self.header.constant, self.body.constant)
        except ValueError:
            return None

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        sent = body_of(self.framing, payload) if self.answers else payload
        header = self.header.now(user, socket, sent)
        body = self.body.now(user, socket, sent)
        try:
            return self._judged(header, body)
        except ValueError as error:
            raise self.place.refuse(user, socket, body or b"", error) from None

    def _judged(self, header: bytes | None, body: bytes | None) -> Judged:
        if body is not None:
            return self._exactly(header, body)
        assert self.body.judge is not None
        judge = BothRight(self._header(header), self.body.judge(BODY))
        return None, lambda: WholeFrameVerifier(self.framing.decoder(), judge)

    def _header(self, header: bytes | None) -> Judge:
        if header is not None:
            self.framing.check_header(header)
            return HeaderIs(prefixed(self.framing), header)
        assert self.header.judge is not None
        return self.header.judge(HEADER)

    def _exactly(self, header: bytes | None, body: bytes) -> Judged:
        framing = prefixed(self.framing)
        checked = self.framing if isinstance(self.framing, Checked) else None
        exactly = partial(ExactPrefixed, framing, body=body, checked=checked)
        if header is not None:
            frame = self.framing.headed(header, body)
            return frame, partial(exactly, frame=frame, told=True)
        frame, judge = self.framing.encode(body), self._header(None)
        return None, partial(exactly, frame=frame, told=False, judge=judge)


def prefixed(framing: Framing) -> LengthPrefixed:
    """The part of a framing that has the header."""
    inner = unchecked(framing)
    assert isinstance(inner, LengthPrefixed), "only framings with a header take one"
    return inner
