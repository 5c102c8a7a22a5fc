"""Which `send` an `expect` answers, and so what its latency is.

A bare `expect` (a step without a `send` of its own) answers the oldest send on its socket that
nothing has answered yet, whichever step sent it, and is an *exchange* timed from that send. With
none open (a greeting, a push, a reply read in several parts) it is a *receive*, timed from when its
wait began. The connection knows which sends are open, and what counts is the moment at which the
reply was complete: a send that a reader in another branch waited for is answered by it.

One step may be both, from one time to the next. Each of its kinds then has a row of its own, of
which the one with the step's name is what the step is when the scenario is walked through for the
first time (`kinds`). Where each iteration leaves more open than it answers, that is forgotten at
its end (`left_open`). Steps that only the run makes, those of code, are told by their first reply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from loadmux.driver.awaiting import Awaited
from loadmux.driver.connection import Connection
from loadmux.driver.peer import Sent
from loadmux.driver.stream import Stream
from loadmux.errors import Fault, Position
from loadmux.language.meaning.expected import (
    Answer,
    AnyOrder,
    ByRule,
    Reply,
    Silence,
    by_end,
    every,
)
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.stepvalues import (
    Call,
    Exchange,
    For,
    OnSockets,
    Performed,
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
    """Records what the bare `expect` called `step` took; `rows` are those found so far, by kind."""

    step: str
    stats: Stats
    rows: dict[str, StepStats] = field(default_factory=dict)

    def record(self, awaited: Awaited) -> None:
        """A reply was complete, and right."""
        sent = awaited.sent
        if sent is None:
            self._row(RECEIVE).samples.append(awaited.took)
        else:
            self.answered(awaited.connection, sent, awaited.ended)

    def answered(self, connection: Stream, sent: Sent, ended: float) -> None:
        """The reply to this was complete, and right."""
        self._row(EXCHANGE).record_since(sent.delay, connection.loop.between(sent.at, ended))

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
        row = self.rows.get(kind)
        if row is None:
            row = self.rows[kind] = self.stats.row_of(self.step, kind)
        return row


def kinds(scenario: Scenario) -> dict[str, str]:
    """The kind of each bare `expect` of the file, by the step's name."""
    walk = _Walk()
    for socket in scenario.sockets:
        opening = _Walk()
        opening.through(socket.on_connect)
        walk.kinds.update(opening.kinds)
    walk.through(scenario.before)
    walk.through(scenario.steps)
    walk.forget(left_open(scenario).sockets)
    walk.through(scenario.after)
    return walk.kinds


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """The `sockets` on which each iteration leaves more sends open than it answers.

    There is no end to that: the answers would be timed from ever older sends. So what is open at
    the end of an iteration is over, and at the end of each turn of a loop that has all of the bare
    `expect`s on the socket.
    """

    sockets: tuple[int, ...]
    loops: Mapping[Position, tuple[int, ...]]

    def of(self, loop: Repeat | For) -> tuple[int, ...]:
        """The sockets on which a turn of this loop does so."""
        return self.loops.get(loop.where, ())


def left_open(scenario: Scenario) -> LeftOpen:
    """What a scenario's iterations leave open; nothing where code may answer it in the next one."""
    if any(isinstance(one, Call | Performed) for one in flat(scenario.steps)):
        return LeftOpen((), {})
    walk = _Walk()
    walk.through(scenario.before)
    walk.through(scenario.steps)
    once = Counter(walk.open)
    walk.through(scenario.steps)
    left, read = _more(walk.open, once), _read_alone(scenario.steps)
    loops = {}
    for one in flat(scenario.steps):
        if isinstance(one, Repeat | For):
            inside = _read_alone(one.do)
            found = left & inside.keys() & walk.more[one.where]
            loops[one.where] = tuple(sorted(s for s in found if inside[s] == read[s]))
    return LeftOpen(tuple(sorted(left)), loops)


def _more(now: Counter[int], earlier: Counter[int]) -> set[int]:
    return {socket for socket, count in now.items() if count > earlier[socket]}


def _read_alone(steps: Sequence[Step]) -> Counter[int]:
    """How many `expect`s without a `send` of their own each socket has."""
    return Counter(place for one in flat(steps) if _waits(one) for place in one.sockets)


class _Walk:
    """Walks through a scenario once, with the number of open sends on each socket.

    `more`: where a loop begins, and the sockets on which it leaves more of them than there were.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self.open: Counter[int] = Counter()
        self.more: dict[Position, set[int]] = {}
        self._times = 1

    def through(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._take(step)

    def _take(self, step: Step) -> None:
        match step:
            case Exchange(expect=None, send=send, sockets=sockets):
                self._sent(sockets, 0 if send is None or send.oneway else self._times)
            case Exchange():
                self._expect(step)
            case OnSockets(action="close" | "reset", sockets=sockets):
                self.forget(sockets)
            case Transaction(do=do):
                self.through(do)
            case Repeat(times=times):
                self._again(step, times)
            case For(values=values):
                self._again(step, len(values))
            case Together():
                self._at_once(step)

    def _again(self, step: Repeat | For, times: int) -> None:
        """Steps in a loop: walked through once, with as many sends as there will be."""
        before, self._times = self._times, self._times * times
        earlier = Counter(self.open)
        self.through(step.do)
        self._times = before
        self.more[step.where] = _more(self.open, earlier)

    def _at_once(self, step: Together) -> None:
        """Who reads what another branch sends waits for it, however often that may be."""
        shared = [socket for said in step.says for socket in said]
        self._sent(shared, MANY)
        for branch in sorted(step.branches, key=lambda one: any(map(_waits, flat(one)))):
            self.through(branch)
        self.forget(shared)

    def _sent(self, sockets: Sequence[int], times: int) -> None:
        for one in sockets:
            self.open[one] += times

    def _expect(self, step: Exchange) -> None:
        assert step.expect is not None
        reply, sockets = step.expect.reply, step.sockets
        if step.send is None:
            asked = any(self.open[one] for one in sockets) or _answers(reply)
            answers = asked and not isinstance(reply, Silence)
            self.kinds.setdefault(step.name, EXCHANGE if answers else RECEIVE)
        if by_end(reply) or isinstance(reply, ByRule):
            self.forget(sockets)
        elif not isinstance(reply, Silence):
            several = len(reply.replies) if isinstance(reply, AnyOrder) else 1
            self._answered(sockets, self._times * (several - (step.send is not None)))

    def _answered(self, sockets: Sequence[int], count: int) -> None:
        for one in sockets:
            self.open[one] = max(0, self.open[one] - count)

    def forget(self, sockets: Sequence[int]) -> None:
        for one in sockets:
            del self.open[one]


def _answers(reply: Reply) -> bool:
    """Whether it answers a request, in whatever bytes that was sent."""
    return any(isinstance(one, Answer) and one.form.answers for one in every(reply))


def _waits(step: Step) -> TypeGuard[Exchange]:
    """Whether it may wait for what another step sends."""
    return isinstance(step, Exchange) and step.send is None


def tell(answers: Answers | None, connections: Sequence[Connection], fault: Fault) -> None:
    """A fault is told at the row of what the `expect` would have been."""
    if answers is not None:
        socket = fault.evidence.socket
        failed = next((one for one in connections if one.name == socket), connections[0])
        fault.evidence.step = answers.failed(failed)
