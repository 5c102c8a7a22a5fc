"""What processes keep of each client that has gone and no socket shows: threads, pipes, files.

A pool may well start a thread for each of the first hundreds of clients, though they come one after
the other, and keep it. So what is counted is blamed only where very many have come, and few of them
at once: nobody needs so many threads for that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from loadmux.running.servers import proc

POOL = 260
"""Threads that a server may have started in any case: usual pools have 200, or 256."""
SHARE = 0.4
"""Of all clients, those that leave something behind."""
AT_ONCE = 8
"""Where clients come one after the other there are so many times as many as there are at once."""


@dataclass(frozen=True, slots=True)
class Held:
    """Threads, with those of all its processes, and descriptors that are no sockets."""

    threads: int = 0
    files: int = 0

    @classmethod
    def by(cls, family: Collection[proc.Process]) -> Self:
        """What these processes hold now."""
        pids = [one.pid for one in family if one.state != proc.ZOMBIE]
        return cls(sum(len(proc.threads(one)) for one in pids), sum(map(proc.files, pids)))

    def since(self, before: Held, clients: int, at_once: int) -> Held:
        """What was there not before, of so many clients; nothing that a healthy server may keep."""
        least = max(POOL, int(SHARE * clients))
        if clients < least or clients < AT_ONCE * at_once:
            return NONE
        threads, files = self.threads - before.threads, self.files - before.files
        return Held(threads if threads >= least else 0, files if files >= least else 0)

    def still(self, now: Held) -> Held:
        """What has not become less."""
        return Held(
            self.threads if now.threads >= self.threads else 0,
            self.files if now.files >= self.files else 0,
        )

    def __bool__(self) -> bool:
        return bool(self.threads or self.files)


NONE = Held()
