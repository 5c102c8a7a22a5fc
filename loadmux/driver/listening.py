"""Replies that come while their message is still being sent: judged then, and not after it.

A server may answer before it has taken a message whole: it refuses one that is too large, or says
why it will go, and then reads no more, closes, or resets. Who only sends would tell of a stalled
send or a lost connection, and never of what the server said. So a step that sends and awaits
listens meanwhile, on all its sockets:

- A wrong byte is the fault, whatever became of the sending.
- A whole right reply ends the sending: what is unsent of its message is given up (RFC 9112, section
  9.5), and with it the connection for any other message (`Connection.midway`).
- Where sending fails, what had come before is judged first.

Two kinds of replies end no sending. What a rule makes of a message cannot be whole before the
message is (`Awaited.held`; a counting rule may be content with it, but more will come). And while
replies to earlier messages of the socket are owed, the next one is theirs (`Awaited.alone` false).
"""

from __future__ import annotations

from time import perf_counter
from typing import Protocol

from loadmux.driver.loop import Task, next_turn, wait_io
from loadmux.driver.poller import READABLE
from loadmux.errors import Fault


class Readable(Protocol):
    """A connection that is listened to."""

    paused: bool
    want: int
    eof: bool

    def drain(self) -> None: ...


class Expected(Protocol):
    """What a step awaits on one connection: a reply, or an end."""

    @property
    def connection(self) -> Readable: ...

    over: bool
    held: bool
    alone: bool

    def advance(self, timeout: float) -> bool:
        """Judge what has come; true when all that was awaited is there. Raises Fault."""
        ...

    @property
    def wrong(self) -> bool:
        """Whether a wrong byte has come."""
        ...

    @property
    def more(self) -> bool:
        """Whether there is more to judge, or may be."""
        ...

    async def judged(self) -> Fault:
        """The fault of the wrong byte."""
        ...

    def cut_off(self, timeout: float) -> None:
        """Time is up: judge what has come, and note what is owed for how long. Raises Fault."""
        ...


class Listener:
    """What a step awaits on the sockets on which it has begun to send; it sends on the last one.

    `timeout` (seconds) is the longest wait without progress of a reply.
    """

    def __init__(self, task: Task, timeout: float) -> None:
        self._task = task
        self._timeout = timeout
        self._awaited: list[Expected] = []

    def begin(self, awaited: Expected) -> None:
        """From now on the step sends on this one's connection."""
        self._awaited.append(awaited)

    @property
    def _heeded(self) -> list[Expected]:
        """Those that may still bring something."""
        return [one for one in self._awaited if not (one.over or one.connection.paused)]

    async def look(self) -> bool:
        """Judge what has come; whether what is being sent has its reply. Raises Fault."""
        for one in self._heeded:
            one.over = one.advance(self._timeout)
            if one.wrong:
                raise await one.judged()
            if one.held:
                one.connection.drain()  # a reply that is whole so far may go on
        sending = self._awaited[-1]
        return sending.over and sending.alone

    @property
    def more(self) -> bool:
        """Whether a look was left off for the sake of others, and is to go on."""
        return any(one.more for one in self._heeded)

    def cut_off(self) -> None:
        """Time is up. Raises Fault for what is wrong or lost."""
        for one in self._heeded:
            one.cut_off(self._timeout)

    async def heard_out(self) -> bool:
        """As `look`, at a connection that is gone. Raises only the fault of a wrong reply."""
        sending = self._awaited[-1]
        try:
            while not await self.look():
                if not sending.more:
                    return False
                await next_turn(self._task)
        except Fault:
            if sending.wrong:
                raise
            return False
        return True

    async def wait(self) -> bool:
        """Wait until the sending connection is ready as it wants, or another may have brought
        something; true if the task's deadline has passed.
        """
        others = [one.connection for one in self._heeded]
        others = [one for one in others if not (one.want or one.eof)]
        for connection in others:
            connection.want = READABLE
        try:
            return await wait_io(self._task)
        finally:
            for connection in others:
                connection.want = 0

    async def sleep_until(self, until: float) -> bool:
        """Listen until the `perf_counter` time `until`, or until `look` is true. Raises Fault."""
        while not (enough := await self.look()) and perf_counter() < until:
            if self.more:
                await next_turn(self._task)
            else:
                self._task.set_deadline(until)
                await self.wait()
        return enough
