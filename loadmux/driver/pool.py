"""Users that begin an iteration when a pacer says so: phases, ramps, open load.

A `Pool` owns the users of one process and walks through the stages of a load, one after the other.
In a closed stage as many users as wanted iterate on their own. In an open stage the conductor hands
each iteration, at its time, to a user that is free, or to a new one as long as there are fewer than
the stage allows; users that are not needed wait, connected. Who was needed first comes first, so
that no more users are started than the load takes.

When no user is free the iteration waits for one, and what it waited counts in its response time: a
server that stalls shows with everything that it held up, not only with what it was doing. The
backlog is a number, as the time of each start follows from its own. An iteration that has waited
longer than `patience`, or is still waiting when no open stage follows, is dropped and counted.

Two causes are kept apart. A start for which there was a user, and that came late nevertheless, is
the generator's lateness (`Stats.starts`); a start that had to wait for a user is the target's
slowness or too small a pool (`Stats.waited`). But users are not free either when the loop finds no
time to take their replies, so what is dropped while the loop had next to no pause is `overrun`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from time import perf_counter

from loadmux.driver.control import Control
from loadmux.driver.loop import NEVER, WAIT_EARLY, Interrupted, Loop, Task, wait_io
from loadmux.driver.pacer import Users
from loadmux.driver.schedule import Schedule, Stage
from loadmux.driver.user import Script, VirtualUser
from loadmux.errors import Fault, ScriptFailed

LOOK_EVERY = 0.1
PARTING_TIME = 0.01
SLICE_EVERY = 0.002
SATURATED = 0.95


class PooledUser(VirtualUser):
    """A user of a pool; `due` is the intended start (`perf_counter` seconds) of its next iteration.

    `due` is 0 where there is no schedule, None where the user has yet to ask for one. `ready_at` is
    when that iteration could have begun; NEVER when it had to wait for this user. `running` from
    its start until it has parted, `spent` if it will not come back. `place` is that in its pool.
    """

    __slots__ = (
        "counted",
        "due",
        "parked",
        "parting",
        "place",
        "pool",
        "ready_at",
        "running",
        "spent",
    )

    pool: Pool
    place: int

    def __init__(self, loop: Loop, control: Control, script: Script, number: int) -> None:
        super().__init__(loop, control, script, number)
        self.due: float | None = None
        self.ready_at = NEVER
        self.running = self.parked = self.parting = False
        self.counted = self.spent = False

    @property
    def absent(self) -> bool:
        """Whether it can be started."""
        return not self.running and not self.spent

    def start(self) -> None:
        """Begin, or begin again after having left: the iterations count on."""
        self.running = True
        self.done = self.started = self.leaving = self.parting = self.prepared = False
        self.variables = None
        self.control.active += 1
        self.control.stats.started += not self.counted
        self.counted = True
        self.loop.spawn(self, self.run())

    async def run(self) -> None:
        self.started = alive = True
        try:
            while alive:
                if self.due is None:
                    if self.leaving or self.control.stopping:
                        break
                    self.due = self.pool.take(self)
                if self.due is None:
                    await self._park()
                    continue
                alive = await self._next(self.due)
            self.parting = True
            await self._leave(alive)
        except Interrupted:
            alive = False
            await self._break_off()
        finally:
            self.running, self.spent = False, not alive
            self._gone()
            self.pool.left(self)

    async def _next(self, due: float) -> bool:
        """One iteration on the schedule, and the rest after it; false if the user has to stop."""
        began = perf_counter()
        self.due = None
        if self.ready_at != NEVER:
            ready_at = max(self.ready_at, self.loop.stopped[1])
            self.control.stats.starts.samples.append(max(0.0, began - ready_at))
        self.iterating = True
        alive, ready = True, began
        if not self.prepared:
            alive = await self.prepare() or self._may_try_again()
            ready = perf_counter()
        if self.prepared:
            self.late = self.loop.between(due, ready) if due else 0.0
            try:
                for operation in self.script.steps:
                    await operation.run(self)
            except (Fault, ScriptFailed, Interrupted) as error:
                alive = await self._ended(error, operation.name)
            else:
                if self._succeeded():
                    await self._renew()
        self.iterating = False
        self.iteration += 1
        if self.control.pacing is not None and alive:
            await self.rest(began + self.control.pacing)
        return alive

    async def _park(self) -> None:
        """Wait for an iteration; `unpark` ends it."""
        self.deadline = NEVER
        self.parked = True
        self.pool.free.append(self)
        while self.parked:
            await wait_io(self)

    def unpark(self) -> None:
        if self.parked:
            self.parked = False
            self.loop.wake(self)

    def wake(self) -> None:
        super().wake()
        self.unpark()

    def dismiss(self) -> None:
        """Stop after the current iteration."""
        self.leaving = True
        self.wake()


class LoopLoad:
    """Whether a loop had next to no pause of late, judged over at least `LOOK_EVERY` seconds."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._since, self._waited = perf_counter(), loop.waited
        self.saturated = False

    def look(self, now: float) -> None:
        span = now - self._since
        if span >= LOOK_EVERY:
            self.saturated = self._loop.waited - self._waited < (1 - SATURATED) * span
            self._since, self._waited = now, self._loop.waited


