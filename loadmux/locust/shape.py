"""A scenario's phases as Locust's shape of a load.

In a closed phase there are as many users as its line says, looked at each second; in an open one as
many as it may have at once, and those begin when the load first needs them. The workers end the
phases by their own clocks, which are a little behind; who is done says so, and that ends the test.
"""

from __future__ import annotations

from locust import LoadTestShape

from loadmux.driver.pacer import Users
from loadmux.language.meaning.scenario import Load, Phase

HALF_A_LOOK = 0.5
AHEAD = 2.0
"""Seconds before open load may have more users, in which these are got ready: none begins yet."""
SPARE = 5.0
"""Seconds after the last phase and its graceful stop, in which workers tell that they are done."""


class Phases(LoadTestShape):
    """See the module; `load` has phases."""

    use_common_options = True  # else Locust's form would not take any users for the next test

    def __init__(self, load: Load) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._load = load
        self._changes = 0

    def anew(self) -> None:
        """Have Locust look again which worker has how many users: one came or went."""
        self._changes += 1

    def tick(self) -> tuple[int, float] | None:
        elapsed: float = self.get_run_time()  # type: ignore[no-untyped-call]
        phases = self._load.phases
        begin, number = 0.0, 0
        while number + 1 < len(phases) and elapsed >= begin + phases[number].pacer.seconds:
            begin += phases[number].pacer.seconds
            number += 1
        left = begin + phases[number].pacer.seconds - elapsed
        if left < -(self._load.graceful_stop + SPARE):
            return None
        users = wanted(phases[number], elapsed - begin)
        if phases[number].open and left < AHEAD and number + 1 < len(phases):
            users = max(users, wanted(phases[number + 1], 0.0))
        return self._told(users)

    def _told(self, users: int) -> tuple[int, float]:
        """Locust acts on what differs from what it was told before."""
        rate = self._load.spawn_rate or max(1, users)
        return users, rate + self._changes / 1000


def wanted(phase: Phase, elapsed: float) -> int:
    """How many users Locust is to have until the next look."""
    pacer = phase.pacer
    return pacer.wanted(elapsed + HALF_A_LOOK) if isinstance(pacer, Users) else phase.users
