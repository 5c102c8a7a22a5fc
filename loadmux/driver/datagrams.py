"""One UDP socket of one user, connected to its server: what is sent and received keeps boundaries.

Where it differs from the stream `Connection`, which it extends:
- Every read brings one whole datagram, an empty one too, and none is ever an end. A short read does
  not mean that the kernel has no more: only BlockingIOError does (epoll(7), Q&A 9).
- A connect asks nobody (udp(7)). That nobody listens is told by ICMP, as ECONNREFUSED of a later
  call; that somebody does is known when the first datagram comes (`Loop.answered`).
- What was read and not yet asked for waits in `queue`, not in `inbox`.
- What is said of wrong, missing and unasked datagrams is in `datagramfaults`.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Generator
from time import perf_counter
from types import coroutine
from typing import ClassVar

from loadmux.checking import datagrams
from loadmux.checking.simple import LARGEST_DATAGRAM
from loadmux.checking.verifying import Verifier
from loadmux.driver.awaiting import Awaited, await_replies, cut_off
from loadmux.driver.connection import Clock, Plan
from loadmux.driver.datagramfaults import DatagramFaults
from loadmux.driver.listening import Listener
from loadmux.driver.loop import Interrupted
from loadmux.driver.owntime import NOT_MEASURED
from loadmux.driver.peer import TRY, Sent
from loadmux.driver.poller import READABLE
from loadmux.errors import DriverFault, Fault, Kind

ANY_DATAGRAM = 64 * 1024
READS_AT_ONCE = 256


class DatagramConnection(DatagramFaults):
    """See the module."""

    __slots__ = ()

    socket_type: ClassVar[int] = socket.SOCK_DGRAM
    datagrams: ClassVar[bool] = True
    lean: ClassVar[bool] = False

    def _clear(self) -> None:
        super()._clear()
        self.queue = deque()

    def update_dirty(self) -> None:
        super().update_dirty()
        self.dirty = self.dirty or bool(self.queue)

    @coroutine
    def exchange(
        self, plan: Plan, payload: bytes, clock: Clock = perf_counter
    ) -> Generator[None, bool, None]:
        """As that of a stream; after a right reply the socket is read until it has no more."""
        self.payload = payload
        self.awaited = likely = plan.likely
        record = plan.record
        self.began = began = clock()
        try:
            self._send(payload)
        except OSError as error:
            yield from self._exchange_carefully(plan, payload, began, error)
            return
        self.want = READABLE
        task = self.task
        task.deadline = deadline = began + plan.timeout
        if deadline < task.alarm:
            self.loop.push_alarm(task, deadline)
        failed: OSError | None = None
        try:
            late = yield
            if not late:
                try:
                    data = self._recv(ANY_DATAGRAM)
                except OSError as error:
                    failed = error
                else:
                    self.loop.answered.add(self.endpoint.url)
                    if data == likely or (plan.swift and plan.fits(data)):
                        self.last = data
                        self.last_at = now = clock()
                        record(now - began if began >= self.loop.woke else NOT_MEASURED)
                        self._look_for_more()
                        return
                    plan.sent(self, payload, len(payload))
                    self._put(data)
        except Interrupted:
            plan.sent(self, payload, len(payload))
            cut_off([Awaited(self, plan.verifier(), began, 0.0)], plan.timeout)
            raise
        if late or failed is not None:
            plan.sent(self, payload, len(payload))
        if failed is not None:
            self._receive_failed(failed)
        self.want = 0
        awaited = plan.awaited(self, began, late)
        yield from await_replies(task, [awaited], plan.timeout)
        plan.over(awaited)
        self.drain()

    async def _exchange_carefully(
        self, plan: Plan, payload: bytes, began: float, error: OSError | None = None
    ) -> None:
        plan.sent(self, payload, 0)
        awaited = Awaited(self, plan.verifier(), began)
        await self.tell(awaited, payload, plan.timeout, 0, error, plan.bounded)
        plan.over(awaited)
        self.drain()

    def _put(self, data: bytes) -> None:
        """Keep a datagram that was read for whoever takes it."""
        self.reads_for.received += len(data)
        self.note("received", data)
        self.queue.append(data)

    def _look_for_more(self) -> None:
        """`drain`, where there is nothing, as a rule. Raises Fault."""
        try:
            data = self._recv(ANY_DATAGRAM)
        except BlockingIOError:
            self.ready = 0
        except OSError as error:
            self._receive_failed(error)
        else:
            self._put(data)
            self.dirty = True
            self.drain()

    def _dial(self) -> tuple[socket.socket, int]:
        sock, code = super()._dial()
        return sock, errno.EADDRNOTAVAIL if code == errno.EAGAIN else code

    # --- datagrams in and out -------------------------------------------------------------------

    async def send_rest(
        self, payload: bytes, sent: int, timeout: float, listener: Listener | None = None
    ) -> bool:
        """Send `payload` as one datagram, an empty one too. Raises Fault, or DriverFault if it is
        too large.
        """
        if payload:
            return await super().send_rest(payload, sent, timeout, listener)
        try:
            self._send(payload)
        except BlockingIOError:
            pass
        except OSError as error:
            return await self._not_sent(error, listener)
        return True

    async def _not_sent(self, error: OSError, listener: Listener | None) -> bool:
        if error.errno == errno.EMSGSIZE:
            raise DriverFault(
                f"a datagram is larger than UDP allows ({LARGEST_DATAGRAM} bytes): send less, or"
                " in 'pieces'"
            ) from None
        fault = self._lost(error, " while sending")
        if listener is not None and await listener.heard_out():
            return False
        raise fault from None

    def _receive_failed(self, error: OSError) -> None:
        super()._receive_failed(error)
        if self.lost is not None:
            self.lost = None  # nothing ends a UDP socket
            raise self._lost(error, "") from None

    def _lost(self, error: OSError, when: str) -> Fault:
        if error.errno == errno.ECONNREFUSED:
            text = f"nobody listens at {self.endpoint.url} (ICMP: port unreachable)"
            return self.fault(Kind.REFUSED, text)
        text = f"{self.endpoint.url} cannot be reached{when}: {error.strerror}"
        return self.fault(Kind.UNREACHABLE, text)

    def take(self) -> bytes | None:
        """The next datagram; None when there is none yet. Raises Fault."""
        if self.queue:
            return self.queue.popleft()
        return self._read() if self.ready & TRY else None

    def _read(self) -> bytes | None:
        try:
            data = self._recv(ANY_DATAGRAM)
        except OSError as error:
            self._receive_failed(error)
            return None
        self.loop.answered.add(self.endpoint.url)
        self.reads_for.received += len(data)
        self.note("received", data)
        return data

    @property
    def at_hand(self) -> bool:
        return bool(self.queue) or self.more

    def drain(self) -> None:
        """Move what the kernel holds into the queue, as of a stream."""
        for _ in range(READS_AT_ONCE):
            if self.paused or not self.ready & TRY or (data := self._read()) is None:
                break
            self.queue.append(data)
            self.dirty = True

    # --- replies --------------------------------------------------------------------------------

    def give(self, verifier: Verifier, data: bytes) -> None:
        """Have one datagram checked, which must be a whole reply and nothing else."""
        verifier.take_whole(data)

    def settle(self, verifier: Verifier) -> Sent | None:
        sent = super().settle(verifier)
        if isinstance(verifier, datagrams.Datagrams) and verifier.arrived:
            self.last = verifier.arrived[-1]
        self.update_dirty()
        return sent

    # --- closing --------------------------------------------------------------------------------

    def close_plainly(self, last: bool) -> bool:
        return False

    def say_goodbye(self) -> bool:
        return False
