"""How far a reply fits a regular expression that it does not match, and what should come there.

`re` only says that nothing matched. A pattern's beginnings are patterns themselves, and the longest
one that still matches the reply's beginning ends where it went wrong: groups, alternatives and
counted repeats are looked into, everything else is one piece. The parser of `re` is private, so
what it does not give as it did is not explained: that is a courtesy, the judgement stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from re import _compiler, _parser  # type: ignore[attr-defined]
from typing import Any

LONGEST = 16 * 1024
"""Bytes of a reply that are looked at: each beginning costs about what the pattern costs."""
MOST_ALTERNATIVES = 16
DEEPEST = 20
CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}

Item = tuple[Any, Any]
Items = Sequence[Item]


@dataclass(frozen=True, slots=True)
class Reach:
    """The pattern fits up to byte `end`, where `wanted` should come: empty where nothing should."""

    end: int
    wanted: str


def reach(pattern: re.Pattern[bytes], data: bytes) -> Reach | None:
    """How far `data` fits a pattern that it does not match wholly; None where nobody can say."""
    if len(data) > LONGEST:
        return None
    try:
        beginnings = _beginnings(pattern)
        return None if beginnings is None else beginnings.furthest(data)
    except (re.error, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


@lru_cache(maxsize=64)
def _beginnings(pattern: re.Pattern[bytes]) -> _Beginnings | None:
    parsed = _parser.parse(pattern.pattern, pattern.flags)
    return None if _explosive(parsed, False) else _Beginnings(parsed)


class _Beginnings:
    """The beginnings of one pattern, compiled when they are first asked for."""

    def __init__(self, parsed: Any) -> None:
        self._state = parsed.state
        self._items: Items = tuple(parsed)
        self._compiled: dict[tuple[int, ...], re.Pattern[bytes]] = {}

    def furthest(self, data: bytes) -> Reach:
        return self._into(data, (), self._items, 0)

    def _into(self, data: bytes, before: Items, items: Items, depth: int) -> Reach:
        """`before` fits; how far it goes on with `items`."""
        fitting = self._count(data, before, items)
        matched = (*before, *items[:fitting])
        if fitting == len(items):
            return Reach(self._end(data, matched), "")
        here = Reach(self._end(data, matched), described(items[fitting]))
        inner = _inner(items[fitting]) if depth < DEEPEST else []
        found = [self._into(data, matched, one, depth + 1) for one in inner[:MOST_ALTERNATIVES]]
        return max([one for one in found if one.wanted], key=lambda one: one.end, default=here)

    def _count(self, data: bytes, before: Items, items: Items) -> int:
        """How many of the items fit: one more never fits where one fewer does not."""
        low, high = 0, len(items)
        while low < high:
            middle = (low + high + 1) // 2
            if self._beginning((*before, *items[:middle])).match(data) is None:
                high = middle - 1
            else:
                low = middle
        return low

    def _end(self, data: bytes, items: Items) -> int:
        match = self._beginning(items).match(data)
        return 0 if match is None else match.end()

    def _beginning(self, items: Items) -> re.Pattern[bytes]:
        key = tuple(map(id, items))  # all are parts of one tree, which is kept
        known = self._compiled.get(key)
        if known is None:
            made = _parser.SubPattern(self._state, list(items))
            known = _compiler.compile(made, self._state.flags)
            self._compiled[key] = known
        return known


def _inner(item: Item) -> list[Items]:
    """What an item that does not fit begins with, in each of the ways in which it can."""
    kind, value = str(item[0]), item[1]
    if kind == "SUBPATTERN":
        return [tuple(value[-1])]
    if kind == "BRANCH":
        return [tuple(one) for one in value[1]]
    if kind == "MAX_REPEAT" and 1 <= value[0] <= LONGEST:
        return [tuple(value[2]) * int(value[0])]
    return []


def _explosive(items: Any, repeated: bool) -> bool:
    """Whether a repeat is repeated: a beginning may take for ever where the whole fails at once."""
    for operation, value in items:
        kind = str(operation)
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            again = value[1] > 1
            found = (repeated and again) or _explosive(value[2], repeated or again)
        elif kind == "SUBPATTERN":
            found = _explosive(value[-1], repeated)
        else:
            found = kind == "BRANCH" and any(_explosive(one, repeated) for one in value[1])
        if found:
            return True
    return False


# --- words --------------------------------------------------------------------------------------


def described(item: Item) -> str:
    """One item of a pattern, as it could be written."""
    kind, value = str(item[0]), item[1]
    if kind == "LITERAL":
        return repr(bytes([value]))[1:]
    if kind == "NOT_LITERAL":
        return f"[^{_character(value)}]"
    if kind in ("ANY", "ANY_ALL"):
        return "any byte" if kind == "ANY_ALL" else "any byte but a line feed"
    if kind == "IN":
        return _set(value)
    if kind in ("MAX_REPEAT", "MIN_REPEAT") and len(value[2]) == 1:
        return described(value[2][0])
    if kind == "AT":
        return "a certain place"
    if kind in ("ASSERT", "ASSERT_NOT"):
        return "what a look-around asks for"
    return "more of the pattern"


def _set(parts: Items) -> str:
    texts = [_part(*one) for one in parts]
    return texts[0] if len(texts) == 1 and texts[0].startswith("\\") else f"[{''.join(texts)}]"


def _part(operation: Any, value: Any) -> str:
    kind = str(operation)
    if kind == "RANGE":
        return f"{_character(value[0])}-{_character(value[1])}"
    if kind == "NEGATE":
        return "^"
    return CATEGORIES.get(str(value), "") if kind == "CATEGORY" else _character(value)


def _character(value: int) -> str:
    return repr(bytes([value]))[2:-1]
