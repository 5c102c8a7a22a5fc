"""A generator process: one loop, its share of the users, a channel to the process that started it.

Started as a fresh interpreter with a socket's descriptor as its argument, it takes a `Job` from the
channel, builds everything, says `Ready`, waits for `Go`, and then says an `Update` every half
second and a `Final` (or `Failed`) at the end. One loop runs the users of all scenarios. Nothing
that draws on a terminal or reads YAML runs here: the loop has the process for itself. Telling never
holds it up: the rows of an update go in portions between which the users have their turn, and what
the other side is too slow to hear waits in the channel, joined with what follows. It disregards
SIGINT and SIGHUP, which a terminal sends to the whole group, and SIGTERM: the other side says STOP,
and that it is gone means the same, so that no worker outlives its run.
"""

from __future__ import annotations

import gc
import resource
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from heapq import merge
from time import perf_counter, process_time

from loadmux.driver.barrier import Barriers
from loadmux.driver.control import Control
from loadmux.driver.loop import Loop, Task, next_turn, sleep_until
from loadmux.driver.poller import make_poller
from loadmux.driver.pool import Pool, PooledUser
from loadmux.driver.schedule import Stage
from loadmux.driver.standstill import Standstill
from loadmux.driver.user import VirtualUser
from loadmux.driver.watch import Watch
from loadmux.errors import DriverFault, LoadmuxError, UsageError
from loadmux.language.scenario import Scenario
from loadmux.language.servers import Url
from loadmux.language.stepvalues import Barrier, Call
from loadmux.measuring.stats import Stats
from loadmux.plugins.contracts import Plugin, blamed, told
from loadmux.running import breakdown, interrupts
from loadmux.running.barriers import Blocked, Open
from loadmux.running.channel import Channel
from loadmux.running.compiling.script import compile_scenario

STOP = "stop"
TICK = 0.1
UPDATE_EVERY = 0.5
SPAWN_RATE = 10_000
SLICE = 256
SLICE_EVERY = 0.002
LISTEN_EVERY = 0.002
FLUSH_EVERY = 0.01
ROWS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Share:
    """A worker's users of one scenario: `numbers`, unique over all scenarios and workers.

    `first` is the number of the scenario's first user, whoever runs it. `urls` says where its
    targets, by name, listen.
    """

    scenario: Scenario
    urls: Mapping[str, Url]
    numbers: range
    first: int = 0

    @property
    def users(self) -> range:
        """The numbers of all users of the scenario, whoever runs them."""
        return range(self.first, self.first + self.scenario.load.users)


@dataclass(frozen=True, slots=True)
class Job:
    """All that worker number `worker` of `workers` has to do.

    Each scenario of the run has a share, if only an empty one.
    """

    shares: tuple[Share, ...]
    seed: int
    poller: str | None
    worker: int = 0
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Go:
    """The run begins, at this `perf_counter` time: one clock for all processes of a machine.

    A worker hears of it a little later, and counts from then; but what several of them met is told
    by the time since then.
    """

    at: float


