"""Looks at the processes of targets from outside: what a right reply does not show.

Each is looked at before its first client and after its last. What is suspicious then is looked at
again and again for two seconds, and only what never changed in all that time is a *finding*: a
garbage collector, a worker that reaps late or closes slowly, a compiler of hot code is none.
Descriptors are counted only where they were ends of our own connections: a pool of others is not.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

from loadmux.driver.system import original
from loadmux.errors import Evidence, Kind
from loadmux.language.meaning.contents import size_of
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Url
from loadmux.language.meaning.stepvalues import Exchange, OnSockets
from loadmux.measuring.stats import Stats
from loadmux.report.figures import plural, size
from loadmux.report.model import Finding
from loadmux.running.servers import ports, proc
from loadmux.running.servers.leftovers import NONE, POOL, Held
from loadmux.running.servers.signs import Signs

QUIET = 0.05
LOOK_EVERY = 0.1
PERSISTS = 2.0
BUSY = 0.9
SHARE = 0.1
"""Of what all threads ran, the part of one that counts."""
SPARE_MEMORY = 16 * 2**20
SPARE_A_CONNECTION = 2**20
NAMED = 3
LATE = frozenset({Kind.TIMEOUT, Kind.SEND_STALLED, Kind.TRUNCATED})
TARGET = "target"
"""The row of faults that the processes of a target show."""


def pause(seconds: float) -> None:
    """Nothing tells what another process does not do. Nobody else's turn: the target must stay."""
    original(select, "select")([], [], [], seconds)


class Look(NamedTuple):
    """What threads did until one moment (`monotonic` seconds): for how many nanoseconds each has
    run, and has waited for a CPU; whether one ran or waited just then.
    """

    at: float = 0.0
    threads: Mapping[int, tuple[int, int]] = {}
    runnable: bool = False


@dataclass
class Calm:
    """A core that is busy in times in which nobody owes anybody anything, since `since`.

    `early`: it was so before the first client, and has not paused yet: the server may be getting
    ready. `spun`: it went on for PERSISTS seconds.
    """

    since: Look | None = None
    spun: bool = False
    _last: Look = field(default_factory=Look)
    _early: bool | None = None

    @property
    def at(self) -> float:
        """When it was looked at last."""
        return self._last.at

    def begin(self, look: Look) -> None:
        self._last = look

    def look(self, now: Look) -> None:
        """Compare with the last look; the first one only tells whether it is getting ready."""
        first = self._early is None
        busy, began = (is_busy if first else may_spin)(self._last, now), self.since
        self._last = now
        if first or not busy:
            self._early, self.since = busy, now
        elif began is None or self._early:
            self.since = now
        elif now.at - began.at >= PERSISTS:
            self.spun = self.spun or is_busy(began, now)
            self.since = now


def is_busy(before: Look, now: Look) -> bool:
    """Whether threads together kept a core, or did whenever they were given one.

    A thread that waits for a CPU does nothing meanwhile: on a machine that others use, one that
    sleeps now and then has slept little, for it runs late. So what it ran is compared with the time
    in which it could. Waits of several add up only where they take turns (Python's lock): those of
    others may be at the same time, which only looks at moments tell (`runnable`).
    """
    whole = BUSY * (now.at - before.at) * 1e9
    spent = [
        (ran - before.threads[one][0], BUSY * (waited - before.threads[one][1]))
        for one, (ran, waited) in now.threads.items()
        if one in before.threads
    ]
    all_ran = sum(ran for ran, _ in spent)
    in_turn = sum(ran >= SHARE * all_ran for ran, _ in spent) > 1
    given = whole - sum(waited for _, waited in spent) if in_turn else whole
    return all_ran >= given or any(ran >= whole - waited for ran, waited in spent)


def may_spin(before: Look, now: Look) -> bool:
    """Whether a short time leaves that open: the kernel counts a wait for a CPU when it is over."""
    return now.runnable or is_busy(before, now)


