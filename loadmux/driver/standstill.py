"""When the loop stood still, and who held it: what is the generator's doing, never the target's."""

from __future__ import annotations

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
