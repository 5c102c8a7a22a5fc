"""The driver under gevent: one greenlet of a Locust worker steps the loop for all its users.

A step takes `STEP` seconds at most, and ends when nothing got ready in `PATIENCE`: the way round by
the hub costs 10 us, and a reply grows old meanwhile before its clock is stopped. Then the greenlet
waits on the poller's own descriptor, which is readable when the poller has something to tell, and
always with a time limit: `BUSY` when there is more to do, so that Locust's other greenlets have
their turn (`gevent.sleep(0)` would cost the web page 24 to 70 ms), and else the next deadline. A
poller without a descriptor (poll, select) is looked at every millisecond.

Starting and interrupting users (`crew`) is left to the stepping greenlet: nobody else ever touches
the loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from time import perf_counter
from typing import Any

import gevent
from gevent.event import Event

from loadmux.driver.crowd import Division
from loadmux.driver.leaving import LINGER_MOST
from loadmux.driver.loop import IDLE_WAIT, Loop
from loadmux.driver.poller import make_poller
from loadmux.driver.watch import Watch
from loadmux.language.sources import usercode
from loadmux.locust.conducting import Conducting
from loadmux.locust.crew import CalledUser, Crew, Parked, ParkedUser
from loadmux.locust.job import Job
from loadmux.locust.numbering import Asking, Number
from loadmux.measuring.stats import Stats
from loadmux.running.generators.process import raise_descriptor_limit
from loadmux.running.generators.worker import SLICE, SLICE_EVERY

STEP = 0.005
PATIENCE = 0.001
BUSY = 0.0005
LOOK_EVERY = 0.001
REVOKED_WITHIN = 2.0


class Engine:
    """The loop of a worker, from the start of a test to its end.

    `failed` is called, in the stepping greenlet, with what went wrong when the loop cannot go on.
    `asking` gets numbers for the users from elsewhere; without it they get theirs here. `moved`
    are the folders in which the author's code is, by those in which it was.
    Raises UsageError when the poller is not there, TargetFailed for a host without an address.
    """

    def __init__(
        self,
        job: Job,
        slot: int,
        failed: Callable[[BaseException], object],
        asking: Asking | None = None,
        moved: Mapping[str, str] | None = None,
    ) -> None:
        raise_descriptor_limit()
        usercode.forget()
        self.loop = Loop(make_poller(job.poller))
        self.loop.worker, self.loop.workers = slot, job.stride
        self.job = job
        self.asking = asking
        self.crews = {
            name: Crew(self, name, share, moved or {}) for name, share in job.shares.items()
        }
        self._failed = failed
        self._starting: deque[Parked] = deque()
        self._ending: deque[tuple[Parked, bool]] = deque()
        self._divisions: deque[tuple[Division, float]] = deque()
        self._emptied = False
        self._wake = Event()
        self._next_slice = 0.0
        descriptor = self.loop.poller.fileno()
        self._pace = IDLE_WAIT if descriptor is not None else LOOK_EVERY
        self._watcher: Any = None
        if descriptor is not None:
            self._watcher = gevent.get_hub().loop.io(descriptor, 1)
            self._watcher.start(self._wake.set)
        self._watch = Watch(self.loop)
        self._watch.start()
        self._greenlet = gevent.spawn(self._drive)

    # --- called from other greenlets ------------------------------------------------------------

    def start(self, name: str, owner: object) -> Parked:
        """A new user of the class called `name`; it begins in a moment."""
        crew = self.crews[name]
        user = (ParkedUser if crew.conducting is None else CalledUser)(crew, owner)
        crew.join(user)
        if self._emptied:  # Locust's master may go on with a ramp that it has stopped
            user.kill(block=False)
        return user

    def divide(self, division: Division, elapsed: float) -> None:
        """Which starts of open load are ours; the test has gone on for `elapsed` seconds."""
        self._divisions.append((division, elapsed))
        self._wake.set()

    @property
    def _conducted(self) -> list[Conducting]:
        crews = self.crews.values()
        return [one.conducting for one in crews if one.conducting is not None]

    @property
    def idle(self) -> bool:
        """Whether no start of an open load is left for this process."""
        return not self._divisions and all(one.crowd.idle for one in self._conducted)

    @property
    def opened(self) -> bool:
        """Whether there is a load with phases."""
        return bool(self._conducted)

    @property
    def elapsed(self) -> float:
        """Seconds in which a load with phases has been carried out, its last iterations too."""
        return max((one.elapsed for one in self._conducted), default=0.0)

    def begin(self, user: Parked) -> None:
        """Let a user begin that has its number."""
        self._starting.append(user)
        self._wake.set()

    def wake(self) -> None:
        """Somebody may go on."""
        self._wake.set()

    def open(self, opened: Mapping[str, str]) -> None:
        """The master opened barriers, of these classes."""
        for name, barrier in opened.items():
            self.crews[name].open(barrier)

    def admit(self, given: Mapping[str, Iterable[Number]]) -> None:
        """The master gave numbers to the users of these classes."""
        for name, numbers in given.items():
            self.crews[name].admit(numbers)

    def revoke(self, taken: Mapping[str, Collection[int]]) -> None:
        """Others have these numbers now: who had them ends, and Locust starts another one."""
        gone = [
            user
            for name, numbers in taken.items()
            for user in self.crews[name].users
            if user.admitted and user.number in numbers
        ]
        for user in gone:
            user.kill(block=False)
        gevent.joinall(gone, timeout=REVOKED_WITHIN)

    def interrupt(self, user: Parked) -> None:
        self._ending.append((user, True))
        self._wake.set()

    def dismiss(self, user: Parked) -> None:
        self._ending.append((user, False))
        self._wake.set()

    def users(self) -> list[Parked]:
        return [user for crew in self.crews.values() for user in crew.users]

    @property
    def aborted(self) -> bool:
        """Whether a fault was met where the scenario says `on_error: abort`."""
        return any(crew.control.aborted for crew in self.crews.values())

    @property
    def exhausted(self) -> bool:
        """Whether no user is left where scenarios count their iterations, or have phases."""
        return all(crew.exhausted for crew in self.crews.values())

    def empty(self, grace: float) -> None:
        """End all users: those that are not done after `grace` seconds are interrupted."""
        self._emptied = True
        for conducting in self._conducted:
            conducting.stop()
        for user in self.users():
            user.leave()
        gevent.joinall(self.users(), timeout=grace)
        for user in self.users():
            user.kill(block=False)
        gevent.joinall(self.users(), timeout=grace + LINGER_MOST)

    def take(self) -> list[tuple[str, int, Stats]]:
        """What was measured since the last call, by class and phase."""
        crews = self.crews.items()
        return [(name, phase, stats) for name, crew in crews for phase, stats in crew.take()]

    def close(self) -> None:
        """Give every descriptor back; users that are still there are gone without a word."""
        self._watch.stop()
        if self.asking is not None:
            self.asking.close()
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        self._greenlet.kill()
        users = self.users()
        self.loop.close()
        usercode.forget()
        for user in users:
            user.done = True
            user.ended()

    # --- the stepping greenlet ------------------------------------------------------------------

    def _drive(self) -> None:
        try:
            while True:
                self._step()
        except gevent.GreenletExit:
            raise
        except BaseException as error:
            self._failed(error)

    def _step(self) -> None:
        loop = self.loop
        while self._divisions:
            division = self._divisions.popleft()
            for conducting in self._conducted:
                conducting.divide(*division)
        self._end()
        self._begin()
        leisure = loop.run(perf_counter() + STEP, PATIENCE)
        limit = min(leisure, self._pace, SLICE_EVERY if self._starting else IDLE_WAIT)
        before = perf_counter()
        self._wake.wait(limit or BUSY)
        self._wake.clear()
        if leisure:
            loop.waited += perf_counter() - before

    def _begin(self) -> None:
        """Start users in slices: a server's listen queue is short, and the hub wants its turn."""
        now = perf_counter()
        if not self._starting or now < self._next_slice:
            return
        self._next_slice = now + SLICE_EVERY
        for _ in range(min(SLICE, len(self._starting))):
            user = self._starting.popleft()
            if user.done:
                continue
            user.begin()

    def _end(self) -> None:
        while self._ending:
            user, at_once = self._ending.popleft()
            if user.done:
                continue
            if not user.spawned:
                user.done = True
                user.ended()
                user.crew.begun()
            elif not at_once:
                user.leaving = True
                user.wake()
            elif not user.interrupted:
                user.interrupt()
