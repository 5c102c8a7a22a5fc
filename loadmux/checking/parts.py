"""Parts of a body, one after the other: where each ends, and whether it is right. No I/O.

Those whose length is known, or stands in them, are taken from the front as far as the one part of
open length, and the others from behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from loadmux.checking import varints
from loadmux.checking.bodies import (
    WHAT,
    HasLength,
    IsExactly,
    IsVarint,
    Named,
    Prefix,
    anything,
    fits,
    moved,
)
from loadmux.checking.judging import Judge, Judgement
from loadmux.checking.verifying import Problem
from loadmux.errors import Kind

Measure = Callable[[bytes, int], int | None]
"""Where the part that begins at an offset ends; None where the body is over before that. Raises
ValueError where it cannot begin there."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a body: of `size` bytes, as long as `measure` finds, or of open length."""

    judge: Judge
    size: int | None = None
    measure: Measure | None = None

    @property
    def open(self) -> bool:
        return self.size is None and self.measure is None

    def end(self, body: bytes, at: int) -> int | None:
        """Where it ends; None where the body is over before. Raises ValueError."""
        if self.size is not None:
            return at + self.size if at + self.size <= len(body) else None
        assert self.measure is not None
        return self.measure(body, at)


@dataclass(frozen=True, slots=True)
class UntilIn:
    """Up to and with a delimiter."""

    delimiter: bytes

    def __call__(self, body: bytes, at: int) -> int | None:
        found = body.find(self.delimiter, at)
        return None if found < 0 else found + len(self.delimiter)


@dataclass(frozen=True, slots=True)
class CountedIn:
    """As long as the length at its beginning says."""

    prefix: Prefix

    def __call__(self, body: bytes, at: int) -> int | None:
        found = self.prefix.read(body, at)
        end = len(body) + 1 if found is None else at + sum(found)
        return end if end <= len(body) else None


def varint_in(body: bytes, at: int) -> int | None:
    """The end of a varint."""
    found = varints.decode(body, at)
    return None if found is None else at + found[1]


@dataclass(frozen=True, slots=True)
class Fast:
    """Parts as one regex, where they are simple enough; `values` are what its groups are saved as,
    with their names.
    """

    pattern: re.Pattern[bytes]
    values: Sequence[tuple[str, Callable[[bytes], bytes]]]

    def match(self, body: bytes) -> Mapping[str, bytes] | None:
        """The names of a right body; None for a wrong one."""
        found = self.pattern.fullmatch(body)
        if found is None:
            return None
        groups = found.groups()
        return {name: value(data) for (name, value), data in zip(self.values, groups, strict=True)}


SHORT_VARINT = rb"[\x80-\xff]{0,8}[\x00-\x7f]"
"""Any that fits into 63 bits; of a longer one nothing is known."""


def _fast(parts: Sequence[Part]) -> Fast | None:
    """Behind a part of open length where another ends would not be known to a regex, unless it is
    always so long.
    """
    sources, values = [], list[tuple[str, Callable[[bytes], bytes]]]()
    opened = False
    for part in parts:
        judge, source = part.judge, b""
        while isinstance(judge, Named):
            values.append((judge.name, judge.value))
            judge, source = judge.judge, source + b"("
        match judge:
            case IsExactly(expected=expected):
                inner = re.escape(expected)
            case HasLength(size=size):
                inner = b".{%d}" % size
            case IsVarint() if not opened:
                inner = SHORT_VARINT
            case _ if judge is anything and part.open:
                inner, opened = b".*", True
            case _ if judge is anything and isinstance(part.measure, UntilIn) and not opened:
                inner = b"(?>.*?%b)" % re.escape(part.measure.delimiter)
            case _:
                return None
        sources.append(source + inner + b")" * len(source))
    return Fast(re.compile(b"".join(sources), re.DOTALL), values)


def has_parts(parts: Sequence[Part]) -> HasParts:
    """Judges them, what is right quickly if it can be."""
    return HasParts(parts, _fast(parts))


