"""What a user is to its servers: the sockets that it owns, opening them, and what is told of
faults.

Whatever goes wrong on a socket is recorded with the user, its iteration and the step; what only
follows from something else (another's half of a swap, the death of a server) is told apart.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from loadmux.driver.attentive import connection_for
from loadmux.driver.awaiting import Awaited, name_owed
from loadmux.driver.connection import Connection
from loadmux.driver.control import Control
from loadmux.driver.endpoint import Endpoint
from loadmux.driver.loop import Interrupted, Loop, Task
from loadmux.driver.outages import LOST, NOT_LET_IN
from loadmux.errors import Evidence, Fault, Kind
from loadmux.measuring.unread import Unread

SLOW_CONNECT = 0.9
NOT_REACHED = frozenset({Kind.REFUSED, Kind.UNREACHABLE, Kind.CONNECT_TIMEOUT, Kind.TLS})


@dataclass(frozen=True, slots=True)
class Setting:
    """What a client's sockets are, by their places, and what all chance comes from (`seed`).

    `last_rows[i]` is the row that a late surplus on socket i is for; `timeout` is in seconds.
    """

    endpoints: Sequence[Endpoint]
    names: Sequence[str]
    last_rows: Sequence[str]
    timeout: float
    seed: int


class Client(Task):
    """Client `number` (from 0, unique over all workers) of a test.

    `life` tells those apart that had the same number one after the other. `iterating`: a fault is
    one of `iteration`, else of the one before. `served`: an iteration has succeeded.
    """

    __slots__ = (
        "_random",
        "connections",
        "control",
        "iterating",
        "iteration",
        "life",
        "number",
        "script",
        "served",
    )

    script: Setting

    def __init__(self, loop: Loop, control: Control, script: Setting, number: int) -> None:
        super().__init__(loop)
        self.control = control
        self.script = script
        self.number = number
        self.iteration = self.life = 0
        self.iterating = self.served = False
        self._random: random.Random | None = None
        both = zip(script.endpoints, script.names, strict=True)
        self.connections = tuple(
            [connection_for(self, endpoint, name, number) for endpoint, name in both]
        )

    @property
    def random(self) -> random.Random:
        """The user's own source of chance, from seed and number (2.5 KB: made when first used)."""
        if self._random is None:
            life = f"/{self.life}" if self.life else ""
            self._random = random.Random(f"{self.script.seed}/{self.number}{life}")
        return self._random

    def left_unread(self, url: str, unread: Unread) -> None:
        self.control.stats.record_unread(url, unread)

    def passed_over(self, count: int) -> None:
        self.control.stats.passed_over += count

    async def reach(self, connection: Connection, timeout: float | None) -> float:
        """Connect and record it; the seconds it took. Raises Fault."""
        control, url = self.control, connection.endpoint.url
        connection.reads_for = connection.sends_for = control.stats.connects.volume
        try:
            within = self.script.timeout if timeout is None else timeout
            took = await connection.connect(within)
            loop = self.loop
            connection.number = loop.opened * loop.workers + loop.worker
            loop.opened += 1
            if connection.endpoint.greeting is not None:
                took += await self._greet(connection, within)
        except Fault as fault:
            fault.evidence.step = "connect"
            never = url not in control.reached and fault.evidence.kind in NOT_REACHED
            if never and not fault.evidence.unjudged:
                control.unreachable.setdefault(url, str(fault))
            raise
        except Interrupted:
            name_owed([connection], "connect")
            raise
        if connection.datagrams:
            return took  # nobody was asked, so nobody was reached
        if url not in control.reached:
            control.reached.add(url)
            control.unreachable.pop(url, None)
        control.outages.back(url, connection.dialed - self.loop.began)
        control.stats.connects.samples.append(took)
        if took > SLOW_CONNECT:
            control.stats.slow_connects += 1
        return took

    async def _greet(self, connection: Connection, timeout: float) -> float:
        """The handshake of a new connection; the seconds it took. Raises Fault."""
        assert connection.endpoint.greeting is not None
        data, verifier = connection.endpoint.greeting(self.random)
        awaited = Awaited(connection, verifier, perf_counter())
        connection.note("sent", data)
        await connection.tell(awaited, data, timeout)
        return awaited.took

    def note_owed(self) -> None:
        """Count the wait in which the user was cut off; of several at once the longest.

        What the generator's own standstills made of it is no wait.
        """
        owed = [one.owed for one in self.connections if one.owed is not None]
        if owed:
            oldest = min(owed, key=lambda one: one.since)
            waited = perf_counter() - max(oldest.since, self.loop.woke)
            stats, step = self.control.stats, oldest.step
            stats.record_hanging(step, waited, oldest.what, oldest.timeout, self.served)

    def record(self, fault: Fault, step: str, late: bool = False) -> None:
        """`late`: it came to light after its exchange had been counted as right."""
        evidence = fault.evidence
        evidence.step = evidence.step or step
        evidence.user, evidence.iteration = self.number, self.iteration
        evidence.at = evidence.at or perf_counter() - self.loop.began
        if evidence.unjudged:
            self.control.stats.unjudged += 1
            return
        if evidence.kind in LOST or evidence.kind in NOT_LET_IN:
            self._note_loss(evidence)
        self.control.stats.record_fault(evidence, late)

    def _note_loss(self, evidence: Evidence) -> None:
        """It may be the death of a server, or follow from that."""
        control, loop, url = self.control, self.loop, evidence.target
        opened = max(
            (one.opened_at - loop.began for one in self.connections if one.name == evidence.socket),
            default=0.0,
        )
        if url in loop.answered:  # over UDP that is all that is known of who listens
            loop.answered.discard(url)
            control.reached.add(url)
            control.outages.back(url, evidence.at)
        control.outages.note(evidence, opened, url in control.reached)

    def note_refusal(self, fault: Fault) -> None:
        """Nobody listens for the datagrams of a socket, as far as is known yet."""
        name = fault.evidence.socket
        url = next(one.endpoint.url for one in self.connections if one.name == name)
        if url not in self.control.reached and url not in self.loop.answered:
            self.control.unreachable.setdefault(url, str(fault))

    def found_late(self, connection: Connection, fault: Fault) -> None:
        """A fault on a connection that was given up after its last exchange, or was cut off."""
        row = self.script.last_rows[self.connections.index(connection)]
        self.record(fault, row, late=connection.verifier is None)
        if not self.iterating:
            fault.evidence.iteration = max(0, self.iteration - 1)

    def found_beside(self, first: Evidence | None, connection: Connection, fault: Fault) -> None:
        """A fault on a connection that was dropped for the sake of another's.

        What belongs to the one here and was told there already, or the other way round, follows.
        """
        if first is None or not swapped(first, connection.label, fault.evidence):
            row = self.script.last_rows[self.connections.index(connection)]
            self.record(fault, row, late=True)


def swapped(first: Evidence, label: str, other: Evidence) -> bool:
    """Whether a fault on the socket called `label` is the other half of the crosstalk `first`."""
    here = f"user {first.user}, socket {first.socket}"
    return label == first.belongs_to or here == other.belongs_to
