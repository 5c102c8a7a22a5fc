"""What a battery learns of a server before it tries it: its pace, its limits, how it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from loadmux.errors import Kind, ScenarioErrors
from loadmux.language.meaning.expected import Length
from loadmux.language.meaning.stepvalues import Step
from loadmux.probing.bench import Bench
from loadmux.probing.cases.variants import CROWD, Variant
from loadmux.probing.known import Known
from loadmux.probing.trying import Try
from loadmux.report.figures import plural

LEAVES = "abort/close"
"""The case that tells what clients leave behind."""
TIMES = 40
"""A reply may take so many times what it usually takes."""
RATED = 1 << 14
MOST_RATED, RATED_FOR = 1 << 20, 0.1
"""Bytes of requests by which a server's pace is measured: more, until it takes so many seconds."""


@dataclass
class Acquaintance:
    """The `known` exchange as it is known better; `notes` are for the report.

    `runs` runs variants, of which the faults that count are told; replies may take `patience`
    seconds at least. `left` is what /proc shows after any client at all.
    """

    bench: Bench
    known: Known
    runs: Callable[[Sequence[Variant]], list[Try]]
    patience: float
    notes: list[str] = field(default_factory=list)
    left: set[Kind] = field(default_factory=set)

    def learn(self, usual: float, restless: bool) -> None:
        """All of it. The exchange usually takes `usual` seconds; `restless`: the server was busy
        before the first client came.
        """
        self._by_rule()
        self._deadlines(usual)
        self._one_shot()
        self._capacity()
        self._rate()
        self._standing(restless)

    def _by_rule(self) -> None:
        """Judge by the target's own rule where it makes this reply: by the rule it is known what a
        server that answers whatever it has read makes of a request that comes in parts.
        """
        ruled = self.known.by_rule()
        if ruled is not None:
            self.known = ruled
            rule = ruled.scenario.servers[""].rule
            self.notes.append(f"replies are judged by the target's rule {rule!r}")

    def _deadlines(self, usual: float) -> None:
        """By the time that the exchange usually takes; pauses are as long as the longest one."""
        timeout = round(max(self.patience, TIMES * usual), 1)
        self.known = replace(self.known, timeout=timeout)

    def _one_shot(self) -> None:
        """Whether a connection carries more than one request."""
        if self.known.closes:
            self.known = replace(self.known, lasts=False)
            return
        once: list[Step] = [self.known.exchange(0), self.known.exchange(0, name="once more")]
        scenario = self.known.scenario_of("again", "", once)
        (tried,) = self.runs([Variant("", scenario)])
        fault = tried.fault
        ended = fault is not None and fault.kind is Kind.CLOSED and not fault.said_size
        self.known = replace(self.known, lasts=fault is None and tried.connects < 2)
        parts = fault is None and tried.connects > 1
        if ended or parts:
            self.known = replace(self.known, closes=True, parts=parts)
            self.notes.append("the server ends a connection after its reply")

    def _standing(self, restless: bool) -> None:
        """What /proc shows after any client at all is the affair of one case. `restless`: the
        server was busy before the first client came, and means to be.
        """
        self.bench.standing = self.bench.look()
        if self.bench.standing and self.bench.ours:
            self.bench.restart()  # those before did more than that
            self.runs([Variant("", self.known.scenario_of("once", "", [self.known.exchange(0)]))])
            self.bench.standing &= self.bench.look()
        self.left = set(self.bench.standing)
        if restless:
            self.bench.standing.add(Kind.SPINNING)
            self.left.discard(Kind.SPINNING)
            self.notes.append("the server is busy when nobody asks anything: its CPU is not judged")
        if self.left:
            kinds = ", ".join(sorted(self.left))
            self.notes.append(f"{kinds} after each client that leaves: see {LEAVES}")

    def _capacity(self) -> None:
        """How many clients the server takes at once, if that is few."""
        if self.bench.capacity is None:
            count = CROWD
            while count > 1 and not self._takes(count):
                count //= 2
            if count < CROWD:
                self.bench.capacity = count
                self.notes.append(f"the server serves {plural(count, 'client')} at once")
            declared = False
        else:
            declared = True
        self.known = replace(self.known, capacity=self.bench.capacity, declared=declared)

    def _rate(self) -> None:
        """How fast it answers many requests that come in one; on what a case can count."""
        if self.known.closes or not self.known.pipelining:
            return
        size = RATED
        while (took := self._burst(many := max(2, size // len(self.known.sent)))) is not None:
            self.known = replace(self.known, rate=many / max(took, 0.0001))
            if took > RATED_FOR or size >= MOST_RATED:
                return
            size *= 8

    def _burst(self, many: int) -> float | None:
        """Seconds until so many requests in one are answered; None where they are not, alike."""
        known = self.known.alone
        all_of_it = known.expect(0, Length(many * len(known.came)))
        steps: list[Step] = [known.send(0, known.several(many)), all_of_it]
        try:
            scenario = known.reread(known.scenario_of("rate", "", steps))
        except ScenarioErrors:
            return None
        (tried,) = self.runs([Variant("", scenario)])
        return tried.took if tried.fault is None else None

    def _takes(self, count: int) -> bool:
        sockets = self.known.group("crowd", count)
        first = self.known.act("connect", *range(count - 1))
        served = [self.known.exchange(place) for place in range(count - 1)]
        steps: list[Step] = [first]
        steps += served if self.known.lasts else []
        steps.append(self.known.exchange(count - 1))
        scenario = self.known.scenario_of("crowd", "", steps, sockets)
        (tried,) = self.runs([Variant("", scenario)])
        return tried.fault is None
