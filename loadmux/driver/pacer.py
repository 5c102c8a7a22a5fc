"""When load begins, as pure functions: no clock, no state, the same answer however often one asks.

A pacer is a value that knows one phase: `Users` keeps so many users iterating (closed load), `Rate`
starts iterations on a schedule, whether or not earlier ones have ended (open load). Both may ramp:
what they control then goes evenly from `first` to `last`. `pace(elapsed, started)` says how long to
wait until the next start, as in vegeta's `lib/pacer.go`; the k-th start of a `Rate` (from 0) is
where the integral of its rate is k. Since a start's time follows from its number alone, several
processes share one schedule by taking every n-th number, and a backlog is a difference of numbers
and needs no memory. All times are in seconds since the phase began.
"""

from __future__ import annotations

from math import ceil, floor, inf, sqrt

from loadmux.checking.frozen import dataclass

ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Users:
    """From `first` to `last` users in `seconds`.

    Growing, user k (from 0) begins when the line from `first` to `last` reaches k, as user k of a
    spawn rate does; shrinking, user k stops when it falls to k. At the end there are `last`.
    """

    first: int
    last: int
    seconds: float

    def wanted(self, elapsed: float) -> int:
        """How many users should be iterating."""
        if elapsed >= self.seconds:
            return self.last
        line = self.first + (self.last - self.first) * max(0.0, elapsed) / self.seconds
        return min(floor(line) + 1, self.last) if self.last > self.first else ceil(line)

    def changes(self, wanted: int) -> float:
        """When `wanted` users are not right any more; inf if they are for good."""
        if wanted == self.last:
            return inf
        line = wanted if self.last > self.first else wanted - 1
        return max(0.0, (line - self.first) / (self.last - self.first) * self.seconds)

    def pace(self, elapsed: float, started: int) -> float | None:
        """Seconds until one more user should begin, 0 if it is due; None if none will."""
        if started < self.wanted(elapsed):
            return 0.0
        if started >= self.last or self.last <= self.first:
            return None
        return max(0.0, self.changes(started) - elapsed)


@dataclass(frozen=True, slots=True)
class Rate:
    """From `first` to `last` iterations a second (not both 0) in `seconds`."""

    first: float
    last: float
    seconds: float

    @property
    def count(self) -> int:
        """How many iterations start in all: those whose time is before the end."""
        return max(1, ceil((self.first + self.last) / 2 * self.seconds * (1 - ROUNDING)))

    def integral(self, elapsed: float) -> float:
        """How many starts fit into the time until `elapsed`, not a whole number."""
        time = min(max(elapsed, 0.0), self.seconds)
        return time * (self.first + (self.last - self.first) * time / (2 * self.seconds))

    def due(self, number: int) -> float:
        """When start `number` (from 0) is; inf if there is no such start."""
        return inf if number >= self.count else self.at(number)

    def at(self, number: int) -> float:
        """The same of a start that there is."""
        if number == 0:
            return 0.0
        if self.first == self.last:
            return min(number / self.first, self.seconds)
        # The root of first·t + slope·t²/2 = number in the form that does not cancel out.
        square = self.first**2 + 2 * number * (self.last - self.first) / self.seconds
        return min(2 * number / (self.first + sqrt(max(square, 0.0))), self.seconds)

    def until(self, elapsed: float) -> int:
        """How many starts lie before `elapsed`: the number of the first one that does not."""
        number = min(ceil(self.integral(elapsed)), self.count)
        while number and self.due(number - 1) >= elapsed:
            number -= 1
        while self.due(number) < elapsed:
            number += 1
        return number

    def pace(self, elapsed: float, started: int) -> float | None:
        """Seconds until the next start after `started` ones, 0 if it is due; None if none is."""
        if started >= self.count:
            return None
        return max(0.0, self.due(started) - elapsed)


Pacer = Users | Rate
