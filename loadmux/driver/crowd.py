"""A pool whose users come and go at somebody else's will, and whose share of the starts may change.

In closed stages all users that are there iterate; in open ones each is started when the load first
needs it. Which starts are this process's is told by `divide`, for a time to come: all processes
that share a load cut its numbers at the same one, so that none is started twice or by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from loadmux.driver.control import Control
from loadmux.driver.loop import NEVER, Task
from loadmux.driver.pacer import Rate, Users
from loadmux.driver.pool import Pool, PooledUser
from loadmux.driver.schedule import Schedule, Stage


@dataclass(frozen=True, slots=True)
class Division:
    """From `at` (seconds since the load began) on the starts `place`, `place + of`, ... are this
    process's; none where `place` is None.
    """

    at: float
    place: int | None
    of: int

    def numbers(self, first: int, end: int) -> range:
        """Its starts among those from `first` to before `end`."""
        if self.place is None:
            return range(0)
        return range(first + (self.place - first) % self.of, end, self.of)


class Crowd(Pool):
    """See the module. `over`: the last stage's time is up."""

    def __init__(
        self,
        control: Control,
        stages: Sequence[Stage],
        patience: float,
        phase_over: Callable[[], None],
    ) -> None:
        super().__init__((), control, stages, 0.0, patience, phase_over)
        self.over = False
        self._divisions: list[Division] = []
        self._conducting = False
        self._origin = 0.0
        self._stage: tuple[Rate, float] | None = None
        self._current: list[Schedule] = []

    def add(self, user: PooledUser) -> None:
        """One more user."""
        user.pool = self
        self._absent.append(user)
        if self._conducting:
            self._task.loop.wake(self._task)

    def remove(self, user: PooledUser) -> None:
        """A user has ended, whether or not it ever began."""
        for users in (self._absent, self.free):
            with suppress(ValueError):
                users.remove(user)

    def divide(self, division: Division) -> None:
        """How the starts are shared from a time on that is later than all told before."""
        self._divisions.append(division)
        if self._stage is None:
            return
        rate, begin = self._stage
        cut = first_after(rate, division.at - (begin - self._origin))
        if self._current:  # it may have gone past the cut, where word of it came late
            cut = max(cut, self._current[-1].number)
        for schedule in self._current:
            schedule.end_at(cut)
        self._share(rate, begin, division.numbers(cut, rate.count))

    def break_off(self) -> None:
        """Nothing of what was due and has not begun will ever begin."""
        if self._conducting:
            self.close()

    @property
    def idle(self) -> bool:
        """Whether no start of a current stage is left for this process."""
        return all(schedule.due == NEVER for schedule in self._schedules)

    async def conduct(self, task: Task, begin: float | None = None) -> None:
        self._origin = task.loop.epoch if begin is None else begin
        self._conducting = True
        try:
            await super().conduct(task, self._origin)
        finally:
            self._conducting = False
            self._stage = None
            self.over = True

    def left(self, user: PooledUser) -> None:
        """It is gone for good, and `remove` follows."""

    def _over(self) -> bool:
        return self.control.stopping

    def _enter(self, stage: Stage, begin: float) -> None:
        pacer = stage.pacer
        self._closed = isinstance(pacer, Users)
        self._stage, self._current = None, []
        if isinstance(pacer, Rate):
            self._stage = pacer, begin
            for numbers in shares(pacer, begin - self._origin, self._divisions):
                self._share(pacer, begin, numbers)
        waiting, self.free = self.free, []
        for user in waiting:
            if self._closed:
                user.unpark()
            elif user.parked:
                self.free.append(user)

    def _share(self, rate: Rate, begin: float, numbers: range) -> None:
        if numbers:
            schedule = Schedule(rate, numbers, begin)
            self.control.stats.missed += schedule.miss(*self._stopped)
            self._schedules.append(schedule)
            self._current.append(schedule)

    def _turn_closed(self, stage: Stage, pacer: Users, begin: float, now: float) -> float:
        while self._absent:
            self._absent.pop().start()
        return NEVER


def shares(rate: Rate, offset: float, divisions: Sequence[Division]) -> Iterator[range]:
    """The numbers that are this process's of a stage that begins at `offset` (seconds)."""
    begins = [first_after(rate, one.at - offset) for one in divisions]
    for division, begin, end in zip(divisions, begins, [*begins[1:], rate.count], strict=True):
        yield division.numbers(begin, end)


def first_after(rate: Rate, elapsed: float) -> int:
    """The number of the first start that is due at `elapsed` or later."""
    return rate.until(elapsed) if elapsed > 0 else 0
