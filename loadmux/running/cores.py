"""What CPU the targets and the generator of a run use, as far as they are on this machine; and how
many cores there are for generator processes.

A look costs a few reads from /proc for each of their threads, twice a second.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from loadmux.errors import UsageError
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.cpu import Cpu, Times
from loadmux.running.servers import proc

EVERY = 0.5
"""Seconds; less than that says nothing."""
QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""How much of the cores a container may use: cgroup v2."""
AUTO = "auto"


class Cores:
    """From `begin` until the last `look`; `roots` are the processes of all targets."""

    def __init__(self, roots: Collection[int] = ()) -> None:
        """A target that is a thread of who runs us, or has started us, is not looked at."""
        self._target = Family(() if os.getpid() in proc.offspring(roots) else roots)
        self._generator = Family(())

    def begin(self, workers: Collection[int]) -> None:
        """The generator processes are these; the load is about to begin."""
        self._generator = Family(workers)
        self._target.begin()
        self._generator.begin()

    def look(self) -> None:
        """Now and then, while the load is on."""
        self._target.look()
        self._generator.look()

    @property
    def target(self) -> Cpu | None:
        """None where nothing could be seen, or not for long enough."""
        return self._target.used()

    @property
    def generator(self) -> Cpu | None:
        return self._generator.used()


class Family:
    """Some processes and all that descend from them."""

    def __init__(self, roots: Collection[int]) -> None:
        self._roots = roots
        self._before: Times = {}
        self._after: Times = {}
        self._began = self._at = 0.0
        self._used_before = self._used = 0.0

    def begin(self) -> None:
        self._before, self._used_before = self._read()
        self._began = self._at = monotonic()

    def look(self) -> None:
        now = monotonic()
        if self._roots and now - self._at >= EVERY:
            times, used = self._read()
            if times:
                self._after, self._used, self._at = times, used, now

    def used(self) -> Cpu | None:
        if not self._after:
            return None
        seconds = self._at - self._began
        return Cpu.between(self._before, self._after, seconds, self._used - self._used_before)

    def _read(self) -> tuple[Times, float]:
        pids = proc.offspring(self._roots)
        found: dict[int, tuple[int, int]] = {}
        for pid in pids:
            found |= proc.thread_times(pid)
        return found, proc.cpu_of(pids)


def available() -> int:
    """Cores that this process may use."""
    known = getattr(os, "sched_getaffinity", None)
    cores = len(known(0)) if known is not None else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = QUOTA.read_text().split()
        cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def workers(wanted: int | str, scenarios: Sequence[Scenario]) -> int:
    """How many generator processes: one a core, less one where we start a target ourselves.

    Raises UsageError.
    """
    if wanted != AUTO:
        return _number(wanted)
    targets = [one for scenario in scenarios for one in scenario.servers.values()]
    ours = any(one.bundled is not None or one.command is not None for one in targets)
    return max(1, available() - ours)


def _number(wanted: int | str) -> int:
    try:
        number = int(wanted)
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(f"--workers: {wanted!r} is neither a number from 1 on nor 'auto'")
    return number
