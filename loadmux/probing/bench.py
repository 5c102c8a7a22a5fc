"""The server under test: started, asked, looked at after each case, started anew after a failure.

A server that is not ours is asked until it answers again; where it does not, the battery is over.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from time import monotonic, perf_counter

from loadmux.driver.loop import wait_io
from loadmux.driver.user import VirtualUser
from loadmux.errors import Evidence, Fault, Kind, TargetFailed
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Target, Url
from loadmux.probing.known import BYSTANDER, FRESH, Known
from loadmux.probing.trying import (
    LATE,
    STOOD_STILL,
    Drawn,
    Tap,
    Try,
    Unknown,
    run_at_once,
    stood_still,
)
from loadmux.report.figures import plural
from loadmux.running.compiling.endpoints import resolve
from loadmux.running.generators.channel import pair
from loadmux.running.generators.said import Job, Share
from loadmux.running.generators.worker import Worker
from loadmux.running.interrupts import Interrupts
from loadmux.running.servers.bundled import TargetProcess
from loadmux.running.servers.description import describe
from loadmux.running.servers.processes import ServerProcess
from loadmux.running.servers.starting import servers_of
from loadmux.running.servers.watching import PERSISTS, Watched, local, pause

POOL = 64
RECOVERS_WITHIN = 5.0
ASK_EVERY = 0.2
DIES_WITHIN, REFUSES_FOR = 0.1, 2.0
"""Seconds in which a process may still be ending; and one whose listener is gone already."""
SILENT = 2
AGAIN = 3
SLICE = 0.05
RECONNECTS = 16
"""Connections at most that a bystander opens."""
SPARE, TAKEN = 4 << 20, 4 << 20
"""A server may grow by so many bytes under a client that reads nothing, and under one that was owed
no more than so many replies by as much as it likes: that was a garbage collector.
"""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a case has done to others, or to the process: `kind` and `text` as of a fault.

    `late`: it was noticed by time alone.
    """

    kind: str
    text: str
    late: bool = False
    lines: Sequence[str] = ()


