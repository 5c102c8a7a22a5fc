"""The driver under gevent: one greenlet of a Locust worker steps the loop for all its users.

A step takes `STEP` seconds at most, and ends when nothing got ready in `PATIENCE`: the way round by
the hub costs 10 us, and a reply grows old meanwhile before its clock is stopped. Then the greenlet
waits on the poller's own descriptor, which is readable when the poller has something to tell, and
always with a time limit: `BUSY` when there is more to do, so that Locust's other greenlets have
their turn (`gevent.sleep(0)` would cost the web page 24 to 70 ms), and else the next deadline. A
poller without a descriptor (poll, select) is looked at every millisecond.

Users are not greenlets (11.7 KB each) but `ParkedUser`s (about 3 KB): coroutines on the loop that
Locust's group of users takes for greenlets. Starting and interrupting is left to the stepping
greenlet: nobody else ever touches the loop.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import gevent
from gevent.event import Event

from loadmux.driver.barrier import Barriers
from loadmux.driver.closing import LINGER_MOST
from loadmux.driver.loop import IDLE_WAIT, Loop, Task
from loadmux.driver.poller import make_poller
from loadmux.driver.user import Control, Script, VirtualUser
from loadmux.driver.watch import Watch
from loadmux.errors import ScriptFailed
from loadmux.language import usercode
from loadmux.language.scenario import Scenario
from loadmux.locust.job import NEEDS_ONE, Job, Share, refuse_barriers
from loadmux.measuring.stats import SCRIPT_ERRORS, Stats
from loadmux.running.script import compile_scenario
from loadmux.running.worker import SLICE, SLICE_EVERY, raise_descriptor_limit

STEP = 0.005
PATIENCE = 0.001
BUSY = 0.0005
LOOK_EVERY = 0.001


class ParkedUser(VirtualUser):
    """A virtual user in the place of a greenlet, for `gevent.pool.Group` and Locust's runners.

    `owner` is Locust's User object. As with a greenlet, `dead` and `ready()` say that it has ended,
    `kill` and `join` end it and wait for that, and links are called by the hub when it has ended.
    """

    __slots__ = ("_links", "crew", "owner", "spawned")

    def __init__(self, crew: Crew, owner: object) -> None:
        number, life = crew.numbers.take()
        super().__init__(crew.engine.loop, crew.control, crew.script, number)
        self.life = life
        self.crew = crew
        self.owner = owner
        self.spawned = False
        self._links: list[Callable[[ParkedUser], object]] = []

    @property
    def args(self) -> tuple[object]:
        return (self.owner,)

    @property
    def name(self) -> str:
        return f"user {self.number}"

    @property
    def dead(self) -> bool:
        return self.done

    def ready(self) -> bool:
        return self.done

    def successful(self) -> bool:
        return self.done

    def __bool__(self) -> bool:
        return not self.done

    def rawlink(self, callback: Callable[[ParkedUser], object]) -> None:
        self._links.append(callback)

    link = rawlink

    def unlink(self, callback: Callable[[ParkedUser], object]) -> None:
        if callback in self._links:
            self._links.remove(callback)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the user has ended, at most `timeout` seconds."""
        if not self.done:
            over = Event()
            self.rawlink(lambda user: over.set())
            over.wait(timeout)

    def kill(
        self, exception: object = None, block: bool = True, timeout: float | None = None
    ) -> None:
        """Interrupt the user: what it had begun counts as interrupted, its sockets are closed."""
        self.crew.engine.interrupt(self)
        if block:
            self.join(timeout)

    def leave(self) -> None:
        """Have the user end after the iteration in hand."""
        self.crew.engine.dismiss(self)

    async def _script_failed(self, error: ScriptFailed) -> bool:
        self.crew.note(error, self.owner)
        return await super()._script_failed(error)

    def ended(self) -> None:
        self.crew.numbers.give_back(self.number)
        self.crew.users.discard(self)
        run_callback = gevent.get_hub().loop.run_callback
        for callback in self._links:
            run_callback(callback, self)
        self._links.clear()


class Uncoordinated(Barriers):
    """The barriers of one worker among several, which know nothing of each other's users."""

    async def wait(self, task: Task, name: str) -> None:
        raise ValueError(f"the barrier {name!r} {NEEDS_ONE}")


