"""Steps of open load, whose latency counts from the intended start of their iteration.

The first exchange (or send) of an iteration has two latencies: *service*, from its send, and
*response*, which adds the time from the start on the schedule until the iteration's steps began:
the wait for a free user, its `before` steps if it is a new one, and the generator's own lateness.
For the exchanges after it both are the time from the send, so a late start is counted once. (Where
a bare `expect` answers that first send, its latency begins with it, so it has both as well.) What
the scenario does between (waits, connects) is in neither.

Only what counts is done here: a step that has a delay to add runs as a copy which records it, all
others run as they are, at the cost of one call. Of a constant exchange each user keeps the copy of
its plan, into whose recorder the delay is put.
"""

from __future__ import annotations

from collections.abc import Awaitable
from copy import copy
from dataclasses import dataclass, replace

from loadmux.driver.connection import Plan
from loadmux.driver.peer import TRY
from loadmux.driver.user import VirtualUser
from loadmux.measuring.histogram import Histogram
from loadmux.measuring.recorder import Recorder
from loadmux.measuring.rows import StepStats
from loadmux.running.steps.ending import End
from loadmux.running.steps.exchanging import Exchange
from loadmux.running.steps.performing import Perform
from loadmux.running.steps.sending import Fill, Send

Timed = Send | Fill | Exchange | End | Perform


def delayed(step: Timed, delay: float, row: StepStats) -> Timed:
    """The same step, of an iteration that began so late (seconds)."""
    record = Recorder(row, delay)
    other = copy(step)
    other.record = record
    if not isinstance(other, Perform) and other.message is not None:
        other.message = replace(other.message, delay=delay)
    if isinstance(other, Exchange):
        other.sizes = (-1, -1)  # they come with what records them
    if isinstance(other, Exchange) and other.plan is not None:
        plan = other.plan
        sized = record.sized(len(other.payload), len(plan.likely))
        words = plan.timeout, plan.context, plan.bounded
        other.plan = Plan(plan.likely, plan.judge, record, sized, *words)
    if isinstance(other, Exchange) and other.learned is not None:
        other.learned = other.learned.recording(record)
    return other


class Moved:
    """Records an exchange of always the same sizes with the delay that its recorder has by then."""

    __slots__ = ("_received", "_recorder", "_sent")

    def __init__(self, recorder: Recorder, sent: int, received: int) -> None:
        self._recorder = recorder
        self._sent = sent
        self._received = received

    def __call__(self, seconds: float) -> None:
        recorder = self._recorder
        recorder.row.record_moved(self._sent, self._received, recorder.delay, seconds)


@dataclass(frozen=True, slots=True, eq=False)
class FromIntendedStart:
    """A step that takes up what delay its user has, see the module."""

    name: str
    step: Timed
    row: StepStats

    @classmethod
    def of(cls, step: Timed, row: StepStats) -> FromIntendedStart:
        row.service = row.service or Histogram()
        return cls(step.name, step, row)

    def run(self, user: VirtualUser) -> Awaitable[None]:
        delay = user.late
        if not delay:
            return self.step.run(user)
        user.late = 0.0
        if isinstance(self.step, Exchange):
            if self.step.constant:
                connection = user.connections[self.step.sockets[0]]
                if not (connection.dirty or connection.ready & TRY):
                    plan = user.plans.get(self) if user.plans else None
                    plan = plan or self._kept(user, self.step)
                    plan.recorder.delay = delay
                    return connection.exchange(plan, self.step.payload)
            shortly = self.step.delayed(user, Recorder(self.row, delay))
            if shortly is not None:
                return shortly
        return delayed(self.step, delay, self.row).run(user)

    def _kept(self, user: VirtualUser, step: Exchange) -> Plan:
        """The plan of a constant exchange for this user from now on."""
        plan, recorder = step.plan, Recorder(self.row)
        assert plan is not None
        record = Moved(recorder, len(step.payload), len(plan.likely))
        words = plan.timeout, plan.context, plan.bounded
        kept = Plan(plan.likely, plan.judge, recorder, record, *words)
        user.plans = {**(user.plans or {}), self: kept}
        return kept
