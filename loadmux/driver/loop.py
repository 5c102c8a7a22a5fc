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

No deadline fires before the sockets were looked at once it had passed: where the process was
stopped (SIGSTOP, a suspended machine, a stolen core) the replies lie in the kernel by then. A turn
that took more than STILL too long is a standstill: the loop's own time leaves it out (`owntime`).
"""

from __future__ import annotations

import heapq
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from itertools import count
from time import perf_counter
from types import coroutine
from typing import Any, Protocol, TypeVar, cast

from loadmux.driver.owntime import OwnTime
from loadmux.driver.poller import BATCH, Events, Poller
from loadmux.driver.queues import Queues
from loadmux.driver.standstill import STILL, Standstill
from loadmux.driver.system import original
from loadmux.driver.tap import Tap
from loadmux.measuring.unread import Unread

NEVER = float("inf")
IDLE_WAIT = 0.1
WAIT_EARLY = 0.001
"""Seconds before a moment that is to be met: longer waits are in whole milliseconds."""
OVERSLEPT = 0.005
"""Seconds by which a wait may be late before it is doubted that it looked at the sockets."""
AT_ONCE = 16
"""Tasks that are resumed in a turn at least, however few events there were."""
SLICE = 0.002
"""Seconds of work after which a task is to let the others have their turn."""
LATE_SAMPLES = 4096
FAILED_KEPT = 256
PARTED_KEPT = 64

Result = TypeVar("Result")


class Interrupted(BaseException):
    """Thrown into a task whose time is up: what it had begun counts as interrupted.

    No Exception: an `except Exception` in a scenario's own code must not swallow it.
    """


class Registered(Protocol):
    """What the loop needs of a connection whose descriptor the poller watches."""

    ready: int
    want: int
    task: Task
    resume: Callable[[Any], object]

    def unwanted(self, event: int) -> None: ...

    def abandon(self) -> None: ...


class Task:
    """A coroutine on a loop; `deadline` is in `perf_counter` seconds, NEVER where there is none."""

    __slots__ = ("_since", "_turn", "alarm", "body", "deadline", "done", "loop", "resume")

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.deadline = NEVER
        self.alarm = NEVER
        self.done = False
        self._turn = self._since = 0.0
        self.body: Coroutine[Any, Any, None]
        self.resume: Callable[[Any], object]

    def ended(self) -> None:
        """Called once, when the coroutine has returned."""

    def left_unread(self, url: str, unread: Unread) -> None:
        """A connection was given up that had no answer: what is known of who was to read it."""

    def passed_over(self, count: int) -> None:
        """Called with how many messages came that answer nothing and are no fault."""

    def set_deadline(self, when: float) -> None:
        """Be woken with a true value at `when`, unless woken or told otherwise before."""
        self.deadline = when
        if when < self.alarm:
            self.loop.push_alarm(self, when)

    def set_limit(self, due: float) -> None:
        """As `set_deadline`, for a wait on a peer: `due` is in the loop's own time."""
        self.set_deadline(due + self.loop.stood)

    def overtime(self) -> bool:
        """Whether the task has worked for SLICE in this turn, since it asked in it a second time.

        Who asks once a turn costs no look at the clock.
        """
        turn = self.loop.looked
        if self._turn != turn:
            self._turn, self._since = turn, NEVER
            return False
        now = perf_counter()
        self._since = min(self._since, now)
        return now - self._since > SLICE


@coroutine
def wait_io(task: Task) -> Generator[None, bool, bool]:
    """Wait until a connection of the task is ready as it wants; true when the deadline passed."""
    return (yield)


@coroutine
def next_turn(task: Task) -> Generator[None, bool, None]:
    """Let all others have their turn."""
    task.deadline = NEVER
    task.loop.wake(task)
    yield


@coroutine
def sleep_until(task: Task, when: float) -> Generator[None, bool, None]:
    """Sleep until the `perf_counter` time `when`; returns at once if it has passed."""
    while perf_counter() < when:
        task.set_deadline(when)
        yield
    task.deadline = NEVER


