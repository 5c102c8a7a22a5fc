"""A virtual user: one coroutine that walks through a script, again and again, on its own sockets.

The script is a list of operations, each with a `run(user)` that can be awaited; what they do is not
known here. A fault ends the iteration, is recorded with user, iteration and step, and then
`on_error` decides. Where that is to reconnect, all sockets are dropped, and with them what `before`
had set up (a login): it runs again ahead of the next iteration.

When a connect or `before` fails the user backs off (50 ms, doubled up to 1 s, until an iteration
succeeds): a server that is down, or refuses a login, would otherwise be hammered in a loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Protocol

from loadmux.driver.awaiting import name_owed
from loadmux.driver.client import Setting
from loadmux.driver.closing import await_rest, close, drop
from loadmux.driver.connection import Connection, Plan
from loadmux.driver.control import Control
from loadmux.driver.loop import Interrupted, Loop, sleep_until
from loadmux.driver.resting import Resting
from loadmux.errors import Evidence, Fault, Kind, ScriptFailed

QUIET = 0.05
"""Seconds before a connection is given up: what a server sends unasked is mostly there by then."""
BACKOFF_FIRST = 0.05
BACKOFF_MOST = 1.0


class Operation(Protocol):
    """A compiled step; `name` is its row in the report."""

    @property
    def name(self) -> str: ...

    def run(self, user: VirtualUser) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class Script(Setting):
    """What every user does; `on_connect[i]` comes first on each connection of socket i.

    `left_open`: the sockets on which each iteration leaves messages that nothing will ever answer.
    """

    before: Sequence[Operation]
    steps: Sequence[Operation]
    after: Sequence[Operation]
    on_error: str
    on_connect: Sequence[Sequence[Operation]] = ()
    left_open: Sequence[int] = ()


class VirtualUser(Resting):
    """User `number` (from 0, unique over all workers) of a test.

    `late` is by how many seconds the iteration began after its intended start, until a step has
    counted it in; always 0 where there is no schedule. `plans` is what it keeps of its steps.
    """

    __slots__ = (
        "barriers",
        "broken_off",
        "cut_short",
        "departing",
        "failures",
        "interrupted",
        "late",
        "opened",
        "plans",
        "prepared",
        "spare",
        "started",
        "variables",
    )

    script: Script

    def __init__(self, loop: Loop, control: Control, script: Script, number: int) -> None:
        super().__init__(loop, control, script, number)
        self.failures = 0
        self.departing = self.cut_short = False
        self.barriers = self.opened = 0
        self.late = 0.0
        self.plans: dict[object, Plan] | None = None
        self.prepared = self.started = False
        self.interrupted = self.broken_off = False
        self.variables: dict[str, bytes] | None = None
        self.spare: list[VirtualUser] | None = None

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
                # Here and not in a method: a coroutine for each iteration is 250 bytes a user.
                if self.prepared or await self.prepare():
                    try:
                        for operation in self.script.steps:
                            await operation.run(self)
                    except (Fault, ScriptFailed, Interrupted) as error:
                        alive = await self._ended(error, operation.name)
                    else:
                        if self._succeeded():
                            await self._renew()
                else:
                    alive = self._may_try_again()
                self.iterating = False
                self.iteration += 1
                if control.pacing is not None and alive:
                    await self.rest(started + control.pacing)
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
        self.note_owed()
        await drop(self, self.connections, self.found_late)

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
        if not self.control.active and self.control.none_active is not None:
            self.control.none_active()

    def _iterations_left(self) -> bool:
        limit = self.control.iterations
        return not self.leaving and (limit is None or self.iteration < limit)

    async def _ended(self, error: BaseException, step: str) -> bool:
        """An iteration has ended so at this step; false if the user has to stop then."""
        if isinstance(error, Fault):
            return await self._failed(error, step)
        if isinstance(error, ScriptFailed):
            return await self._script_failed(error)
        name_owed(self.connections, step)
        raise error

    def _succeeded(self) -> bool:
        """An iteration was right; whether the user has to begin anew all the same."""
        stats = self.control.stats
        stats.iterations += 1
        if self.script.left_open:
            self.owe_nothing(self.script.left_open)
        self.failures = 0
        if not self.served:
            self.served = True
            stats.served += 1
            for connection in self.connections:
                connection.endpoint.walked()
        return self.cut_short

    def owe_nothing(self, sockets: Sequence[int]) -> None:
        """What has been sent on these sockets, and has no answer so far, gets none."""
        for index in sockets:
            self.connections[index].unanswered.clear()

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
        took = await self.reach(connection, timeout)
        if self.script.on_connect and not connection.opening:
            await self._open(connection)
        return took

    async def _open(self, connection: Connection) -> None:
        """Carry out the socket's `on_connect`; a fault in it is the iteration's.

        `opening` stays set after a fault, until what came of it is over. Raises Fault.
        """
        place, shift = self.connections.index(connection), self.shift
        connection.opening = True
        shift.held += 1  # a branch in the background ends after the step in hand, this with it
        try:
            await walk(self, self.script.on_connect[place])
        finally:
            shift.held -= 1
        connection.opening = False
        if not connection.connected:
            text = "the connection ended with what 'on_connect' did on it"
            raise connection.fault(Kind.CLOSED, text)

    async def _failed(self, fault: Fault, step: str, slowly: bool = False) -> bool:
        control = self.control
        self.iterating = False
        self.record(fault, step)
        for connection in self.connections:
            connection.owed = None  # the fault has ended what was awaited beside it
        self._heed_interruption()
        if fault.evidence.unjudged:
            await self._begin_anew(fault.evidence)
            return True
        refused = fault.evidence.kind in (Kind.REFUSED, Kind.UNREACHABLE)
        if refused and fault.evidence.step != "connect":
            self.note_refusal(fault)
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
            await self.rest(perf_counter() + min(pause, BACKOFF_MOST))
        return True

    async def _begin_anew(self, first: Evidence | None) -> None:
        """Drop all sockets, after a fault or not; `before` runs again, where there is one."""
        await drop(self, self.connections, partial(self.found_beside, first), first)
        for connection in self.connections:
            connection.opening = False
        self.prepared = not self.script.before

    @property
    def _opening(self) -> bool:
        """Whether a connection failed in its `on_connect`, which would be tried again at once."""
        return any(one.opening for one in self.connections)

    async def _part(self) -> None:
        """The last look for bytes that nobody asked for, after a short quiet; then close."""
        going = [one for one in self.connections if one.connected]
        if going:
            await sleep_until(self, perf_counter() + QUIET)
            stuck = await await_rest(self, going, self.script.timeout)
            await close(self, going, self.script.timeout, self.found_late, stuck)


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
