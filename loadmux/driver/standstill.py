"""When the loop stood still, and who held it: what is the generator's doing, never the target's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

STILL = 0.1
KEPT = 100


@dataclass(frozen=True, slots=True)
class Standstill:
    """`seconds` long, `at` seconds after the loop's epoch.

    `held`: something was at work all the time; else the process was stopped, as far as is known.
    `step` and `user`: whose step held the loop, None where nobody is known. `where` is the line of
    the scenario's own code that ran, "" where there is none.
    """

    at: float
    seconds: float
    held: bool = False
    step: str | None = None
    user: int | None = None
    where: str = ""


def asleep() -> float:
    """For how long (seconds) this machine has been suspended; 0 where nobody tells.

    `perf_counter` does not count that time, so no clock jumps (clock_gettime(2), CLOCK_MONOTONIC).
    """
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class Suspensions:
    """Notices that the machine was suspended, each time once."""

    def __init__(self, asleep: Callable[[], float] = asleep) -> None:
        self._asleep = asleep
        self._before = asleep()

    def take(self) -> float:
        """For how many seconds it was, since the last call that found any; else 0."""
        now = self._asleep()
        if now - self._before < STILL:
            return 0.0
        before, self._before = self._before, now
        return now - before


class Standstills:
    """Those of a loop that nobody has taken yet: KEPT of them, and the count and sum of all."""

    def __init__(self) -> None:
        self._kept: list[Standstill] = []
        self.count = 0
        self.seconds = 0.0

    def add(self, one: Standstill) -> None:
        self.count += 1
        self.seconds += one.seconds
        if self.count <= KEPT:
            self._kept.append(one)

    def take(self) -> tuple[Standstill, ...]:
        taken = tuple(self._kept)
        self._kept.clear()
        return taken
