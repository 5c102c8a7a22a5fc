"""Frames that may come at any time, taken out of a stream before anybody looks at it. No I/O.

A `Sieve` is fed what arrives, cut anywhere, and gives back what is for others: all bytes of the
frames that none of its judges takes. A frame is held back until it is whole, or until it is known
that none can take it, where the framing tells how it begins (`Decoder.so_far`): a prompt without
the end of its line is not kept from whoever awaits it. What is no frame at all is passed on, with
everything behind it: the reader knows what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loadmux.checking.beginning import can_begin
from loadmux.checking.bodies import HasLength, IsExactly, Matches, fits
from loadmux.checking.framing import Decoder, Frame, FrameError, Framing
from loadmux.checking.headed import AnyJudge, BothRight, judged
from loadmux.checking.judging import Judge

Taken = Callable[[int, Mapping[str, bytes]], None]
"""Told which judge has taken a frame, and what it gives a name to."""
Judges = Callable[[], Sequence[AnyJudge]]
"""The judges of the next frame: they may hang on what names hold at the moment."""


def may_begin(judge: AnyJudge, begun: bytes) -> bool:
    """Whether a body that begins so can still be right; true where nobody knows."""
    if isinstance(judge, IsExactly):
        return judge.expected.startswith(begun)
    if isinstance(judge, HasLength):
        return len(begun) <= judge.size
    if isinstance(judge, Matches):
        return can_begin(judge.pattern, begun)
    return True


def taken(frame: Frame, judges: Sequence[AnyJudge], tell: Taken) -> bool:
    """Whether a judge takes this frame; the first one that does is told of."""
    for which, judge in enumerate(judges):
        if not (isinstance(judge, BothRight) or _may_be(judge, frame)):
            continue  # what is wrong with it nobody asks
        found = judged(judge, frame)
        if found.problem is None:
            tell(which, found.captured)
            return True
    return False


def _may_be(judge: Judge, frame: Frame) -> bool:
    return fits(judge, frame.body) or (frame.other is not None and fits(judge, frame.other))


@dataclass(slots=True)
class Sieve:
    """See the module. `held` are the bytes of the frame under way that are kept back.

    `lost`: what came was no frame, and everything is passed on. `passing`: the frame under way is
    for others.
    """

    framing: Framing
    judges: Judges
    taken: Taken
    held: bytes = b""
    lost: bool = False
    passing: bool = False
    _decoder: Decoder | None = None

    @property
    def busy(self) -> bool:
        """Whether a frame is under way."""
        return self._decoder is not None

    def feed(self, data: bytes) -> bytes:
        """What of these bytes, and of those held back, is for others."""
        out: list[bytes] = []
        while data and not self.lost:
            data = self._feed(data, out)
        return b"".join([*out, data])

    def release(self) -> bytes:
        """What is held back, when nothing more will come, or is waited for."""
        rest, self.held = self.held, b""
        self.passing = self.busy
        return rest

    def begin_anew(self) -> None:
        """What was passed on was no frame, but whole for its reader: a frame begins here."""
        if self.passing:
            self._decoder, self.passing = None, False

    def passes(self, frames: bytes) -> bool:
        """Whether these bytes are whole frames, now, of which no judge takes one."""
        if self.lost or self.busy:
            return self.lost
        looking = Sieve(self.framing, self.judges, lambda which, names: None)
        return looking.feed(frames) == frames and not (looking.busy or looking.lost)

    def _feed(self, data: bytes, out: list[bytes]) -> bytes:
        """Take the bytes of one frame; what is left."""
        decoder = self._decoder = self._decoder or self.framing.decoder()
        try:
            frame = decoder.feed(data)
        except FrameError:
            self.lost, self._decoder = True, None
            out.append(self.release())
            return data
        if frame is None:
            self._unfinished(decoder, data, out)
            return b""
        self._decoder = None
        rest, mine = frame.rest, data[: len(data) - len(frame.rest)]
        if self.passing or not taken(frame, self.judges(), self.taken):
            out += self.held, mine
        self.held, self.passing = b"", False
        return rest

    def _unfinished(self, decoder: Decoder, data: bytes, out: list[bytes]) -> None:
        if self.passing:
            out.append(data)
            return
        self.held += data
        begun = decoder.so_far()
        if begun is not None and not any(may_begin(one, begun) for one in self.judges()):
            out.append(self.held)
            self.held, self.passing = b"", True
