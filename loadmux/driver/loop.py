"""The loop: tasks, what wakes them, and nothing else. One thread, one poller.

A task is a coroutine. It gives way in two places only, `wait_io` (some of its connections want
readiness) and `sleep_until`; both are a bare `yield` after the wish was written down in
`Connection.want` or `Task.deadline`, so any other scheduler that honours these two fields can drive
the same coroutine. The value of the `yield` is true when the deadline passed first.

Deadlines cost one attribute store. A task has one entry in the heap, not later than its deadline;
when the entry comes up and the deadline has moved on, the entry is pushed anew (26 ns a store
against 140 ns a heap push for every exchange). `alarm` is the time of the valid entry: others are
stale.

Descriptors are closed at the end of a batch of events: a number that was closed and given to a new
socket within the batch would receive the old socket's event.
"""

from __future__ import annotations

import heapq
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from time import perf_counter
from types import coroutine
from typing import TYPE_CHECKING, Any

from loadmux.driver.poller import Poller
from loadmux.driver.system import original

if TYPE_CHECKING:
    from loadmux.driver.connection import Connection

NEVER = float("inf")
IDLE_WAIT = 0.1
SPIN_BELOW = 0.001
LATE_SAMPLES = 4096
FAILED_KEPT = 256


class Interrupted(BaseException):
    """Thrown into a task whose time is up: what it had begun counts as interrupted.

    No Exception: an `except Exception` in a scenario's own code must not swallow it.
    """


class Task:
    """A coroutine on a loop; `deadline` is in `perf_counter` seconds, NEVER where there is none."""

    __slots__ = ("alarm", "body", "deadline", "done", "loop", "resume")

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.deadline = NEVER
        self.alarm = NEVER
        self.done = False
        self.body: Coroutine[Any, Any, None]
        self.resume: Callable[[Any], object]

    def ended(self) -> None:
        """Called once, when the coroutine has returned."""

    def set_deadline(self, when: float) -> None:
        """Be woken with a true value at `when`, unless woken or told otherwise before."""
        self.deadline = when
        if when < self.alarm:
            self.loop.push_alarm(self, when)


@coroutine
def wait_io(task: Task) -> Generator[None, bool, bool]:
    """Wait until a connection of the task is ready as it wants; true when the deadline passed."""
    return (yield)


@coroutine
def sleep_until(task: Task, when: float) -> Generator[None, bool, None]:
    """Sleep until the `perf_counter` time `when`; returns at once if it has passed."""
    while perf_counter() < when:
        task.set_deadline(when)
        yield
    task.deadline = NEVER


