"""Verifiers of framed replies: one frame is taken off the stream, then its body is judged.

Where a body has one frame only (`Framing.certain`), an expected body is an expected stretch of
bytes, compared as it comes (`ExactFrame`); so it is where only the header is not known
(`ExactPrefixed`), and where the body is the stream itself (`ExactToEnd`). Everything else goes
through a decoder (`FrameVerifier`): a malformed or too large frame is wrong when the decoder knows
it, and a whole one is judged by its body alone, so that any framing and any judge go together. No
I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from loadmux.checking import diagnosis
from loadmux.checking.checked import Checked
from loadmux.checking.framing import Decoder, DelimitedDecoder, Frame, FrameError
from loadmux.checking.prefixed import HeadedFrame, LengthPrefixed
from loadmux.checking.reach import Reach, reach
from loadmux.checking.verifying import MAX_FRAME, Exact, Problem, Verifier, first_difference
from loadmux.errors import Kind

LONGEST_SHOWN = 200
HEADER, BODY = "the frame's header", "the frame's body"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with a body (None: nothing), and what it gives a name to."""

    problem: Problem | None = None
    captured: Mapping[str, bytes] = field(default_factory=dict)


Judge = Callable[[bytes], Judgement]
RIGHT = Judgement()


# --- what a body can be asked -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IsExactly:
    """Exactly these bytes."""

    expected: bytes

    def __call__(self, body: bytes) -> Judgement:
        if body == self.expected:
            return RIGHT
        at, size = first_difference(self.expected, body), len(self.expected)
        if at == len(body):
            kind, text = Kind.TRUNCATED, f"{BODY} ends after {at} of {size} bytes"
        elif at == size:
            kind, text = Kind.SURPLUS, f"{BODY} has {len(body)} bytes, expected {size}"
        else:
            found = diagnosis.diagnose(self.expected, body, at)
            kind, at, text = found.kind, found.offset, f"in {BODY}, {found.message}"
        return Judgement(Problem(kind, text, at, self.expected, body))


@dataclass(frozen=True, slots=True)
class HasLength:
    """So many bytes, whatever they are."""

    size: int

    def __call__(self, body: bytes) -> Judgement:
        if len(body) == self.size:
            return RIGHT
        kind = Kind.TRUNCATED if len(body) < self.size else Kind.SURPLUS
        text = f"{BODY} has {len(body)} bytes, expected {self.size}"
        return Judgement(Problem(kind, text, None, None, body))


@dataclass(frozen=True, slots=True)
class Matches:
    """Matches a regular expression wholly; `what` is what it is applied to, for the report."""

    pattern: re.Pattern[bytes]
    what: str = "the frame's body"

    def __call__(self, body: bytes) -> Judgement:
        match = self.pattern.fullmatch(body)
        if match is None:
            found = reach(self.pattern, body)
            text = f"{self.what} ({len(body)} bytes) does not match the regex {self._shown()}"
            text += told(found, len(body))
            at = None if found is None else found.end
            return Judgement(Problem(Kind.MISMATCH, text, at, None, body))
        return Judgement(captured=match.groupdict(b"")) if self.pattern.groupindex else RIGHT

    def _shown(self) -> str:
        """The pattern as it was written where that is one line; its beginning if it is long."""
        pattern = self.pattern.pattern.decode()
        pattern = pattern if len(pattern) <= LONGEST_SHOWN else pattern[:LONGEST_SHOWN] + "..."
        return f"'{pattern}'" if pattern.isprintable() else repr(pattern)


def told(found: Reach | None, size: int) -> str:
    """How far `size` bytes fit a regex, to be put behind that they do not match; or nothing."""
    if found is None:
        return ""
    if not found.end:
        return f": it should begin with {found.wanted}" if found.wanted else ": it should be empty"
    count = "1 byte" if found.end == 1 else f"{found.end} bytes"
    if not found.wanted:
        return f": it fits for {count}, and {size - found.end} more came"
    if found.end == size:
        return f": it fits as far as it goes, then {found.wanted} should follow"
    return f": it fits for {count}, then {found.wanted} should follow"


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
        problem = self._judgement.problem
        if problem is not None:
            self.wrong_at = problem.offset or 0
            return b""
        self.done = True
        del self.received[len(self.received) - len(frame.rest) :]
        return frame.rest

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
    """One frame that is right for `judge`, which looks at all of it, not only at its body."""

    __slots__ = ("_judge_frame",)

    def __init__(self, decoder: Decoder, judge: Callable[[Frame], Judgement]) -> None:
        super().__init__(decoder, lambda body: RIGHT)
        self._judge_frame = judge

    def _judged(self, frame: Frame) -> Judgement:
        return self._judge_frame(frame)


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
    """What a judge says of a frame, by its body or by what is as good as that."""
    if isinstance(judge, BothRight):
        return judge(frame)
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
            found = 1, 0
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
