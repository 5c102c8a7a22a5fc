"""A loop's own time, which leaves out those in which it stood still.

Whoever waits for its peer gets the time of a standstill on top, as the peer may have been stopped
as well; so limits of such waits are kept in this time (`awake`, `limit`), and a latency over which
the loop stood still is not measured (`since`, `between`). Schedules and sleeps are not moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from loadmux.driver.standstill import Standstill, Standstills, Suspensions

NOT_MEASURED = float("nan")


class OwnTime:
    """`epoch` is when the loop began, and `began` when the run did, of which it may be one of
    several loops (`perf_counter` times).

    `stood` is for how long (seconds) the loop has stood still, `woke` the `perf_counter` time at
    which it last went on: what began earlier has no latency. `stopped` is from when until when the
    process was stopped the last time. `explain`, where somebody watches, says what made a turn long
    since it was last asked; nothing where there was just much to do.
    """

    def __init__(self) -> None:
        self.epoch = self.began = perf_counter()
        self.stood = 0.0
        self.woke = 0.0
        self.stopped = (0.0, 0.0)
        self.standstills = Standstills()
        self.suspensions = Suspensions()
        self.explain: Callable[[], list[Standstill]] | None = None

    def awake(self) -> float:
        """The loop's own time: `perf_counter` seconds less those in which it stood still."""
        return perf_counter() - self.stood

    def limit(self, began: float, seconds: float) -> float:
        """So long after the `perf_counter` time `began`, in the loop's own time."""
        return began - self.stood + seconds

    def since(self, began: float) -> float:
        """Seconds since the `perf_counter` time `began`; NaN if the loop stood still meanwhile."""
        return perf_counter() - began if began >= self.woke else NOT_MEASURED

    def between(self, began: float, ended: float) -> float:
        """Seconds from one `perf_counter` time to another, as `since` has it."""
        return ended - began if began >= self.woke else NOT_MEASURED

    def look_for_suspension(self) -> None:
        """To be asked now and then, and before a peer is blamed for an end."""
        seconds = self.suspensions.take()
        if seconds:
            self.woke = now = perf_counter()
            self.standstills.add(Standstill(now - self.epoch, seconds))

    def stood_still(self, gap: float, now: float, found: Sequence[Standstill] = ()) -> None:
        """Until `now` nobody was served for `gap` seconds; `found` says more."""
        if not found and self.explain is not None:
            self.explain()  # it may have seen the same
        self.stood += gap
        self.woke = now
        for one in found or [Standstill(now - gap - self.epoch, gap)]:
            self.standstills.add(one)
            if not one.held:
                self.stopped = (now - gap, now)