@dataclass(slots=True)
class Numbers:
    """User numbers: `slot`, `slot + stride`, ...; a number that was given back comes again.

    So that as many rows of a feeder are in use as there are users. With the number goes how often
    it was used before: what a user draws from the seed depends on it.
    """

    slot: int
    stride: int
    free: list[int] = field(default_factory=list)
    lives: dict[int, int] = field(default_factory=dict)
    used: int = 0

    @property
    def alone(self) -> bool:
        """Whether no other process has users of this test."""
        return self.stride == 1 and self.slot == 0

    def take(self) -> tuple[int, int]:
        if self.free:
            number = heapq.heappop(self.free)
            return number, self.lives[number]
        self.used += 1
        return self.slot + (self.used - 1) * self.stride, 0

    def give_back(self, number: int) -> None:
        self.lives[number] = self.lives.get(number, 0) + 1
        heapq.heappush(self.free, number)


class Crew:
    """What the users of one class have in common in this process.

    `mistakes` has the last error of the scenario's code at each place where there was one since the
    last look, and Locust's User object that met it.
    """

    def __init__(self, engine: Engine, share: Share, scenario: Scenario, numbers: Numbers) -> None:
        self.engine = engine
        self.scenario = scenario
        self.numbers = numbers
        self.stats = Stats()
        load = scenario.load
        self.control = Control(self.stats, load.iterations, load.pacing, persistent=True)
        if not numbers.alone:
            refuse_barriers(scenario)
            self.control.barriers = Uncoordinated(lambda: self.control.active)
        self.mistakes: dict[str, tuple[ScriptFailed, object]] = {}
        self.script: Script = compile_scenario(scenario, share.urls(), share.seed, self.stats)
        self.users: set[ParkedUser] = set()

    def note(self, error: ScriptFailed, owner: object) -> None:
        """Keep an error of the scenario's code for whoever tells of it."""
        if error.where in self.mistakes or len(self.mistakes) < SCRIPT_ERRORS:
            self.mistakes[error.where] = error, owner


class Engine:
    """The loop of a worker, from the start of a test to its end.

    `failed` is called, in the stepping greenlet, with what went wrong when the loop cannot go on.
    Raises UsageError when the poller is not there, TargetFailed for a host without an address.
    """

    def __init__(self, job: Job, slot: int, failed: Callable[[BaseException], object]) -> None:
        raise_descriptor_limit()
        usercode.forget()
        self.loop = Loop(make_poller(job.poller))
        self.loop.worker, self.loop.workers = slot, job.stride
        self.job = job
        self.crews = {
            name: Crew(self, share, share.scenario(), Numbers(slot, job.stride))
            for name, share in job.shares.items()
        }
        self._failed = failed
        self._starting: deque[ParkedUser] = deque()
        self._ending: deque[tuple[ParkedUser, bool]] = deque()
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

    def start(self, name: str, owner: object) -> ParkedUser:
        """A new user of the class called `name`; it begins in a moment."""
        crew = self.crews[name]
        user = ParkedUser(crew, owner)
        crew.users.add(user)
        self._starting.append(user)
        self._wake.set()
        return user

    def interrupt(self, user: ParkedUser) -> None:
        self._ending.append((user, True))
        self._wake.set()

    def dismiss(self, user: ParkedUser) -> None:
        self._ending.append((user, False))
        self._wake.set()

    def users(self) -> list[ParkedUser]:
        return [user for crew in self.crews.values() for user in crew.users]

    @property
    def aborted(self) -> bool:
        """Whether a fault was met where the scenario says `on_error: abort`."""
        return any(crew.control.aborted for crew in self.crews.values())

    @property
    def exhausted(self) -> bool:
        """Whether no user is left of those whose scenarios count their iterations."""
        crews = self.crews.values()
        return all(crew.control.iterations is not None and not crew.users for crew in crews)

    def empty(self, grace: float) -> None:
        """End all users: those that are not done after `grace` seconds are interrupted."""
        for user in self.users():
            user.leave()
        gevent.joinall(self.users(), timeout=grace)
        for user in self.users():
            user.kill(block=False)
        gevent.joinall(self.users(), timeout=grace + LINGER_MOST)

    def take(self) -> dict[str, Stats]:
        """What was measured since the last call, by class."""
        return {name: crew.stats.take() for name, crew in self.crews.items()}

    def close(self) -> None:
        """Give every descriptor back; users that are still there are gone without a word."""
        self._watch.stop()
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
            user.spawned = True
            user.control.active += 1
            self.loop.spawn(user, user.run())

    def _end(self) -> None:
        while self._ending:
            user, at_once = self._ending.popleft()
            if user.done:
                continue
            if not user.spawned:
                user.done = True
                user.ended()
            elif not at_once:
                user.leaving = True
                user.wake()
            elif not user.interrupted:
                user.interrupt()
