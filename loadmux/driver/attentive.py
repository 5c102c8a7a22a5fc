"""Connections on which a server may speak at any time (`ignore`, `answer`).

What may come at any time is taken out before anybody else sees it, counted, and answered at once:
such a connection is read also while no step waits for it (`unwanted`). What it reads then and does
not take waits in the inbox, as ever; with KEPT bytes there it leaves the rest in the kernel.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import ClassVar

from loadmux.checking.framing import Frame, FrameError, Framing, first_frame
from loadmux.checking.headed import AnyJudge
from loadmux.checking.sifting import Sieve, taken
from loadmux.checking.verifying import Verifier
from loadmux.driver.awaiting import Awaited
from loadmux.driver.connection import Clock, Connection, Plan
from loadmux.driver.datagrams import READS_AT_ONCE as DATAGRAMS_AT_ONCE
from loadmux.driver.datagrams import DatagramConnection
from loadmux.driver.endpoint import AnyTime, Endpoint
from loadmux.driver.loop import Task, at_once
from loadmux.driver.poller import READABLE
from loadmux.driver.reading import READS_AT_ONCE
from loadmux.driver.stream import KEPT
from loadmux.errors import Fault


class Attentive(Connection):
    """Is read also while nobody waits for it, unless it is `crowded`."""

    __slots__ = ()

    lean: ClassVar[bool] = False

    @property
    def crowded(self) -> bool:
        """Whether so much waits to be taken that the rest is left in the kernel."""
        return self.inbox.size >= KEPT

    async def connect(self, timeout: float) -> float:
        took = await super().connect(timeout)
        self.drain()  # what came meanwhile is told by no further event
        return took

    def unwanted(self, event: int) -> None:
        if event & READABLE and self.opened_at and self.more and not self.crowded:
            self.drain()
        else:
            super().unwanted(event)


class AttentiveConnection(Attentive):
    """A stream; `_passed` is the last reply that was found to hold nothing that is taken out."""

    __slots__ = ("_passed", "_sieve")

    def _clear(self) -> None:
        any_time = said(self.endpoint)
        assert any_time.framing is not None, "a stream without frames has nothing to take out"
        self._passed = b""
        self._sieve = Sieve(any_time.framing, self._judges, partial(answer_to, self))
        super()._clear()

    def _judges(self) -> Sequence[AnyJudge]:
        return said(self.endpoint).judges(self.task, self.name)

    def exchange(  # type: ignore[override]  # awaited alike
        self, plan: Plan, payload: bytes, clock: Clock = perf_counter
    ) -> Awaitable[None]:
        if plan.swift or self._plain(plan.likely):
            return super().exchange(plan, payload, clock)
        return self._exchange_sifted(plan, payload, clock())

    def _fits(self, plan: Plan, data: bytes | None) -> bool:
        return data is not None and self._plain(data) and plan.fits(data)

    def _plain(self, likely: bytes) -> bool:
        """Whether a reply may be compared as it comes, without the sieve."""
        if likely == self._passed:
            return not self._sieve.busy
        passes = self._sieve.passes(likely)
        if passes and said(self.endpoint).constant:
            self._passed = likely
        return passes

    async def _exchange_sifted(self, plan: Plan, payload: bytes, began: float) -> None:
        plan.sent(self, payload, 0)
        awaited = Awaited(self, plan.verifier(), began)
        await self.tell(awaited, payload, plan.timeout, bounded=plan.bounded)
        plan.over(awaited)

    async def check_surplus(self) -> None:
        if not self.inbox:
            self._sieve.begin_anew()  # a prompt was read, which has no end of its own
        await super().check_surplus()

    @property
    def _is_unusual(self) -> bool:
        return self._sieve.busy or super()._is_unusual

    def _keep(self, data: bytes | None, size: int) -> None:
        if data is None:
            return
        self._took(data, size)
        if data:
            self.note("received", data)
        self.inbox.add(self._sieve.feed(data) if data else self._left())

    def _pull(self) -> bytes | None:
        for _ in range(READS_AT_ONCE):
            data = super()._pull()
            if data is None:
                return None
            rest = self._sieve.feed(data) if data else self._left()
            if rest or not self.more:
                return rest if rest or self.eof else None
        return None

    def held(self) -> bytes:
        return self._sieve.release()

    @property
    def half_read(self) -> int:
        return len(self._sieve.held)

    def _left(self) -> bytes:
        """At the end of the stream: what was held back, if somebody waits for a reply."""
        return self.held() if self.verifier is not None else b""

    def late(self, verifier: Verifier, timeout: float, quiet: float) -> Fault:
        """The fault of a reply that did not come; what was held back is part of it."""
        held = self.held()
        if held and not verifier.done:
            self.give(verifier, held)
            if verifier.wrong_at is not None:
                return at_once(self.task, self.wrong(verifier))
        return super().late(verifier, timeout, quiet)


class AttentiveDatagrams(Attentive, DatagramConnection):
    """A datagram is a frame, or where the socket has no framing the whole of what is judged."""

    __slots__ = ()

    def exchange(  # type: ignore[override]  # awaited alike
        self, plan: Plan, payload: bytes, clock: Clock = perf_counter
    ) -> Awaitable[None]:
        return self._exchange_carefully(plan, payload, clock())

    @property
    def crowded(self) -> bool:
        return len(self.queue) >= KEPT

    def _read(self) -> bytes | None:
        for _ in range(DATAGRAMS_AT_ONCE):
            data = super()._read()
            if data is None or not self._takes(data):
                return data
        return None

    def _takes(self, data: bytes) -> bool:
        any_time = said(self.endpoint)
        framing = any_time.framing
        frame = Frame(data, b"") if framing is None else frame_of(framing, data)
        judges = any_time.judges(self.task, self.name)
        return frame is not None and taken(frame, judges, partial(answer_to, self))


def said(endpoint: Endpoint) -> AnyTime:
    """What may come at any time."""
    assert endpoint.any_time is not None
    return endpoint.any_time


def answer_to(connection: Connection, which: int, names: Mapping[str, bytes]) -> None:
    """Count a frame that was taken, and answer it."""
    answer = said(connection.endpoint).taken(connection.task, connection.name, which, names)
    if answer:
        connection.answer(answer)


def frame_of(framing: Framing, datagram: bytes) -> Frame | None:
    """The one frame that a datagram is; None where it is no such thing."""
    try:
        frame = first_frame(framing, datagram)
    except FrameError:
        return None
    return None if frame is None or frame.rest else frame


def connection_for(task: Task, endpoint: Endpoint, name: str, user: int) -> Connection:
    """A user's socket of the kind that the endpoint needs."""
    kind: type[Connection] = DatagramConnection if endpoint.datagrams else Connection
    if endpoint.any_time is not None:
        kind = AttentiveDatagrams if endpoint.datagrams else AttentiveConnection
    return kind(task, endpoint, name, user)
