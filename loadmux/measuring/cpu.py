"""How much CPU processes have used, and whether that was all that they could. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

AT_WORK = 0.2
"""Share of the time from which on a thread counts as one that does the work."""
FULL = 0.93
HELD_UP = 0.2

Times = Mapping[int, tuple[int, int]]
"""Of each thread: for how many nanoseconds it has run, and has waited for a free core."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """Of all processes of a target over some time: `cores` used in all, also by those that have
    ended; of the threads that did the work the mean shares (0..1) of the time in which they ran,
    and in which they could have run, had there been a free core (`held_up`).
    """

    cores: float
    ran: float = 0.0
    held_up: float = 0.0

    @property
    def full(self) -> bool:
        """Whether each of these threads always had something to do."""
        return self.ran + self.held_up >= FULL

    @property
    def starved(self) -> bool:
        """Whether they had to wait for a free core, and that for long."""
        return self.held_up >= HELD_UP

    @classmethod
    def between(cls, before: Times, after: Times, seconds: float, used: float) -> Cpu:
        """Over so many seconds, in which `used` seconds of CPU were used in all."""
        shares = [_shares(before.get(one, (0, 0)), now, seconds) for one, now in after.items()]
        working = [one for one in shares if sum(one) >= AT_WORK]
        return cls(
            used / seconds, _mean([ran for ran, _ in working]), _mean([w for _, w in working])
        )


def _shares(before: tuple[int, int], now: tuple[int, int], seconds: float) -> tuple[float, float]:
    ran, waited = (
        max(0, late - early) / 1e9 / seconds for early, late in zip(before, now, strict=True)
    )
    return ran, waited


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
