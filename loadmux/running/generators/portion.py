"""The users of one scenario in a generator process: when they start, and when their time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from loadmux.driver.barrier import Barriers
from loadmux.driver.control import Control
from loadmux.driver.loop import Loop, Task, next_turn
from loadmux.driver.pool import Pool, PooledUser
from loadmux.driver.schedule import Stage
from loadmux.driver.user import VirtualUser
from loadmux.language.meaning.stepvalues import Barrier, Call
from loadmux.measuring.stats import Stats
from loadmux.running.compiling.script import compile_scenario
from loadmux.running.generators.barriers import Blocked
from loadmux.running.generators.said import Measured, Share

SPAWN_RATE = 10_000
"""Users a second, of all scenarios together, where no rate is asked for."""


class Portion:
    """One scenario's portion of the users, and what they measure.

    Users of a closed load without phases are started at their rate by `schedule` and `spawn`;
    where there are phases the users are a `pool`, and `conduct` walks through them. `spawn_rate`
    (users a second, everywhere) holds for a pool whose load names none; `phase_over` is called when
    a phase has ended and another begins, `announce` when the users at barriers have changed.
    """

    def __init__(
        self,
        share: Share,
        seed: int,
        loop: Loop,
        spawn_rate: float,
        phase_over: Callable[[], None],
        announce: Callable[[Blocked], None],
    ) -> None:
        self.load = load = share.scenario.load
        self.first = share.first
        self.loop = loop
        self.stats = Stats()
        self.control = Control(self.stats, load.iterations, load.pacing)
        self.spawned = 0
        self.end = self.grace = 0.0
        self.stopped = loop.stopped
        self.phase = 0
        self.conducting = bool(load.phases)
        self.pool: Pool | None = None
        self.users: Sequence[VirtualUser]
        scenario, urls, numbers = share.scenario, share.urls, share.numbers
        script = compile_scenario(scenario, urls, seed, self.stats, share.first, share.users)
        if load.phases:
            pooled = [PooledUser(loop, self.control, script, number) for number in numbers]
            place, stride = numbers.start - share.first, numbers.step
            stages = [Stage(one.pacer, one.users, place, stride) for one in load.phases]
            gap = stride / (load.spawn_rate or spawn_rate)
            ended = partial(self._phase_over, phase_over)
            self.pool = Pool(pooled, self.control, stages, gap, scenario.timeout, ended)
            self.users = pooled
        else:
            self.users = [VirtualUser(loop, self.control, script, number) for number in numbers]
        self.opened = 0
        if any(isinstance(step, Barrier | Call) for step in scenario.every_step):
            alone = share.numbers.step == 1
            tell = None if alone else lambda waits: announce(Blocked(waits, self.opened))
            self.control.barriers = Barriers(self._running, tell)

    def begin(self, now: float) -> None:
        """The run begins: set the clocks (`perf_counter` seconds), start the conductor."""
        load = self.load
        self.control.ended = now
        self.end = now + load.run_time if load.run_time is not None else float("inf")
        self.grace = load.graceful_stop
        if self.pool is not None:
            conductor = Task(self.loop)
            self.loop.spawn(conductor, self._conduct(conductor, self.pool))
        self.look()

    def look(self) -> None:
        """The number of users that a barrier waits for may have changed."""
        if self.control.barriers is not None:
            self.control.barriers.look()

    def open(self, name: str) -> None:
        """The other side opens a barrier."""
        assert self.control.barriers is not None
        self.opened += 1
        self.control.barriers.open(name)
        self.look()

    @property
    def standstill(self) -> bool:
        """Whether somebody waits at a barrier, and nobody else is on the way."""
        barriers = self.control.barriers
        return barriers is not None and barriers.standstill

    def _running(self) -> int:
        """For whom a barrier waits: users started and not ended, and those about to be.

        Without a spawn rate all are meant to start at once, and the first must not find itself
        alone; with one, who has not been started is not waited for.
        """
        at_once = self.load.spawn_rate is None and not self.control.stopping
        return self.control.active + (len(self.users) - self.spawned if at_once else 0)

    def schedule(self) -> Iterator[tuple[float, int, Portion, VirtualUser]]:
        """When to start each user, in seconds from the beginning, in this order.

        Scenarios without a spawn rate share SPAWN_RATE, for users are numbered over all of them.
        """
        rate, first = self.load.spawn_rate, self.first
        for user in self.users if self.pool is None else ():
            due = (user.number - first) / rate if rate else user.number / SPAWN_RATE
            yield due, user.number, self, user

    def spawn(self, user: VirtualUser) -> None:
        self.control.active += 1
        self.loop.spawn(user, user.run())
        self.spawned += 1

    async def _conduct(self, task: Task, pool: Pool) -> None:
        await pool.conduct(task)
        self._stop_users()
        self.conducting = False
        if not self.control.active and self.control.none_active is not None:
            self.control.none_active()

    def _phase_over(self, tell: Callable[[], None]) -> None:
        tell()
        self.phase += 1

    @property
    def done(self) -> bool:
        return self.over and self.control.active == 0

    @property
    def over(self) -> bool:
        """Whether nobody does anything any more but part from the server."""
        more = self.conducting if self.pool is not None else self.spawned < len(self.users)
        control = self.control
        return not (more and not control.stopping) and control.active == control.departing

    def cut_short(self, now: float) -> None:
        """The run ends now, and waits for nobody."""
        self.end, self.grace = min(self.end, now), 0.0
        self._stop_users()

    def look_at(self, now: float) -> bool:
        """Stop the users if it is time; whether it is time to interrupt those that go on."""
        if self.stopped is not self.loop.stopped:
            self.stopped = since, until = self.loop.stopped
            self.grace += max(0.0, until - max(since, self.end))  # nobody could make use of it
        if now >= self.end and self.pool is None:
            self._stop_users()  # those of a pool stop when its last start has been made
            self.look()
        return now >= self.end + self.grace

    def _stop_users(self) -> None:
        self.control.stopping = True
        for user in self.users:
            user.wake()

    async def interrupt(self, task: Task) -> None:
        """Time is up for good: throw Interrupted into whoever is still at it, once."""
        for user in self.users:
            if user.started and not user.done and not user.interrupted:
                user.interrupt()
                if task.overtime():
                    await next_turn(task)

    def count_abandoned(self) -> None:
        """When the loop has ended: starts that will never be made, iterations that were cut off."""
        if self.pool is not None:
            self.pool.close()
        if self.control.stopping or self.control.unreachable:
            abandoned = sum(user.iterating and not user.done for user in self.users)
            self.stats.interrupted += abandoned

    def measured(self, now: float, stats: Stats) -> Measured:
        """What `stats` hold of this portion, `now`."""
        epoch = self.loop.epoch
        elapsed = self.control.ended - epoch if self.over else now - epoch
        return Measured(stats, self.control.active, elapsed, self.phase)
