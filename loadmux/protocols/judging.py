"""What the reply forms of our protocols have in common: texts, regexes and sizes to be held against
a part of a message, and problems that say which part it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from loadmux.checking.bodies import Contains, HasLength, IsExactly, Matches, StartsWith
from loadmux.checking.judging import Judge, Judgement
from loadmux.checking.verifying import Problem
from loadmux.errors import Kind
from loadmux.plugins.contracts import Spec
from loadmux.plugins.payloads import Payload, Regex


@dataclass(frozen=True, slots=True)
class Wanted:
    """One way to judge bytes: they are `payload`, match `regex`, or have `size`; all None: any.

    `how` says what else they may do with the payload: start with it, or contain it.
    """

    payload: Payload | None = None
    regex: Regex | None = None
    size: int | None = None
    how: str = "equals"

    def payloads(self) -> tuple[Payload, ...]:
        if self.regex is not None:
            return self.regex.texts
        return () if self.payload is None else (self.payload,)

    def captures(self) -> tuple[str, ...]:
        return () if self.regex is None else self.regex.groups

    def least(self, sizes: Sequence[int]) -> int:
        """Bytes that right data has at least; `sizes` are those of its payloads."""
        return 0 if self.regex is not None else self.size or sum(sizes)

    def judge(self, what: str, data: bytes, parts: Sequence[bytes]) -> Judgement:
        """What is wrong with `data`, which the report calls `what`; `parts` are its payloads'."""
        if self.regex is not None:
            return Matches(re.compile(self.regex.source(parts)), what)(data)
        if self.size is not None:
            return called(what, HasLength(self.size)(data))
        if self.payload is not None:
            return called(what, COMPARED[self.how](parts[0])(data))
        return Judgement()


ANY = Wanted()
COMPARED: Mapping[str, Callable[[bytes], Judge]] = {
    "equals": IsExactly,
    "starts_with": StartsWith,
    "contains": Contains,
}


def wanted(spec: Spec) -> Wanted:
    """A text or PAYLOAD, or one of `{regex: RE}`, `{length: SIZE}`, `{starts_with: PAYLOAD}` and
    `{contains: PAYLOAD}`.
    """
    if spec.kind == "mapping":
        entries = spec.entries()
        if set(entries) == {"regex"}:
            return Wanted(regex=entries["regex"].regex(replaced=True))
        if set(entries) == {"length"}:
            return Wanted(size=entries["length"].size())
        if len(entries) == 1 and (how := next(iter(entries))) in COMPARED.keys() - {"equals"}:
            return Wanted(payload=_payload(entries[how]), how=how)
    return Wanted(payload=_payload(spec))


def _payload(spec: Spec) -> Payload:
    return spec.text() if spec.kind in ("number", "boolean") else spec.payload()


def called(what: str, judgement: Judgement) -> Judgement:
    """A judgement of "the frame's body", of which the report is to say something else."""
    problem = judgement.problem
    if problem is None:
        return judgement
    message = problem.message.replace("the frame's body", what)
    return Judgement(replace(problem, message=message))


def mismatch(message: str, expected: bytes, received: bytes) -> Judgement:
    """Something else came; the first byte that differs is where the report points."""
    same = next((i for i, (a, b) in enumerate(zip(expected, received, strict=False)) if a != b), -1)
    at = same if same >= 0 else min(len(expected), len(received))
    return Judgement(Problem(Kind.MISMATCH, message, at, expected, received))
