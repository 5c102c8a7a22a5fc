"""A generator process: one loop, its share of the users, and a pipe to the process that started it.

Started as a fresh interpreter with a pipe's descriptor as its argument, it reads a `Job` from the
pipe, builds everything, says `Ready`, waits for `GO`, and then sends an `Update` every half second
and a `Final` (or `Failed`) at the end. Nothing that draws on a terminal or reads YAML runs here:
the loop has the process for itself. It ignores SIGINT, which a terminal sends to the whole group;
the other side says STOP, and closing the pipe means the same, so that no worker outlives its run.
"""

from __future__ import annotations

import gc
import resource
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from time import perf_counter, process_time

from loadmux.driver.loop import Interrupted, Loop, Task, sleep_until
from loadmux.driver.poller import make_poller
from loadmux.driver.user import Control, VirtualUser
from loadmux.errors import DriverFault, LoadmuxError, UsageError
from loadmux.plugins import Plugin, blamed, told
from loadmux.scenario import Scenario, Url
from loadmux.script import compile_scenario
from loadmux.stats import Stats

GO = "go"
STOP = "stop"
TICK = 0.1
UPDATE_EVERY = 0.5
SPAWN_RATE = 10_000
SLICE = 256
SLICE_EVERY = 0.002


@dataclass(frozen=True, slots=True)
class Job:
    """A worker's share: users `first`, `first + stride`, ... `users` of them."""

    scenario: Scenario
    url: Url
    rule: str | None
    seed: int
    poller: str | None
    first: int
    stride: int
    users: int


@dataclass(frozen=True, slots=True)
class Ready:
    poller: str


@dataclass(frozen=True, slots=True)
class Update:
    """What was measured since the last one; `active` users now, `late` is the p99 in seconds."""

    stats: Stats
    active: int
    busy: float
    cpu: float
    late: float
    memory: int
    elapsed: float


@dataclass(frozen=True, slots=True)
class Final:
    update: Update
    unreachable: str | None
    aborted: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot go on; `update` holds what was measured until then."""

    reason: str
    update: Update | None


class Worker:
    """Runs a job; see the module."""

    def __init__(self, job: Job, pipe: Pipe) -> None:
        self.job = job
        self.pipe = pipe
        self.stats = Stats()
        load = job.scenario.load
        self.control = Control(self.stats, load.iterations, load.pacing)
        self.loop = Loop(make_poller(job.poller))
        script = compile_scenario(job.scenario, job.url, job.rule, job.seed, self.stats)
        self.users = [
            VirtualUser(self.loop, self.control, script, job.first + i * job.stride)
            for i in range(job.users)
        ]
        self.spawned = 0
        self.cpu_before = 0.0

    def run(self) -> Final:
        """The whole run. Raises DriverFault."""
        self.cpu_before = process_time()
        self.loop.epoch = self.control.ended = perf_counter()
        spawner, ticker = Task(self.loop), Task(self.loop)
        self.loop.spawn(spawner, self._spawn(spawner))
        self.loop.spawn(ticker, self._tick(ticker))
        self.loop.run()
        if self.control.stopping or self.control.unreachable:
            self._count_abandoned()
        return Final(self.update(), self.control.unreachable, self.control.aborted)

    def _count_abandoned(self) -> None:
        self.stats.interrupted += sum(user.iterating and not user.done for user in self.users)

    async def _spawn(self, task: Task) -> None:
        """Start users at the spawn rate, or at SPAWN_RATE in all, in slices of at most SLICE.

        The slices leave a server time to accept: a listen() queue is short, and what does not fit
        is sent again by the kernel after a second.
        """
        load, began = self.job.scenario.load, self.loop.epoch
        in_slice = 0
        for user in self.users:
            due = began + user.number / (load.spawn_rate or SPAWN_RATE)
            if due > perf_counter():
                await sleep_until(task, max(due, perf_counter() + SLICE_EVERY))
                in_slice = 0
            elif in_slice == SLICE:
                await sleep_until(task, perf_counter() + SLICE_EVERY)
                in_slice = 0
            if self.control.stopping:
                return
            in_slice += 1
            self.control.active += 1
            self.loop.spawn(user, user.run())
            self.spawned += 1

    async def _tick(self, task: Task) -> None:
        """Tell what was measured, hear what to do, and end the run when its time is up."""
        load, began = self.job.scenario.load, self.loop.epoch
        end = began + load.run_time if load.run_time is not None else float("inf")
        grace = load.graceful_stop
        told = began
        while not self._all_done():
            now = perf_counter()
            await sleep_until(task, min(now + TICK, end if end > now else now + TICK))
            now = perf_counter()
            if self.control.aborted or self._told_to_stop():
                end, grace = now, 0.0
            if now >= end:
                self._stop_users()
            if now >= end + grace:
                self._interrupt()
            if now - told >= UPDATE_EVERY:
                self.pipe.send(self.update())
                told = now
        self.loop.stop()  # the spawner may still sleep towards a user that is not wanted any more

    def _all_done(self) -> bool:
        spawning = self.spawned < len(self.users) and not self.control.stopping
        return not spawning and self.control.active == 0

    def _told_to_stop(self) -> bool:
        try:
            return self.pipe.poll() and self.pipe.recv() == STOP
        except (EOFError, OSError):
            return True

    def _stop_users(self) -> None:
        self.control.stopping = True
        for user in self.users:
            user.wake()

    def _interrupt(self) -> None:
        """Time is up for good: throw Interrupted into whoever is still at it, once."""
        for user in self.users:
            if user.started and not user.done and not user.interrupted:
                user.interrupted = True
                self.loop.throw(user, Interrupted())

    def update(self) -> Update:
        now = perf_counter()
        late = sorted(self.loop.late)
        elapsed = now - self.loop.epoch
        return Update(
            stats=self.stats.take(),
            active=self.control.active,
            busy=self.loop.busy_share(now),
            cpu=(process_time() - self.cpu_before) / elapsed if elapsed else 0.0,
            late=late[int(len(late) * 0.99)] if late else 0.0,
            memory=resident_memory(),
            elapsed=self.control.ended - self.loop.epoch if not self.control.active else elapsed,
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


def received(pipe: Pipe) -> Job:
    """The job; what cannot be unpickled is a plugin's value. Raises UsageError, EOFError."""
    try:
        job = pipe.recv()
    except (EOFError, OSError):
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"a plugin's value cannot be read in a generator process: {text}"
        ) from None
    assert isinstance(job, Job)
    return job


def serve(pipe: Pipe) -> None:
    """Carry out the one job that the pipe brings."""
    worker: Worker | None = None
    plugins: tuple[Plugin, ...] = ()
    try:
        job = received(pipe)
        plugins = job.scenario.plugins
        worker = Worker(job, pipe)
        pipe.send(Ready(worker.loop.poller.name))
        if pipe.recv() != GO:
            return
        gc.collect()
        gc.freeze()
        final = worker.run()
        worker.loop.close()
        pipe.send(final)
    except DriverFault as fault:
        assert worker is not None
        pipe.send(Failed(str(fault), worker.update()))
    except LoadmuxError as error:
        pipe.send(Failed(str(error), None))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        plugin = blamed(error, plugins)
        if plugin is None:
            raise
        pipe.send(Failed(told(plugin, error), None if worker is None else worker.update()))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_descriptor_limit()
    with Pipe(int(sys.argv[1])) as pipe:
        serve(pipe)