def early(due: float, now: float) -> float:
    """When to wake for something due: where the poller may oversleep, so that the loop then spins.

    epoll_wait(2) takes whole milliseconds, and Python rounds up.
    """
    return due - WAIT_EARLY if due - now > WAIT_EARLY else due


class Pool:
    """See the module. Users are counted by their place here, whatever their numbers are.

    `spawn_gap` is the least time (seconds) between the starts of two of its users; `phase_over` is
    called when a stage has ended and another begins.
    """

    def __init__(
        self,
        users: Sequence[PooledUser],
        control: Control,
        stages: Sequence[Stage],
        spawn_gap: float,
        patience: float,
        phase_over: Callable[[], None],
    ) -> None:
        self.users = users
        self.control = control
        self.stages = stages
        self.spawn_gap = spawn_gap
        self.patience = patience
        self.phase_over = phase_over
        self.free: list[PooledUser] = []
        self._schedules: list[Schedule] = []
        self._absent: list[PooledUser] = []
        self._called = 0
        self._spawn_at = 0.0
        self._spent = 0
        self._closed = False
        self._most = 0
        self._stopped = (0.0, 0.0)
        self._task: Task
        self._load: LoopLoad
        for place, user in enumerate(users):
            user.pool, user.place = self, place

    async def conduct(self, task: Task, begin: float | None = None) -> None:
        """Walk through the stages; returns when the last one's time is up or nobody is left.

        The first one begins with the loop, or at the `perf_counter` time `begin`.
        """
        self._task, self._load = task, LoopLoad(task.loop)
        self._stopped = task.loop.stopped
        begin = task.loop.epoch if begin is None else begin
        self._spawn_at = begin + self.spawn_gap * self.stages[0].first / self.stages[0].stride
        for number, stage in enumerate(self.stages):
            if number:
                if isinstance(stage.pacer, Users):
                    self.close()
                self.phase_over()
            self._enter(stage, begin)
            end = begin + stage.pacer.seconds
            while not self._over():
                now = perf_counter()
                self._load.look(now)
                wake = self._turn(stage, begin, now)
                if now >= end:
                    break
                task.set_deadline(min(early(wake, now), end, now + LOOK_EVERY))
                await wait_io(task)
            if self._over():
                break
            begin = end
        self.close()

    def close(self) -> None:
        """End open load: what was due and has not begun by now never will."""
        self._look_for_stops()
        self._abandon(perf_counter())
        self._schedules.clear()

    def _over(self) -> bool:
        return self.control.stopping or self._spent == len(self.users)

    def _enter(self, stage: Stage, begin: float) -> None:
        """Keep the users that the stage begins with, send the others home."""
        pacer = stage.pacer
        self._called, self._most = 0, stage.users(stage.most)
        self._closed = isinstance(pacer, Users)
        kept = self._most
        if isinstance(pacer, Users):
            kept = stage.users(pacer.wanted(0.0))
        elif kept:
            schedule = Schedule(pacer, stage.starts(pacer), begin)
            self.control.stats.missed += schedule.miss(*self._stopped)
            self._schedules.append(schedule)
        waiting, self.free = self.free, []
        for user in self.users[kept:]:
            if user.running:
                user.dismiss()
        for user in self.users[:kept]:
            user.leaving = user.leaving and user.parting
        for user in waiting:
            if self._closed:
                user.unpark()
            elif user.parked:
                self.free.append(user)
        self._absent = [user for user in reversed(self.users[: self._most]) if user.absent]

    def _turn(self, stage: Stage, begin: float, now: float) -> float:
        """Do what is due; when to look again."""
        if isinstance(stage.pacer, Users):
            return self._turn_closed(stage, stage.pacer, begin, now)
        return self._turn_open(now) if self._schedules else NEVER

    def _may_spawn(self, now: float) -> bool:
        return self._spawn_at <= now

    def _spawn(self, user: PooledUser, now: float) -> None:
        """Start a user. What was not used of the spawn rate is lost but for a short while."""
        self._spawn_at = max(self._spawn_at, now - SLICE_EVERY) + self.spawn_gap
        user.start()

    def left(self, user: PooledUser) -> None:
        """A user has parted."""
        if user.spent:
            self._spent += 1
        elif user.place < self._most:
            self._absent.append(user)

    # --- closed stages --------------------------------------------------------------------------

    def _turn_closed(self, stage: Stage, pacer: Users, begin: float, now: float) -> float:
        everywhere = pacer.wanted(now - begin)
        wanted = stage.users(everywhere)
        for user in self.users[wanted : self._called]:
            user.dismiss()
        self._called = min(self._called, wanted)
        while self._called < wanted:
            user = self.users[self._called]
            if user.parting and user.running:
                return now + PARTING_TIME
            user.leaving = False
            if user.absent:
                if not self._may_spawn(now):
                    return max(self._spawn_at, now + SLICE_EVERY)
                self._spawn(user, now)
            self._called += 1
        return begin + pacer.changes(everywhere)

    # --- open stages ----------------------------------------------------------------------------

    def _first(self) -> Schedule:
        """The schedule of the next start: an earlier stage's as long as that has a backlog."""
        while len(self._schedules) > 1 and self._schedules[0].due == inf:
            del self._schedules[0]
        return self._schedules[0]

    def _coming(self, now: float) -> Schedule:
        """The schedule of the next start, once what nobody will begin any more is given up."""
        schedule = self._schedules[0]
        late = len(self._schedules) > 1 or schedule.due < now - self.patience
        if late or self._stopped is not self._task.loop.stopped:
            self._look_for_stops()
            self._abandon(self._stale(now))
            return self._first()
        return schedule

    def _turn_open(self, now: float) -> float:
        schedule = self._coming(now)
        while schedule.due <= now:
            if self.free:
                user = self.free.pop()
                self._hand(user, schedule, schedule.due)
                user.unpark()
            elif self._absent and self._may_spawn(now):
                user = self._absent.pop()
                self._hand(user, schedule, max(schedule.due, self._spawn_at))
                self._spawn(user, now)
            else:
                return self._spawn_at if self._absent else NEVER
            schedule = self._first()
        return schedule.due

    def _hand(self, user: PooledUser, schedule: Schedule, ready_at: float) -> None:
        user.due, user.ready_at = schedule.take(), ready_at
        self.control.stats.begun += 1

    def take(self, user: PooledUser) -> float | None:
        """The intended start of the user's next iteration, None if it has to wait for one.

        0 in a closed stage. Only a start that found neither a free user nor a place for another has
        waited for this one; otherwise the conductor was late with it.
        """
        if not self._schedules:
            user.ready_at = NEVER
            return 0.0 if self._closed else None
        now = perf_counter()
        schedule = self._coming(now)
        if schedule.due > now:
            if schedule.due < self._task.deadline:  # nobody was free when it was made
                self._task.set_deadline(early(schedule.due, now))
            return None
        waited = not self.free and not (self._absent and self._may_spawn(now))
        self.control.stats.waited += waited
        self._hand(user, schedule, NEVER if waited else max(schedule.due, self._spawn_at))
        return user.due

    def _look_for_stops(self) -> None:
        """What was due while the process was stopped is given up, and not the target's fault."""
        if self._stopped is not (stopped := self._task.loop.stopped):
            self._stopped = stopped
            stats = self.control.stats
            stats.missed += sum(schedule.miss(*stopped) for schedule in self._schedules)

    def _stale(self, now: float) -> float:
        """What was due before has waited longer than `patience`, a stop not counted."""
        due, (since, until) = now - self.patience, self._stopped
        return due if due >= until else min(due, due - until + since)

    def _abandon(self, until: float) -> None:
        """Drop what was due before `until`."""
        if len(self._schedules) == 1 and self._schedules[0].due >= until:
            return
        count = sum(schedule.abandon(until) for schedule in self._schedules)
        stats = self.control.stats
        stats.dropped += count
        if count and self._load.saturated:
            stats.overrun += count
