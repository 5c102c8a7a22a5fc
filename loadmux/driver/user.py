"""A virtual user: one coroutine that owns some sockets and walks through a script, again and again.

The script is a list of operations, each with a `run(user)` that can be awaited; what they do is not
known here. A fault ends the iteration, is recorded with user, iteration and step, and then
`on_error` decides. Where that is to reconnect, all sockets are dropped, and with them what `before`
had set up (a login): it runs again ahead of the next iteration.

When a connect or `before` fails the user backs off (50 ms, doubled up to 1 s, until an iteration
succeeds): a server that is down, or refuses a login, would otherwise be hammered in a loop.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Protocol

from loadmux.driver.attentive import connection_for
from loadmux.driver.awaiting import Awaited, name_owed
from loadmux.driver.barrier import Barriers
from loadmux.driver.closing import close, drop
from loadmux.driver.connection import Connection
from loadmux.driver.endpoint import Endpoint
from loadmux.driver.loop import NEVER, Interrupted, Loop, Task, next_turn, sleep_until, wait_io
from loadmux.driver.outages import LOST, NOT_LET_IN, Outages
from loadmux.errors import Evidence, Fault, Kind, ScriptFailed
from loadmux.measuring.stats import Stats
from loadmux.measuring.unread import Unread

QUIET = 0.05
SLOW_CONNECT = 0.9
BACKOFF_FIRST = 0.05
BACKOFF_MOST = 1.0
GIVE_WAY_EVERY = 32
NOT_REACHED = frozenset({Kind.REFUSED, Kind.UNREACHABLE, Kind.CONNECT_TIMEOUT, Kind.TLS})


class Operation(Protocol):
    """A compiled step; `name` is its row in the report."""

    @property
    def name(self) -> str: ...

    def run(self, user: VirtualUser) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class Script:
    """What every user does. `last_rows[i]` is the row that a late surplus on socket i is for,
    `on_connect[i]` what comes first on each of its connections.
    """

    before: Sequence[Operation]
    steps: Sequence[Operation]
    after: Sequence[Operation]
    endpoints: Sequence[Endpoint]
    names: Sequence[str]
    last_rows: Sequence[str]
    timeout: float
    on_error: str
    seed: int
    on_connect: Sequence[Sequence[Operation]] = ()


@dataclass(slots=True)
class Control:
    """What the users of a loop share: when to stop, and where to count.

    `active` counts users that were spawned and are not done; `ended` is when the last user so far
    left off iterating (`perf_counter` seconds). `reached` are the URLs of the targets to which a
    connect has ever succeeded, `unreachable` maps the others to the first failed connect's text:
    they end the run, unless `persistent` is true. `departing` are those of the `active` that only
    part from their server. `barriers` is there once one is needed.
    """

    stats: Stats
    iterations: int | None = None
    pacing: float | None = None
    stopping: bool = False
    aborted: bool = False
    persistent: bool = False
    reached: set[str] = field(default_factory=set)
    unreachable: dict[str, str] = field(default_factory=dict)
    active: int = 0
    departing: int = 0
    ended: float = 0.0
    barriers: Barriers | None = None
    outages: Outages = field(init=False)

    def __post_init__(self) -> None:
        self.outages = Outages(self.stats.consequences)

    @property
    def given_up(self) -> bool:
        """Whether a target was never reached and is not to be tried again."""
        return bool(self.unreachable) and not self.persistent


class Shift:
    """For how long a branch goes on; that it is `over` ends the pauses of those `resting`.

    `unasked`: the step in hand awaits what nobody has asked for. `held`: so many steps that are
    carried out to their end are in hand.
    """

    __slots__ = ("held", "over", "resting", "unasked")

    def __init__(self) -> None:
        self.over = self.unasked = False
        self.held = 0
        self.resting: set[Task] = set()

    def end(self) -> None:
        self.over = True
        for task in self.resting:
            task.loop.wake(task)


ENDLESS = Shift()
"""Of users, and of branches that end by themselves."""


class VirtualUser(Task):
    """User `number` (from 0, unique over all workers) of a test.

    `leaving` true lets the user go after the iteration in hand. `life` tells users apart that had
    the same number one after the other. `late` is by how many seconds the iteration began after its
    intended start, until a step has counted it in; always 0 where there is no schedule. `waited`
    is for how long (seconds) it has paused because a step said so. `shift` ends what would go on.
    """

    __slots__ = (
        "_random",
        "barriers",
        "broken_off",
        "connections",
        "control",
        "cut_short",
        "departing",
        "failures",
        "interrupted",
        "iterating",
        "iteration",
        "late",
        "leaving",
        "life",
        "number",
        "opened",
        "prepared",
        "resting",
        "script",
        "served",
        "shift",
        "spare",
        "started",
        "streak",
        "variables",
        "waited",
    )

    def __init__(self, loop: Loop, control: Control, script: Script, number: int) -> None:
        super().__init__(loop)
        self.control = control
        self.script = script
        self.number = number
        self.iteration = self.streak = 0
        self.iterating = self.leaving = self.departing = self.cut_short = False
        self.life = 0
        self.failures = 0
        self.barriers = self.opened = 0
        self.late = self.waited = 0.0
        self.shift = ENDLESS
        self.prepared = False
        self.served = False
        self.started = False
        self.interrupted = self.broken_off = False
        self.resting = False
        self.variables: dict[str, bytes] | None = None
        self.spare: list[VirtualUser] | None = None
        self._random: random.Random | None = None
        self.connections = [
            connection_for(self, endpoint, name, number)
            for endpoint, name in zip(script.endpoints, script.names, strict=True)
        ]

    @property
    def random(self) -> random.Random:
        """The user's own source of chance, from seed and number (2.5 KB: made when first used)."""
        if self._random is None:
            life = f"/{self.life}" if self.life else ""
            self._random = random.Random(f"{self.script.seed}/{self.number}{life}")
        return self._random

    def set(self, name: str, value: bytes) -> None:
        """Define a variable of this user."""
        if self.variables is None:
            self.variables = {}
        self.variables[name] = value

    def get(self, name: str, default: bytes) -> bytes:
        """A variable's value; `default` where no step has set it yet."""
        return default if self.variables is None else self.variables.get(name, default)

    async def run(self) -> None:
        control = self.control
        self.started = True
        control.stats.started += 1
        if control.barriers is not None:
            control.barriers.look()
        try:
            alive = True
            while alive and not control.stopping and self._iterations_left():
                started = perf_counter()
                self.iterating = True
                alive = await self._iterate()
                self.iterating = False
                self.iteration += 1
                if control.pacing is not None and alive:
                    await self._rest(started + control.pacing)
            await self._leave(alive)
        except Interrupted:
            await self._break_off()
        finally:
            self._gone()
            if control.barriers is not None:
                control.barriers.look()

    async def _leave(self, alive: bool) -> None:
        """After the last iteration."""
        self._depart()
        if alive and self.prepared and not self.interrupted:
            await self._walk(self.script.after)
        await self._part()

    async def _break_off(self) -> None:
        """In the middle of an iteration, as time is up for good."""
        self.broken_off = True
        self._depart()
        self.control.stats.interrupted += self.iterating
        self._note_owed()
        await drop(self, self.connections, self._found_late)

    def passed_over(self, count: int) -> None:
        self.control.stats.passed_over += count

    def interrupt(self) -> None:
        """Time is up for good: what the user is at counts as interrupted, and it parts in any wait.

        A wait may make a fault of it, or a step may take it for the end of what it waits for: then
        whatever the user waits for next is interrupted as well. Only parting takes its time.
        """
        self.interrupted = True
        self.loop.throw(self, Interrupted())
        if not (self.done or self.broken_off):
            self.resume = self._insist
            self.loop.wake(self)

    def _insist(self, value: bool) -> None:
        if self.broken_off:
            self.body.send(value)
        else:
            self.interrupt()

    def _depart(self) -> None:
        """All that is still to be done is to part: that time is no part of the run."""
        if not self.departing:
            self.departing = True
            self.control.departing += 1
            self.control.ended = perf_counter()

    def _gone(self) -> None:
        self.control.active -= 1
        self.control.departing -= self.departing
        self.departing = False

    def _note_owed(self) -> None:
        """Count the wait in which the user was cut off; of several at once the longest.

        What the generator's own standstills made of it is no wait.
        """
        owed = [one.owed for one in self.connections if one.owed is not None]
        if owed:
            oldest = min(owed, key=lambda one: one.since)
            waited = perf_counter() - max(oldest.since, self.loop.woke)
            stats, step = self.control.stats, oldest.step
            stats.record_hanging(step, waited, oldest.what, oldest.timeout, self.served)

    def left_unread(self, url: str, unread: Unread) -> None:
        self.control.stats.record_unread(url, unread)

    def _iterations_left(self) -> bool:
        limit = self.control.iterations
        return not self.leaving and (limit is None or self.iteration < limit)

    async def _iterate(self) -> bool:
        """One iteration, after `before` where that is due; false if the user has to stop then."""
        if not (self.prepared or await self.prepare()):
            return self._may_try_again()
        try:
            for operation in self.script.steps:
                await operation.run(self)
        except Fault as fault:
            return await self._failed(fault, operation.name)
        except ScriptFailed as error:
            return await self._script_failed(error)
        except Interrupted:
            name_owed(self.connections, operation.name)
            raise
        stats = self.control.stats
        stats.iterations += 1
        self.failures = 0
        if self.cut_short:
            await self._renew()
        if not self.served:
            self.served = True
            stats.served += 1
        return True

    def note_cut_short(self) -> None:
        """A message was given up, and with it the connection for any other."""
        self.cut_short = True

    async def _renew(self) -> None:
        """What `before` set up on a connection that can carry no message is of no use either."""
        self.cut_short = self.iterating = False
        if self.script.before:
            await self._begin_anew(None)

    async def prepare(self) -> bool:
        """Walk through `before`; whether that succeeded. After a fault the user has backed off."""
        self.barriers = 0
        self.prepared = await self._walk(self.script.before, slowly=True)
        return self.prepared

    def met_before(self) -> bool:
        """At a barrier: whether an earlier walk of `before` has passed it; it opens only once."""
        if self.prepared:
            return False
        self.barriers += 1
        return self.barriers <= self.opened

    def passed(self) -> None:
        """A barrier has opened."""
        if not self.prepared:
            self.opened = self.barriers

    def _may_try_again(self) -> bool:
        return self.script.on_error == "reconnect" and not self.control.given_up

    async def _walk(self, operations: Sequence[Operation], slowly: bool = False) -> bool:
        """Steps outside the iterations, `before` or `after`; true if none failed.

        `slowly`: they will be tried again, after a pause.
        """
        try:
            for operation in operations:
                await operation.run(self)
        except Fault as fault:
            await self._failed(fault, operation.name, slowly)
            return False
        except ScriptFailed as error:
            await self._script_failed(error)
            return False
        except Interrupted:
            name_owed(self.connections, operation.name)
            raise
        return True

    async def connect(self, connection: Connection, timeout: float | None = None) -> float:
        """Connect and record it, then prepare the connection; the seconds the former took.

        Raises Fault.
        """
        took = await self._connect(connection, timeout)
        if self.script.on_connect and not connection.opening:
            await self._open(connection)
        return took

    async def _open(self, connection: Connection) -> None:
        """Carry out the socket's `on_connect`; a fault in it is the iteration's.

        `opening` stays set after a fault, until what came of it is over. Raises Fault.
        """
        place = self.connections.index(connection)
        connection.opening = True
        await walk(self, self.script.on_connect[place])
        connection.opening = False
        if not connection.connected:
            text = "the connection ended with what 'on_connect' did on it"
            raise connection.fault(Kind.CLOSED, text)

    async def _connect(self, connection: Connection, timeout: float | None) -> float:
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

    async def _failed(self, fault: Fault, step: str, slowly: bool = False) -> bool:
        control = self.control
        self.iterating = False
        self._record(fault, step)
        for connection in self.connections:
            connection.owed = None  # the fault has ended what was awaited beside it
        self._heed_interruption()
        if fault.evidence.unjudged:
            await self._begin_anew(fault.evidence)
            return True
        refused = fault.evidence.kind in (Kind.REFUSED, Kind.UNREACHABLE)
        if refused and fault.evidence.step != "connect":
            self._note_refusal(fault)
        if control.given_up:
            self.loop.stop()
            return False
        slowly = slowly or refused or fault.evidence.step == "connect" or self._opening
        return await self._recover(slowly, fault.evidence)

    async def _script_failed(self, error: ScriptFailed) -> bool:
        """Code of the scenario's author raised: as after a fault, but the target is not blamed."""
        self.iterating = False
        self.control.stats.record_script_error(error)
        self._heed_interruption()
        return await self._recover(slowly=True)

    def _heed_interruption(self) -> None:
        """What came to light as the user was interrupted is told in place of the interruption."""
        if self.interrupted:
            raise Interrupted

    async def _recover(self, slowly: bool, first: Evidence | None = None) -> bool:
        """Do as `on_error` says, after a pause if that may go on and on; false: the user stops.

        `first` is the fault that has ended the iteration, if one has.
        """
        if self.script.on_error == "abort":
            self.control.aborted = self.control.stopping = True
        await self._begin_anew(first)
        if self.script.on_error != "reconnect":
            return False
        if slowly:
            pause = BACKOFF_FIRST * 2**self.failures
            if pause < BACKOFF_MOST:
                self.failures += 1
            await self._rest(perf_counter() + min(pause, BACKOFF_MOST))
        return True

    async def _begin_anew(self, first: Evidence | None) -> None:
        """Drop all sockets, after a fault or not; `before` runs again, where there is one."""
        await drop(self, self.connections, partial(self._found_beside, first), first)
        for connection in self.connections:
            connection.opening = False
        self.prepared = not self.script.before

    @property
    def _opening(self) -> bool:
        """Whether a connection failed in its `on_connect`, which would be tried again at once."""
        return any(one.opening for one in self.connections)

    def _note_refusal(self, fault: Fault) -> None:
        """Nobody listens for the datagrams of a socket, as far as is known yet."""
        name = fault.evidence.socket
        url = next(one.endpoint.url for one in self.connections if one.name == name)
        if url not in self.control.reached and url not in self.loop.answered:
            self.control.unreachable.setdefault(url, str(fault))

    def _record(self, fault: Fault, step: str, late: bool = False) -> None:
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

    def _found_late(self, connection: Connection, fault: Fault) -> None:
        """A fault on a connection that was given up after its last exchange, or was cut off."""
        row = self.script.last_rows[self.connections.index(connection)]
        self._record(fault, row, late=connection.verifier is None)
        if not self.iterating:
            fault.evidence.iteration = max(0, self.iteration - 1)

    def _found_beside(self, first: Evidence | None, connection: Connection, fault: Fault) -> None:
        """A fault on a connection that was dropped for the sake of another's.

        What belongs to the one here and was told there already, or the other way round, follows.
        """
        if first is None or not swapped(first, connection.label, fault.evidence):
            row = self.script.last_rows[self.connections.index(connection)]
            self._record(fault, row, late=True)

    async def _rest(self, until: float) -> None:
        """Sleep between iterations; `wake` ends it early when the run stops."""
        self.resting = True
        try:
            while not (self.control.stopping or self.leaving) and perf_counter() < until:
                self.set_deadline(until)
                await wait_io(self)
        finally:  # one that was interrupted here is not to be woken once it has ended
            self.deadline = NEVER
            self.resting = False

    async def pause(self, seconds: float) -> None:
        """Wait because a step says so."""
        began, shift = perf_counter(), self.shift
        if shift is ENDLESS:
            await sleep_until(self, began + seconds)
        else:
            await self._doze(shift, began + seconds)
        self.waited += perf_counter() - began

    async def _doze(self, shift: Shift, until: float) -> None:
        """Sleep, until the shift is over at the latest."""
        shift.resting.add(self)
        try:
            while not shift.over and perf_counter() < until:
                self.set_deadline(until)
                await wait_io(self)
        finally:
            shift.resting.discard(self)
            self.deadline = NEVER

    async def give_way(self) -> None:
        """Let the others have a turn now and then: called by steps that may end without waiting."""
        self.streak += 1
        if self.streak >= GIVE_WAY_EVERY or self.overtime():
            self.streak = 0
            await next_turn(self)

    def wake(self) -> None:
        """The run is stopping: do not sleep on between two iterations."""
        if self.resting:
            self.set_deadline(perf_counter())

    async def _part(self) -> None:
        """The last look for bytes that nobody asked for, after a short quiet; then close."""
        going = [one for one in self.connections if one.connected]
        if going:
            await sleep_until(self, perf_counter() + QUIET)
            await close(self, going, self.script.timeout, self._found_late)


async def walk(user: VirtualUser, steps: Sequence[Operation]) -> None:
    """Steps within a step; a fault bears the name of the innermost one."""
    for operation in steps:
        if user.shift.over and not user.shift.held:
            return
        try:
            await operation.run(user)
        except Fault as fault:
            fault.evidence.step = fault.evidence.step or operation.name
            raise
        except Interrupted:
            name_owed(user.connections, operation.name)
            raise


def swapped(first: Evidence, label: str, other: Evidence) -> bool:
    """Whether a fault on the socket called `label` is the other half of the crosstalk `first`."""
    here = f"user {first.user}, socket {first.socket}"
    return label == first.belongs_to or here == other.belongs_to