@dataclass
class Bench:
    """A server while `running` lasts. `capacity`: how many clients it serves at once, if few.

    `standing`: what /proc shows whatever a client does. `idle_limit`: seconds after which it is
    known to end connections that say nothing. `owed`: bytes of replies that nobody has read.
    `apart`: it is known to mix up clients, who therefore come one after the other. `unknown`: why
    nothing is known of tries, one for each.
    """

    scenario: Scenario
    seed: int
    interrupts: Interrupts | None = None
    capacity: int | None = None
    process: ServerProcess | None = None
    urls: Mapping[str, Url] = field(default_factory=dict)
    standing: set[Kind] = field(default_factory=set)
    drawn: Drawn = field(default_factory=Drawn)
    idle_limit: float = float("inf")
    owed: int = 0
    apart: bool = False
    unknown: list[str] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)
    _watched: Watched | None = None

    @property
    def target(self) -> Target:
        return self.scenario.servers[""]

    @property
    def ours(self) -> bool:
        """Whether the server can be started anew."""
        return self.target.url is None

    @property
    def url(self) -> Url:
        return self.urls[""]

    @contextmanager
    def running(self) -> Iterator[None]:
        """The server is up within the block. Raises TargetFailed."""
        if self.target.bundled is not None:
            self._fit()
        self.start()
        try:
            yield
        finally:
            self.stop()

    def _fit(self) -> None:
        """A pool of the bundled targets gets workers for a case; one that serves one at a time is
        known to.
        """
        told = describe(self.target.bundled or "")
        if told.reason is not None:
            raise TargetFailed(f"target {told.model} cannot run here: {told.reason}")
        self.capacity = told.at_once
        if told.pool is not None and not told.at_once:
            workers = int(self.target.options.get("workers", min(POOL, told.pool)))
            options = {**self.target.options, "workers": str(workers)}
            self.capacity = workers
            self.scenario = self.scenario.with_servers({"": replace(self.target, options=options)})

    def start(self) -> None:
        """Raises TargetFailed."""
        self._stack = ExitStack()
        self.process = self._made()
        if self.process is None:
            assert self.target.url is not None
            url = self.target.url
        else:
            self._stack.enter_context(self.process)
            url = self.process.url
        resolve(url)
        self.urls = {"": url}
        self._watch()

    def _made(self) -> ServerProcess | None:
        if self.target.bundled is not None:
            return TargetProcess(self.target, self.interrupts)
        return next((one for _, one in servers_of(self.scenario, self.interrupts)), None)

    def _watch(self) -> None:
        roots = local(self.url) if self.process is None else [self.process.process.pid]
        self._watched = Watched("", self.url, roots, spare=SPARE) if roots else None
        if self._watched is not None:
            self._watched.begin()

    def stop(self) -> None:
        """End what was started."""
        self._stack.close()

    def restart(self) -> None:
        """A server that nobody has harmed; one that is not ours as it is. Raises TargetFailed."""
        if self.ours:
            self.stop()
            self.start()

    def died(self) -> Trouble | None:
        """Whether the process has ended."""
        how = None if self.process is None else self.process.died()
        if how is None or self.process is None:
            return None
        return Trouble("died", how, lines=self.process.last_lines())

    # --- trying ---------------------------------------------------------------------------------

    def run(
        self,
        scenarios: Sequence[Scenario],
        tap: Tap | None = None,
        unknown: Sequence[Unknown] = (),
    ) -> list[Try]:
        """Run them all at once, as far as the server's capacity and our descriptors go. Of whom
        nothing is known, as its `unknown` says, is run again.
        """
        if not scenarios:
            return []
        width = self.width(max(len(one.sockets) * one.load.users for one in scenarios))
        found: list[Try] = []
        for first in range(0, len(scenarios), width):
            some = scenarios[first : first + width]
            number = self.numbers(sum(one.load.users for one in some))
            asked = unknown[first : first + width] or [stood_still] * len(some)
            found += self._judged(some, number, tap, asked)
        return found

    def _judged(
        self, some: Sequence[Scenario], number: int, tap: Tap | None, asked: Sequence[Unknown]
    ) -> list[Try]:
        """Run them at once; again those of whom nothing is known, as we stood still meanwhile: a
        long wait for an answer is seldom without on a busy machine.
        """
        found = run_at_once(some, self.urls, self.seed, tap, number, self.drawn)
        for place, unknown in enumerate(asked):
            for _ in range(AGAIN):
                if not unknown(found[place]):
                    break
                alone = [some[place]]
                (found[place],) = run_at_once(alone, self.urls, self.seed, tap, number, self.drawn)
            if why := unknown(found[place]):
                self.unknown.append(why)
        return found

    def numbers(self, count: int) -> int:
        """The first of so many numbers of users that no other has: they draw other names."""
        self.drawn.users += count
        return self.drawn.users - count

    def bystander(self, known: Known) -> Bystander:
        """One more client, with numbers of its own."""
        number = self.numbers(1)
        made = Bystander(known, self.urls, self.seed, number, self.drawn.connections)
        self.drawn.connections += RECONNECTS
        return made

    def width(self, sockets: int) -> int:
        """How many scenarios with so many sockets may run at once."""
        if self.apart:
            return 1
        most = 256 if self.capacity is None else self.capacity
        return max(1, most // max(1, sockets))

    def count(self, clients: int) -> None:
        """Until the next call it matters what is kept of so many clients, few at once."""
        if self._watched is not None and (clients or self._watched.came):
            self._watched.count(clients)

    def weigh(self, clients: int, message: int) -> None:
        """Until the next call it matters what the process keeps: so many clients do not read."""
        if self._watched is not None and (clients or self._watched.unread is not None):
            self._watched.weigh(message if clients else None, 2 * clients)

    # --- afterwards -----------------------------------------------------------------------------

    def aftermath(
        self, known: Known, bystander: Bystander | None, at_work: bool, longer: int
    ) -> Trouble | None:
        """Whether the server is as it was: alive, a fresh client served, a bystander not disturbed,
        the process at rest. `at_work`: clients left before they were answered. `longer`: so many
        times as long may another fresh client wait where one was late; 1: there is none.
        """
        pause(0.0)
        trouble = self.died() or self._fresh(known, longer)
        if trouble is not None and (waiting := self.queued()):
            text = f"{trouble.text}; {plural(waiting, 'connection')} in its listener's queue"
            trouble = replace(trouble, text=f"{text}: it accepts nobody")
        if trouble is None and bystander is not None:
            trouble = bystander.disturbed()
        if bystander is not None:
            bystander.leave()
            if bystander.unknown:
                self.unknown.append(STOOD_STILL)
            if trouble is not None and trouble.kind == "closed" and self._too_old(known, bystander):
                trouble = None
        if trouble is not None and trouble.kind != "died":
            trouble = self._dying(trouble) or trouble
        return trouble or self._found(at_work)

    def _dying(self, trouble: Trouble) -> Trouble | None:
        """Whether the process is about to end, as what was noticed may mean."""
        if self.process is not None:
            self.process.await_end(REFUSES_FOR if trouble.kind == Kind.REFUSED else DIES_WITHIN)
        return self.died()

    def _too_old(self, known: Known, bystander: Bystander) -> bool:
        """Whether the server ends connections that are idle for so long when nothing happens."""
        age = bystander.age
        if age < self.idle_limit:
            calm = self.bystander(known)
            calm.begin()
            pause(age)
            if calm.disturbed() is not None:
                self.idle_limit = age
            calm.leave()
        return age >= self.idle_limit

    def _fresh(self, known: Known, longer: int) -> Trouble | None:
        """A fresh client; where it is late, another one that waits longer."""
        trouble = None
        for timeout in sorted({known.timeout, longer * known.timeout}):
            fault = self.ask(replace(known, timeout=timeout))
            if fault is None:
                return None
            text = f"afterwards a fresh client was not served: {fault.message}"
            trouble = Trouble(fault.kind, text, fault.kind in LATE)
            if fault.kind not in LATE:
                break
        return trouble

    def ask(self, known: Known) -> Evidence | None:
        """One exchange of a fresh client."""
        scenario = known.scenario_of("fresh", "", [known.exchange(0, name="fresh")])
        scenario = replace(scenario, sockets=(replace(scenario.sockets[0], name=FRESH),))
        return self.run([scenario])[0].fault

    def _found(self, at_work: bool) -> Trouble | None:
        """What /proc shows."""
        if self._watched is None:
            return None
        for one in self._watched.findings(lambda: False, at_work, self.standing):
            if one.kind is Kind.MEMORY_GROWTH and self.owed < TAKEN:
                continue
            if one.kind is Kind.ZOMBIES:
                self._watched.begin()  # told once
            return Trouble(one.kind, f"afterwards {one.text}", one.kind is Kind.SPINNING)
        return None

    def look(self) -> set[Kind]:
        """What /proc shows while nobody asks anything."""
        if self._watched is None:
            return set()
        return {one.kind for one in self._watched.findings(lambda: False, False)}

    def queued(self) -> int:
        """How many connections wait to be accepted."""
        return 0 if self._watched is None else self._watched.queued()

    def rests(self, known: Known) -> Trouble | None:
        """Whether no core is busy while clients are connected that say nothing, or but a byte."""
        few = self.capacity is not None and self.capacity < SILENT + 2
        if self._watched is None or Kind.SPINNING in self.standing or few:
            return None
        with ExitStack() as stack:
            for number in range(SILENT):
                with suppress(OSError):
                    sock = stack.enter_context(dialled(self.url, known.timeout))
                    if number and len(known.sent) > 1 and not known.socket.on_connect:
                        sock.sendall(known.sent[:1])
            if not self._watched.spins():
                return None
        text = f"a core was busy for {PERSISTS:g} s while all who were connected said nothing"
        return Trouble(Kind.SPINNING, text)

    def recovers(self, known: Known) -> bool:
        """Whether a server that is not ours answers, or does so soon."""
        due = monotonic() + RECOVERS_WITHIN
        while self.ask(known) is not None:
            if monotonic() > due:
                return False
            pause(ASK_EVERY)
        return True


def dialled(url: Url, timeout: float) -> socket.socket:
    """A connection on which nothing was said. Raises OSError."""
    if url.scheme == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(url.path)
        return sock
    return socket.create_connection((url.host, url.port), timeout)


class Bystander:
    """A connection of its own loop that is idle while a case is tried: old when it is asked.

    `number` is that of its user, `opened` of its first connection. `age`: for how many seconds it
    was idle when it was asked last. `unknown`: what became of it then is nobody's knowledge.
    """

    def __init__(
        self, known: Known, urls: Mapping[str, Url], seed: int, number: int = 0, opened: int = 0
    ) -> None:
        step = known.exchange(0, name=BYSTANDER)
        scenario = known.scenario_of(BYSTANDER, "", [step], [known.named(BYSTANDER)])
        self._ours, self._theirs = pair()
        share = Share(known.reread(scenario), urls, range(number, number + 1), number)
        self._worker = Worker(Job((share,), seed, None), self._theirs)
        self._worker.loop.opened = opened
        self._user = self._worker.portions[0].users[0]
        self._worker.portions[0].control.persistent = True
        self._idle = self._asked = False
        self._since, self.age = monotonic(), 0.0
        self.unknown = False
        self._fault: Fault | None = None
        self._worker.loop.spawn(self._user, self._ask_often(self._user))

    def begin(self) -> None:
        """Be served once, and then be idle."""
        self._idle = self._ask() is None
        self._since = monotonic()

    def disturbed(self) -> Trouble | None:
        """Whether it is served no more."""
        if not self._idle:
            return None
        self.age = monotonic() - self._since
        fault = self._ask()
        self.unknown = fault is not None and fault.unjudged
        if fault is None or fault.unjudged:
            return None
        text = f"an idle connection beside was disturbed: {fault.message}"
        return Trouble(fault.kind, text, fault.kind in LATE)

    def leave(self) -> None:
        """Be gone."""
        self._worker.loop.close()
        self._ours.close()
        self._theirs.close()

    def _ask(self) -> Evidence | None:
        loop = self._worker.loop
        self._fault, self._asked = None, True
        loop.laid_aside()
        loop.wake(self._user)
        while self._asked:
            loop.run(perf_counter() + SLICE, SLICE)
        return None if self._fault is None else self._fault.evidence

    async def _ask_often(self, user: VirtualUser) -> None:
        """One exchange each time that it is woken; its connection goes on with this coroutine."""
        while True:
            while not self._asked:
                await wait_io(user)
            try:
                for operation in user.script.steps:
                    await operation.run(user)
            except Fault as fault:
                self._fault = fault
            self._asked = False
