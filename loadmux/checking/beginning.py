"""Whether bytes can be the beginning of what a regular expression matches wholly.

`re` has no partial match. Here the places in the bytes that the pattern can have got to are
followed item by item, all at once, so that no pattern takes more than its size times theirs. The
answer "no" is certain; "yes" is also what is said where nobody can tell (a reference to a group, a
look-around, too many bytes). The parser of `re` is private: what it does not give as it did is such
a case, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from re import _compiler, _parser  # type: ignore[attr-defined]
from typing import Any

LONGEST = 4 * 1024
"""Bytes that are looked at."""
REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
ONE_BYTE = ("LITERAL", "NOT_LITERAL", "ANY", "IN")
NO_BYTES = ("AT", "ASSERT", "ASSERT_NOT")


def can_begin(pattern: re.Pattern[bytes], begun: bytes) -> bool:
    """Whether something that begins so may match the pattern wholly."""
    if len(begun) > LONGEST:
        return True
    try:
        return _followed(pattern).reaches(begun)
    except (re.error, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return True


@lru_cache(maxsize=64)
def _followed(pattern: re.Pattern[bytes]) -> _Followed:
    return _Followed(_parser.parse(pattern.pattern, pattern.flags))


class _MayBe(Exception):
    """The pattern goes on where the bytes end, or nobody knows how it goes on."""


class _Followed:
    """A pattern's items, and those of one byte compiled when they are first met."""

    def __init__(self, parsed: Any) -> None:
        self._state = parsed.state
        self._items = tuple(parsed)
        self._compiled: dict[int, re.Pattern[bytes]] = {}

    def reaches(self, data: bytes) -> bool:
        try:
            return len(data) in self._all(self._items, {0}, data)
        except _MayBe:
            return True

    def _all(self, items: Iterable[Any], at: set[int], data: bytes) -> set[int]:
        for item in items:
            at = self._one(item, at, data)
        return at

    def _one(self, item: Any, at: set[int], data: bytes) -> set[int]:
        """The places behind an item that begins at one of these."""
        kind, value = str(item[0]), item[1]
        if not at or kind in NO_BYTES:
            return at
        if kind in ONE_BYTE:
            return self._byte(item, at, data)
        if kind in REPEATS:
            least, most, items = value
            return self._repeated(int(least), int(most), items, at, data)
        if kind == "BRANCH":
            return set().union(*(self._all(one, at, data) for one in value[1]))
        if kind == "SUBPATTERN" and not (value[1] or value[2]):
            return self._all(value[-1], at, data)
        if kind == "ATOMIC_GROUP":
            return self._all(value, at, data)
        raise _MayBe

    def _byte(self, item: Any, at: set[int], data: bytes) -> set[int]:
        if len(data) in at:
            raise _MayBe
        known = self._compiled.get(id(item))  # an item of a tree that is kept
        if known is None:
            known = _compiler.compile(_parser.SubPattern(self._state, [item]), self._state.flags)
            self._compiled[id(item)] = known
        return {place + 1 for place in at if known.match(data, place, place + 1)}

    def _repeated(self, least: int, most: int, items: Any, at: set[int], data: bytes) -> set[int]:
        for _ in range(least):
            at = self._all(items, at, data)
            if not at:
                return at
        found, fresh, more = set(at), at, most - least
        while fresh and more > 0:
            fresh = self._all(items, fresh, data) - found
            found |= fresh
            more -= 1
        return found
