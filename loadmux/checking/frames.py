"""Several frames in any order, and frames among others that are passed over. No I/O.

Each frame that comes is given to one of the `wants` that it fits. Where it fits several, which one
it is given to stays open: a later frame that fits only a taken one gets it if the frame that holds
it fits another that is free (augmenting paths). So the order never makes a right server wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from loadmux.checking.bodies import FirstOf, fits, nearest, shown
from loadmux.checking.framed import judged
from loadmux.checking.framing import Decoder, Frame, FrameError
from loadmux.checking.judging import Judge, Judgement
from loadmux.checking.verifying import Problem, Verifier
from loadmux.errors import Kind

MOST_SHOWN = 3


class Want(Protocol):
    """What a frame may be. `whole` are its bytes on the wire if they are known."""

    @property
    def whole(self) -> bytes: ...

    def fits(self, frame: Frame) -> bool: ...

    def judge(self, frame: Frame) -> Judgement: ...


@dataclass(frozen=True, slots=True)
class WithBody:
    """A frame whose body is right for `inside`."""

    inside: Judge
    whole: bytes = b""

    def fits(self, frame: Frame) -> bool:
        right = fits(self.inside, frame.body)
        return right or (frame.other is not None and fits(self.inside, frame.other))

    def judge(self, frame: Frame) -> Judgement:
        return judged(self.inside, frame)


@dataclass(frozen=True, slots=True)
class ByForm:
    """A frame that is right for whoever judges all of it."""

    form: Callable[[Frame], Judgement]
    whole: bytes = b""

    def fits(self, frame: Frame) -> bool:
        return self.form(frame).problem is None

    def judge(self, frame: Frame) -> Judgement:
        return self.form(frame)


@dataclass(frozen=True, slots=True)
class OneWant:
    """The first of several that fits; see `bodies.FirstOf`."""

    options: Sequence[Want]
    labels: Sequence[str] = ()
    which: str | None = None
    names: Sequence[str] = ()

    @property
    def whole(self) -> bytes:
        return b""

    def fits(self, frame: Frame) -> bool:
        return any(one.fits(frame) for one in self.options)

    def judge(self, frame: Frame) -> Judgement:
        for number, one in enumerate(self.options):
            if one.fits(frame):
                found = one.judge(frame)
                return FirstOf((), self.labels, self.which, self.names).right(number, found)
        judges = [_of(one, frame) for one in self.options]
        return FirstOf(judges, self.labels, self.which, self.names)(frame.body)


def _of(want: Want, frame: Frame) -> Judge:
    return lambda body: want.judge(frame)


@dataclass(frozen=True, slots=True)
class NamedWant:
    """A frame whose body has a name."""

    want: Want
    name: str

    @property
    def whole(self) -> bytes:
        return self.want.whole

    def fits(self, frame: Frame) -> bool:
        return self.want.fits(frame)

    def judge(self, frame: Frame) -> Judgement:
        found = self.want.judge(frame)
        if found.problem is not None:
            return found
        return Judgement(captured={**found.captured, self.name: frame.body})


class Frames(Verifier):
    """As many frames as there are `wants`, each of which one fits; those that fit `skip` are passed
    over. `first`: what is wanted is never passed over, though it fits `skip`, too.
    """

    __slots__ = ("_aside", "_begun", "_decoder", "_first", "_frames", "_known", "_make", "_moved",
        "_owners", "_problem", "_skip", "_wants")  # fmt: skip

    def __init__(
        self,
        decoder: Callable[[], Decoder],
        wants: Sequence[Want],
        skip: Want | None = None,
        first: bool = True,
    ) -> None:
        super().__init__()
        self._make = decoder
        self._decoder = decoder()
        self._wants = wants
        self._skip = skip
        self._first = first
        self._frames: list[Frame] = []
        self._owners: dict[int, int] = {}
        self._known: dict[tuple[int, int], bool] = {}
        self._problem: Problem | None = None
        self._begun = 0
        self._aside = 0
        self._moved = True

    def feed(self, data: bytes) -> bytes:
        self._moved = False
        while not self.done and self.wrong_at is None:
            before, gone = len(self.received), self._decoder.gone
            self.received += data
            try:
                frame = self._decoder.feed(data)
            except FrameError as error:
                self._malformed(error)
                return b""
            if over := self._decoder.gone - gone:
                del self.received[self._begun : self._begun + over]
            if frame is None:
                self._moved = self._moved or (len(self.received) > before and self._decoder.moved)
                return b""
            data = frame.rest
            del self.received[len(self.received) - len(data) :]
            self._whole(frame)
            if not data:
                break
        if self.wrong_at is not None:
            self.received += data
            return b""
        return data

    def take_whole(self, data: bytes) -> None:
        rest = self.take(data)
        if self.wrong_at is None and (rest or len(self.received) > self._begun):
            super().take_whole(b"")

    def end(self) -> bool:
        try:
            frame = self._decoder.end()
        except FrameError as error:
            self._malformed(error)
            return True
        if frame is None:
            return False
        self._whole(frame)
        return self.done or self.wrong_at is not None

    def _malformed(self, error: FrameError) -> None:
        self.wrong_at = self._begun + error.offset
        received = bytes(self.received[self._begun :])
        text = self._told(str(error))
        self._problem = Problem(error.kind, text, error.offset, None, received)

    def _whole(self, frame: Frame) -> None:
        """A frame has come: it is one of those wanted, passed over, or wrong."""
        ahead = self._skip is not None and not self._first and self._skip.fits(frame)
        if not ahead and self._give(frame):
            self._moved = True
            self._begun = len(self.received)
            self.done = len(self._owners) == len(self._wants)
        elif ahead or (self._skip is not None and self._skip.fits(frame)):
            self._aside += 1 + self._decoder.aside
            del self.received[self._begun :]
        else:
            self._problem = self._wrong_frame(frame)
            self.wrong_at = self._begun + (self._problem.offset or 0)
            return
        if not self.done:
            self._decoder = self._make()

    # --- which frame is which -------------------------------------------------------------------

    def _give(self, frame: Frame) -> bool:
        self._frames.append(frame)
        if self._place(len(self._frames) - 1, set()):
            return True
        self._frames.pop()
        self._known = {key: one for key, one in self._known.items() if key[0] < len(self._frames)}
        return False

    def _place(self, number: int, tried: set[int]) -> bool:
        """Give a frame to a want that is free, or whose own frame can go to another."""
        free = [one for one in range(len(self._wants)) if one not in self._owners]
        for one in free:
            if self._fits(number, one):
                self._owners[one] = number
                return True
        for one in list(self._owners):
            if one not in tried and self._fits(number, one):
                tried.add(one)
                if self._place(self._owners[one], tried):
                    self._owners[one] = number
                    return True
        return False

    def _fits(self, number: int, one: int) -> bool:
        key = number, one
        if key not in self._known:
            self._known[key] = self._wants[one].fits(self._frames[number])
        return self._known[key]

    def _wrong_frame(self, frame: Frame) -> Problem:
        """It fits none that is still owed: it came before, or is like one of those."""
        free = [one for one in range(len(self._wants)) if one not in self._owners]
        for place, other in enumerate(self._frames):
            if other.body == frame.body:
                text = f"frame {len(self._frames) + 1} of {len(self._wants)} is frame {place + 1}"
                text += f" again ({len(frame.body)} bytes); owed: {self._owed()}"
                return Problem(Kind.DUPLICATE, text, 0, None, frame.body)
        problems = []
        for one in free:
            found = self._wants[one].judge(frame).problem
            assert found is not None, "it does not fit"
            problems.append(found)
        number = nearest(problems, frame.body)
        text = self._told(problems[number].message)
        if len(free) > 1:
            text += f"; that is the nearest (number {free[number] + 1}) of {len(free)}"
        return replace(problems[number], message=text)

    def _told(self, text: str) -> str:
        count = len(self._wants)
        return text if count == 1 else f"frame {len(self._frames) + 1} of {count}: {text}"

    # --- what there is to say -------------------------------------------------------------------

    def expected(self) -> bytes:
        return self._wants[0].whole if len(self._wants) == 1 else b""

    def _owed(self) -> str:
        free = [one for one in range(len(self._wants)) if one not in self._owners]
        known = [shown(self._wants[one].whole) for one in free if self._wants[one].whole]
        listed = f" ({', '.join(known[:MOST_SHOWN])}{', ...' * (len(known) > MOST_SHOWN)})"
        return f"{len(free)} of {len(self._wants)} frames{listed * bool(known)}"

    def owed(self) -> str:
        if self.done:
            return "nothing"
        if len(self._wants) == 1:
            return self._decoder.owed()
        begun = len(self.received) > self._begun
        return self._owed() + (f"; of the next {self._decoder.owed()}" if begun else "")

    @property
    def closes(self) -> bool:
        return any(frame.last for frame in self._frames)

    def answer(self) -> bytes:
        return self._decoder.answer()

    @property
    def aside(self) -> int:
        return self._aside + self._decoder.aside

    @property
    def moved(self) -> bool:
        return self._moved

    @property
    def answers(self) -> int:
        return len(self._wants)

    def problem(self) -> Problem | None:
        return self._problem

    def kept(self) -> bytes:
        return b"".join(frame.body for frame in self._frames)

    def captured(self) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for one in sorted(self._owners):
            found.update(self._wants[one].judge(self._frames[self._owners[one]]).captured)
        return found
