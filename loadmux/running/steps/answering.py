"""Which `send` an `expect` answers, and so what its latency is.

A bare `expect` (a step without a `send` of its own) answers the oldest send on its socket that
nothing has answered yet, whichever step sent it, and is an *exchange* timed from that send. With
none open (a greeting, a push, a reply read in several parts) it is a *receive*, timed from when its
wait began. The connection knows which sends are open, and what counts is the moment at which the
reply was complete: a send that a reader in another branch waited for is answered by it.

One step may be both, from one time to the next. Each of its kinds then has a row of its own, of
which the one with the step's name is what the step is when the scenario is walked through for the
first time (`kinds`). Steps that only the run makes, those of code, are told by their first reply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from loadmux.driver.awaiting import Awaited
from loadmux.driver.connection import Connection
from loadmux.errors import Fault
from loadmux.language.expected import (
    Answer,
    AnyOrder,
    ByRule,
    Closed,
    Listed,
    Reply,
    Silence,
    WasReset,
    every,
)
from loadmux.language.scenario import Scenario
from loadmux.language.stepvalues import (
    Exchange,
    For,
    OnSockets,
    Repeat,
    Step,
    Together,
    Transaction,
    flat,
)
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import Stats
from loadmux.measuring.volume import Volume

MANY = 1 << 62
EXCHANGE = "exchange"
RECEIVE = "receive"


@dataclass(frozen=True, slots=True)
class Answers:
    """Records what the bare `expect` called `step` took."""

    step: str
    stats: Stats

    def record(self, awaited: Awaited) -> None:
        """A reply was complete, and right."""
        loop, sent = awaited.connection.loop, awaited.sent
        if sent is None:
            self._row(RECEIVE).samples.append(awaited.took)
        else:
            self._row(EXCHANGE).record_since(sent.delay, loop.between(sent.at, awaited.ended))

    def ended(self, connection: Connection, began: float) -> None:
        """The connection has ended as it should, in a wait that began at this time."""
        loop = connection.loop
        if not connection.unanswered:
            self._row(RECEIVE).samples.append(loop.since(began))
            return
        sent = connection.unanswered[0]
        self._row(EXCHANGE).record_since(sent.delay, loop.since(sent.at))

    def kept_silent(self) -> None:
        """Nothing came, which answers nothing."""
        self._row(RECEIVE).pass_untimed()

    def failed(self, connection: Connection) -> str:
        """The row of a wait that ended in a fault."""
        return self._row(EXCHANGE if connection.unanswered else RECEIVE).name

    @property
    def volume(self) -> Volume:
        """What counts the bytes: of which kind the step is, is known only afterwards."""
        return self._row("other").volume

    def _row(self, kind: str) -> StepStats:
        return self.stats.row_of(self.step, kind)


def kinds(scenario: Scenario) -> dict[str, str]:
    """The kind of each bare `expect` of the file, by the step's name."""
    walk = _Walk()
    for socket in scenario.sockets:
        opening = _Walk()
        opening.through(socket.on_connect)
        walk.kinds.update(opening.kinds)
    for steps in (scenario.before, scenario.steps, scenario.after):
        walk.through(steps)
    return walk.kinds


class _Walk:
    """Walks through a scenario once, with the number of open sends on each socket."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self._open: Counter[int] = Counter()
        self._times = 1

    def through(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._take(step)

    def _take(self, step: Step) -> None:
        match step:
            case Exchange(expect=None, sockets=sockets):
                self._sent(sockets, self._times)
            case Exchange():
                self._expect(step)
            case OnSockets(action="close" | "reset", sockets=sockets):
                self._forget(sockets)
            case Transaction(do=do):
                self.through(do)
            case Repeat(do=do, times=times):
                self._again(do, times)
            case For(do=do, values=values):
                self._again(do, len(values))
            case Together():
                self._at_once(step)

    def _again(self, steps: Sequence[Step], times: int) -> None:
        """Steps in a loop: walked through once, with as many sends as there will be."""
        before, self._times = self._times, self._times * times
        self.through(steps)
        self._times = before

    def _at_once(self, step: Together) -> None:
        """Who reads what another branch sends waits for it, however often that may be."""
        shared = [socket for said in step.says for socket in said]
        self._sent(shared, MANY)
        for branch in sorted(step.branches, key=lambda one: any(map(_waits, flat(one)))):
            self.through(branch)
        self._forget(shared)

    def _sent(self, sockets: Sequence[int], times: int) -> None:
        for one in sockets:
            self._open[one] += times

    def _expect(self, step: Exchange) -> None:
        assert step.expect is not None
        reply, sockets = step.expect.reply, step.sockets
        if step.send is None:
            asked = any(self._open[one] for one in sockets) or _answers(reply)
            answers = asked and not isinstance(reply, Silence)
            self.kinds.setdefault(step.name, EXCHANGE if answers else RECEIVE)
        ends = isinstance(reply, Listed) and isinstance(reply.replies[-1], Closed)
        if ends or isinstance(reply, ByRule | Closed | WasReset):
            self._forget(sockets)
        elif not isinstance(reply, Silence):
            several = len(reply.replies) if isinstance(reply, AnyOrder) else 1
            self._answered(sockets, self._times * (several - (step.send is not None)))

    def _answered(self, sockets: Sequence[int], count: int) -> None:
        for one in sockets:
            self._open[one] = max(0, self._open[one] - count)

    def _forget(self, sockets: Sequence[int]) -> None:
        for one in sockets:
            del self._open[one]


def _answers(reply: Reply) -> bool:
    """Whether it answers a request, in whatever bytes that was sent."""
    return any(isinstance(one, Answer) and one.form.answers for one in every(reply))


def _waits(step: Step) -> bool:
    """Whether it may wait for what another branch sends."""
    return isinstance(step, Exchange) and step.send is None


def tell(answers: Answers | None, connections: Sequence[Connection], fault: Fault) -> None:
    """A fault is told at the row of what the `expect` would have been."""
    if answers is not None:
        socket = fault.evidence.socket
        failed = next((one for one in connections if one.name == socket), connections[0])
        fault.evidence.step = answers.failed(failed)
