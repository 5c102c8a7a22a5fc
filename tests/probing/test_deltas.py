"""Delta debugging on simulated faults: nothing runs here."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from loadmux.probing.deltas import fewer, least, shorter

Result = TypeVar("Result")


def carried_out(
    search: Generator[Any, bool, Result], fails: Callable[[Any], bool]
) -> tuple[Result, int]:
    """What a search comes to, and how many candidates it tried."""
    count, answer = 0, None
    while True:
        try:
            candidate = next(search) if answer is None else search.send(answer)
        except StopIteration as end:
            return end.value, count
        count, answer = count + 1, fails(candidate)


@given(st.integers(1, 60), st.sets(st.integers(0, 59), max_size=4))
def test_only_what_is_needed_is_left(size: int, needed: set[int]) -> None:
    needed = {one for one in needed if one < size}
    kept, _ = carried_out(fewer(range(size), list), lambda one: needed <= set(one))
    assert kept == sorted(needed)


def test_two_of_forty_are_found_in_few_tries() -> None:
    for first in range(40):
        for second in range(first):
            needed = {first, second}
            kept, tried = carried_out(fewer(range(40), list), needed.issubset)
            assert set(kept) == needed
            assert tried <= 45


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_the_least_number(most: int, needed: int) -> None:
    needed = min(needed, most)
    found, tried = carried_out(least(most, 1, int), lambda one: one >= needed)
    assert found == needed
    assert tried <= 16


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_shorter_message_has_what_matters(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data) - 1))
    part = data[at : at + 3]
    kept, _ = carried_out(shorter(list(data), bytes), lambda one: part in one)
    assert part in bytes(kept)
    assert len(kept) <= len(part)