class Loop:
    """Runs tasks until none is left or `stop()` is called.

    `waited` is how long (seconds since `epoch`) the loop had nothing to do, spinning towards a near
    deadline included. `faults` counts, and `failed` holds the last replies that did not come right,
    with their sockets and the URLs of their targets: what one of two swapped sockets was owed is
    needed when the other's turn comes. `answered`: the URLs from which a datagram has come. `late`
    collects by how much sleeps ended late (seconds).
    """

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.socket: Callable[[int, int], socket.socket] = original(socket, "socket")
        self.connections: dict[int, Connection] = {}
        self.epoch = perf_counter()
        self.faults = 0
        self.answered: set[str] = set()
        self.failed: deque[tuple[str, str, bytes]] = deque(maxlen=FAILED_KEPT)
        self.waited = 0.0
        self.late: deque[float] = deque(maxlen=LATE_SAMPLES)
        self._tasks: set[Task] = set()
        self._ready: deque[Task] = deque()
        self._alarms: list[tuple[float, int, Task]] = []
        self._ticket = count()
        self._closing: list[socket.socket] = []
        self._stopped = False

    def busy_share(self, now: float) -> float:
        """Share (0..1) of the time since `epoch` in which the loop had something to do."""
        span = now - self.epoch
        return min(1.0, max(0.0, 1.0 - self.waited / span)) if span > 0 else 0.0

    def spawn(self, task: Task, body: Coroutine[Any, Any, None]) -> None:
        task.body, task.resume = body, body.send
        self._tasks.add(task)
        self._ready.append(task)

    def wake(self, task: Task) -> None:
        """Resume a waiting task in the next turn."""
        self._ready.append(task)

    def stop(self) -> None:
        """Return from `run` after this batch, whatever still runs."""
        self._stopped = True

    def throw(self, task: Task, error: BaseException) -> None:
        """Raise `error` in a waiting task at the place where it waits."""
        task.deadline = NEVER
        try:
            task.body.throw(error)
        except (StopIteration, Interrupted):
            self._finish(task)

    def push_alarm(self, task: Task, when: float) -> None:
        task.alarm = when
        heapq.heappush(self._alarms, (when, next(self._ticket), task))

    def close_later(self, sock: socket.socket) -> None:
        self._closing.append(sock)

    def run(self, until: float = NEVER, patience: float = IDLE_WAIT) -> float:
        """Run until all tasks are done; what a task raises is raised here (a bug, not a fault).

        For another scheduler, which gives `until`: ends after the batch at whose end `until`
        (`perf_counter` seconds) has passed, or when nothing got ready, and nothing was due, in
        `patience` seconds. Returns for how long (seconds) there will be nothing to do unless a
        socket gets ready; 0 if there is now.
        """
        wait, connections, alarms = self.poller.wait, self.connections, self._alarms
        level, clock, alone = self.poller.level, perf_counter, until == NEVER
        now = clock()
        while self._tasks and not self._stopped and now < until:
            for _ in range(len(self._ready)):
                task = self._ready.popleft()
                if not task.done:
                    self._step(task, None)
            timeout = patience
            if alarms and alarms[0][0] - now < patience:
                timeout = min(self._fire(now), patience)
            if self._ready:
                events = wait(0.0)
                now = clock()
            else:
                before = clock()
                events = wait(timeout)
                now = clock()
                if timeout or (patience and not events):
                    self.waited += now - before
            for fd, event in events:
                try:
                    connection = connections[fd]
                except KeyError:
                    continue
                connection.ready |= event
                if event & connection.want:
                    connection.want = 0
                    try:
                        connection.resume(False)
                    except StopIteration:
                        self._finish(connection.task)
                elif level:
                    connection.disarm(event)
            if self._closing:
                self._bury()
            if not (events or alone or self._ready or timeout < patience):
                break
        self._bury()
        return self._leisure(now) if now < until else 0.0

    def _leisure(self, now: float) -> float:
        """How long nothing is due."""
        if self._ready:
            return 0.0
        return min(max(self._alarms[0][0] - now, 0.0), IDLE_WAIT) if self._alarms else IDLE_WAIT

    def _step(self, task: Task, timed_out: bool | None) -> None:
        try:
            task.resume(timed_out)
        except StopIteration:
            self._finish(task)

    def _finish(self, task: Task) -> None:
        task.done = True
        task.deadline = NEVER
        self._tasks.discard(task)
        task.ended()

    def _fire(self, now: float) -> float:
        """Wake whose deadline has passed; the time that the poller may wait from now on."""
        alarms = self._alarms
        while alarms and alarms[0][0] <= now:
            when, _, task = heapq.heappop(alarms)
            if task.alarm != when:
                continue
            task.alarm = NEVER
            if task.deadline <= now:
                self.late.append(now - task.deadline)
                task.deadline = NEVER
                self._step(task, True)
            elif task.deadline != NEVER:
                self.push_alarm(task, task.deadline)
        ahead = alarms[0][0] - now if alarms else IDLE_WAIT
        return 0.0 if ahead < SPIN_BELOW else min(ahead, IDLE_WAIT)

    def _bury(self) -> None:
        for sock in self._closing:
            sock.close()
        self._closing.clear()

    def close(self) -> None:
        """Close every connection and the poller; tasks that still run are abandoned."""
        for connection in list(self.connections.values()):
            connection.abandon()
        self._bury()
        for task in self._tasks:
            task.body.close()
        self._tasks.clear()
        self.poller.close()
