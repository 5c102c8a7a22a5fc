"""The users of a class under Locust: what it takes for greenlets, and what they have in common.

Users are not greenlets (11.7 KB each) but `ParkedUser`s (about 3 KB): coroutines on the loop that
Locust's group of users takes for greenlets. What they need of the process they are in is a `Stage`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import gevent
from gevent.event import Event

from loadmux.driver.barrier import Barriers
from loadmux.driver.control import Control
from loadmux.driver.crowd import Crowd
from loadmux.driver.loop import Loop
from loadmux.driver.pool import PooledUser
from loadmux.driver.user import Script, VirtualUser
from loadmux.errors import ScriptFailed
from loadmux.language.meaning.stepvalues import Barrier, Call
from loadmux.locust.conducting import Conducting, Measured
from loadmux.locust.job import Share
from loadmux.locust.numbering import Asking, Ledger, Number, room
from loadmux.measuring.stats import SCRIPT_ERRORS, Stats
from loadmux.running.compiling.script import compile_scenario

ALONE = "alone"
NO_MORE = ()
SLOTS = ("_links", "admitted", "crew", "owner", "spawned")


class Stage(Protocol):
    """Where users are: the engine of a process. `asking` is None where numbers are its own."""

    loop: Loop
    asking: Asking | None

    def begin(self, user: Parked) -> None:
        """Let a user begin that has its number."""

    def interrupt(self, user: Parked) -> None:
        """Let it end at once."""

    def dismiss(self, user: Parked) -> None:
        """Let it end after its iteration."""

    def wake(self) -> None:
        """Somebody may go on."""


class Parked(VirtualUser):
    """A virtual user in the place of a greenlet, for `gevent.pool.Group` and Locust's runners.

    `owner` is Locust's User object. Of the virtual user nothing is there until `admit`, which gives
    it its number. As with a greenlet, `dead` and `ready()` say that it has ended,
    `kill` and `join` end it and wait for that, and links are called by the hub when it has ended.
    """

    __slots__ = NO_MORE

    crew: Crew
    owner: object
    admitted: bool
    spawned: bool
    _links: list[Callable[[Parked], object]]

    def __init__(self, crew: Crew, owner: object) -> None:
        self.crew = crew
        self.owner = owner
        self.admitted = self.spawned = self.done = False
        self._links = []

    def admit(self, number: int, life: int) -> None:
        """The user is the one with this number, after so many others."""
        super().__init__(self.crew.engine.loop, self.crew.control, self.crew.script, number)
        self.life = life
        self.admitted = True

    @property
    def args(self) -> tuple[object]:
        return (self.owner,)

    @property
    def name(self) -> str:
        return f"user {self.number}" if self.admitted else "a user to be"

    @property
    def dead(self) -> bool:
        return self.done

    def ready(self) -> bool:
        return self.done

    def successful(self) -> bool:
        return self.done

    def __bool__(self) -> bool:
        return not self.done

    def rawlink(self, callback: Callable[[Parked], object]) -> None:
        self._links.append(callback)

    link = rawlink

    def unlink(self, callback: Callable[[Parked], object]) -> None:
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

    def begin(self) -> None:
        """Start on the loop."""
        self.spawned = True
        self.control.active += 1
        self.crew.begun()
        self.crew.engine.loop.spawn(self, self.run())

    def ended(self) -> None:
        if self.admitted:
            self.crew.give_back(self.number)
        self.crew.users.discard(self)
        run_callback = gevent.get_hub().loop.run_callback
        for callback in self._links:
            run_callback(callback, self)
        self._links.clear()


class ParkedUser(Parked):
    """One that iterates by itself, from its beginning to its end."""

    __slots__ = SLOTS


class CalledUser(Parked, PooledUser):
    """One of a load with phases: it begins when that first needs it."""

    __slots__ = SLOTS

    def begin(self) -> None:
        self.crew.crowd.add(self)

    def start(self) -> None:
        self.spawned = True
        self.crew.begun()
        super().start()

    def ended(self) -> None:
        self.crew.crowd.remove(self)
        super().ended()


class Crew:
    """What the users of one class have in common in this process.

    `mistakes` has the last error of the scenario's code at each place where there was one since the
    last look, and Locust's User object that met it.
    """

    def __init__(self, engine: Stage, name: str, share: Share, moved: Mapping[str, str]) -> None:
        self.engine = engine
        self.name = name
        self.scenario = scenario = share.scenario(moved)
        self._ledger = Ledger(room(scenario)) if engine.asking is None else None
        self._waiting: deque[Parked] = deque()
        self.stats = Stats()
        load = scenario.load
        self.control = Control(self.stats, load.iterations, load.pacing, persistent=True)
        self.pending = self.opened = 0
        meets = any(isinstance(step, Barrier | Call) for step in scenario.every_step)
        if meets and engine.asking is not None:
            self.control.barriers = Barriers(self._running, engine.asking.meet)
            engine.asking.meeting[name] = self._standing
        self.mistakes: dict[str, tuple[ScriptFailed, object]] = {}
        self.script: Script = compile_scenario(scenario, share.urls(), share.seed, self.stats)
        self.users: set[Parked] = set()
        self.conducting: Conducting | None = None
        if load.phases:
            self.conducting = Conducting(engine.loop, scenario, self.control, self._send_home)

    @property
    def crowd(self) -> Crowd:
        """The users of a load with phases."""
        assert self.conducting is not None
        return self.conducting.crowd

    def _send_home(self) -> None:
        for user in self.users:
            user.leave()

    @property
    def exhausted(self) -> bool:
        """Whether all has been done that the scenario's load asks for."""
        counted = self.control.iterations is not None
        return (counted if self.conducting is None else self.crowd.over) and not self.users

    def take(self) -> Measured:
        """What was measured since the last call, by phase."""
        return [(0, self.stats.take())] if self.conducting is None else self.conducting.take()

    def join(self, user: Parked) -> None:
        """A new user: it begins when it has a number."""
        self.users.add(user)
        self._waiting.append(user)
        self.pending += 1
        if self._ledger is not None:
            self._ledger.ask(ALONE, 1)
            self._admit_own()
        elif self.engine.asking is not None:
            self.engine.asking.ask(self.name)

    def begun(self) -> None:
        """A user is pending no more: it runs, or has ended before it did."""
        self.pending -= 1
        if self.control.barriers is not None:
            self.control.barriers.look()

    def _running(self) -> int:
        """For whom a barrier waits: users that run, and those that are about to."""
        return self.control.active + self.pending

    def _standing(self) -> tuple[dict[str, int] | None, int]:
        assert self.control.barriers is not None
        return self.control.barriers.standing, self.opened

    def open(self, barrier: str) -> None:
        """The master opens a barrier."""
        if self.control.barriers is not None:
            self.opened += 1
            self.control.barriers.open(barrier)
            self.control.barriers.look()
            self.engine.wake()

    def admit(self, numbers: Iterable[Number]) -> None:
        """Numbers for those who wait; what nobody needs any more is given back."""
        for number, life in numbers:
            while self._waiting and self._waiting[0].done:
                self._waiting.popleft()
            if not self._waiting:
                self._return(number)
                continue
            user = self._waiting.popleft()
            user.admit(number, life)
            self.engine.begin(user)

    def give_back(self, number: int) -> None:
        """A user has ended: another one may have its number."""
        self._return(number)
        self._admit_own()

    def _return(self, number: int) -> None:
        if self._ledger is not None:
            self._ledger.take_back(ALONE, [number])
        elif self.engine.asking is not None:
            self.engine.asking.give_back(self.name, number)

    def _admit_own(self) -> None:
        while self._ledger is not None and (given := self._ledger.give().get(ALONE)):
            self.admit(given)

    def note(self, error: ScriptFailed, owner: object) -> None:
        """Keep an error of the scenario's code for whoever tells of it."""
        if error.where in self.mistakes or len(self.mistakes) < SCRIPT_ERRORS:
            self.mistakes[error.where] = error, owner
