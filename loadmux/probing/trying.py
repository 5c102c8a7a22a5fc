"""Runs scenarios at once, in this process, and says which fault each of them met first.

It is the engine of `loadmux run`: the same users, checks and deadlines, on one loop, without
processes, statistics or a report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loadmux.driver.peer import Peer
from loadmux.errors import Evidence, Kind
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Url
from loadmux.measuring.stats import Stats
from loadmux.running.generators.channel import Channel, pair
from loadmux.running.generators.said import Job, Share, Update
from loadmux.running.generators.worker import Worker

LATE = frozenset({Kind.TIMEOUT, Kind.CONNECT_TIMEOUT, Kind.SEND_STALLED, Kind.TRUNCATED})
"""Faults that a busy machine may have made."""
STOOD_STILL = "this process stood still when connections ended, so nobody knows whose doing that is"


@dataclass(frozen=True, slots=True)
class Try:
    """What became of one scenario: `faults` in the order in which they began, `took` is the longest
    time of a connect or an exchange in seconds.

    `unjudged`: connections ended while the generator stood still, of which nothing is known.
    `right` counts what was right, by step, `connects` the connections, `volumes` the bytes that
    each step has sent.
    """

    faults: tuple[Evidence, ...]
    took: float
    unjudged: bool = False
    right: Mapping[str, int] = field(default_factory=dict)
    connects: int = 0
    volumes: Mapping[str, int] = field(default_factory=dict)

    @property
    def fault(self) -> Evidence | None:
        """The first fault."""
        return self.faults[0] if self.faults else None

    @property
    def sent(self) -> int:
        """Bytes that went out."""
        return sum(self.volumes.values())


Unknown = Callable[[Try], str]
"""Says of a try why nothing is known of it; "" where something is."""


def stood_still(tried: Try) -> str:
    """Nothing is known where connections ended while the generator did not run."""
    return STOOD_STILL if tried.unjudged and not tried.faults else ""


class Tap:
    """Keeps what goes over one connection since its last reply began: `sent` and `came`."""

    def __init__(self) -> None:
        self.sent = self.came = b""

    def opened(self, connection: Peer) -> None:
        """Listen to both directions."""
        send, receive = connection._send, connection._recv

        def sending(data: bytes | memoryview) -> int:
            count = send(data)
            if self.came:
                self.sent = self.came = b""
            self.sent += bytes(data[:count])
            return count

        def receiving(size: int) -> bytes:
            data = receive(size)
            self.came += data
            return data

        connection._send, connection._recv = sending, receiving

    secured = opened

    def noted(self, connection: Peer, what: str) -> None:
        """Nothing of it is kept."""

    def closed(self, connection: Peer) -> None:
        """Nothing of it is kept."""


@dataclass
class Drawn:
    """What no two clients of a server have alike: the next free numbers of a user, a connection."""

    users: int = 0
    connections: int = 0


def run_at_once(
    scenarios: Sequence[Scenario],
    urls: Mapping[str, Url],
    seed: int,
    tap: Tap | None = None,
    first: int = 0,
    drawn: Drawn | None = None,
) -> list[Try]:
    """Run them all at once, each to its end; their users are numbered from `first` on, their
    connections as `drawn` says.

    Raises DriverFault.
    """
    shares = []
    for one in scenarios:
        shares.append(Share(one, urls, range(first, first + one.load.users), first))
        first += one.load.users
    ours, theirs = pair()
    with ours, theirs:
        worker = Worker(Job(tuple(shares), seed, None), theirs)
        worker.loop.tap = tap
        drawn = drawn or Drawn()
        worker.loop.opened = drawn.connections
        for part in worker.portions:
            part.control.persistent = True  # a server that is gone for one is no end for the others
        try:
            final = worker.run()
        finally:
            worker.loop.close()
            drawn.connections = worker.loop.opened
        found = [Stats() for _ in scenarios]
        for update in (*updates(ours, theirs), final.update):
            for number, measured in update.parts.items():
                found[number].merge(measured.stats)
    return [tried(stats, one) for stats, one in zip(found, scenarios, strict=True)]


def updates(ours: Channel, theirs: Channel) -> list[Update]:
    """All that a loop of this process has told meanwhile, also what its channel had no room for."""
    found: list[object] = []
    told = False
    while not told:
        told = theirs.flush()
        found += ours.take()
    return [one for one in found if isinstance(one, Update)]


def tried(stats: Stats, scenario: Scenario) -> Try:
    """What the statistics of a scenario say."""
    faults = sorted(
        (one for group in stats.faults.values() for one in group.examples),
        key=lambda one: (one.follows, one.at),
    )
    for where, error in stats.script_errors.items():
        faults.append(Evidence(Kind.CHECK, f"{where}: {error.text}"))
    if not faults and stats.interrupted:
        seconds = scenario.load.run_time or 0.0
        faults.append(Evidence(Kind.TIMEOUT, f"it was not over within {seconds:g} s"))
    for row in (stats.connects, *stats.steps.values()):
        row.fold()
    took = max(row.longest for row in (stats.connects, *stats.steps.values()))
    right = {row.of: row.right for row in stats.steps.values()}
    volumes = {row.of: row.volume.sent for row in stats.steps.values()}
    unfinished = not faults and stats.iterations < scenario.load.users
    unjudged = bool(stats.unjudged or unfinished)
    return Try(tuple(faults), took, unjudged, right, stats.connects.count, volumes)