@dataclass
class Watched:
    """A target whose processes may be looked at, `roots` and their children; one that listens.

    `rule` is its reply rule, `fail` whether findings count as faults. `connections` is how many
    there are at most, `unread` the most bytes that one of them may have lying about because its
    client does not read; None where every client does. It may grow by `spare` bytes in any case.
    `came` is how many clients have come since `begin`, where that is known.
    """

    name: str
    url: Url
    roots: Collection[int]
    rule: str | None = None
    fail: bool = False
    connections: int = 0
    unread: int | None = None
    spare: int = SPARE_MEMORY
    came: int = 0
    _memory: Mapping[int, int] = field(default_factory=dict)
    _zombies: frozenset[int] = frozenset()
    _sockets: frozenset[int] = frozenset()
    _held: Held = NONE
    _strangers: int = 0
    _calm: Calm = field(default_factory=Calm)

    def begin(self) -> None:
        """Before the first client."""
        family = proc.family(self.roots)
        self._memory = {one.pid: proc.peak_memory(one.pid) for one in family}
        self._zombies = frozenset(one.pid for one in family if one.state == proc.ZOMBIE)
        self._sockets = sockets_of(family)
        self._held = Held.by(family)
        self._strangers = self._served(ports.ends(self.url))
        self._calm.begin(self._look(family))

    def weigh(self, unread: int | None, connections: int) -> None:
        """From now on so many connections leave such messages unread; None: no more."""
        self.unread, self.connections = unread, connections
        self._memory = {one.pid: proc.peak_memory(one.pid) for one in proc.family(self.roots)}

    def count(self, clients: int) -> None:
        """From now on so many come, of whom nothing is to be kept."""
        self.came = clients
        self._held = Held.by(proc.family(self.roots))

    def look(self, owing: bool) -> None:
        """While the run is on, now and then; `owing`: some client awaits something."""
        now = monotonic()
        if owing:
            self._calm.since = None
        elif now - self._calm.at >= LOOK_EVERY:
            self._calm.look(self._look())

    def findings(
        self, given_up: Callable[[], bool], at_work: bool, told: Collection[Kind] = ()
    ) -> Iterator[Finding]:
        """After the last client has gone. `given_up`: nobody wants to know any more. `at_work`:
        clients left before they were answered, so that the server may well be busy with that.
        `told`: what is known already, and not waited for.
        """
        signs = self._persisting(given_up, at_work, told)
        if signs.busy:
            text = f"a core was busy for {PERSISTS:g} s after all clients had gone"
            yield self._found(Kind.SPINNING, text)
        elif self._calm.spun and not self._strangers and Kind.SPINNING not in told:
            text = f"a core was busy for {PERSISTS:g} s in which nothing was owed to anybody"
            yield self._found(Kind.SPINNING, text)
        if signs.leaked or signs.dead:
            sockets = plural(len(signs.leaked | signs.dead), "socket")
            text = f"{sockets} of clients that had gone {PERSISTS:g} s before still open"
            how = [f"{len(signs.leaked)} in CLOSE_WAIT"] if signs.leaked and self._tcp else []
            how += [f"{len(signs.dead)} reset or shut down, and never closed"] if signs.dead else []
            yield self._found(
                Kind.LEAKED_DESCRIPTORS, f"{text} ({', '.join(how)})" if how else text
            )
        if signs.held:
            yield from self._leftovers(signs.held)
        if signs.queued:
            count = plural(sum(signs.queued.values()), "connection")
            text = f"{count} waited in the listener's queue for {PERSISTS:g} s"
            yield self._found(Kind.NOT_ACCEPTED, f"{text}, and none was accepted")
        if signs.unread:
            left = sum(signs.unread.values())
            text = f"{size(left)} left unread in {plural(len(signs.unread), 'socket')}"
            yield self._found(Kind.NOT_READ, f"{text}, and got no less in {PERSISTS:g} s")
        if signs.zombies:
            count = plural(len(signs.zombies), "process", "processes")
            names = {one.pid: one.name for one in proc.family(self.roots)}
            who = _some({f"{names.get(one, '?')} {one}" for one in signs.zombies})
            yield self._found(
                Kind.ZOMBIES, f"{count} ended and {PERSISTS:g} s later not reaped: {who}"
            )
        if self.unread is None or Kind.MEMORY_GROWTH in told:
            return
        grown = self._grown(proc.family(self.roots))
        if grown > self._allowed:
            text = f"it grew by {size(grown)} under {plural(self.connections, 'connection')}"
            yield self._found(Kind.MEMORY_GROWTH, f"{text} of clients that did not read")

    def _leftovers(self, held: Held) -> Iterator[Finding]:
        clients = f"than before {self.came:,} clients came, few at once, and were gone"
        if held.threads:
            text = f"{plural(held.threads, 'thread')} more {clients} for {PERSISTS:g} s"
            yield self._found(Kind.LEAKED_THREADS, text)
        if held.files:
            text = f"{plural(held.files, 'descriptor')} that are no sockets more {clients}"
            yield self._found(Kind.LEAKED_DESCRIPTORS, f"{text} for {PERSISTS:g} s")

    def _found(self, kind: Kind, text: str) -> Finding:
        return Finding(kind, self.name, str(self.url), text, self.fail)

    def spins(self) -> bool:
        """Whether a core is busy from now on for PERSISTS seconds; its first pause ends that."""
        first = before = self._look()
        due = first.at + PERSISTS
        pause(QUIET)
        while may_spin(before, now := self._look()):
            if now.at >= due:
                return is_busy(first, now)
            before = now
            pause(LOOK_EVERY)
        return False

    def queued(self) -> int:
        """How many connections wait to be accepted."""
        return sum(self._queued(ports.ends(self.url)).values())

    def _queued(self, ends: Collection[ports.End]) -> Mapping[int, int]:
        if not self._tcp:
            return {}
        awaits = ports.LISTENING["tcp"]
        return {one.inode: one.unread for one in ends if one.state == awaits and one.unread}

    @property
    def _tcp(self) -> bool:
        return self.url.scheme in ("tcp", "tls")

    @property
    def _allowed(self) -> int:
        each = SPARE_A_CONNECTION + 2 * (self.unread or 0)
        return self.spare + self.connections * each

    def _served(self, ends: Collection[ports.End]) -> int:
        """Connections that are not ours: a server that others use, too, may well be busy."""
        return sum(one.state == ports.ESTABLISHED for one in ends)

    def _grown(self, family: Collection[proc.Process]) -> int:
        """Bytes by which the peaks of the processes have risen; a new one is as its parent was."""
        usual = max(self._memory.values(), default=0)
        peaks = {one.pid: proc.peak_memory(one.pid) for one in family}
        return sum(max(0, peak - self._memory.get(pid, usual)) for pid, peak in peaks.items())

    def _persisting(
        self, given_up: Callable[[], bool], at_work: bool, told: Collection[Kind]
    ) -> Signs:
        """What was so in all looks within PERSISTS seconds; the first one ends it if it is good."""
        first = before = self._look()
        pause(QUIET)
        due = monotonic() + PERSISTS
        signs, before = self._signs(before)
        signs = signs.counting(at_work, told)
        while signs and monotonic() < due and not given_up():
            pause(LOOK_EVERY)
            now, before = self._signs(before)
            signs = signs.still(now)
        signs.busy = signs.busy and is_busy(first, before)
        return Signs() if given_up() else signs

    def _look(self, family: Collection[proc.Process] | None = None) -> Look:
        if family is None:
            family = proc.family(self.roots)  # which takes a while
        at, threads = monotonic(), dict[int, tuple[int, int]]()
        for one in family:
            threads |= proc.thread_times(one.pid)
        return Look(at, threads, any(proc.runnable(one.pid) for one in family))

    def _signs(self, before: Look) -> tuple[Signs, Look]:
        family = proc.family(self.roots)
        look = self._look(family)
        busy = may_spin(before, look)
        zombies = {one.pid for one in family if one.state == proc.ZOMBIE}
        ends = ports.ends(self.url)
        alone = self._served(ends) <= self._strangers == 0
        return Signs(
            busy and alone,
            frozenset(one.inode for one in ends if self._is_left(one)) & self._open(family, ends),
            {one.inode: one.unread for one in ends if one.unread and self.rule == "sink"},
            frozenset(zombies - self._zombies),
            self._dead(family, ends),
            self._queued(ends) if alone else {},
            self._kept(family),
        ), look

    def _kept(self, family: Collection[proc.Process]) -> Held:
        """Of clients that came one after the other; counted only where there were very many."""
        if self.came < POOL:
            return NONE
        return Held.by(family).since(self._held, self.came, self.connections)

    def _is_left(self, end: ports.End) -> bool:
        """Whether this is the server's end of a connection whose client has gone."""
        if self.url.scheme == "unix":
            return bool(end.state) and end.inode != 0
        return self._tcp and end.state == ports.CLOSE_WAIT

    def _open(
        self, family: Collection[proc.Process], ends: Collection[ports.End]
    ) -> frozenset[int]:
        """The sockets that the processes have; asked only where one of these is suspicious."""
        return sockets_of(family) if any(map(self._is_left, ends)) else frozenset()

    def _dead(
        self, family: Collection[proc.Process], ends: Collection[ports.End]
    ) -> frozenset[int]:
        """Sockets that are no end of a connection any more, of those that came since `begin`: after
        a RST, or when both sides have said FIN, the kernel has forgotten all but the descriptor.
        """
        if not self._tcp:
            return frozenset()
        new = sockets_of(family) - self._sockets - {one.inode for one in ends}
        if not new:
            return new
        streams = {inode for one in family for inode in proc.tcp_sockets(one.pid)}
        return (new & streams) - ports.tcp_inodes()