@dataclass(frozen=True, slots=True)
class HasParts:
    """One part after the other, of which one at most is open."""

    parts: Sequence[Part]
    fast: Fast | None = None

    def __call__(self, body: bytes) -> Judgement:
        if self.fast is not None and (names := self.fast.match(body)) is not None:
            return Judgement(captured=names)
        cuts = self._cut(body)
        if isinstance(cuts, Problem):
            return Judgement(self._before(body) or cuts)
        captured: dict[str, bytes] = {}
        wrong: list[tuple[int, int, Problem]] = []
        for part, begin, end in zip(self.parts, [0, *cuts], cuts, strict=False):
            found = part.judge(body[begin:end])
            if found.problem is not None:
                wrong.append((begin, end, found.problem))
            captured.update(found.captured)
        over = not wrong and cuts[-1] < len(body)
        if over:
            wrong.append((cuts[-1], len(body), self._surplus(body, cuts[-1])))
        if wrong:
            return Judgement(_told(*wrong[0], body, alone=len(wrong) == 1))
        return Judgement(captured=captured)

    def _before(self, body: bytes) -> Problem | None:
        """What is wrong with the parts that stand before the place at which a body ends."""
        at = 0
        with suppress(ValueError):
            for part in self.parts:
                end = None if part.open else part.end(body, at)
                if end is None:
                    break
                found = part.judge(body[at:end]).problem
                if found is not None:
                    return _in_place(found, at, body)
                at = end
        return None

    def _cut(self, body: bytes) -> list[int] | Problem:
        """Where the parts end; what is over is the last one's where nothing better is known."""
        ends: list[int] = []
        number = next((n for n, part in enumerate(self.parts) if part.open), len(self.parts))
        short = self._forward(body, 0, self.parts[:number], ends)
        if short is not None:
            return short
        if number == len(self.parts):
            return ends
        begin, behind = ends[-1] if ends else 0, self.parts[number + 1 :]
        if all(part.size is not None for part in behind):
            size = sum(part.size or 0 for part in behind)
            if len(body) - size < begin:
                return self._short(body, begin, number)
            places: Sequence[int] = (len(body) - size,)
        else:
            places = range(begin, len(body) + 1)
        return self._behind(body, ends, number, places)

    def _behind(
        self, body: bytes, ends: list[int], number: int, places: Sequence[int]
    ) -> list[int] | Problem:
        """The open part's end is where the parts behind it come out at the body's end."""
        behind, whole = self.parts[number + 1 :], None
        for place in places:
            found = [*ends, place]
            if self._forward(body, place, behind, found) is None and found[-1] == len(body):
                pieces = zip(behind, found[number:], found[number + 1 :], strict=False)
                if len(places) == 1 or all(fits(one.judge, body[a:b]) for one, a, b in pieces):
                    return found
                whole = whole or found
        return whole or self._short(body, ends[-1] if ends else 0, number)

    def _forward(
        self, body: bytes, at: int, parts: Sequence[Part], ends: list[int]
    ) -> Problem | None:
        """Add the ends of these parts; what is wrong if the body does not reach as far."""
        for part in parts:
            try:
                end = part.end(body, at)
            except ValueError as error:
                return Problem(Kind.MISMATCH, str(error), at, None, body)
            if end is None:
                return self._short(body, at, len(ends))
            ends.append(end)
            at = end
        return None

    def _short(self, body: bytes, at: int, number: int) -> Problem:
        """The body ends within a part; what there is of a known one may say more."""
        for begin, part in zip((at,), self.parts[number : number + 1], strict=False):
            found = part.judge(body[begin:]).problem
            told = found is not None and found.kind not in (Kind.TRUNCATED, Kind.MISMATCH)
            if found is not None and (told or not _may_begin(part.judge, body[begin:])):
                return moved(found, begin, body)
        text = f"{WHAT} ({len(body)} bytes) ends in part {number + 1} of {len(self.parts)}"
        open_ = number < len(self.parts) and self.parts[number].open  # what it is, nobody knows
        return Problem(Kind.MISMATCH if open_ else Kind.TRUNCATED, text, len(body), None, body)

    def _surplus(self, body: bytes, at: int) -> Problem:
        text = f"{WHAT} has {len(body)} bytes, its parts {at}"
        return Problem(Kind.SURPLUS, text, 0, None, body)


def _may_begin(judge: Judge, begun: bytes) -> bool:
    while isinstance(judge, Named):
        judge = judge.judge
    return not isinstance(judge, IsExactly) or judge.expected.startswith(begun)


def _told(begin: int, end: int, problem: Problem, body: bytes, *, alone: bool) -> Problem:
    """What is wrong with one part; where it is the only one, what is around it bears witness."""
    if alone and problem.expected is not None and len(problem.expected) == end - begin:
        found = IsExactly(body[:begin] + problem.expected + body[end:])(body).problem
        if found is not None:
            return found
    return moved(problem, begin, body) if alone else _in_place(problem, begin, body)


def _in_place(problem: Problem, begin: int, body: bytes) -> Problem:
    """The first problem of several: a changed byte alone does not make them."""
    told = moved(problem, begin, body)
    return replace(told, kind=Kind.MISMATCH) if told.kind is Kind.CORRUPT else told
