"""Replies under way: each is judged as it comes, until all are complete, or one is at fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from loadmux.checking.verifying import RuleVerifier, Verifier
from loadmux.driver import evidence
from loadmux.driver.listening import Listener
from loadmux.driver.loop import NEVER, Interrupted, Task, at_once, next_turn, wait_io
from loadmux.driver.peer import Owed, Sent
from loadmux.driver.poller import READ, READABLE
from loadmux.driver.stream import Stream
from loadmux.errors import Fault, Kind


@dataclass(slots=True)
class Awaited:
    """A reply under way, since the `perf_counter` time `began`; the rest in the loop's own time.

    `due` moves on with each arrival (`heard`, 0 before the first), up to `until`; `took` is the
    latency in seconds, NaN where a standstill spoilt it; `sent` is what the reply answered.
    `asked`: it answers something; else it is a greeting, or what a server tells unasked. `over` is
    set by the listener when the reply is there; `held`, `alone`: see `listening`. `left`: so much
    has come that the rest was left for the next turn.
    """

    connection: Stream
    verifier: Verifier
    began: float
    due: float = NEVER
    until: float = NEVER
    heard: float = 0.0
    took: float = 0.0
    ended: float = 0.0
    sent: Sent | None = None
    asked: bool = True
    over: bool = False
    held: bool = False
    alone: bool = True
    left: bool = False

    def listen(self, listener: Listener) -> None:
        """Its message is about to be sent, so the reply may come from now on."""
        self.held = self.verifier.done or isinstance(self.verifier, RuleVerifier)
        self.connection.verifier = self.verifier
        listener.begin(self)

    @property
    def wrong(self) -> bool:
        return self.verifier.wrong_at is not None

    @property
    def more(self) -> bool:
        so_far = self.held and self.verifier.done
        return self.connection.more if so_far else self.connection.at_hand

    async def judged(self) -> Fault:
        return await self.connection.wrong(self.verifier)

    def advance(self, timeout: float) -> bool:
        """Check what has come; true when the reply is complete and right."""
        connection, verifier = self.connection, self.verifier
        self.left = False
        while not verifier.done:
            try:
                data = connection.take()
            except Fault as fault:
                if fault.evidence.kind is Kind.RESET and verifier.reset():
                    return self._over()
                raise
            if data is None:
                self.left = connection.more
                return False
            if not data and connection.eof:
                return self._end()
            connection.give(verifier, data)
            connection.answer(verifier.answer())
            if verifier.wrong_at is not None:
                return False
            if verifier.moved:
                self.heard = connection.loop.awake()
                self.due = min(self.heard + timeout, self.until)
            if not verifier.done and connection.task.overtime():
                self.left = connection.at_hand
                return False
        if self.held:
            return False
        self._complete()
        if verifier.closes:
            connection.hang_up()
        return True

    def cut_off(self, timeout: float) -> None:
        """Time is up: see the function."""
        connection, verifier = self.connection, self.verifier
        connection.want = 0
        connection.ready |= READ  # an event may be on its way
        connection.verifier = verifier
        whole = self.advance(timeout)
        if verifier.wrong_at is not None:
            raise at_once(connection.task, connection.wrong(verifier)) from None
        sending = connection.midway or connection.owed is not None
        nobody_asked = connection.writer is not None and not connection.unanswered
        if whole or sending or nobody_asked:
            return
        if self.asked or connection.unanswered or not connection.last:
            since = self.heard + connection.loop.stood if self.heard else self.began
            asked = connection.unanswered[0].at if connection.unanswered else 0.0
            since = max(since, asked, connection.loop.woke)  # nobody listened before
            connection.owed = Owed(verifier.owed(), since, timeout)

    def excused(self, timeout: float) -> bool:
        """Whether it is not late yet, as what it answers was sent, or will be, by another branch
        while it was awaited already.
        """
        connection, loop = self.connection, self.connection.loop
        if connection.unanswered:
            at = connection.unanswered[0].at
            due = loop.limit(at, timeout) if at > self.began else 0.0
        else:
            due = 0.0 if connection.writer is None else loop.awake() + timeout
        if due <= loop.awake():
            return False
        self.due, self.until = due, self.until if self.until == NEVER else due
        return True

    def _complete(self) -> None:
        self.ended = perf_counter()
        self.took = self.connection.loop.between(self.began, self.ended)
        self.sent = self.connection.settle(self.verifier)

    def _end(self) -> bool:
        """The stream has ended: true if that completes the reply. Raises Fault if it does not."""
        connection, verifier = self.connection, self.verifier
        if not verifier.finish():
            raise evidence.closed(connection, verifier)
        if verifier.wrong_at is not None:
            return False
        return self._over()

    def _over(self) -> bool:
        """The reply is complete, and so is the connection."""
        self._complete()
        self.connection.abandon()
        return True


async def await_replies(task: Task, waiting: list[Awaited], timeout: float) -> None:
    """Take the replies of several sockets as they come, until all are complete.

    `timeout` (seconds) is the longest wait without progress, for each reply. Raises Fault for the
    first one that is wrong, late or lost.
    """
    for one in waiting:
        one.connection.verifier = one.verifier
    while waiting := [one for one in waiting if not one.advance(timeout)]:
        left = False
        for one in waiting:
            if one.verifier.wrong_at is not None:
                raise await one.connection.wrong(one.verifier)
            left = left or one.left
        due = min([one.due for one in waiting])
        try:
            if left:
                await next_turn(task)
                timed_out = task.loop.awake() >= due
            else:
                for one in waiting:
                    one.connection.want = READABLE
                task.set_limit(due)
                timed_out = await wait_io(task)
                for one in waiting:
                    one.connection.want = 0
        except Interrupted:
            cut_off(waiting, timeout)
            raise
        if timed_out:
            late = min(waiting, key=lambda one: one.due)
            if late.excused(timeout):
                continue
            quiet = task.loop.awake() - late.heard if late.heard else timeout
            raise late.connection.late(late.verifier, timeout, quiet)


async def readable(task: Task, connections: Sequence[Stream], due: float) -> bool:
    """Wait until one may have brought something; true if `due` (the loop's own time) passed."""
    for one in connections:
        one.want = READABLE
    task.set_limit(due)
    timed_out = await wait_io(task)
    for one in connections:
        one.want = 0
    return timed_out


def cut_off(waiting: Sequence[Awaited], timeout: float) -> None:
    """Time is up: judge what has come of these replies, and note what is owed for how long.

    Raises Fault for one that is wrong or lost.
    """
    for one in waiting:
        one.cut_off(timeout)


def name_owed(connections: Sequence[Stream], step: str) -> None:
    """Say at which step connections were cut off, where no step within it has said so."""
    for connection in connections:
        if connection.owed is not None:
            connection.owed.step = connection.owed.step or step
