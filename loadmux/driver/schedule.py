"""When the iterations of an open load begin, of which several processes have a share each. Pure.

The time of each start follows from its number, so a backlog is a number, too. Several processes
share a load by striding: users and starts `first`, `first + stride`, ...
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from loadmux.driver.pacer import Pacer, Rate


@dataclass(frozen=True, slots=True)
class Stage:
    """Process `first` of `stride`'s share of a phase that has at most `most` users everywhere."""

    pacer: Pacer
    most: int
    first: int
    stride: int

    def users(self, everywhere: int) -> int:
        """How many of so many users are this process's: the first ones of its pool."""
        return len(range(self.first, everywhere, self.stride))

    def starts(self, rate: Rate) -> range:
        """The numbers of this process's starts; as many processes have some as there are users."""
        return range(self.first, rate.count, min(self.stride, self.most))


class Schedule:
    """This process's starts of an open stage, which are its `numbers`; `due` is the next one's
    time, inf when none is left.

    Starts that were due while the process was stopped never come (`missed`).
    """

    def __init__(self, rate: Rate, numbers: range, begin: float) -> None:
        self._rate = rate
        self._begin = begin
        self._step, self._end = numbers.step, numbers.stop
        self._holes: list[range] = []
        self._skip_to(numbers.start)

    @property
    def number(self) -> int:
        """That of the next start."""
        return self._number

    def end_at(self, number: int) -> None:
        """From this number on the starts are somebody else's."""
        self._end = min(self._end, number)
        self._skip_to(self._number)

    def take(self) -> float:
        """The intended start of the next iteration, which thereby has begun."""
        due = self.due
        self._skip_to(self._number + self._step)
        return due

    def abandon(self, until: float) -> int:
        """Give up the starts that were due before `until`; how many they are."""
        if self.due >= until:
            return 0
        going = self._starts(self._number, self._rate.until(until - self._begin))
        missed = sum(len(common(going, hole)) for hole in self._holes)
        if going:
            self._skip_to(going[-1] + self._step)
        return len(going) - missed

    def miss(self, since: float, until: float) -> int:
        """Those due from `since` until `until` will never come; how many they are."""
        first, end = (self._rate.until(time - self._begin) for time in (since, until))
        missed = self._starts(first, end)
        self._holes = [hole for hole in (*self._holes, missed) if hole and hole[-1] >= self._number]
        self._skip_to(self._number)
        return len(missed)

    def _starts(self, first: int, end: int) -> range:
        """This process's starts from `first` (not before the next one) to before `end`."""
        behind = max(0, first - self._number)
        begin = self._number + -(-behind // self._step) * self._step
        return range(begin, min(end, self._end), self._step)

    def _skip_to(self, number: int) -> None:
        for hole in self._holes:
            if number in hole:
                number = hole[-1] + self._step
        self._number = number
        self.due = self._begin + self._rate.at(number) if number < self._end else inf


def common(one: range, other: range) -> range:
    """The numbers in both of two ranges whose steps and remainders are the same."""
    return range(max(one.start, other.start), min(one.stop, other.stop), one.step)