@dataclass(frozen=True, slots=True)
class Ready:
    """`rows` has all the rows of each share, without samples: an update tells only what changed."""

    poller: str
    rows: tuple[Stats, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a scenario measured since the last time; `active` users now, `elapsed` in seconds.

    All of it belongs to one phase (0 where there are none): at the end of each it is told.
    """

    stats: Stats
    active: int
    elapsed: float
    phase: int = 0

    def joined(self, later: Measured) -> Measured:
        """Both as one, as of the `later` one; the statistics of this one are used up."""
        self.stats.merge(later.stats)
        return replace(later, stats=self.stats)


@dataclass(frozen=True, slots=True)
class Health:
    """How the process fares; `late` is the p99 in seconds, `memory` in bytes; whether it waits for
    something that is `owed` to it.

    `standstills` counts those so far, `stood` is how long they were in all (seconds).
    """

    busy: float = 0.0
    cpu: float = 0.0
    late: float = 0.0
    memory: int = 0
    standstills: int = 0
    stood: float = 0.0
    owed: bool = True


@dataclass(frozen=True, slots=True)
class Update:
    """What was measured, by the shares' places in the job; those without news may be missing.

    `standstills` are those since the last update.
    """

    parts: dict[int, Measured]
    health: Health
    standstills: tuple[Standstill, ...] = ()

    def joined(self, later: object) -> Update | None:
        """Both as one, unless a part has come to another phase meanwhile."""
        if not isinstance(later, Update):
            return None
        common = self.parts.keys() & later.parts.keys()
        if any(self.parts[number].phase != later.parts[number].phase for number in common):
            return None
        joined = {number: self.parts[number].joined(later.parts[number]) for number in common}
        return replace(
            later,
            parts={**self.parts, **later.parts, **joined},
            standstills=self.standstills + later.standstills,
        )


@dataclass(frozen=True, slots=True)
class Final:
    """`reached` and `unreachable` are those of `Control`."""

    update: Update
    reached: frozenset[str]
    unreachable: Mapping[str, str]
    aborted: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot go on; `update` holds what was measured until then.

    `broken`: by its own fault, `trace` is the traceback if that was a bug.
    """

    reason: str
    update: Update | None
    broken: bool = False
    trace: str = ""


class Part:
    """The users of one scenario in this process: when they start, and when their time is up.

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

    def schedule(self) -> Iterator[tuple[float, int, Part, VirtualUser]]:
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
        """What `stats` hold of this part, `now`."""
        epoch = self.loop.epoch
        elapsed = self.control.ended - epoch if self.over else now - epoch
        return Measured(stats, self.control.active, elapsed, self.phase)


class Worker:
    """Runs a job; see the module."""

    def __init__(self, job: Job, channel: Channel) -> None:
        self.channel = channel
        self.loop = Loop(make_poller(job.poller))
        self.loop.worker, self.loop.workers = job.worker, job.workers
        rate = SPAWN_RATE / len(job.shares)
        self.parts = [
            Part(share, job.seed, self.loop, rate, self.tell, partial(self._announce, number))
            for number, share in enumerate(job.shares)
        ]
        self.reached: set[str] = set()
        self.unreachable: dict[str, str] = {}
        for part in self.parts:
            part.control.reached = self.reached
            part.control.unreachable = self.unreachable
        self.cpu_before = 0.0
        self.stopped = self.listening = False

    def run(self, began: float | None = None) -> Final:
        """The whole run, which began at this `perf_counter` time. Raises DriverFault."""
        self.cpu_before = process_time()
        self.loop.epoch = perf_counter()
        self.loop.began = self.loop.epoch if began is None else began
        for part in self.parts:
            part.begin(self.loop.epoch)
        spawner, ticker = Task(self.loop), Task(self.loop)
        self.loop.spawn(spawner, self._spawn(spawner))
        self.loop.spawn(ticker, self._tick(ticker))
        self.loop.run()
        for part in self.parts:
            part.count_abandoned()
        aborted = any(part.control.aborted for part in self.parts)
        reached = frozenset(self.reached | self.loop.answered)
        return Final(self.update(), reached, self.unreachable, aborted)

    async def _spawn(self, task: Task) -> None:
        """Start users at their rates, or at SPAWN_RATE in all, in slices of at most SLICE.

        The slices leave a server time to accept: a listen() queue is short, and what does not fit
        is sent again by the kernel after a second.
        """
        in_slice = 0
        for due, _, part, user in merge(*(part.schedule() for part in self.parts)):
            due += self.loop.epoch + self.loop.stood
            if part.control.stopping:
                continue
            if due > perf_counter():
                await sleep_until(task, max(due, perf_counter() + SLICE_EVERY))
                in_slice = 0
            elif in_slice == SLICE:
                await sleep_until(task, perf_counter() + SLICE_EVERY)
                in_slice = 0
            if not part.control.stopping:
                in_slice += 1
                part.spawn(user)

    async def _tick(self, task: Task) -> None:
        """Tell what was measured, hear what to do, and end each scenario when its time is up."""
        due = self.loop.epoch + UPDATE_EVERY
        while not all(part.done for part in self.parts):
            all_told = self.channel.flush()
            now = perf_counter()
            ends = [part.end for part in self.parts if part.end > now]
            await sleep_until(task, min([now + (TICK if all_told else FLUSH_EVERY), due, *ends]))
            now = perf_counter()
            self.loop.look_for_suspension()
            over = self._told_to_stop() or any(part.control.aborted for part in self.parts)
            for part in self.parts:
                if over:
                    part.cut_short(now)
                if part.look_at(now):
                    await part.interrupt(task)
            if now >= due:
                await self._tell_in_portions(task)
                due = now + UPDATE_EVERY - (now - self.loop.epoch) % UPDATE_EVERY
        self.loop.stop()  # the spawner may still sleep towards a user that is not wanted any more

    async def _tell_in_portions(self, task: Task) -> None:
        """Tell what was measured; after each portion whoever is ready has a turn."""
        health = self.health()
        for number, part in enumerate(self.parts):
            for portion in part.stats.portions(ROWS_AT_ONCE):
                parts = {number: part.measured(perf_counter(), portion)}
                self.channel.put(Update(parts, health, self.loop.standstills.take()))
                await next_turn(task)

    def _told_to_stop(self) -> bool:
        """Take what the other side has said; that it is gone means STOP."""
        if not self.stopped:
            for said in self.channel.take():
                if isinstance(said, Open):
                    self.parts[said.part].open(said.name)
                elif said == STOP:
                    self.stopped = True
            self.stopped = self.stopped or self.channel.gone
        return self.stopped

    def _announce(self, number: int, said: Blocked) -> None:
        """Tell who waits at a part's barriers, and hear the answer sooner than `_tick` would."""
        self.channel.put(replace(said, part=number))
        if said.waits and not self.listening:
            listener = Task(self.loop)
            self.listening = True
            self.loop.spawn(listener, self._listen(listener))

    async def _listen(self, task: Task) -> None:
        while any(part.standstill for part in self.parts) and not self.stopped:
            await sleep_until(task, perf_counter() + LISTEN_EVERY)
            self.channel.flush()
            self._told_to_stop()
        self.listening = False

    def tell(self) -> None:
        self.channel.put(self.update())

    def update(self) -> Update:
        """All that was measured since the last time, at once."""
        now = perf_counter()
        parts = {n: part.measured(now, part.stats.take()) for n, part in enumerate(self.parts)}
        return Update(parts, self.health(), self.loop.standstills.take())

    def health(self) -> Health:
        now = perf_counter()
        late = sorted(self.loop.late)
        elapsed = now - self.loop.epoch
        return Health(
            busy=self.loop.busy_share(now),
            cpu=(process_time() - self.cpu_before) / elapsed if elapsed else 0.0,
            late=late[int(len(late) * 0.99)] if late else 0.0,
            memory=resident_memory(),
            standstills=self.loop.standstills.count,
            stood=self.loop.standstills.seconds,
            owed=any(one.want for one in self.loop.connections.values()),
        )


def resident_memory() -> int:
    """Bytes that this process holds in memory now; 0 where the platform does not tell.

    Not getrusage(2): its maximum survives exec() and would be that of the process before.
    """
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one; the limit in force."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def received(channel: Channel) -> Job:
    """The job; what cannot be unpickled is a plugin's value. Raises UsageError, EOFError."""
    try:
        job = channel.next()
    except EOFError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"a plugin's value cannot be read in a generator process: {text}"
        ) from None
    assert isinstance(job, Job)
    return job


