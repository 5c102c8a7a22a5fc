"""One iteration of one user, everything on the wire told as it happens: what `trace` runs.

The steps are those of a run, with the same checks, in this process. Around each stands a `Traced`
one that tells of it; a `Tracer` taps the sockets. After a wrong reply the sockets are listened to
until they fall silent, so that all of what the server has to say is told.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

from loadmux.driver.awaiting import readable
from loadmux.driver.connection import Connection
from loadmux.driver.peer import Peer
from loadmux.driver.poller import READ
from loadmux.driver.user import Operation, VirtualUser
from loadmux.errors import DriverFault, Evidence, Fault
from loadmux.language.file import IMPLIED
from loadmux.language.scenario import Load, Scenario
from loadmux.language.suggesting import suggested
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.stats import Stats
from loadmux.measuring.verdict import Outcome, Verdict, judge
from loadmux.report import figures, wire
from loadmux.report.faults import evidence_as_text
from loadmux.running.generators.channel import Channel, pair
from loadmux.running.generators.said import Job, Share, Update
from loadmux.running.generators.worker import Worker
from loadmux.running.interrupts import Interrupts
from loadmux.running.seeds import draw_seed
from loadmux.running.starting import servers_of
from loadmux.running.state import Part, parts_of
from loadmux.running.steps.ending import End
from loadmux.running.steps.exchanging import Exchange
from loadmux.running.steps.performing import Perform
from loadmux.running.steps.sending import Send
from loadmux.running.targets import note_death, urls_of

Say = Callable[[str, str], None]
"""Prints a line in a style (`bold`, `dim`, `good`, `bad`, or none)."""

QUIET = 0.3
"""Seconds without a byte after which a server has said all that it had to say."""
FIRST = 1.0
"""Seconds in which it begins to answer what no `expect` awaits."""
MOST = 10.0
LARGE = 1 << 20
INNER = ("do", "branches")
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


class Traced:
    """An operation that tells of itself; whatever else is asked of it, the operation answers."""

    def __init__(self, operation: Operation, tracer: Tracer) -> None:
        self._operation = operation
        self._tracer = tracer

    @property
    def name(self) -> str:
        return self._operation.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operation, name)

    async def run(self, user: VirtualUser) -> None:
        tracer, operation = self._tracer, self._operation
        tracer.begin(operation)
        began, mine = perf_counter(), own(user, operation)
        fresh = [one for one in mine if not one.connected]
        try:
            await operation.run(user)
        except Fault as fault:
            await listen(tracer, user, mine, QUIET)
            tracer.wrong(fault, operation.name)
            self._suggest(fault, mine)
            if tracer.check:
                tracer.parting = True
                raise
            await self._pass_over(user, mine)
            return
        tracer.right(operation, mine, perf_counter() - began)
        if not tracer.check and isinstance(operation, Send):
            await self._hear(user, mine)
        elif not tracer.check and getattr(operation, "action", "") == "connect" and fresh:
            await self._hear(user, fresh)

    async def _hear(self, user: VirtualUser, connections: Sequence[Connection]) -> None:
        """What the server says, of which nothing is known."""
        await listen(self._tracer, user, connections, FIRST)
        for one in connections:
            self._tracer.keep(one.name, self.name)
        forget(connections)

    def _suggest(self, fault: Fault, connections: Sequence[Connection]) -> None:
        names = [one.name for one in connections]
        failed = fault.evidence.socket
        for name in [failed] if failed in names else names:
            self._tracer.keep(name, self._operation.name)

    async def _pass_over(self, user: VirtualUser, connections: Sequence[Connection]) -> None:
        """Go on as if the reply had been right: it is what was to be kept of one."""
        save = getattr(self._operation, "save", None)
        if save is not None:
            user.set(save, b"".join(one.last for one in connections[-1:]))
        forget(connections)


class Linger:
    """The last step: what the server says when nobody asks any more."""

    name = "the end"

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def run(self, user: VirtualUser) -> None:
        await listen(self._tracer, user, user.connections, QUIET)
        self._tracer.parting = not user.script.after
        if not self._tracer.check:
            forget(user.connections)


def own(user: VirtualUser, operation: Operation) -> list[Connection]:
    """The connections of a step that its task drives."""
    places = getattr(operation, "sockets", range(len(user.connections)))
    return [user.connections[one] for one in places]


def forget(connections: Sequence[Connection]) -> None:
    """Owe nothing on these, and have nothing left to read; what has ended is closed."""
    for one in connections:
        if not one.connected:
            continue
        one.inbox.clear()
        one.verifier = one.rule_verifier = None
        one.unanswered.clear()
        if hasattr(one, "queue"):
            one.queue.clear()
        if one.eof or one.lost is not None or one.midway:
            one.abandon()
        else:
            one.update_dirty()


async def listen(
    tracer: Tracer, user: VirtualUser, connections: Sequence[Connection], first: float
) -> None:
    """Take in what comes: it begins within `first` seconds, and ends when QUIET ones pass."""
    until, wait = perf_counter() + MOST, first
    while perf_counter() < until:
        going = [one for one in connections if one.connected and not (one.paused or one.eof)]
        going = [one for one in going if one.lost is None and one.task is user]
        heard = tracer.heard
        for one in going:
            one.ready |= READ
            one.drain()
        if tracer.heard != heard:
            wait = QUIET
        elif not going or await readable(user, going, user.loop.limit(perf_counter(), wait)):
            return


def traced(operations: Sequence[Operation], tracer: Tracer) -> list[Operation]:
    """Steps that tell of themselves, and those within them; what only holds others is silent."""
    return [_traced(one, tracer) for one in operations]


def _traced(operation: Operation, tracer: Tracer) -> Operation:
    holds = [name for name in INNER if isinstance(getattr(operation, name, None), Sequence)]
    for name in holds:
        inner = getattr(operation, name)
        nested = inner and isinstance(inner[0], Sequence)
        told = [traced(one, tracer) for one in inner] if nested else traced(inner, tracer)
        setattr(operation, name, told)
    return operation if holds else Traced(operation, tracer)


def libraries(operations: Sequence[Any]) -> Iterator[Any]:
    """The libraries of the author's code that these steps call."""
    for one in operations:
        if (library := getattr(one, "library", None)) is not None:
            yield library
        for name in INNER:
            for inner in getattr(one, name, ()):
                yield from libraries(inner if isinstance(inner, Sequence) else [inner])


