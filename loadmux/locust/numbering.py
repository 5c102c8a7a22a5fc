"""User numbers: the smallest free ones first, unique over all users that are alive.

Whoever judges keeps a `Ledger` for each class: alone, its users get their numbers at once; a worker
asks its master for as many as it has new users (`Asking`), and gives back those of users that have
ended. So a worker may come late, leave, or get another one's users, and a feeder needs as many rows
as there are users. With a number goes how often it was used before: what a user draws from the seed
depends on it.

A worker that is lost may come back with its users alive. Those of its numbers that others have got
meanwhile are revoked; the rest stay its own.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gevent
from gevent.event import Event

from loadmux.language.meaning.scenario import Scenario

Number = tuple[int, int]
"""A user's number, and how many users had it before."""
Standing = tuple[dict[str, int] | None, int]
"""How many users wait at which barrier, None where somebody is on the way; openings until then."""
MESSAGE = "loadmux_numbers"
TOGETHER = 0.002
"""Seconds in which what is asked and given back goes into one message."""


def room(scenario: Scenario) -> int | None:
    """How many numbers there are at most, by the rows of the feeders; None: as many as asked."""
    rows = [
        one.rows
        for one in scenario.feeders.values()
        if one.pick != "random" and one.when_short != "wrap"
    ]
    return min(rows, default=None)


class Ledger:
    """Who has which numbers of one class. Of `room` numbers none is left: who asks has to wait."""

    def __init__(self, room: int | None = None) -> None:
        self._room = room
        self._free: list[int] = []
        self._next = 0
        self._lives: Counter[int] = Counter()
        self._held: dict[str, set[int]] = {}
        self._lost: dict[str, set[int]] = {}
        self._asked: deque[list[Any]] = deque()

    def ask(self, who: str, count: int) -> None:
        """So many users of a worker need numbers; `give` has them when there are any."""
        if count > 0:
            self._asked.append([who, count])

    def give(self) -> dict[str, list[Number]]:
        """The numbers that can be given now, by who asked for them."""
        given: dict[str, list[Number]] = {}
        waiting: deque[list[Any]] = deque()
        for who, count in self._asked:
            while count and who not in self._lost and (number := self._smallest()) is not None:
                self._held.setdefault(who, set()).add(number)
                given.setdefault(who, []).append((number, self._lives[number]))
                self._lives[number] += 1
                count -= 1
            if count:
                waiting.append([who, count])
        self._asked = waiting
        return given

    def _smallest(self) -> int | None:
        if self._free:
            return heapq.heappop(self._free)
        if self._room is not None and self._next >= self._room:
            return None
        self._next += 1
        return self._next - 1

    def take_back(self, who: str, numbers: Iterable[int]) -> None:
        """Users of a worker have ended; what it does not hold is not believed."""
        for holds in (self._held.get(who, set()), self._lost.get(who, set())):
            for number in holds & {*numbers}:
                holds.remove(number)
                if holds is self._held.get(who):
                    heapq.heappush(self._free, number)

    def lose(self, who: str) -> None:
        """A worker is gone, for good or not: others may have its numbers."""
        gone = self._held.pop(who, set())
        self._lost[who] = gone | self._lost.get(who, set())
        for number in gone:
            heapq.heappush(self._free, number)

    def has_lost(self, who: str) -> bool:
        return who in self._lost

    def find(self, who: str) -> list[int]:
        """A worker is there, again or for the first time: those of its numbers that others have."""
        had = self._lost.pop(who, set())
        own = had.intersection(self._free)
        self._free = [number for number in self._free if number not in own]
        heapq.heapify(self._free)
        self._held.setdefault(who, set()).update(own)
        return sorted(had - own)


class Asking:
    """A worker's side: what its classes ask for and give back, told to the master by `send`.

    With it goes how the users stand at barriers: what `meeting` says of each class, and `wanted`,
    how many users Locust wants of each class here. `send` is called in a greenlet of its own: it
    may have to wait, and the driver may not.
    """

    def __init__(
        self,
        run: str,
        send: Callable[[Mapping[str, Any]], object],
        wanted: Callable[[], Mapping[str, int]],
    ) -> None:
        self.meeting: dict[str, Callable[[], Standing]] = {}
        self._run = run
        self._send = send
        self._wanted = wanted
        self._asked: Counter[str] = Counter()
        self._back: dict[str, list[int]] = {}
        self._something = Event()
        self._something.set()
        self._greenlet = gevent.spawn(self._tell)

    def ask(self, name: str) -> None:
        """A new user of this class needs a number."""
        self._asked[name] += 1
        self._something.set()

    def give_back(self, name: str, number: int) -> None:
        self._back.setdefault(name, []).append(number)
        self._something.set()

    def meet(self, waits: object) -> None:
        """How users stand at barriers has changed."""
        self._something.set()

    def _tell(self) -> None:
        while True:
            self._something.wait()
            gevent.sleep(TOGETHER)
            self._something.clear()
            asked, self._asked = self._asked, Counter()
            back, self._back = self._back, {}
            told = {"run": self._run, "ask": dict(asked), "back": back}
            if self.meeting:
                told["meet"] = {name: standing() for name, standing in self.meeting.items()}
                told["wanted"] = dict(self._wanted())
            self._send(told)

    def close(self) -> None:
        self._greenlet.kill(block=False)
