"""What a case makes: variants, each a scenario of its own and a way to judge what came of it.

Beside them stands what most cases need: where a request is cut, the replies that answer so many of
them, who is served beside, and what a server cannot be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from loadmux.errors import Evidence
from loadmux.language.meaning.expected import ByRule
from loadmux.language.meaning.scenario import Scenario, Socket
from loadmux.language.meaning.stepvalues import Step
from loadmux.plugins.payloads import Data
from loadmux.probing.bench import Bench
from loadmux.probing.beyond import Told
from loadmux.probing.known import BYSTANDER, CLIENT, FRESH, Known
from loadmux.probing.outcome import Level
from loadmux.probing.trying import STOOD_STILL, Try, Unknown

CROWD = 12
"""Clients that are served at once, where a server serves several."""
MOST = 64
"""Offsets that are tried of a long request."""
SEVERAL = 16
IDLE = 1.0
"""Seconds in which nothing is said."""
AFTER_EACH = 0.002
BURST = 0.5
"""Seconds of work that a client leaves behind: it is not to look as if the server span."""
OTHERS = "others"
PATIENT = 15.0
ENDS = 8
MARKS = (b"\r\n", b"\n", b"\0", b" ")


class Unsupported(Exception):
    """The case cannot be tried with this exchange or server; says why."""


def first_fault(tried: Try) -> Evidence | None:
    """Every fault counts."""
    return tried.fault


def unjudged(tried: Try) -> str:
    """Nothing is known where connections ended while the generator did not run."""
    return STOOD_STILL if tried.unjudged else ""


def something(tried: Try) -> str:
    """Every try tells something."""
    return ""


@dataclass(frozen=True, slots=True)
class Variant:
    """One scenario of a case; `label` tells it from the others. `judge` says which fault counts.

    `leaves`: its clients go away before they were answered. `stalls`: one does not read. `rests`:
    the server is looked at while nobody says anything. `unknown` says why nothing is known of a
    try, `short` why one that had no fault did not come to what it is for. `twice`: what passes may
    have done so by chance, and is tried again. `clients`: so many come one after the other, of whom
    nothing is to be kept.
    """

    label: str
    scenario: Scenario
    judge: Callable[[Try], Evidence | None] = first_fault
    leaves: bool = False
    stalls: bool = False
    rests: bool = False
    unknown: Unknown = unjudged
    short: Unknown = something
    twice: bool = False
    clients: int = 0

    def why_unknown(self, tried: Try) -> str:
        """Why nothing is known of a try; "" where something is, as always of one that failed."""
        return "" if self.judge(tried) is not None else self.unknown(tried)

    def judged(self, tried: Try) -> Try:
        """The same with the fault that counts."""
        fault, why = self.judge(tried), self.why_unknown(tried)
        return replace(tried, faults=() if fault is None else (fault,), unjudged=bool(why))


@dataclass(frozen=True, slots=True)
class Case:
    """`line` says what the client does; `offsets`: its variants are numbers, which are folded.

    `needs`: where one of these has failed, this one would only fail for the same reason. `tell`
    does what no scenario says.
    """

    id: str
    level: Level
    line: str
    make: Callable[[Known], Iterable[Variant]]
    offsets: bool = False
    needs: tuple[str, ...] = ()
    tell: Callable[[Bench, Known], Told] | None = None


def offsets(known: Known, least: int = 1) -> list[int]:
    """Where a request is cut: everywhere, or, of a long one, at its marks, ends and by chance."""
    every = range(least, len(known.sent))
    if len(every) <= MOST:
        return list(every)
    found = {*every[:ENDS], *every[-ENDS:]}
    for mark in MARKS:
        at = known.sent.find(mark)
        while at >= 0 and len(found) < MOST * 3 // 4:
            found |= {one for one in (at, at + 1, at + len(mark)) if one in every}
            at = known.sent.find(mark, at + 1)
    others = [one for one in every if one not in found]
    found |= set(Random(known.seed).sample(others, max(0, MOST - len(found))))
    return sorted(found)


def answers(known: Known, count: int, place: int = 0) -> Iterator[Step]:
    """The replies to so many requests that were sent before."""
    if isinstance(known.reply, ByRule):
        count = 1  # it is of all that was sent
    for number in range(count):
        yield known.expect(place, name=f"reply {number + 1}" if count > 1 else "reply")


def again(known: Known) -> None:
    """Raises Unsupported where a connection carries one request only."""
    if known.closes:
        raise Unsupported("the server ends a connection after its reply")


def pipelined(known: Known) -> None:
    """Raises Unsupported where one request must be answered before the next."""
    again(known)
    if not known.pipelining:
        failed = sorted(one for one in known.failing if one.startswith("coalesced"))
        raise Unsupported(f"{failed[0]} fails" if failed else "--no-pipelining")


def crowded(known: Known, clients: int) -> bool:
    """Whether so many clients are more than the server takes at once."""
    return known.capacity is not None and known.capacity < clients


def beside(known: Known, clients: int = 2) -> None:
    """Raises Unsupported where so many clients are not served at once."""
    if crowded(known, clients):
        told = "one client" if known.capacity == 1 else f"{known.capacity} clients"
        raise Unsupported(f"the server serves {told} at once")


def woven(
    known: Known,
    label: str,
    says: str,
    steps: Sequence[Step],
    client: Socket | None = None,
) -> Variant:
    """The client 0 leaves; a bystander is served before and after, a fresh client after.

    `label` is the scenario's, and the variant's in what follows its last slash.
    """
    short = label.rpartition("/")[2]
    sockets = [client or known.named(CLIENT), known.named(FRESH), known.named(BYSTANDER)]
    fresh = known.exchange(1, name=FRESH)
    if crowded(known, 3):
        scenario = known.scenario_of(label, says, [*steps, fresh], sockets[:2])
        return Variant(short, scenario, leaves=True)
    first: Step = known.exchange(2, name=f"{BYSTANDER} before")
    if not known.lasts:
        first = known.act("connect", 2)
    after = known.exchange(2, name=f"{BYSTANDER} after")
    scenario = known.scenario_of(label, says, [first, *steps, fresh, after], sockets)
    return Variant(short, scenario, leaves=True)


def burst(known: Known, size: int) -> int:
    """How many requests are so many bytes, no more than take BURST seconds; or one, where they may
    not follow each other.
    """
    if known.closes or not known.pipelining:
        return 1
    most = int(known.rate * BURST) if known.rate else MOST
    return max(2, min(most, size // max(1, len(known.sent))))


def head(known: Known, size: int) -> Step:
    """The first bytes of a request are sent; none: a connect."""
    if not size:
        return known.act("connect", 0)
    return known.send(0, Data(known.sent[:size]), name=f"first {size} bytes")