def at_once(task: Task, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` comes to if time is up wherever it would wait."""
    try:
        work.send(None)
        work.throw(Interrupted())
    except StopIteration as done:
        return cast(Result, done.value)
    finally:
        task.deadline = NEVER
    raise AssertionError("it waits on although time is up")


class Loop(OwnTime):
    """Runs tasks until none is left or `stop()` is called.

    `waited` is how long (seconds since `epoch`) the loop had nothing to do, spinning towards a near
    deadline included.

    `faults` counts, and `failed` holds the last replies that did not come right,
    with their sockets and the URLs of their targets: what one of two swapped sockets was owed is
    needed when the other's turn comes; `parted` are the last replies of sockets that were given up.
    `answered`: the URLs from which a datagram has come. `late`
    collects by how much sleeps ended late (seconds).

    `worker` is the number of this process among `workers`, `opened` counts its connections: a
    connection's number, made of these, is no other's.

    `looked` is when the sockets were last looked at.
    """

    def __init__(self, poller: Poller) -> None:
        super().__init__()
        self.poller = poller
        self.socket: Callable[[int, int], socket.socket] = original(socket, "socket")
        self.connections: dict[int, Registered] = {}
        self.worker, self.workers, self.opened = 0, 1, 0
        self.faults = 0
        self.answered: set[str] = set()
        self.failed: deque[tuple[str, str, bytes]] = deque(maxlen=FAILED_KEPT)
        self.parted: deque[tuple[str, str, bytes]] = deque(maxlen=PARTED_KEPT)
        self.waited = 0.0
        self.late: deque[float] = deque(maxlen=LATE_SAMPLES)
        self.looked = self.epoch
        self.queues = Queues()
        self.tap: Tap | None = None
        self._back_by = NEVER
        self._unseen = 0
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

    def laid_aside(self) -> None:
        """Nobody has run it since, and on purpose: that was no standstill."""
        self._back_by = NEVER

    def spawn(self, task: Task, body: Coroutine[Any, Any, None]) -> None:
        task.body, task.resume = body, body.send
        self._tasks.add(task)
        self._ready.append(task)

    def wake(self, task: Task) -> None:
        """Resume a waiting task in the next turn."""
        self._ready.append(task)

    def tell(self, connection: Registered, event: int) -> None:
        """Say that a connection is ready, be it not the poller that knows.

        `run` has the same in line: a call for each event of the poller would be felt.
        """
        connection.ready |= event
        if not event & connection.want:
            connection.unwanted(event)
            return
        connection.want = 0
        try:
            connection.resume(False)
        except StopIteration:
            self._finish(connection.task)

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
        clock, alone = perf_counter, until == NEVER
        now, looked = clock(), self.looked
        events: Events = []
        if now - self._back_by > STILL:
            self._stood_still(now - self._back_by, now)
        while self._tasks and not self._stopped and now < until:
            if alarms and alarms[0][0] <= looked:
                self._fire(looked, now, len(events))
            if self._ready:
                # As many as events woke: a crowd that always gives way would starve the rest.
                for _ in range(min(len(self._ready), max(AT_ONCE, len(events)))):
                    task = self._ready.popleft()
                    if not task.done:
                        self._step(task, None)
                if self._stopped or not self._tasks:
                    break  # nobody is left who would be woken from a wait
            timeout = patience
            if alarms and alarms[0][0] - now < patience:
                timeout = min(self._ahead(now), patience)
            before = clock()
            if before - now > STILL:
                self._long_turn(before - now, before, len(events))
            if self._ready:
                now = looked = before
                events = wait(0.0)
            else:
                events = wait(timeout)
                now = clock()
                if timeout or (patience and not events):
                    self.waited += now - before
                if now - before < timeout + OVERSLEPT:
                    looked = now
                else:
                    looked = before  # interrupted, epoll_wait() may end without a last look
                    if now - before - timeout > STILL:
                        self._stood_still(now - before - timeout, now)
            if len(events) < BATCH:
                self._unseen = 0
            elif self._unseen < len(connections):
                self._unseen += BATCH
                looked = self.looked
            self.looked = looked
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
                else:
                    connection.unwanted(event)
            if self._closing:
                self._bury()
            if not (events or alone or self._ready or timeout < patience or self._due(looked)):
                break
        self._bury()
        return self._leave(now, until, len(events))

    def _due(self, looked: float) -> bool:
        """Whether a deadline had passed when the sockets were last looked at, and may fire."""
        return bool(self._alarms) and self._alarms[0][0] <= looked

    def _leave(self, now: float, until: float, events: int) -> float:
        """When `run` ends, after a turn that began at `now`: how long it may stay away."""
        left = perf_counter()
        if left - now > STILL:
            self._long_turn(left - now, left, events)
        leisure = self._leisure(now) if now < until else 0.0
        self._back_by = left + leisure
        return leisure

    def _long_turn(self, gap: float, now: float, events: int) -> None:
        """A turn with so many events took `gap` seconds, until `now`.

        Where there was just much to do it is no standstill: a loop that always has would never
        come to a time-out.
        """
        found = self.explain() if self.explain is not None else ()
        if found or (self.explain is None and gap > STILL + events * SLICE):
            self._stood_still(gap, now, found)

    def _stood_still(self, gap: float, now: float, found: Sequence[Standstill] = ()) -> None:
        """As `stood_still` says; whoever waits for a peer gets that time on top."""
        self.stood_still(gap, now, found)
        for task in {one.task for one in self.connections.values() if one.want}:
            task.deadline += gap

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

    def _fire(self, looked: float, now: float, events: int) -> None:
        """Wake those whose deadline had passed when all sockets were looked at, at `looked`.

        At most AT_ONCE, or as many as there were `events`.
        """
        alarms, fired = self._alarms, 0
        while alarms and alarms[0][0] <= looked:
            if fired >= AT_ONCE and fired >= events:
                break
            when, _, task = heapq.heappop(alarms)
            if task.alarm != when:
                continue
            task.alarm = NEVER
            if task.deadline <= looked:
                self.late.append(max(0.0, now - max(task.deadline, self.woke)))
                task.deadline = NEVER
                fired += 1
                self._step(task, True)
            elif task.deadline != NEVER:
                self.push_alarm(task, task.deadline)

    def _ahead(self, now: float) -> float:
        """For how long the poller may wait from `now` on, as there are alarms."""
        ahead = self._alarms[0][0] - now
        if ahead > WAIT_EARLY:
            return min(ahead, IDLE_WAIT)
        return max(0.0, ahead - self.poller.grain)  # then spin

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
