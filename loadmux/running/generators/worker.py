"""Runs a job: one loop with the users of all scenarios, and what tells and hears beside them.

Telling never holds the loop up: the rows of an update go in portions between which the users have
their turn, and what the other side is too slow to hear waits in the channel, joined with what
follows.
"""

from __future__ import annotations

import resource
from dataclasses import replace
from functools import partial
from heapq import merge
from time import perf_counter, process_time

from loadmux.driver.loop import Loop, Task, next_turn, sleep_until, wait_io
from loadmux.driver.poller import make_poller
from loadmux.running.generators.barriers import Blocked, Open
from loadmux.running.generators.channel import Channel
from loadmux.running.generators.portion import SPAWN_RATE, Portion
from loadmux.running.generators.said import STOP, Final, Health, Job, Update

TICK = 0.1
"""Seconds between two looks at what the other side says and at whose time is up."""
UPDATE_EVERY = 0.5
"""Seconds between two updates."""
SLICE = 256
SLICE_EVERY = 0.002
"""Seconds between two slices of so many users that are started."""
LISTEN_EVERY = 0.002
"""Seconds between two looks while all wait at barriers, which the other side opens."""
FLUSH_EVERY = 0.01
"""Seconds until the channel is offered again what it did not take."""
ROWS_AT_ONCE = 16


class Worker:
    """Runs a job; see the module."""

    def __init__(self, job: Job, channel: Channel) -> None:
        self.channel = channel
        self.loop = Loop(make_poller(job.poller))
        self.loop.worker, self.loop.workers = job.worker, job.workers
        rate = SPAWN_RATE / len(job.shares)
        self.portions = [
            Portion(share, job.seed, self.loop, rate, self.tell, partial(self._announce, number))
            for number, share in enumerate(job.shares)
        ]
        self.reached: set[str] = set()
        self.unreachable: dict[str, str] = {}
        for portion in self.portions:
            portion.control.reached = self.reached
            portion.control.unreachable = self.unreachable
        self.cpu_before = 0.0
        self.stopped = self.listening = False

    def run(self, began: float | None = None) -> Final:
        """The whole run, which began at this `perf_counter` time. Raises DriverFault."""
        self.cpu_before = process_time()
        self.loop.epoch = perf_counter()
        self.loop.began = self.loop.epoch if began is None else began
        for portion in self.portions:
            portion.begin(self.loop.epoch)
        spawner, ticker = Task(self.loop), Task(self.loop)
        for portion in self.portions:
            portion.control.none_active = partial(self._wake_if_over, ticker)
        self.loop.spawn(spawner, self._spawn(spawner))
        self.loop.spawn(ticker, self._tick(ticker))
        self.loop.run()
        for portion in self.portions:
            portion.count_abandoned()
        aborted = any(portion.control.aborted for portion in self.portions)
        reached = frozenset(self.reached | self.loop.answered)
        return Final(self.update(), reached, self.unreachable, aborted)

    async def _spawn(self, task: Task) -> None:
        """Start users at their rates, or at SPAWN_RATE in all, in slices of at most SLICE.

        The slices leave a server time to accept: a listen() queue is short, and what does not fit
        is sent again by the kernel after a second.
        """
        in_slice = 0
        for due, _, portion, user in merge(*(portion.schedule() for portion in self.portions)):
            due += self.loop.epoch + self.loop.stood
            if portion.control.stopping:
                continue
            if due > perf_counter():
                # Not sooner: at high rates the loop would do little else than start one at a time.
                await sleep_until(task, max(due, perf_counter() + SLICE_EVERY))
                in_slice = 0
            elif in_slice == SLICE:
                await sleep_until(task, perf_counter() + SLICE_EVERY)
                in_slice = 0
            if not portion.control.stopping:
                in_slice += 1
                portion.spawn(user)

    async def _tick(self, task: Task) -> None:
        """Tell what was measured, hear what to do, and end each scenario when its time is up."""
        due = self.loop.epoch + UPDATE_EVERY
        while not all(portion.done for portion in self.portions):
            all_told = self.channel.flush()
            now = perf_counter()
            ends = [portion.end for portion in self.portions if portion.end > now]
            task.set_deadline(min([now + (TICK if all_told else FLUSH_EVERY), due, *ends]))
            await wait_io(task)
            now = perf_counter()
            self.loop.look_for_suspension()
            over = self._told_to_stop() or any(portion.control.aborted for portion in self.portions)
            for portion in self.portions:
                if over:
                    portion.cut_short(now)
                if portion.look_at(now):
                    await portion.interrupt(task)
            if now >= due:
                await self._tell_in_portions(task)
                due = now + UPDATE_EVERY - (now - self.loop.epoch) % UPDATE_EVERY
        self.loop.stop()  # the spawner may still sleep towards a user that is not wanted any more

    def _wake_if_over(self, ticker: Task) -> None:
        """The last user has gone, of some scenario: no look at the clock tells when that is."""
        if all(portion.done for portion in self.portions):
            self.loop.wake(ticker)

    async def _tell_in_portions(self, task: Task) -> None:
        """Tell what was measured; after each portion whoever is ready has a turn."""
        health = self.health()
        for number, portion in enumerate(self.portions):
            for rows in portion.stats.portions(ROWS_AT_ONCE):
                parts = {number: portion.measured(perf_counter(), rows)}
                self.channel.put(Update(parts, health, self.loop.standstills.take()))
                await next_turn(task)

    def _told_to_stop(self) -> bool:
        """Take what the other side has said; that it is gone means STOP."""
        if not self.stopped:
            for said in self.channel.take():
                if isinstance(said, Open):
                    self.portions[said.part].open(said.name)
                elif said == STOP:
                    self.stopped = True
            self.stopped = self.stopped or self.channel.gone
        return self.stopped

    def _announce(self, number: int, said: Blocked) -> None:
        """Tell who waits at a portion's barriers, and hear the answer sooner than `_tick` would."""
        self.channel.put(replace(said, part=number))
        if said.waits and not self.listening:
            listener = Task(self.loop)
            self.listening = True
            self.loop.spawn(listener, self._listen(listener))

    async def _listen(self, task: Task) -> None:
        while any(portion.standstill for portion in self.portions) and not self.stopped:
            await sleep_until(task, perf_counter() + LISTEN_EVERY)
            self.channel.flush()
            self._told_to_stop()
        self.listening = False

    def tell(self) -> None:
        self.channel.put(self.update())

    def update(self) -> Update:
        """All that was measured since the last time, at once."""
        now = perf_counter()
        parts = {n: one.measured(now, one.stats.take()) for n, one in enumerate(self.portions)}
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
