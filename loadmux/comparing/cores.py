"""The machine's cores: who is pinned to which, and how busy they are with others' work."""

from __future__ import annotations

import os
import resource
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from loadmux.errors import UsageError
from loadmux.running.servers import proc


@dataclass(frozen=True, slots=True)
class Pinning:
    """The generators have the last core for themselves, servers all others."""

    servers: frozenset[int]
    generators: frozenset[int]

    def __str__(self) -> str:
        return f"servers on cores {_list(self.servers)}, generators on {_list(self.generators)}"

    def pin_servers(self, roots: Collection[int]) -> None:
        """These processes and all that descend from them, with all their threads."""
        for one in proc.family(roots):
            for thread in proc.threads(one.pid):
                with suppress(OSError):
                    os.sched_setaffinity(int(thread.name), self.servers)


def pinned() -> Pinning:
    """Pin this process, and the generators that it will start. Raises UsageError."""
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError("--pin: this system has no sched_setaffinity")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise UsageError("--pin: there is but one core")
    found = Pinning(frozenset(cores[:-1]), frozenset(cores[-1:]))
    os.sched_setaffinity(0, found.generators)
    return found


def _list(cores: Collection[int]) -> str:
    return ", ".join(map(str, sorted(cores)))


@dataclass
class Cores:
    """How busy the machine's cores are with others' work, between two looks."""

    at: float = field(default_factory=monotonic)
    busy: float | None = None
    own: float = 0.0

    @classmethod
    def look(cls) -> Cores:
        return cls(monotonic(), busy_seconds(), own_seconds())

    def others(self) -> float | None:
        """So many cores on average, since the look."""
        now = Cores.look()
        if self.busy is None or now.busy is None or now.at <= self.at:
            return None
        return max(0.0, (now.busy - self.busy - (now.own - self.own)) / (now.at - self.at))


def busy_seconds() -> float | None:
    """CPU seconds that all cores together have spent on anything; None without /proc/stat."""
    try:
        words = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except (OSError, IndexError):
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, words)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Those of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
