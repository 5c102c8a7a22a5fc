"""Whole frames that are seen to be right without a verifier, which is made for what comes in parts.

What is matched here is right; of what is not, nothing is known: its verifier says so. A `Quick`
gives the names of a right body, None for any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from loadmux.checking.frames import Want
from loadmux.checking.framing import Framing, Talkative
from loadmux.checking.judging import Judge
from loadmux.driver.user import VirtualUser
from loadmux.running.steps.messages import Render
from loadmux.running.steps.swift import Match

Names = Mapping[str, bytes]
Quick = Callable[[bytes], Names | None]
NO_NAMES: Names = {}


class Piece(NamedTuple):
    """A part of a body: what `render` makes, or any `size` bytes; neither: all that is left.

    `name` keeps what `value` makes of it.
    """

    render: Render | None
    size: int | None
    name: str | None
    value: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Layout:
    """A body of which only the last part may be of open length."""

    pieces: Sequence[Piece]

    def now(self, user: VirtualUser, socket: str, sent: bytes) -> Quick:
        """What knows the body of the moment."""
        known, saves, at = list[tuple[int, bytes]](), list[Save](), 0
        end: int | None = 0
        for render, size, name, value in self.pieces:
            if render is not None:
                data = render(user, socket, sent)
                known.append((at, data))
                end = at + len(data)
            else:
                end = None if size is None else at + size
            if name is not None:
                saves.append((name, value, slice(at, end)))
            at = at if end is None else end
        return partial(_laid, known, saves, at, end is None)


Save = tuple[str, Callable[[bytes], bytes], slice]


def _laid(
    known: Sequence[tuple[int, bytes]], saves: Sequence[Save], size: int, more: bool, body: bytes
) -> Names | None:
    if len(body) != size and not (more and len(body) > size):
        return None
    for at, data in known:
        if not body.startswith(data, at):
            return None
    return {name: value(body[place]) for name, value, place in saves} if saves else NO_NAMES


def around(before: bytes, size: int, after: bytes) -> Quick:
    """What begins and ends so, with any `size` bytes between."""
    place = len(before) + size
    return partial(_laid, [(0, before), (place, after)], (), place + len(after), False)


def exactly(expected: bytes) -> Quick:
    return lambda body: NO_NAMES if body == expected else None


def by_judge(judge: Judge) -> Quick:
    return partial(_by_judge, judge)


def _by_judge(judge: Judge, body: bytes) -> Names | None:
    found = judge(body)
    return found.captured if found.problem is None else None


def frame(framing: Framing, inside: Quick) -> Match | None:
    """One frame with this body; None where a server may speak on such frames' connections."""
    return None if isinstance(framing, Talkative) else partial(_frame, framing, inside)


def _frame(framing: Framing, inside: Quick, data: bytes) -> Names | None:
    try:
        body = framing.sole(data)
        return None if body is None else inside(body)
    except Exception:  # whatever it is, the verifier tells it
        return None


def headed(framing: Framing, size: int, header: Quick, inside: Quick, data: bytes) -> Names | None:
    """One frame with this header of `size` bytes, and this body."""
    names = _frame(framing, inside, data)
    if names is None:
        return None
    more = header(data[:size])
    return None if more is None else {**more, **names} if more else names


def wanted(framing: Framing, want: Want, ahead: Want | None) -> Match | None:
    """One frame that is wanted, and is not `ahead` of it passed over."""
    return None if isinstance(framing, Talkative) else partial(_wanted, framing, want, ahead)


def _wanted(framing: Framing, want: Want, ahead: Want | None, data: bytes) -> Names | None:
    decoder = framing.decoder()
    try:
        found = decoder.feed(data)
        if found is None or found.rest or found.last or decoder.gone:
            return None
        if ahead is not None and ahead.fits(found):
            return None
        judgement = want.judge(found)
    except Exception:  # whatever it is, the verifier tells it
        return None
    return judgement.captured if judgement.problem is None else None
