"""The rule `upper_sb`: the server answers each chunk in upper case, with `_SB` behind it.

The stream is ambiguous where the payload itself holds the suffix: all possible states are kept.
Whole stretches are compared at once; only around each `_` does it go into detail.
"""

from __future__ import annotations

from loadmux.checking.chunks import Reads, recut, split
from loadmux.checking.verifying import RuleVerifier, answers_owed, first_difference

SUFFIX = b"_SB"


class UpperSuffixed(RuleVerifier):
    """`upper_sb`: each chunk in upper case, then `_SB`.

    A state is (place in `_upper`, phase): phase INSIDE a chunk, 1 or 2 bytes into the suffix, or
    BETWEEN chunks. It is kept with the place where its chunk began, the last one of several: what
    the longer chunk allows, the shorter does too. Underscores in the payload make further states;
    each stretch without one is compared at once. `_spare` is what came after the reply was
    complete: one of the states explains it, but it may yet turn out to be surplus.

    A payload of nothing but suffixes has a state for each, and costs the square of its length (6 KB
    of them: 3 s); any other costs about its length.
    """

    __slots__ = ("_most", "_spare", "_states", "_upper")

    INSIDE = 0
    BETWEEN = len(SUFFIX)

    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self._most = reads.most
        self._upper = bytearray()
        self._states = {(0, self.BETWEEN): 0}
        self._spare = b""

    def sent(self, data: bytes, lockstep: bool) -> None:
        if data:
            self._upper += data.upper()
            self._spare = b""
            self.done = self.idle = False

    def restart(self) -> None:
        super().restart()
        consumed = min(place for place, _ in self._states)
        del self._upper[:consumed]
        self._states = {
            (place - consumed, phase): begin - consumed
            for (place, phase), begin in self._states.items()
        }

    def feed(self, data: bytes) -> bytes:
        complete = (len(self._upper), self.BETWEEN)
        at = 0
        completed = None
        while at < len(data) and self._states.keys() != {complete}:
            same = self._stretch(data, at) or self._step(data[at])
            if not same:
                return self._stuck(data, at, completed)
            at += same
            if complete in self._states:
                completed = at
        return self._taken(data, at, completed)

    def _stretch(self, data: bytes, at: int) -> int:
        """Take the bytes up to the next underscore as far as a chunk explains them; how many."""
        if not all(phase in (self.INSIDE, self.BETWEEN) for _, phase in self._states):
            return 0
        end = data.find(SUFFIX[:1], at)
        came = data[at:end] if end >= 0 else data[at:]
        if not came:
            return 0
        upper, size = self._upper, len(came)
        begins = self._begins()
        places = [
            place
            for place, begin in begins.items()
            if place + size <= begin + self._most and upper.startswith(came, place)
        ]
        if not places:
            same = {
                place: min(
                    first_difference(upper[place : place + size], came),
                    begin + self._most - place,
                )
                for place, begin in begins.items()
            }
            size = max(same.values())
            places = [place for place, right in same.items() if right == size]
        if size:
            self._states = {(place + size, self.INSIDE): begins[place] for place in places}
        return size

    def _begins(self) -> dict[int, int]:
        """By place, where its chunk began; for states none of which is within a suffix."""
        begins: dict[int, int] = {}
        for (place, phase), begin in self._states.items():
            begin = place if phase == self.BETWEEN else begin
            begins[place] = max(begin, begins.get(place, begin))
        return begins

    def _step(self, value: int) -> int:
        """Take one byte: 1 if a state explains it, else 0."""
        states: dict[tuple[int, int], int] = {}

        def reached(place: int, phase: int, begin: int) -> None:
            states[place, phase] = max(begin, states.get((place, phase), begin))

        for (place, phase), begin in self._states.items():
            if phase in (self.INSIDE, self.BETWEEN):
                begin = place if phase == self.BETWEEN else begin
                if value in self._upper[place : place + 1] and place < begin + self._most:
                    reached(place + 1, self.INSIDE, begin)
            if phase != self.BETWEEN and value == SUFFIX[phase]:
                reached(place, phase + 1, begin)
        self._states = states or self._states
        return int(bool(states))

    def _taken(self, data: bytes, at: int, completed: int | None) -> bytes:
        self.received += data[:at]
        if completed is not None:
            self.done = True
            self._spare = data[completed:at]
        elif self.done:
            self._spare += data[:at]
        self.idle = self._states.keys() == {(len(self._upper), self.BETWEEN)}
        return data[at:]

    def _stuck(self, data: bytes, at: int, completed: int | None) -> bytes:
        """No state explains data[at]. If the reply was complete, all that followed is rest."""
        if completed is None and not self.done:
            return self._wrong(data, at)
        if completed is None:
            del self.received[max(0, len(self.received) - len(self._spare)) :]
            data, completed = self._spare + data, 0
        self._states = {(len(self._upper), self.BETWEEN): 0}
        return self._taken(data[:completed], completed, completed) + data[completed:]

    def expected(self) -> bytes:
        if self.done and self.wrong_at is None:
            return bytes(self.received)
        place, phase = max(self._states)
        at = len(self.received) if self.wrong_at is None else self.wrong_at
        right = bytes(self.received[:at])
        if phase == self.INSIDE and place == len(self._upper):
            return right + SUFFIX
        if phase not in (self.INSIDE, self.BETWEEN):
            right += SUFFIX[phase:]
        bodies = bytes(self.received[at:]).split(SUFFIX)
        whole = not bodies[-1]
        chunks = recut(self._upper, place, bodies[:-1] if whole else bodies, whole)
        if phase == self.INSIDE:  # the chunk that has begun takes no more than its room
            room = self._states[place, phase] + self._most - place
            first, rest = chunks[0][:room], chunks[0][room:]
            return right + first + SUFFIX + self._suffixed([rest, *chunks[1:]])
        return right + self._suffixed(chunks)

    def _suffixed(self, chunks: list[bytes]) -> bytes:
        return b"".join(chunk + SUFFIX for chunk in split(chunks, self._most))

    def owed(self) -> str:
        if self.done:
            return "nothing"
        return answers_owed(len(self._upper) - max(place for place, _ in self._states))
