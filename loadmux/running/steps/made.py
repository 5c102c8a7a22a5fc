"""What is always the same, or made of the moment: a user, the name of a socket, what was sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from loadmux.driver.user import VirtualUser

T = TypeVar("T")
Make = Callable[[VirtualUser, str, bytes], T]


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """`constant` if it is always the same, or what `make` makes of the moment."""

    constant: T | None
    make: Make[T]


def fixed(value: T) -> Made[T]:
    return Made(value, lambda user, socket, sent: value)


def of_all(inner: Sequence[Made[Any]], build: Callable[[list[Any]], T]) -> Made[T]:
    """What `build` makes of these."""
    known = [one.constant for one in inner]
    if all(one is not None for one in known):
        return fixed(build(known))
    return Made(None, lambda *now: build([one.make(*now) for one in inner]))
