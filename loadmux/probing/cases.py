"""The cases: what each makes of the known exchange. A case that is new is one function more.

`CASES` has them in the order in which they are tried. A case makes variants, which are scenarios;
what none of them may do to others, and to the process, is looked at by the bench after each case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from loadmux.errors import Evidence
from loadmux.language.expected import ByRule, Closed
from loadmux.language.scenario import Scenario, Step
from loadmux.plugins.payloads import Data
from loadmux.probing.known import BYSTANDER, CLIENT, FRESH, Known
from loadmux.probing.outcome import Level

MOST = 64
"""Offsets that are tried of a long request."""
ENDS = 8
MARKS = (b"\r\n", b"\n", b"\0", b" ")
AT_ONCE = 20
REST = 1 << 24
"""A last piece: all that is left."""


class Unsupported(Exception):
    """The case cannot be tried with this exchange or server; says why."""


def never(fault: Evidence) -> bool:
    """Every fault counts."""
    return False


@dataclass(frozen=True, slots=True)
class Variant:
    """One scenario of a case; `label` tells it from the others. A fault that `tolerates` is none.

    `leaves`: its clients go away before they were answered.
    """

    label: str
    scenario: Scenario
    tolerates: Callable[[Evidence], bool] = never
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """`line` says what the client does; `offsets`: its variants are numbers, which are folded."""

    id: str
    level: Level
    line: str
    make: Callable[[Known], Iterable[Variant]]
    offsets: bool = False


# --- help ---------------------------------------------------------------------------------------


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
        raise Unsupported("--no-pipelining")


def crowded(known: Known, clients: int) -> bool:
    """Whether so many clients are more than the server takes at once."""
    return known.capacity is not None and known.capacity < clients


def woven(known: Known, label: str, says: str, steps: Sequence[Step], leaves: bool) -> Variant:
    """Steps of the client 0; a bystander is served before and after, a fresh client after."""
    sockets = [known.named(CLIENT), known.named(FRESH), known.named(BYSTANDER)]
    fresh = known.exchange(1, name=FRESH)
    if crowded(known, 3):
        scenario = known.scenario_of(label, says, [*steps, fresh], sockets[:2])
        return Variant(label, scenario, leaves=leaves)
    first: Step = known.exchange(2, name=f"{BYSTANDER} before")
    if known.closes:
        first = known.act("connect", 2)
    after = known.exchange(2, name=f"{BYSTANDER} after")
    scenario = known.scenario_of(label, says, [first, *steps, fresh, after], sockets)
    return Variant(label, scenario, leaves=leaves)


def burst(known: Known, size: int) -> int:
    """How many requests are so many bytes, or one where they may not follow each other."""
    if known.closes or not known.pipelining:
        return 1
    return max(2, size // max(1, len(known.sent)))


def head(known: Known, size: int) -> Step:
    """The first bytes of a request are sent; none: a connect."""
    if not size:
        return known.act("connect", 0)
    return known.send(0, Data(known.sent[:size]), name=f"first {size} bytes")


# --- cuts ---------------------------------------------------------------------------------------


def control(known: Known) -> Iterable[Variant]:
    says = "The exchange as it is."
    return [Variant("control", known.scenario_of("control", says, [known.exchange(0)]))]


def split(known: Known) -> Iterator[Variant]:
    for at in offsets(known):
        step = known.exchange(0, name=f"cut after {at}", pieces=(at, REST), gap=known.pause)
        says = f"The request in two pieces, cut after byte {at}."
        yield Variant(str(at), known.scenario_of(f"split/{at}", says, [step]))


def bytewise(known: Known) -> Iterator[Variant]:
    gap = min(0.02, 2.0 / max(1, len(known.sent)))
    step = known.exchange(0, name="byte by byte", pieces=(1,), gap=gap)
    yield Variant("", known.scenario_of("bytewise", "The request one byte at a time.", [step]))


def coalesced(count: int) -> Callable[[Known], Iterator[Variant]]:
    def make(known: Known) -> Iterator[Variant]:
        pipelined(known)
        known = known.alone
        label, says = f"coalesced/{count}", f"{count} requests in one segment."
        sent = known.send(0, known.several(count), name=f"{count} requests")
        yield Variant("", known.scenario_of(label, says, [sent, *answers(known, count)]))

    return make


def coalesced_split(known: Known) -> Iterator[Variant]:
    pipelined(known)
    known = known.alone
    for at in offsets(known):
        pieces = (len(known.sent) + at, REST)
        sent = known.send(
            0, known.several(2), name=f"2 requests, cut after {at}", pieces=pieces, gap=known.pause
        )
        says = f"Two requests, the second cut after its byte {at}."
        label = f"coalesced/2/split/{at}"
        yield Variant(str(at), known.scenario_of(label, says, [sent, *answers(known, 2)]))


# --- leaving ------------------------------------------------------------------------------------


def abort(how: str) -> Callable[[Known], Iterator[Variant]]:
    def make(known: Known) -> Iterator[Variant]:
        for at in [*offsets(known, least=0), len(known.sent)]:
            leave = known.act("close", 0, drop=True) if how == "close" else known.act("reset", 0)
            says = f"The client is gone after {at} bytes ({how}); others are served."
            steps = [head(known, at), leave]
            yield known_leaves(known, f"abort/{how}/{at}", str(at), says, steps)

    return make


def known_leaves(known: Known, label: str, short: str, says: str, steps: Sequence[Step]) -> Variant:
    """`woven`, of a client that leaves before it was answered."""
    made = woven(known, label, says, steps, leaves=True)
    return Variant(short, made.scenario, leaves=True)


def abort_accept(known: Known) -> Iterator[Variant]:
    crowd = AT_ONCE if not crowded(known, AT_ONCE + 2) else 1
    sockets = [known.named(FRESH), *(known.bare(one) for one in known.group(CLIENT, crowd))]
    places = range(1, 1 + crowd)
    gone = [known.act("connect", *places), known.act("reset", *places)]
    says = "Connections that were reset before they were accepted; then a fresh client."
    steps: list[Step] = [known.again(5, gone), known.exchange(0, name=FRESH)]
    yield Variant("", known.scenario_of("abort/accept", says, steps, sockets), leaves=True)


def abort_reply(known: Known) -> Iterator[Variant]:
    count = burst(known, 1 << 16)
    steps: list[Step] = [
        known.act("stop_reading", 0),
        known.send(0, known.several(count), name="requests" if count > 1 else "request"),
        known.wait(known.pause),
        known.act("reset", 0),
    ]
    says = "The client resets the connection when the reply has begun; others are served."
    yield known_leaves(known.alone, "abort/reply", "", says, steps)


# --- ends ---------------------------------------------------------------------------------------


def half_close(known: Known) -> Iterator[Variant]:
    known = known.alone
    steps = [
        known.send(0, name="request"),
        known.act("half_close", 0),
        *answers(known, 1),
        known.expect(0, Closed(), "the end"),
    ]
    says = "FIN after the request: the reply comes whole, then the end."
    yield Variant("", known.scenario_of("half-close", says, steps))


CASES = (
    Case("control", "must", "the exchange as it is, before and after everything", control),
    Case("split", "must", "the request cut in two, after each of its bytes", split, True),
    Case("bytewise", "must", "the request one byte at a time", bytewise),
    Case("coalesced/2", "must", "two requests in one segment", coalesced(2)),
    Case("coalesced/16", "must", "sixteen requests in one segment", coalesced(16)),
    Case(
        "coalesced/2/split", "must", "two requests, a cut in the second one", coalesced_split, True
    ),
    Case("abort/close", "must", "the client closes after each byte", abort("close"), True),
    Case("abort/reset", "must", "the client resets after each byte", abort("reset"), True),
    Case("abort/accept", "must", "clients that are reset before they are accepted", abort_accept),
    Case("abort/reply", "must", "a reset in the middle of the reply", abort_reply),
    Case("half-close", "should", "FIN after the request: all of the reply, then FIN", half_close),
)
