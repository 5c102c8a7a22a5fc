"""What the whole of a body (of a frame, of a datagram, up to a delimiter) can be asked. No I/O.

Every question is a `Judge`; `fits` answers it with yes or no alone, for whoever asks many.
What bodies are made of, one after the other, is judged in `parts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from loadmux.checking import diagnosis, varints
from loadmux.checking.judging import RIGHT, Judge, Judgement
from loadmux.checking.reach import Reach, reach
from loadmux.checking.verifying import Problem, first_difference
from loadmux.errors import Kind

Order = Literal["big", "little"]
Data = bytes | bytearray
WHAT = "the frame's body"
SHOWN = 60
LONGEST_SHOWN = 200


def fits(judge: Judge, body: bytes) -> bool:
    """Whether a body is right; what is wrong with it is not worked out where that costs much."""
    match judge:
        case IsExactly(expected=expected):
            return body == expected
        case HasLength(size=size):
            return len(body) == size
        case Matches(pattern=pattern):
            return pattern.fullmatch(body) is not None
        case StartsWith(start=start):
            return body.startswith(start)
        case FirstOf(options=options):
            return any(fits(one, body) for one in options)
        case Named(judge=inner):
            return fits(inner, body)
    return judge(body).problem is None


def shown(data: bytes) -> str:
    """Some bytes in a message."""
    return repr(data if len(data) <= SHOWN else data[: SHOWN - 3] + b"...")


def anything(body: bytes) -> Judgement:
    """Whatever there is."""
    return RIGHT


@dataclass(frozen=True, slots=True)
class IsExactly:
    """Exactly these bytes."""

    expected: bytes

    def __call__(self, body: bytes) -> Judgement:
        if body == self.expected:
            return RIGHT
        at, size = first_difference(self.expected, body), len(self.expected)
        if at == len(body):
            kind, text = Kind.TRUNCATED, f"{WHAT} ends after {at} of {size} bytes"
        elif at == size:
            kind, text = Kind.SURPLUS, f"{WHAT} has {len(body)} bytes, expected {size}"
        else:
            found = diagnosis.diagnose(self.expected, body, at, ended=True)
            kind, at, text = found.kind, found.offset, f"in {WHAT}, {found.message}"
        return Judgement(Problem(kind, text, at, self.expected, body))


@dataclass(frozen=True, slots=True)
class HasLength:
    """So many bytes, whatever they are."""

    size: int

    def __call__(self, body: bytes) -> Judgement:
        if len(body) == self.size:
            return RIGHT
        kind = Kind.TRUNCATED if len(body) < self.size else Kind.SURPLUS
        text = f"{WHAT} has {len(body)} bytes, expected {self.size}"
        return Judgement(Problem(kind, text, None, None, body))


@dataclass(frozen=True, slots=True)
class Matches:
    """Matches a regular expression wholly; `what` is what it is applied to, for the report."""

    pattern: re.Pattern[bytes]
    what: str = WHAT

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


@dataclass(frozen=True, slots=True)
class StartsWith:
    """Begins so."""

    start: bytes

    def __call__(self, body: bytes) -> Judgement:
        size = len(self.start)
        if body.startswith(self.start):
            return RIGHT
        text = f"{WHAT} ({len(body)} bytes) does not start with {shown(self.start)}"
        found = IsExactly(self.start)(body[:size]).problem
        assert found is not None
        at = first_difference(self.start, body)
        kind = found.kind if body[:at] or found.kind is not Kind.TRUNCATED else Kind.MISMATCH
        return Judgement(Problem(kind, text, at, self.start + body[size:], body))


@dataclass(frozen=True, slots=True)
class Contains:
    """This stands somewhere in it."""

    part: bytes

    def __call__(self, body: bytes) -> Judgement:
        if self.part in body:
            return RIGHT
        text = f"{WHAT} ({len(body)} bytes) does not contain {shown(self.part)}"
        return Judgement(Problem(Kind.MISMATCH, text, None, None, body))


@dataclass(frozen=True, slots=True)
class IsNot:
    """Anything but this."""

    judge: Judge

    def __call__(self, body: bytes) -> Judgement:
        if not fits(self.judge, body):
            return RIGHT
        text = f"{WHAT} ({len(body)} bytes) is what it must not be"
        return Judgement(Problem(Kind.MISMATCH, text, None, None, body))


@dataclass(frozen=True, slots=True)
class FirstOf:
    """The first of these that is right, `which` being its name; of the others' `names` none has a
    value. Where none is, the nearest tells what is wrong.
    """

    options: Sequence[Judge]
    labels: Sequence[str] = ()
    which: str | None = None
    names: Sequence[str] = ()

    def __call__(self, body: bytes) -> Judgement:
        problems: list[Problem] = []
        for number, judge in enumerate(self.options):
            if not fits(judge, body):
                continue
            found = judge(body)
            if found.problem is None:
                return self.right(number, found)
        for judge in self.options:
            found = judge(body)
            if found.problem is None:
                return found
            problems.append(found.problem)
        number = nearest(problems, body)
        label = self.labels[number] if self.labels else f"number {number + 1}"
        text = f"{problems[number].message}; that is the nearest ({label}) of {len(problems)}"
        return Judgement(replace(problems[number], message=text))

    def right(self, number: int, found: Judgement) -> Judgement:
        """What is said where the option of this number is the first one that is right."""
        if not self.names and self.which is None:
            return found
        captured = dict.fromkeys(self.names, b"") | dict(found.captured)
        if self.which is not None:
            captured[self.which] = self.labels[number].encode()
        return Judgement(captured=captured)


def nearest(problems: Sequence[Problem], body: bytes) -> int:
    """Which of several things that a body might have been it is most like; the first of equals."""
    return max(range(len(problems)), key=lambda one: (_likeness(problems[one], body), -one))


def _likeness(problem: Problem, body: bytes) -> int:
    """Twice the bytes that are as they should be; one that fits a regex says half as much."""
    expected = problem.expected
    if expected is None:
        return problem.offset or 0
    same = first_difference(expected, body)
    least = min(len(expected), len(body)) - same
    tail = first_difference(expected[::-1][:least], body[::-1][:least])
    return 2 * (same + tail)


@dataclass(frozen=True, slots=True)
class Named:
    """What is right for `judge` has a name; `value` makes of the bytes what is kept."""

    judge: Judge
    name: str
    value: Callable[[bytes], bytes] = bytes

    def __call__(self, body: bytes) -> Judgement:
        found = self.judge(body)
        if found.problem is not None:
            return found
        return Judgement(captured={**found.captured, self.name: self.value(body)})


# --- numbers and lengths ------------------------------------------------------------------------


def decimal(data: bytes, order: Order = "big") -> bytes:
    """The whole number that these bytes are, not negative, in digits."""
    return b"%d" % int.from_bytes(data, order)


def varint_decimal(data: bytes) -> bytes:
    """The same of a varint."""
    found = varints.decode(data)
    return b"" if found is None else b"%d" % found[0]


@dataclass(frozen=True, slots=True)
class Prefix:
    """How a length is written before what it is the length of; together with `adjust` it counts."""

    bytes: int | None = None
    varint: bool = False
    digits: int | None = None
    order: Order = "big"
    adjust: int = 0

    def read(self, data: Data, at: int = 0) -> tuple[int, int] | None:
        """Bytes of the length at this place, and of what follows; None if it is not whole yet.

        Raises ValueError for what is no length.
        """
        if self.varint:
            found = varints.decode(data, at)
            if found is None:
                return None
            value, width = found
        else:
            width = self.bytes or self.digits or 1
            written = bytes(data[at : at + width])
            if self.digits is not None and not (written.isdigit() or not written):
                raise ValueError(f"the length should be {width} digits, {shown(written)} came")
            if len(written) < width:
                return None
            value = int(written) if self.digits else int.from_bytes(written, self.order)
        if value + self.adjust < 0:
            raise ValueError(f"the length {value} with 'adjust' is {value + self.adjust}")
        return width, value + self.adjust


@dataclass(frozen=True, slots=True)
class IsCounted:
    """A length, and then so many bytes, which are right for `judge`."""

    prefix: Prefix
    judge: Judge

    def __call__(self, body: bytes) -> Judgement:
        try:
            found = self.prefix.read(body)
        except ValueError as error:
            return Judgement(Problem(Kind.MISMATCH, str(error), 0, None, body))
        if found is None:
            return Judgement(Problem(Kind.TRUNCATED, "the length is cut off", None, None, body))
        width, size = found
        if width + size != len(body):
            kind = Kind.TRUNCATED if width + size > len(body) else Kind.SURPLUS
            text = f"the length says {size} bytes, {len(body) - width} came"
            return Judgement(Problem(kind, text, 0, None, body))
        inner = self.judge(body[width:])
        if inner.problem is not None:
            return Judgement(moved(inner.problem, width, body))
        return inner

    def inner(self, data: bytes) -> bytes:
        """What has this length, without it."""
        found = self.prefix.read(data)
        return data if found is None else data[found[0] :]


@dataclass(frozen=True, slots=True)
class IsVarint:
    """One varint, and nothing else."""

    def __call__(self, body: bytes) -> Judgement:
        try:
            found = varints.decode(body)
        except ValueError as error:
            return Judgement(Problem(Kind.MISMATCH, str(error), 0, None, body))
        if found is None or found[1] != len(body):
            kind = Kind.TRUNCATED if found is None else Kind.SURPLUS
            return Judgement(Problem(kind, f"{shown(body)} is no varint", None, None, body))
        return RIGHT


def moved(problem: Problem, at: int, body: bytes) -> Problem:
    """What is wrong with what begins at this offset, told of the whole body."""
    offset = None if problem.offset is None else at + problem.offset
    expected = None if problem.expected is None else body[:at] + problem.expected
    return Problem(problem.kind, problem.message, offset, expected, body)
