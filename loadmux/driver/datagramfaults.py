"""What is wrong with datagrams: those that differ, that nobody asked for, and that do not come.

A datagram that does not come is a `timeout`. Unless the kernel dropped it here because nobody took
what lay before it: then the generator is to blame, and nothing can be said of the server.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections import deque
from collections.abc import Sequence
from time import perf_counter

from loadmux.checking import datagrams
from loadmux.checking.diagnosis import Finding, excerpt
from loadmux.checking.verifying import Verifier
from loadmux.driver import evidence
from loadmux.driver.connection import Connection
from loadmux.driver.loop import Interrupted, next_turn, wait_io
from loadmux.driver.poller import READABLE
from loadmux.driver.stream import GATHER, GATHER_MOST
from loadmux.driver.suspects import Labelled, Suspects, owed_elsewhere, recognized, suspects
from loadmux.errors import DriverFault, Fault, Kind

# socket(7), linux/sock_diag.h: nine integers, the last one counts the datagrams dropped.
SO_MEMINFO = 55
MEMINFO = struct.Struct("9I")


class DatagramFaults(Connection):
    """The faults of a connection; `queue`: datagrams that were read, and not asked for yet."""

    __slots__ = ("queue",)

    queue: deque[bytes]

    async def check_surplus(self) -> None:
        self.drain()
        if not self.queue or self.unanswered:
            return
        noticed, elsewhere = perf_counter(), owed_elsewhere(self)
        extra = [*self.queue, *await self._gather()]
        raise evidence.noticed(self._unasked(extra, elsewhere), self, noticed)

    def surplus(self, *extra: bytes) -> Fault:
        """The fault of datagrams that nobody asked for."""
        return self._unasked(extra, owed_elsewhere(self))

    def _unasked(self, extra: Sequence[bytes], elsewhere: Labelled) -> Fault:
        finding = datagrams.diagnose_surplus(extra, previous=self.last, owed_elsewhere=elsewhere)
        return self._found(finding, b"", extra[0])

    async def wrong(self, verifier: Verifier) -> Fault:
        noticed, known = perf_counter(), suspects(self, verifier)
        later = await self._gather()
        return evidence.noticed(self._wrong(verifier, known, later), self, noticed)

    def _wrong(self, verifier: Verifier, known: Suspects, later: Sequence[bytes]) -> Fault:
        if verifier.problem() is not None:
            return evidence.wrong(self, verifier, known)
        came = bytes(verifier.received)
        due, arrived = [verifier.expected()], [came]
        if (known_ones := verifier.messages) is not None:
            due, arrived = list(known_ones[0]), list(known_ones[1])
        elif not due[0]:
            assert verifier.wrong_at is not None
            finding = datagrams.diagnose_form(came, verifier.wrong_at, verifier.owed())
            return self._found(finding, b"", came)
        wanted, last = due[len(arrived) - 1], arrived[-1]
        others, alike = recognized(self, known, last, wanted)
        finding = datagrams.diagnose(
            due,
            arrived,
            later,
            pending=known.pending,
            previous=known.previous,
            owed_elsewhere=[*others, *known.elsewhere],
            ahead=known.later,
            crowd=0 if known.context is None else known.context.crowd,
            alike=alike,
        )
        if finding.kind is Kind.TIMEOUT or (known.pending and wanted not in later):
            self._blame_nobody_if_dropped()
        return self._found(finding, wanted, last)

    def _found(self, finding: Finding, expected: bytes, received: bytes) -> Fault:
        """The fault of one datagram, with that datagram as evidence."""
        fault = self.fault(finding.kind, finding.message)
        told = fault.evidence
        told.heard(received)
        told.offset, told.belongs_to = finding.offset, finding.belongs_to
        told.excerpt_at, told.expected, told.received = excerpt(expected, received, finding.offset)
        return fault

    def late(self, verifier: Verifier, timeout: float, quiet: float) -> Fault:
        self._blame_nobody_if_dropped()
        other = evidence.misdelivered(self, verifier.expected())
        if other is not None:
            text = f"no datagram within {timeout:g} s: it arrived on {other.label} instead"
            return evidence.fault(self, Kind.CROSSTALK, text, belongs_to=other.label)
        text = f"no datagram within {timeout:g} s (lost, or never sent); owed: {verifier.owed()}"
        return self.fault(Kind.TIMEOUT, text)

    def _blame_nobody_if_dropped(self) -> None:
        """Raises DriverFault if what does not come may have been lost here."""
        if self.sock is not None and (dropped := dropped_here(self.sock)):
            raise DriverFault(
                f"the kernel dropped {datagrams.count(dropped)} for want of room in a socket's"
                " receive buffer: give it a larger `receive_buffer`, or read sooner"
            )

    async def _gather(self) -> list[bytes]:
        """What comes until GATHER seconds of quiet, or for GATHER_MOST; an error ends it."""
        got: list[bytes] = []
        until = self.loop.awake() + GATHER_MOST
        timed_out = False
        while not timed_out and self.loop.awake() < until:
            try:
                while (data := self.take()) is not None and self.loop.awake() < until:
                    got.append(data)
                    if self.task.overtime():
                        await next_turn(self.task)
            except (Fault, Interrupted):
                break
            self.want = READABLE
            self.task.set_deadline(perf_counter() + GATHER)
            try:
                timed_out = await wait_io(self.task)
            except Interrupted:
                timed_out = True
            self.want = 0
        return got


def dropped_here(sock: socket.socket) -> int:
    """Datagrams that this socket's receive buffer had no room for; 0 where nobody counts."""
    if sys.platform != "linux":
        return 0
    try:
        return int(MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[8])
    except (OSError, struct.error):
        return 0