def trace(
    scenario: Scenario,
    say: Say,
    *,
    check: bool = True,
    poller: str | None = None,
    interrupts: Interrupts | None = None,
) -> ExitCode:
    """Run one iteration of one user. Raises what `run` raises before anything is sent."""
    tracer = Tracer(scenario, say, check)
    part, verdict = watched(tracer, poller, interrupts)
    for line in part.last_lines:
        say(f"| {line}", "dim")
    if not (check or part.died or verdict.code is ExitCode.UNREACHABLE):
        return ExitCode.PASS
    say("", "")
    say(f"{verdict.code.name}: {verdict.reason}", "good" if not verdict.code else "bad")
    return verdict.code


def watched(
    tracer: Tracer, poller: str | None = None, interrupts: Interrupts | None = None
) -> tuple[Part, Verdict]:
    """The run of the tracer's scenario, and the verdict on it. Raises what `trace` does."""
    scenario, say = tracer.scenario, tracer.say
    scenario = replace(scenario, load=Load(users=1, iterations=1, graceful_stop=0.0))
    seed = draw_seed() if scenario.seed is None else scenario.seed
    part = parts_of([replace(scenario, seed=seed)])[0]
    with ExitStack() as stack:
        for name, process in servers_of(scenario, interrupts):
            part.processes[name] = stack.enter_context(process)
        part.urls = urls_of(part)
        for name, url in part.urls.items():
            say(f"{f'target {name}' if name else 'target'}  {url}", "")
        tracer.began = perf_counter()
        verdict = _run(part, tracer, seed, poller)
        tracer.conclude()
    return part, verdict


def _run(part: Part, tracer: Tracer, seed: int, poller: str | None) -> Verdict:
    ours, theirs = pair()
    with ours, theirs:
        worker = Worker(Job((Share(part.scenario, part.urls, range(1)),), seed, poller), theirs)
        _attach(worker, tracer)
        failed, unreachable = None, None
        try:
            final = worker.run()
            worker.parts[0].stats.merge(final.update.parts[0].stats)
            unreachable = next(iter(final.unreachable.values()), None)
        except DriverFault as fault:
            failed = str(fault)
        finally:
            worker.loop.close()
        stats = _measured(worker, ours)
    note_death(part)
    faults = [one for group in stats.faults.values() for one in group.examples]
    for evidence in faults if tracer.check else ():
        if known(evidence) not in map(known, tracer.told):
            tracer.blame(evidence)
    outcome = Outcome(
        duration=perf_counter() - tracer.began,
        unreachable=unreachable,
        generator_failed=failed,
        target_died=part.died,
    )
    return judge(stats, (IMPLIED,), outcome)


def known(evidence: Evidence) -> tuple[str, str, str]:
    """What tells one fault from another; what was told by the worker is a copy."""
    return evidence.kind, evidence.message, evidence.socket


def _measured(worker: Worker, ours: Channel) -> Stats:
    """All that the worker has told, and what it still holds."""
    stats = worker.parts[0].stats.take()
    for update in ours.take():
        if isinstance(update, Update):
            stats.merge(update.parts[0].stats)
    return stats


def _attach(worker: Worker, tracer: Tracer) -> None:
    """Have the worker's only user tell of all that it does."""
    worker.loop.tap = tracer
    (user,) = worker.parts[0].users
    script = user.script
    before, main, after = (
        traced(one, tracer) for one in (script.before, script.steps, script.after)
    )
    opening = [traced(one, tracer) for one in script.on_connect]
    for library in libraries([*before, *main, *after]):
        library.told = lambda operation: Traced(operation, tracer)
    user.script = replace(
        script, before=before, steps=[*main, Linger(tracer)], after=after, on_connect=opening
    )
