"""Tells why a loop stood still: a timer of the process looks at what runs.

A loop knows by its clock that a turn took too long, but not why: a process can be stopped, a step
can compute, or very many steps can each take their time. A `Watch` knows, for SIGALRM comes every
EVERY seconds. One that comes much too late, with no processor time used meanwhile, says that the
process did not run; the same task found at work in the same turn, again and again, that it holds
the loop. A turn of which neither is true, and that used little processor time, stood still as well
(under gevent code that sleeps does so elsewhere). The timer costs the loop nothing.

A task at work is found by its frame, which costs no bookkeeping: a function that carries out
operations, one after the other, has the current one in a local variable called `operation`.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter, thread_time
from types import FrameType

from loadmux.driver.loop import Loop
from loadmux.driver.standstill import STILL, Standstill

EVERY = 0.05
NOT_THEIRS = (str(Path(__file__).resolve().parents[1]), sys.prefix, sys.base_prefix, "<")
INSTALLED = "site-packages"
WHOSE = ("self", "branch", "user")


class Watch:
    """Watches a loop of the main thread, from `start` until `stop`.

    In another thread, or where the alarm is somebody else's, nobody watches.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting = type(loop.poller).wait.__code__
        self._running = type(loop).run.__code__
        self._found: list[Standstill] = []
        self._ticked = self._cpu = self._since = self._away = 0.0
        self._holder: tuple[FrameType, float] | None = None
        self._seen = Standstill(0.0, 0.0, held=True)
        self._turn, self._turned = 0.0, (0.0, 0.0)

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        if signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, signal.SIG_IGN):
            return
        self._ticked, self._cpu = perf_counter(), thread_time()
        try:
            signal.signal(signal.SIGALRM, self._tick)
        except ValueError:
            return  # not in the main thread
        signal.siginterrupt(signal.SIGALRM, False)
        signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
        self._loop.explain = self.take

    def stop(self) -> None:
        """To be called before the interpreter ends: an alarm without a handler kills."""
        if self._loop.explain is None:
            return
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        self._loop.explain = None

    def take(self) -> list[Standstill]:
        """What was found since the last call."""
        if self._holder is not None and self._seen.seconds > STILL + EVERY:
            self._found.append(self._seen)
        self._holder = None
        found, self._found = self._found, []
        if not found and self._turn == self._loop.looked:
            now, (began, cpu) = perf_counter(), self._turned
            idle = now - began - (thread_time() - cpu)
            if idle > STILL:
                found.append(Standstill(began - self._loop.epoch, idle))
        return found

    def _tick(self, number: int, frame: FrameType | None) -> None:
        now, cpu = perf_counter(), thread_time()
        lost, used = now - self._ticked - EVERY, cpu - self._cpu
        self._ticked, self._cpu = now, cpu
        if self._turn != self._loop.looked:
            self._turn, self._turned = self._loop.looked, (now, cpu)
        if lost > STILL and used < lost / 2:
            self._found.append(Standstill(now - lost - self._loop.epoch, lost))
            self._loop.woke = now
            self._away += lost  # whoever holds the loop goes on with it now
        elif frames := self._at_work(frame):
            self._working(frames, now - max(lost, 0.0), now)
        else:
            self._holder = None

    def _at_work(self, frame: FrameType | None) -> list[FrameType]:
        """The frames below the loop's own, the innermost first; none while it waits for events."""
        frames: list[FrameType] = []
        while frame is not None and frame.f_code is not self._running:
            frames.append(frame)
            frame = frame.f_back
        idle = frame is None or not frames or frames[-1].f_code is self._waiting
        return [] if idle else frames

    def _working(self, frames: list[FrameType], since: float, now: float) -> None:
        """Somebody is at work, as of `since` at the latest."""
        holder = (frames[-1], self._loop.looked)
        if self._holder != holder:
            self._holder, self._since, self._away = holder, since, 0.0
            self._seen = seen_in(frames)
        elif not self._seen.where:
            self._seen = seen_in(frames)  # the scenario's own code came later in this turn
        worked = now - self._since - self._away
        if worked > STILL:
            self._loop.woke = now  # what others have under way is spoilt already
        # It began after the tick before the first that saw it, and may go on until the next one.
        at, held = self._since - EVERY / 2 - self._loop.epoch, worked + EVERY
        self._seen = replace(self._seen, at=at, seconds=held)


def seen_in(frames: list[FrameType]) -> Standstill:
    """Which step of which user these frames carry out."""
    user = next(users_in(frames), None)
    return Standstill(0.0, 0.0, True, next(steps_in(frames), None), user, place_in(frames))


def users_in(frames: list[FrameType]) -> Iterator[int]:
    """The number of the user whose frames they are, the outermost first."""
    for frame in reversed(frames):
        for name in WHOSE:
            number = getattr(frame.f_locals.get(name), "number", None)
            if isinstance(number, int):
                yield number


def steps_in(frames: list[FrameType]) -> Iterator[str]:
    """The names of the operations under way, the innermost first."""
    for frame in frames:
        name = getattr(frame.f_locals.get("operation"), "name", None)
        if isinstance(name, str):
            yield name


def place_in(frames: list[FrameType]) -> str:
    """FILE:LINE of the scenario's own code, if some of it is at work."""
    for frame in frames:
        path = frame.f_code.co_filename
        if not path.startswith(NOT_THEIRS) and INSTALLED not in path:
            return f"{Path(path).name}:{frame.f_lineno}"
    return ""
