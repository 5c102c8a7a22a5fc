"""What looks wrong with the processes of a target at one moment, and what of it has not changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from loadmux.errors import Kind
from loadmux.running.servers.leftovers import NONE, Held


@dataclass
class Signs:
    """What looks wrong at one moment: a core that is busy, sockets, bytes, processes; `dead` are
    sockets of connections that are no more, `queued` is how many wait at each listener.
    """

    busy: bool = False
    leaked: frozenset[int] = frozenset()
    unread: Mapping[int, int] = field(default_factory=dict)
    zombies: frozenset[int] = frozenset()
    dead: frozenset[int] = frozenset()
    queued: Mapping[int, int] = field(default_factory=dict)
    held: Held = NONE

    def still(self, now: Signs) -> Signs:
        """What has not changed."""
        unread = {one: left for one, left in self.unread.items() if now.unread.get(one) == left}
        queued = {one: some for one, some in self.queued.items() if now.queued.get(one, 0) >= some}
        return Signs(
            self.busy and now.busy,
            self.leaked & now.leaked,
            unread,
            self.zombies & now.zombies,
            self.dead & now.dead,
            queued,
            self.held.still(now.held),
        )

    def counting(self, at_work: bool, told: Collection[Kind]) -> Signs:
        """Those of which something is to be told: see `Watched.findings`."""
        if at_work:
            return Signs(zombies=self.zombies).counting(False, told)
        leaks, empty = Kind.LEAKED_DESCRIPTORS not in told, frozenset[int]()
        return Signs(
            self.busy and Kind.SPINNING not in told,
            self.leaked if leaks else empty,
            {} if Kind.NOT_READ in told else self.unread,
            empty if Kind.ZOMBIES in told else self.zombies,
            self.dead if leaks else empty,
            {} if Kind.NOT_ACCEPTED in told else self.queued,
            Held(
                0 if Kind.LEAKED_THREADS in told else self.held.threads,
                self.held.files if leaks else 0,
            ),
        )

    def __bool__(self) -> bool:
        wrong = self.leaked or self.unread or self.zombies or self.dead or self.queued
        return bool(self.busy or wrong or self.held)
