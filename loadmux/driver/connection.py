"""One socket of one user: connect, send, await checked replies, close. The hot path is `exchange`.

What makes it fast, and what must stay so:
- Edge-triggered readiness is kept in `ready`, so `exchange` goes from `send` straight to waiting
  without the `recv` that would only say EAGAIN; a read shorter than asked for says that the socket
  is drained (epoll(7), Q&A 9). GONE bits stay set: they mean "always try".
- A reply that arrives as one piece is compared with the reply that was worked out beforehand
  (`likely`). Anything else, right or wrong, goes to the verifier, which may take its time.
- `dirty` is one flag for all that needs care: not connected, bytes left over, a rule that is owed
  more, reading stopped. Whoever calls `exchange` looks at it, and at `ready`, first.

How it begins and ends is in `connecting`, its bytes in `reading` and `sending`, what they come to
in `stream`, the replies that did not come as was likely in `awaiting`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from time import perf_counter
from types import coroutine
from typing import ClassVar

from loadmux.checking.verifying import Verifier
from loadmux.driver.awaiting import Awaited, await_replies, cut_off
from loadmux.driver.listening import Listener
from loadmux.driver.loop import NEVER, Interrupted
from loadmux.driver.owntime import NOT_MEASURED
from loadmux.driver.poller import READ, READABLE
from loadmux.driver.stream import Stream
from loadmux.measuring.recorder import Record, Recorder

SMALL = 16 * 1024

Clock = Callable[[], float]


class Plan:
    """What `exchange` needs of a step: `judge` makes the verifier of a reply that came in pieces.

    `likely` is the reply if it comes in one piece, `size` one byte more than that: a read that gets
    it whole has emptied the socket. `record` takes the latency in seconds where it has come in one
    piece, and counts its bytes and those of the message; `recorder` takes any other. `timeout` is
    the longest wait without progress, or (`bounded`) the whole wait. `context` is for the report of
    a wrong reply.
    """

    __slots__ = ("bounded", "context", "judge", "likely", "record", "recorder", "size", "timeout")

    # Not a dataclass: a templated step makes one each time, and __post_init__ is a call more.
    def __init__(
        self,
        likely: bytes,
        judge: Callable[[], Verifier],
        recorder: Recorder,
        record: Record,
        timeout: float,
        context: object = None,
        bounded: bool = False,
    ) -> None:
        self.likely = likely
        self.judge = judge
        self.recorder = recorder
        self.record = record
        self.timeout = timeout
        self.context = context
        self.bounded = bounded
        self.size = len(likely) + 1

    def verifier(self) -> Verifier:
        verifier = self.judge()
        verifier.context = self.context
        return verifier

    def awaited(self, connection: Connection, began: float, late: bool) -> Awaited:
        """A reply that did not come in one piece; `late`: nothing has come in time."""
        loop = connection.loop
        if self.bounded and not late:
            due = connection.task.deadline - loop.stood
        else:
            due = loop.limit(perf_counter(), 0.0 if late else self.timeout)
        until = due if self.bounded else NEVER
        return Awaited(connection, self.verifier(), began, due, until)

    def over(self, awaited: Awaited) -> None:
        """A reply that was not just the likely one is there, and right."""
        self.recorder(awaited.took)

    def sent(self, connection: Connection, payload: bytes, count: int) -> None:
        """So much of a message has left, and the reply will not be recorded by `record`."""
        connection.sends_for = connection.reads_for = volume = self.recorder.volume
        volume.sent += count

    swift: ClassVar[bool] = False
    """Whether `fits` may know a whole right reply that is not `likely`."""

    def fits(self, data: bytes | None) -> bool:
        """Whether one read has brought the whole right reply; then it is settled."""
        return False


class Connection(Stream):
    """See the module."""

    __slots__ = ()

    lean: ClassVar[bool] = True
    """Whether what is read is the reply, as it comes."""

    # --- the hot path ---------------------------------------------------------------------------

    @coroutine
    def exchange(
        self, plan: Plan, payload: bytes, clock: Clock = perf_counter
    ) -> Generator[None, bool, None]:
        """Send `payload`, await its reply and record the time; only if not `dirty`, nothing `TRY`.

        Raises Fault.
        """
        self.payload = payload
        self.awaited = likely = plan.likely
        # What is likely may be another reply when this one has come.
        size, record = plan.size, plan.record
        self.began = began = clock()
        try:
            sent = self._send(payload)
        except OSError as error:
            yield from self._exchange_in_parts(plan, payload, began, error=error)
            return
        if sent != len(payload):
            yield from self._exchange_in_parts(plan, payload, began, sent)
            return
        self.want = READABLE
        task = self.task
        task.deadline = deadline = began + plan.timeout
        if deadline < task.alarm:
            self.loop.push_alarm(task, deadline)
        try:
            late = yield
            if not late:
                try:
                    data: bytes | None = self._recv(size)
                except OSError as error:
                    plan.sent(self, payload, sent)
                    sent = 0
                    data = None
                    self._receive_failed(error)
                if data == likely or (plan.swift and self._fits(plan, data)):
                    self.ready &= ~READ
                    self.last = data  # type: ignore[assignment]  # what fits is no None
                    self.last_at = now = clock()
                    record(now - began if began >= self.loop.woke else NOT_MEASURED)
                    return
                plan.sent(self, payload, sent)
                sent = 0
                self._keep(data, size)
        except Interrupted:
            plan.sent(self, payload, sent)
            cut_off([Awaited(self, plan.verifier(), began, 0.0)], plan.timeout)
            raise
        if sent:
            plan.sent(self, payload, sent)
        self.want = 0
        awaited = plan.awaited(self, began, late)
        yield from await_replies(self.task, [awaited], plan.timeout)
        plan.over(awaited)

    def _fits(self, plan: Plan, data: bytes | None) -> bool:
        """`Plan.fits`, of a plan that is `swift`."""
        return plan.fits(data)

    async def _exchange_in_parts(
        self, plan: Plan, payload: bytes, began: float, sent: int = 0, error: OSError | None = None
    ) -> None:
        """The same where the kernel took only `sent` bytes at first, or said `error`."""
        plan.sent(self, payload, sent)
        awaited = Awaited(self, plan.verifier(), began)
        await self.tell(awaited, payload, plan.timeout, sent, error, plan.bounded)
        plan.over(awaited)

    async def tell(
        self,
        awaited: Awaited,
        payload: bytes,
        timeout: float,
        sent: int = 0,
        error: OSError | None = None,
        bounded: bool = False,
    ) -> None:
        """Send `payload` from offset `sent` on and await its reply, for `timeout` seconds at most
        if `bounded`. Raises Fault.
        """
        listener = Listener(self.task, timeout)
        await self.say(awaited, payload, timeout, listener, sent, error)
        if not awaited.over:
            awaited.due = self.loop.limit(perf_counter(), timeout)
            awaited.until = awaited.due if bounded else NEVER
            await await_replies(self.task, [awaited], timeout)

    async def say(
        self,
        awaited: Awaited,
        payload: bytes,
        timeout: float,
        listener: Listener,
        sent: int = 0,
        error: OSError | None = None,
    ) -> None:
        """Send `payload` from offset `sent` on; the reply may be `over` then. Raises Fault."""
        awaited.listen(listener)
        self.midway = not self.datagrams
        try:
            if error is not None and not isinstance(error, BlockingIOError):
                whole = await self._not_sent(error, listener)
            else:
                whole = await self.send_rest(payload, sent, timeout, listener)
        except Interrupted:
            listener.cut_off()
            raise
        self.sent(whole)
        awaited.held = False
