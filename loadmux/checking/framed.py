"""Verifiers of framed replies: one frame is taken off the stream, then its body is judged.

Where a body has one frame only (`Framing.certain`), an expected body is an expected stretch of
bytes, compared as it comes (`ExactFrame`); so it is where only the header is not known (`headed`),
and where the body is the stream itself (`ExactToEnd`). Everything else goes through a decoder
(`FrameVerifier`): a malformed or too large frame is wrong when the decoder knows
it, and a whole one is judged by its body alone, so that any framing and any judge go together. No
I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from loadmux.checking.bodies import Matches
from loadmux.checking.checked import Checked
from loadmux.checking.framing import Decoder, Frame, FrameError
from loadmux.checking.judging import RIGHT, Judge, Judgement
from loadmux.checking.simple import DelimitedDecoder
from loadmux.checking.verifying import MAX_FRAME, Exact, Problem, Verifier
from loadmux.errors import Kind

HEADER, BODY = "the frame's header", "the frame's body"


# --- verifiers ----------------------------------------------------------------------------------


class FrameVerifier(Verifier):
    """One frame as `decoder` finds it, with a body that is right for `judge`.

    `frame` is the frame once it is whole. A frame's end and its body's fault are known at the same
    moment, so `wrong_at` says little; `problem` says it all.
    """

    __slots__ = ("_decoder", "_judge", "_judgement", "frame")

    def __init__(self, decoder: Decoder, judge: Judge) -> None:
        super().__init__()
        self._decoder = decoder
        self._judge = judge
        self._judgement = RIGHT
        self.frame: Frame | None = None

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return data
        self.received += data
        gone = self._decoder.gone
        try:
            frame = self._decoder.feed(data)
        except FrameError as error:
            self._pass_over(self._decoder.gone - gone)
            self._malformed(error)
            return b""
        self._pass_over(self._decoder.gone - gone)
        return b"" if frame is None else self._whole(frame)

    def _pass_over(self, count: int) -> None:
        """So many more bytes are no part of the reply."""
        if count:
            del self.received[:count]

    def answer(self) -> bytes:
        return self._decoder.answer()

    @property
    def aside(self) -> int:
        return self._decoder.aside

    @property
    def moved(self) -> bool:
        return self._decoder.moved

    @property
    def closes(self) -> bool:
        return self.frame is not None and self.frame.last

    def end(self) -> bool:
        try:
            frame = self._decoder.end()
        except FrameError as error:
            self._malformed(error)
            return True
        if frame is None:
            return False
        self._whole(frame)
        return True

    def _malformed(self, error: FrameError) -> None:
        self.wrong_at = error.offset
        received = bytes(self.received)
        self._judgement = Judgement(Problem(error.kind, str(error), error.offset, None, received))

    def _whole(self, frame: Frame) -> bytes:
        self.frame = frame
        self._judgement = self._judged(frame)
        if self._judgement.problem is not None:
            return self._not_right(frame)
        self.done = True
        del self.received[len(self.received) - len(frame.rest) :]
        return frame.rest

    def _not_right(self, frame: Frame) -> bytes:
        problem = self._judgement.problem
        assert problem is not None
        self.wrong_at = problem.offset or 0
        return b""

    def _judged(self, frame: Frame) -> Judgement:
        return judged(self._judge, frame)

    def expected(self) -> bytes:
        return b""

    def owed(self) -> str:
        return "nothing" if self.done else self._decoder.owed()

    def problem(self) -> Problem | None:
        return self._judgement.problem

    def kept(self) -> bytes:
        return b"" if self.frame is None else self.frame.body

    def captured(self) -> Mapping[str, bytes]:
        return self._judgement.captured


class WholeFrameVerifier(FrameVerifier):
    """One frame that is right for `judge`, which looks at all of it, not only at its body.

    `opens` judges the opening of one whose body has not come yet. A wrong frame of which the judge
    is in doubt is passed over, if `renew` makes a decoder for the next: it is told where no right
    one comes in time, and else left, behind the right one, to whoever may await it. The last reply
    again leaves no doubt.
    """

    __slots__ = (
        "_answer",
        "_doubt",
        "_judge_frame",
        "_last",
        "_opens",
        "_passed",
        "_renew",
        "_still",
    )

    def __init__(
        self,
        decoder: Decoder,
        judge: Callable[[Frame], Judgement],
        renew: Callable[[], Decoder] | None = None,
        opens: Callable[[Frame], Judgement] | None = None,
    ) -> None:
        super().__init__(decoder, lambda body: RIGHT)
        self._judge_frame = judge
        self._renew = renew
        self._opens = opens
        self._doubt: Judgement | None = None
        self._passed = self._answer = self._last = b""
        self._still = False

    def feed(self, data: bytes) -> bytes:
        self._still = False
        rest = super().feed(data)
        if self._opens is not None and self.frame is None and self.wrong_at is None:
            self._look(self._opens)
        return rest

    def _look(self, judge: Callable[[Frame], Judgement]) -> None:
        opening = self._decoder.opening()
        if opening is None:
            return
        self._opens = None
        self._judgement = judge(opening)
        if self._judgement.problem is not None:
            self.wrong_at = self._judgement.problem.offset or 0

    def _judged(self, frame: Frame) -> Judgement:
        return self._judge_frame(frame)

    def _whole(self, frame: Frame) -> bytes:
        rest = super()._whole(frame)
        if not self.done:
            return rest
        passed, self._passed = self._passed, b""
        return passed + rest

    def _not_right(self, frame: Frame) -> bytes:
        came = bytes(self.received[: len(self.received) - len(frame.rest)])
        doubtful = self._judgement.doubtful and came != self._last
        if self._renew is None or not doubtful:
            return b"" if self._tell() else super()._not_right(frame)
        self._doubt = self._doubt or self._judgement
        self._passed += came
        self.received.clear()
        self._answer += self._decoder.answer()
        self._decoder, self.frame = self._renew(), None
        if frame.rest:
            return self.feed(frame.rest)
        self._still = True
        return b""

    def _tell(self) -> bool:
        """Whether a frame was passed over: then that is what is wrong."""
        if self._doubt is None:
            return False
        self._judgement = self._doubt
        assert self._doubt.problem is not None
        self.wrong_at = self._doubt.problem.offset or 0
        self.received[:0] = self._passed
        return True

    def _malformed(self, error: FrameError) -> None:
        if not self._tell():
            super()._malformed(error)

    def follow(self, last: bytes) -> None:
        self._last = last

    def lapse(self) -> None:
        self._tell()

    def answer(self) -> bytes:
        answer, self._answer = self._answer, b""
        return answer + super().answer()

    @property
    def moved(self) -> bool:
        return not self._still and super().moved


def judged(judge: Judge, frame: Frame) -> Judgement:
    """What a judge says of a frame, by its body or by what is as good as that."""
    found = judge(frame.body)
    if found.problem is None or frame.other is None:
        return found
    other = judge(frame.other)
    return found if other.problem is not None else other


def match_until(delimiter: bytes, pattern: re.Pattern[bytes]) -> FrameVerifier:
    """`regex` with `until`: what comes up to and with the delimiter matches wholly."""
    decoder = DelimitedDecoder(delimiter, MAX_FRAME, kept=len(delimiter))
    return FrameVerifier(decoder, Matches(pattern, f"what came up to {delimiter!r}"))


class ExactFrame(Exact):
    """Exactly the bytes of one frame; a `save` stores the body.

    `checked` is the framing if it has a checksum: then a wrong one is told.
    """

    __slots__ = ("_body", "_checked")

    def __init__(self, frame: bytes, body: bytes, checked: Checked | None = None) -> None:
        super().__init__(frame)
        self._body = body
        self._checked = checked

    def problem(self) -> Problem | None:
        if self._checked is None or self.wrong_at is None:
            return None
        try:
            self._checked.decoder().feed(bytes(self.received))
        except FrameError as error:
            if error.kind is Kind.CORRUPT:
                came = bytes(self.received)
                return Problem(error.kind, str(error), self.wrong_at, self._reply, came)
        return None

    def kept(self) -> bytes:
        return self._body


class ExactToEnd(Exact):
    """Exactly these bytes, then the end of the stream; judged as they come."""

    __slots__ = ()

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.done = False

    def feed(self, data: bytes) -> bytes:
        rest = super().feed(data)
        self.done = False
        return self._wrong(rest, 0) if rest else b""

    def end(self) -> bool:
        self.done = len(self.received) == len(self._reply)
        return self.done

    def owed(self) -> str:
        missing = len(self._reply) - len(self.received)
        return super().owed() if missing else "the end of the connection, which ends the frame"

    def problem(self) -> Problem | None:
        size = len(self._reply)
        if self.wrong_at != size:
            return None
        received = bytes(self.received)
        text = f"{len(received) - size} bytes too many came after the {size} bytes of the frame"
        return Problem(Kind.SURPLUS, text, size, self._reply, received)