def serve(channel: Channel) -> None:
    """Carry out the one job that the channel brings; its last word is heard, or nobody is there."""
    worker: Worker | None = None
    plugins: tuple[Plugin, ...] = ()
    reserve = bytearray(breakdown.RESERVE)
    try:
        job = received(channel)
        plugins = tuple(one for share in job.shares for one in share.scenario.plugins)
        worker = Worker(job, channel)
        rows = tuple(part.stats.take() for part in worker.parts)
        channel.put(Ready(worker.loop.poller.name, rows))
        go = channel.next()
        if not isinstance(go, Go):
            return
        gc.collect()
        gc.freeze()
        with Watch(worker.loop):
            final = worker.run(go.at)
        worker.loop.close()
        channel.put(final)
    except DriverFault as fault:
        assert worker is not None
        channel.put(Failed(str(fault), worker.update()))
    except LoadmuxError as error:
        channel.put(Failed(str(error), None))
    except EOFError:
        return
    except Exception as error:
        del reserve
        plugin = blamed(error, plugins)
        if plugin is None:
            broken = breakdown.told(error), breakdown.traced(error)
            error.__traceback__ = None  # it holds the users, and memory may be short
            channel.put(Failed(broken[0], last_words(worker), True, broken[1]))
        else:
            channel.put(Failed(told(plugin, error), last_words(worker)))
    channel.drain()


def last_words(worker: Worker | None) -> Update | None:
    """What was measured until the worker failed, if that can be told."""
    if worker is None:
        return None
    with suppress(Exception):
        worker.loop.close()
    try:
        return worker.update()
    except Exception:
        return None


def main() -> None:
    interrupts.disregard()
    raise_descriptor_limit()
    with Channel(socket.socket(fileno=int(sys.argv[1]))) as channel:
        serve(channel)
