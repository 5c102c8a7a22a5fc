"""Verifiers of frames whose header is judged, or is at least known to have a length. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from loadmux.checking import framed
from loadmux.checking.bodies import IsExactly
from loadmux.checking.checked import Checked
from loadmux.checking.framed import BODY, HEADER, ExactFrame
from loadmux.checking.framing import Frame, FrameError
from loadmux.checking.judging import RIGHT, Judge, Judgement
from loadmux.checking.prefixed import HeadedFrame, LengthPrefixed
from loadmux.checking.verifying import Problem


@dataclass(frozen=True, slots=True)
class HeaderIs:
    """A header with exactly these bytes, but for its length; `framing` says where that is."""

    framing: LengthPrefixed
    expected: bytes

    def __call__(self, header: bytes) -> Judgement:
        before, _, after = self.framing.parted(self.expected)
        length = self.framing.parted(header)[1]
        return IsExactly(before + length + after)(header)


@dataclass(frozen=True, slots=True)
class BothRight:
    """A frame whose header and body are right."""

    header: Judge
    body: Judge

    def __call__(self, frame: Frame) -> Judgement:
        assert isinstance(frame, HeadedFrame)
        header = self.header(frame.header)
        if (problem := header.problem) is not None:
            message = problem.message.replace(BODY, HEADER)
            return Judgement(replace(problem, message=message))
        body = self.body(frame.body)
        if body.problem is not None:
            return body
        return Judgement(captured={**header.captured, **body.captured})


AnyJudge = Judge | BothRight


def judged(judge: AnyJudge, frame: Frame) -> Judgement:
    """What a judge of a body, or of a header and a body, says of a frame."""
    return judge(frame) if isinstance(judge, BothRight) else framed.judged(judge, frame)


class ExactPrefixed(ExactFrame):
    """Exactly this body in a frame with a length: a wrong length is told as soon as it came.

    What else its header holds is taken as it comes, unless it is `told`; and so is a varint of more
    bytes than need be. `judge` is asked of the header that came.
    """

    __slots__ = ("_framing", "_judge", "_judgement", "_settled", "_told")

    def __init__(
        self,
        framing: LengthPrefixed,
        frame: bytes,
        body: bytes,
        told: bool,
        judge: Judge | None = None,
        checked: Checked | None = None,
    ) -> None:
        super().__init__(frame, body, checked)
        self._framing = framing
        self._told = told
        self._judge = judge
        self._judgement = RIGHT
        self._settled = False

    def feed(self, data: bytes) -> bytes:
        rest = self._fed(data)
        if self.done and self._judge is not None:
            self._judgement = BothRight(self._judge, lambda body: RIGHT)(self._frame())
            if self._judgement.problem is not None:
                self.done, self.wrong_at = False, self._judgement.problem.offset or 0
        return rest

    def _frame(self) -> HeadedFrame:
        sizes = self._framing.sizes(self.received)
        assert sizes is not None
        return HeadedFrame(b"", b"", bytes(self.received[: sizes[0]]))

    def problem(self) -> Problem | None:
        return self._judgement.problem or super().problem()

    def captured(self) -> Mapping[str, bytes]:
        return self._judgement.captured

    def _fed(self, data: bytes) -> bytes:
        if self._settled:
            return super().feed(data)
        came = bytes(self.received) + data
        right = self._right(came)
        if right is None:
            self.received += data
            return b""
        self._settled, self._reply = True, right
        self.received.clear()
        return super().feed(came)

    def _right(self, came: bytes) -> bytes | None:
        """The right frame where one begins so; None while that is not known."""
        framing, frame = self._framing, self._reply
        wanted = framing.sizes(frame)
        assert wanted is not None
        try:
            found = framing.sizes(came)
        except FrameError:
            found = 1, 0  # no length, so no size: any that cannot be the right frame's
        if found is None:
            return None
        head, size = found
        before, length, after = framing.parted(frame[: wanted[0]])
        if size - head != wanted[1] - wanted[0]:
            if not self._told:
                before, theirs = came[: framing.at], came[framing.at + len(length) :]
                after = theirs[: len(after)] + after[len(theirs) :]
            return before + length + after + frame[wanted[0] :]
        if len(came) < head:
            return None
        parts = framing.parted(came[:head])
        if self._told:
            parts = before, parts[1], after
        return b"".join(parts) + frame[wanted[0] :]

    def owed(self) -> str:
        return super().owed() if self._settled else self._framing.owed_of_header(len(self.received))
