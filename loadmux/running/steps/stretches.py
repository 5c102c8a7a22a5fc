"""Right replies one behind the other, seen in what came without a verifier for each.

A `Stretch` says where the right reply ends that begins at an offset, NOWHERE if none does, or if it
cannot tell: of that nothing is known then, and verifiers say it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from loadmux.checking.bodies import fits
from loadmux.checking.framing import Framing
from loadmux.checking.judging import Judge
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.simple import Delimited
from loadmux.running.steps.matching import NO_NAMES, Names

Stretch = Callable[[bytes, int], int]
NOWHERE = -1


def text(expected: bytes) -> Stretch:
    """Exactly this."""
    return partial(_text, expected)


def _text(expected: bytes, data: bytes, at: int) -> int:
    return at + len(expected) if data.startswith(expected, at) else NOWHERE


def length(size: int) -> Stretch:
    """Any `size` bytes."""
    return lambda data, at: at + size if at + size <= len(data) else NOWHERE


def until(delimiter: bytes, judge: Judge | None = None) -> Stretch:
    """Up to and with a delimiter, all of it right for `judge`."""
    return partial(_until, delimiter, len(delimiter), judge)


def framed(framing: Framing, judge: Judge) -> Stretch | None:
    """One frame whose body is right for `judge`; None for a framing whose ends are not quickly
    found.
    """
    if isinstance(framing, Delimited):
        return partial(_line, framing, judge)
    return partial(_prefixed, framing, judge) if isinstance(framing, LengthPrefixed) else None


def _until(delimiter: bytes, kept: int, judge: Judge | None, data: bytes, at: int) -> int:
    found = data.find(delimiter, at)
    if found < 0 or not (judge is None or fits(judge, data[at : found + kept])):
        return NOWHERE
    return found + len(delimiter)


def _line(framing: Delimited, judge: Judge, data: bytes, at: int) -> int:
    end = _until(framing.delimiter, 0, judge, data, at)
    return end if end - at <= framing.max_size else NOWHERE


def _prefixed(framing: LengthPrefixed, judge: Judge, data: bytes, at: int) -> int:
    head, size = framing.sizes(data[at:]) or (0, len(data) + 1)
    end = at + size
    return end if end <= len(data) and fits(judge, data[at + head : end]) else NOWHERE


def in_turn(stretches: Sequence[Stretch], data: bytes, at: int) -> int:
    """One behind the other."""
    for stretch in stretches:
        at = stretch(data, at)
        if at < 0:
            return NOWHERE
    return at


def alone(stretch: Stretch, data: bytes) -> Names | None:
    """Whether it is all that came."""
    try:
        return NO_NAMES if stretch(data, 0) == len(data) else None
    except Exception:  # whatever it is, the verifier tells it
        return None


def in_any_order(wholes: Sequence[bytes], data: bytes) -> Names | None:
    """Whether these frames are all that came, each once. None is the beginning of another."""
    left, at = list(wholes), 0
    while left:
        for number, whole in enumerate(left):
            if data.startswith(whole, at):
                at += len(whole)
                del left[number]
                break
        else:
            return None
    return NO_NAMES if at == len(data) else None
