"""Tells what happens to one user: its steps, and every byte on its sockets as it is tapped.

Bytes are told as they come, before anything judges them. What came and was not asked for is kept,
to be suggested at the end.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter

from loadmux.driver.connection import Connection
from loadmux.driver.peer import Peer
from loadmux.driver.user import Operation
from loadmux.errors import Evidence, Fault
from loadmux.language.describing.suggesting import suggested
from loadmux.language.meaning.scenario import Scenario
from loadmux.report import figures, wire
from loadmux.report.faults import evidence_as_text
from loadmux.running.steps.ending import End
from loadmux.running.steps.exchanging import Exchange
from loadmux.running.steps.performing import Perform

Say = Callable[[str, str], None]
"""Prints a line in a style (`bold`, `dim`, `good`, `bad`, or none)."""
LARGE = 1 << 20
CHECKED = (Exchange, End, Perform)
TOLD_BY_TAP = ("sent", "received", "closed by the server")


@dataclass(slots=True)
class Talk:
    """What went over `socket` since its last right reply; `step` is the last that spoke on it.

    `ahead`: so many bytes that are still to be read were told already.
    """

    socket: str
    step: str = ""
    sent: bytes = b""
    came: bytes = b""
    ended: bool = False
    ahead: int = 0


@dataclass
class Tracer:
    """Tells what happens. `check` false: nothing is said of what was expected, and it goes on.

    `heard` counts what was read, `step` is the last that began, `parting`: what comes from now
    on comes because we leave.
    """

    scenario: Scenario
    say: Say
    check: bool = True
    talks: dict[str, Talk] = field(default_factory=dict)
    answers: list[Talk] = field(default_factory=list)
    told: list[Evidence] = field(default_factory=list)
    heard: int = 0
    step: str = ""
    parting: bool = False
    began: float = field(default_factory=perf_counter)

    def __post_init__(self) -> None:
        self.lines = {one.name: one.where.line for one in self.scenario.every_step}
        self.framings = {one.name: one.framing for one in self.scenario.sockets}

    # --- the wire -------------------------------------------------------------------------------

    def opened(self, connection: Peer) -> None:
        """A connection can be spoken on: listen to both directions."""
        self._event(connection, f"connected to {connection.endpoint.url}")
        self.talks[connection.name] = Talk(connection.name, self.step)
        self._listen(connection)

    def secured(self, connection: Peer) -> None:
        """TLS has begun on a connection that was open."""
        self._event(connection, "TLS has begun")
        self._listen(connection)

    def _listen(self, connection: Peer) -> None:
        send, receive, name = connection._send, connection._recv, connection.name

        def sending(data: bytes | memoryview) -> int:
            count = send(data)
            self._sent(connection, bytes(data[:count]))
            return count

        def receiving(size: int) -> bytes:
            try:
                data = receive(size)
            except BlockingIOError:
                raise
            except OSError as error:
                self._event(connection, f"lost: {error.strerror or error}")
                self.talks[name].ended = True
                raise
            self._received(connection, data)
            return data

        connection._send, connection._recv = sending, receiving

    def noted(self, connection: Peer, what: str) -> None:
        """Something else happened to it."""
        if what not in TOLD_BY_TAP:
            self._event(connection, what)

    def closed(self, connection: Peer) -> None:
        """It is given up, by us at last."""
        if connection.opened_at and not connection.eof:
            self._event(connection, "closed")

    def _sent(self, connection: Peer, data: bytes) -> None:
        talk = self.talks[connection.name]
        if talk.came:
            talk.sent = talk.came = b""
        talk.step, talk.sent = self.step, talk.sent + data
        self._bytes(connection, "->", data)

    def _received(self, connection: Peer, data: bytes) -> None:
        self.heard += 1
        talk = self.talks[connection.name]
        if not data and not connection.datagrams:
            talk.ended = True
            self._event(connection, "closed by the server")
            return
        data, talk.ahead = data[talk.ahead :], max(0, talk.ahead - len(data))
        if not talk.ahead and (data or connection.datagrams):
            more = behind(connection)
            talk.ahead, data = len(more), data + more
            if not self.parting:
                talk.came += data
            self._bytes(connection, "<-", data)

    def _event(self, connection: Peer, what: str) -> None:
        if not self.parting:
            self.say(f"  {self._at()}  {connection.name}  {what}", "dim")

    def _bytes(self, connection: Peer, arrow: str, data: bytes) -> None:
        self.say(f"  {self._at()}  {connection.name}  {arrow} {figures.size(len(data))}", "dim")
        for line in wire.lines(data):
            self.say(f"        {arrow} {line}", "")

    def _at(self) -> str:
        return f"{perf_counter() - self.began:9.6f} s"

    # --- the steps ------------------------------------------------------------------------------

    def begin(self, operation: Operation) -> None:
        self.step = operation.name
        line = self.lines.get(operation.name)
        where = f" ({self.scenario.path}:{line})" if line else ""
        self.say("", "")
        self.say(f"{operation.name}{where}", "bold")

    def right(self, operation: Operation, connections: Sequence[Connection], took: float) -> None:
        """A step is done; what came for it has been asked for."""
        if not isinstance(operation, CHECKED):
            return
        for connection in connections:
            talk = self.talks.get(connection.name)
            if talk is not None:
                talk.sent, talk.came = b"", connection.inbox.peek(connection.inbox.size)
        if self.check:
            who = "" if operation.name == self.step else f"{operation.name}: "
            self.say(f"  ✓ {who}as expected, {figures.time(took)}", "good")

    def wrong(self, fault: Fault, step: str) -> None:
        """A step has failed, and all that came has been told."""
        evidence = fault.evidence
        self.told.append(evidence)
        if self.check:
            evidence.step = evidence.step or step
            self.blame(evidence)

    def blame(self, evidence: Evidence) -> None:
        for number, line in enumerate(evidence_as_text(evidence)):
            self.say(f"  {line}" if number else f"  ✗ {evidence.kind}: {line}", "bad")

    def keep(self, name: str, step: str) -> None:
        """What came on a socket is no more than that: it will be suggested."""
        talk = self.talks.get(name)
        if talk is not None and (talk.came or talk.sent or talk.ended):
            talk.step = step or talk.step
            self.answers.append(talk)
            self.talks[name] = Talk(name, talk.step)

    def conclude(self) -> None:
        """At the end: what to write for what came and was not asked for."""
        for name in list(self.talks):
            if self.talks[name].came:
                self.keep(name, "")
        if not self.answers:
            return
        self.say("", "")
        self.say("Suggested, for what came:", "bold")
        several = len(self.framings) > 1
        for talk in self.answers:
            framing = self.framings.get(talk.socket)
            first, *rest = suggested(talk.sent, talk.came, talk.ended, framing)
            line = self.lines.get(talk.step)
            self.say(f"  {talk.step}{f' (line {line})' if line else ''}: expect: {first}", "")
            for one in rest:
                on = f"on: {talk.socket}, " if several else ""
                self.say(f"    and after it - {{{on}expect: {one}}}", "")


def behind(connection: Peer) -> bytes:
    """What the kernel, or TLS, holds behind what was just read: who reads so much belongs to us."""
    if connection.datagrams or connection.sock is None:
        return b""
    if connection.tls is not None:
        return connection.tls.peek(LARGE)
    with suppress(OSError):
        return connection.sock.recv(LARGE, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return b""
