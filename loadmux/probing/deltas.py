"""Delta debugging: the smallest of something that still does what it did.

Each search is a generator: it yields a candidate, is sent whether that still fails, and returns the
smallest that did. `build` makes the candidate. None of them knows what it makes smaller. The
partition of a list is that of Zeller's ddmin, with complements alone: a part that fails by itself
is found as what is left when the others have gone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Candidate = TypeVar("Candidate")
Search = Generator[Candidate, bool, list[Item]]


def fewer(
    items: Sequence[Item], build: Callable[[list[Item]], Candidate], finest: int = 1
) -> Search[Candidate, Item]:
    """As few items as possible, in their order; parts of fewer than `finest` are not tried."""
    kept = list(items)
    if kept and (yield build([])):
        return []
    parts = 2
    while len(kept) > 1:
        size = max(finest, -(-len(kept) // parts))
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            if rest and (yield build(rest)):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if size <= finest:
                break
            parts *= 2
    return kept


def shorter(
    items: Sequence[Item], build: Callable[[list[Item]], Candidate]
) -> Search[Candidate, Item]:
    """A shorter list of at least one: its end goes first, then its beginning, then what is between.

    Parts of less than a sixteenth are not tried: a byte more or less says nothing to a reader.
    """
    kept = list(items)
    count = yield from least(len(kept), 1, lambda n: build(kept[:n]))
    kept = kept[:count]
    count = yield from least(len(kept), 1, lambda n: build(kept[len(kept) - n :]))
    kept = kept[len(kept) - count :]
    return (yield from fewer(kept, build, max(1, len(kept) // 16)))


def least(
    number: int, smallest: int, build: Callable[[int], Candidate]
) -> Generator[Candidate, bool, int]:
    """The smallest number, as far as what fails with one fails with every larger one."""
    if number <= smallest:
        return number
    for one in (smallest, smallest + 1):
        if one < number and (yield build(one)):
            return one
    low, high = smallest + 1, number
    while high - low > 1:
        middle = (low + high) // 2
        if (yield build(middle)):
            high = middle
        else:
            low = middle
    return high