def sockets_of(family: Collection[proc.Process]) -> frozenset[int]:
    """The inodes of all sockets that these processes have open."""
    return frozenset(inode for one in family for inode in proc.sockets(one.pid))


def _some(what: Collection[object]) -> str:
    shown = sorted(map(str, what))
    more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
    return ", ".join(shown[:NAMED]) + more


def local(url: Url) -> list[int]:
    """The processes of this machine that listen where the URL says, as far as we may look."""
    inodes = [one.inode for one in ports.listeners(url) or ()]
    return proc.owners(inodes) if inodes else []


def watched(label: str, url: Url, roots: Collection[int], name: str, scenario: Scenario) -> Watched:
    """A scenario's target of this name, called `label`; before its first client."""
    target = scenario.servers[name]
    sockets = sum(one.to == name for one in scenario.sockets)
    found = Watched(
        label,
        url,
        roots,
        target.rule,
        target.watch == "fail",
        scenario.load.users * sockets,
        left_unread(scenario),
    )
    found.begin()
    return found


def record(findings: Collection[Finding], stats: Stats, began: float) -> None:
    """Count findings as faults, of a row of their own."""
    for one in findings:
        evidence = Evidence(one.kind, one.text, step=TARGET, at=monotonic() - began)
        evidence.target = one.url
        stats.row_of(TARGET, "other")
        stats.record_fault(evidence)


def leaves_work(stats: Stats) -> bool:
    """Whether some client went away before it was answered."""
    late = any(group.kind in LATE for group in stats.faults.values())
    return bool(stats.interrupted or stats.hanging or late)


def left_unread(scenario: Scenario) -> int | None:
    """The largest message of a scenario in which some client stops reading; else None."""
    steps = list(scenario.every_step)
    if not any(isinstance(one, OnSockets) and one.action == "stop_reading" for one in steps):
        return None
    sends = [one.send for one in steps if isinstance(one, Exchange) and one.send is not None]
    return max((size_of(one.payload) for one in sends), default=0)
