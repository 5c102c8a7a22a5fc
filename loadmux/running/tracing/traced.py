"""Steps that tell of themselves, and listen after a wrong reply until the server falls silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

from loadmux.driver.awaiting import readable
from loadmux.driver.connection import Connection
from loadmux.driver.poller import READ
from loadmux.driver.user import Operation, VirtualUser
from loadmux.errors import Fault
from loadmux.running.steps.sending import Send
from loadmux.running.tracing.tracer import Tracer

QUIET = 0.3
"""Seconds without a byte after which a server has said all that it had to say."""
FIRST = 1.0
"""Seconds in which it begins to answer what no `expect` awaits."""
MOST = 10.0
INNER = ("do", "branches")


class Traced:
    """An operation that tells of itself; whatever else is asked of it, the operation answers."""

    def __init__(self, operation: Operation, tracer: Tracer) -> None:
        self._operation = operation
        self._tracer = tracer

    @property
    def name(self) -> str:
        return self._operation.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operation, name)

    async def run(self, user: VirtualUser) -> None:
        tracer, operation = self._tracer, self._operation
        tracer.begin(operation)
        began, mine = perf_counter(), own(user, operation)
        fresh = [one for one in mine if not one.connected]
        try:
            await operation.run(user)
        except Fault as fault:
            await listen(tracer, user, mine, QUIET)
            tracer.wrong(fault, operation.name)
            self._suggest(fault, mine)
            if tracer.check:
                tracer.parting = True
                raise
            await self._pass_over(user, mine)
            return
        tracer.right(operation, mine, perf_counter() - began)
        if not tracer.check and isinstance(operation, Send):
            await self._hear(user, mine)
        elif not tracer.check and getattr(operation, "action", "") == "connect" and fresh:
            await self._hear(user, fresh)

    async def _hear(self, user: VirtualUser, connections: Sequence[Connection]) -> None:
        """What the server says, of which nothing is known."""
        await listen(self._tracer, user, connections, FIRST)
        for one in connections:
            self._tracer.keep(one.name, self.name)
        forget(connections)

    def _suggest(self, fault: Fault, connections: Sequence[Connection]) -> None:
        names = [one.name for one in connections]
        failed = fault.evidence.socket
        for name in [failed] if failed in names else names:
            self._tracer.keep(name, self._operation.name)

    async def _pass_over(self, user: VirtualUser, connections: Sequence[Connection]) -> None:
        """Go on as if the reply had been right: it is what was to be kept of one."""
        save = getattr(self._operation, "save", None)
        if save is not None:
            user.set(save, b"".join(one.last for one in connections[-1:]))
        forget(connections)


class Linger:
    """The last step: what the server says when nobody asks any more."""

    name = "the end"

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def run(self, user: VirtualUser) -> None:
        await listen(self._tracer, user, user.connections, QUIET)
        self._tracer.parting = not user.script.after
        if not self._tracer.check:
            forget(user.connections)


def own(user: VirtualUser, operation: Operation) -> list[Connection]:
    """The connections of a step that its task drives."""
    places = getattr(operation, "sockets", range(len(user.connections)))
    return [user.connections[one] for one in places]


def forget(connections: Sequence[Connection]) -> None:
    """Owe nothing on these, and have nothing left to read; what has ended is closed."""
    for one in connections:
        if not one.connected:
            continue
        one.inbox.clear()
        one.verifier = one.rule_verifier = None
        one.unanswered.clear()
        if hasattr(one, "queue"):
            one.queue.clear()
        if one.eof or one.lost is not None or one.midway:
            one.abandon()
        else:
            one.update_dirty()


async def listen(
    tracer: Tracer, user: VirtualUser, connections: Sequence[Connection], first: float
) -> None:
    """Take in what comes: it begins within `first` seconds, and ends when QUIET ones pass."""
    until, wait = perf_counter() + MOST, first
    while perf_counter() < until:
        going = [one for one in connections if one.connected and not (one.paused or one.eof)]
        going = [one for one in going if one.lost is None and one.task is user]
        heard = tracer.heard
        for one in going:
            one.ready |= READ
            one.drain()
        if tracer.heard != heard:
            wait = QUIET
        elif not going or await readable(user, going, user.loop.limit(perf_counter(), wait)):
            return


def traced(operations: Sequence[Operation], tracer: Tracer) -> list[Operation]:
    """Steps that tell of themselves, and those within them; what only holds others is silent."""
    return [_traced(one, tracer) for one in operations]


def _traced(operation: Operation, tracer: Tracer) -> Operation:
    holds = [name for name in INNER if isinstance(getattr(operation, name, None), Sequence)]
    for name in holds:
        inner = getattr(operation, name)
        nested = inner and isinstance(inner[0], Sequence)
        told = [traced(one, tracer) for one in inner] if nested else traced(inner, tracer)
        setattr(operation, name, told)
    return operation if holds else Traced(operation, tracer)


def libraries(operations: Sequence[Any]) -> Iterator[Any]:
    """The libraries of the author's code that these steps call."""
    for one in operations:
        if (library := getattr(one, "library", None)) is not None:
            yield library
        for name in INNER:
            for inner in getattr(one, name, ()):
                yield from libraries(inner if isinstance(inner, Sequence) else [inner])
