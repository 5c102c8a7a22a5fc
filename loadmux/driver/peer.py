"""What is known of a connection at any moment: for those that carry it on, and that tell of it.

`evidence` and `suspects` read these fields of many connections; `connection` writes them.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar, NamedTuple

from loadmux.checking.verifying import RuleVerifier, Verifier
from loadmux.driver.endpoint import Endpoint
from loadmux.driver.inbox import Inbox
from loadmux.driver.loop import Loop, Task
from loadmux.driver.poller import GONE, READ
from loadmux.driver.tls import Secured
from loadmux.errors import Moment
from loadmux.measuring.volume import Volume

TRY = READ | GONE
READ_FIRST = 64 * 1024
"""Bytes that are read at a time at first: from 128 KiB on malloc(3) maps and unmaps memory."""
MOMENTS = 16
"""Lines of a transcript."""
SHOWN = 64
"""Bytes of a message in a transcript."""


class Sent(NamedTuple):
    """A message under way: when it was sent (`perf_counter` seconds), and how much later than it
    was to be, of an iteration that began on a schedule (seconds). `data` is all of it where the
    endpoint tells messages apart (`requests`), or will.
    """

    at: float
    delay: float
    data: bytes = b""


@dataclass(slots=True)
class Owed:
    """What a connection was waiting for when it was cut off, and since when (`perf_counter`).

    `timeout` is for how long (seconds) it would have waited, `step` the row of the report.
    """

    what: str
    since: float
    timeout: float
    step: str = ""


class Peer:
    """The state of one socket of one user.

    `label` names it in reports: the socket's name and the user's number. `unanswered` are the
    messages that have no answer yet, the oldest first. `ending`: a reply said that the connection
    ends with it. `opening`: what comes first on it is under way. `spoke`: bytes that were sent, not
    by `exchange`, since the server last said anything; `silent`: by a rule it never will. `owed` is
    there once it was cut off in a wait.

    `writer`: another task than the reader's, which sends on it meanwhile (see `duplex`); `unruled`
    is what it has sent that the rule has not been told yet, as nobody awaits its answer so far.

    `room` is how many bytes are read at a time: more where that was not enough, fewer where it was
    far too many. `reads_for` counts what is read, but by `exchange`, and `sends_for` what is sent:
    they are those of the rows of the steps that last read and sent.

    `eof`: the server has ended the stream in order; `lost`: why it has ended otherwise. Both come
    after what the `inbox` holds. `midway`: of a message only a part has left, be it that the rest
    is about to, or that it was given up; then the connection can carry no other message.
    `forsaken`: some of what came was read without being judged, so that the rest cannot be.
    """

    __slots__ = (
        "_recv",
        "_send",
        "awaited",
        "began",
        "debt",
        "dialed",
        "dirty",
        "ending",
        "endpoint",
        "eof",
        "fd",
        "forsaken",
        "inbox",
        "last",
        "last_at",
        "loop",
        "lost",
        "midway",
        "moments",
        "name",
        "number",
        "opened_at",
        "opening",
        "owed",
        "paused",
        "payload",
        "reads_for",
        "ready",
        "resume",
        "room",
        "rule_verifier",
        "sends_for",
        "silent",
        "sock",
        "spoke",
        "task",
        "tls",
        "turn",
        "unanswered",
        "unruled",
        "user",
        "verifier",
        "want",
        "writer",
    )

    _send: Callable[[bytes | memoryview], int]
    _recv: Callable[[int], bytes]
    socket_type: ClassVar[int] = socket.SOCK_STREAM
    datagrams: ClassVar[bool] = False

    def __init__(self, task: Task, endpoint: Endpoint, name: str, user: int) -> None:
        self.task = task
        self.loop: Loop = task.loop
        self.endpoint = endpoint
        self.name = name
        self.number = 0
        self.opening = False
        self.writer: Task | None = None
        self.user = user
        self.sock: socket.socket | None = None
        self.turn = 0
        self.reads_for = self.sends_for = Volume()
        self._clear()

    def _clear(self) -> None:
        self.fd = -1
        self.dirty = True
        self.moments: deque[Moment] | None = None
        self.ready = self.want = 0
        self.unanswered: list[Sent] = []
        self.unruled: tuple[bytes, ...] = ()
        self.eof = self.paused = self.ending = self.midway = False
        self.lost: OSError | None = None
        self.silent = self.forsaken = False
        self.spoke = 0
        self.room = READ_FIRST
        self.owed: Owed | None = None
        self.inbox = Inbox()
        self.payload = self.awaited = self.last = self.debt = b""
        self.began = self.last_at = self.opened_at = self.dialed = 0.0
        self.verifier: Verifier | None = None
        self.rule_verifier: RuleVerifier | None = None
        self.tls: Secured | None = None

    @property
    def label(self) -> str:
        return f"user {self.user}, socket {self.name}"

    @property
    def connected(self) -> bool:
        return self.sock is not None

    @property
    def streams_over_tcp(self) -> bool:
        """Whether bytes go out in TCP's segments."""
        return self.socket_type == socket.SOCK_STREAM and self.endpoint.family != socket.AF_UNIX

    @property
    def heard(self) -> Verifier | None:
        """Of the reply that is awaited, once some of it has come."""
        return self.verifier if self.verifier is not None and self.verifier.received else None

    def note(self, what: str, data: bytes = b"", when: float = 0.0) -> None:
        """Write a line into the transcript, which keeps the last few; `when` it was, if not now
        (`perf_counter` seconds).
        """
        if self.moments is None:
            self.moments = deque(maxlen=MOMENTS)
        if self.loop.tap is not None:
            self.loop.tap.noted(self, what)
        at = (when or perf_counter()) - self.loop.began
        self.moments.append(Moment(at, what, data[:SHOWN], len(data)))

    def update_dirty(self) -> None:
        ruled = self.rule_verifier is not None
        self.dirty = ruled or bool(self.unanswered) or self._is_unusual

    @property
    def _is_unusual(self) -> bool:
        """Whether more lies here, or is under way, than messages and their answers."""
        return bool(self.inbox) or self._is_odd

    @property
    def _is_odd(self) -> bool:
        """The same, bytes that nobody has taken yet left out."""
        return bool(
            self.sock is None
            or self.eof
            or self.lost is not None
            or self.ending
            or self.midway
            or self.paused
            or self.debt
        )

    @property
    def only_ruled(self) -> bool:
        """Whether it is `dirty` only because its rule allows more than has come."""
        return not (self.unanswered or self._is_unusual or self.ready & TRY)

    @property
    def only_asked(self) -> bool:
        """Whether it is `dirty` only because answers are owed."""
        return not (self.inbox or not self.only_answers)

    @property
    def only_answers(self) -> bool:
        """The same where some of what is owed may have come."""
        shared = self.rule_verifier is not None or self.writer is not None
        return not (shared or self._is_odd)

    def arm(self, mask: int) -> None:
        """Tell a level-triggered poller what to report of this socket from now on."""
        if self.loop.poller.level:
            self.loop.poller.arm(self.fd, mask)

    def unwanted(self, event: int) -> None:
        """The poller reported what nobody waits for: `ready` has it, a level-triggered one is to be
        silent now.
        """
        if self.loop.poller.level:
            self.loop.poller.arm(self.fd, 0 if event & (READ | GONE) else READ)


def peers(loop: Loop) -> Iterator[Peer]:
    """All connections of a loop."""
    return (one for one in loop.connections.values() if isinstance(one, Peer))
