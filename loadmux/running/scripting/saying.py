"""Exchanges of plain texts or bytes, which code mostly makes anew each time: compiled once for all.

Of two that differ in their bytes alone the step is the same, so only the bytes are put into it. The
short way is gone where the connection needs no care and the reply is known beforehand; else the
step of just these bytes is made, as of any other words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from loadmux.checking.verifying import Exact, Verifier
from loadmux.driver.peer import TRY
from loadmux.driver.user import Operation, VirtualUser
from loadmux.measuring.recorder import Recorder
from loadmux.measuring.rows import StepStats
from loadmux.running.steps.exchanging import Exchange
from loadmux.running.steps.intended import FromIntendedStart

SMALL_REPLY = 2048

Make = Callable[[], Operation]


class Pattern:
    """The step, of which the bytes are those of a sample; `operation` is what was compiled.

    `by_rule`: the reply is what the target's rule makes of the message. `row` is that of a step
    which takes up what delay its user has.
    """

    __slots__ = ("by_rule", "row", "step")

    def __init__(self, operation: Operation | None, by_rule: bool) -> None:
        self.by_rule = by_rule
        self.row: StepStats | None = None
        step = operation
        if isinstance(operation, FromIntendedStart):
            self.row, step = operation.row, operation.step
        short = isinstance(step, Exchange) and step.direct and step.counting is None
        self.step = step if isinstance(step, Exchange) and short else None

    def saying(self, sent: bytes, reply: bytes, carefully: Make) -> Saying | None:
        """The step for these bytes; None where they have no short way.

        `reply` is not looked at where it is the rule's. `carefully` makes the step of other words.
        """
        if self.step is None or not sent or len(sent) > SMALL_REPLY:
            return None
        judge: Callable[[], Verifier]
        if self.by_rule:
            judged = self.step.reply.known(sent)
            if judged is None:
                return None
            reply, judge = judged[0] or b"", judged[1]
        else:
            judge = partial(Exact, reply)
        if not reply or len(reply) > SMALL_REPLY:
            return None
        return Saying(self.step, self.row, sent, reply, judge, carefully)


class Saying:
    """See the module; an operation for one time."""

    __slots__ = ("_carefully", "_judge", "_reply", "_row", "_sent", "_step")

    def __init__(
        self,
        step: Exchange,
        row: StepStats | None,
        sent: bytes,
        reply: bytes,
        judge: Callable[[], Verifier],
        carefully: Make,
    ) -> None:
        self._step = step
        self._row = row
        self._sent = sent
        self._reply = reply
        self._judge = judge
        self._carefully = carefully

    @property
    def name(self) -> str:
        return self._step.name

    def run(self, user: VirtualUser) -> Awaitable[None]:
        connection = user.connections[self._step.sockets[0]]
        if connection.dirty or connection.ready & TRY:
            return self._carefully().run(user)
        record: Recorder | None = None
        if self._row is not None and user.late:
            record, user.late = Recorder(self._row, user.late), 0.0
        return self._step.said(connection, self._sent, self._reply, self._judge, record)
