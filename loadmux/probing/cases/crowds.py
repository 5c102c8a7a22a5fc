"""Many connections: silent ones, more than select() knows, and all of them in one moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from loadmux.errors import Evidence, Kind
from loadmux.language.meaning.stepvalues import Step
from loadmux.probing.cases.variants import (
    AFTER_EACH,
    CROWD,
    IDLE,
    PATIENT,
    Variant,
    beside,
    crowded,
    something,
    unjudged,
)
from loadmux.probing.interleaving import drawn
from loadmux.probing.known import CLIENT, FRESH, Known
from loadmux.probing.trying import LATE, Try

MANY, DESCRIPTORS, FLOOD = 500, 1100, 2000
"""How many connections there are."""
COMING = 4.0
"""Seconds in which they come, one after the other."""
SELECT_SERVES = 900
FIRST, SECOND, OLDEST = "first", "second", "oldest"


def idle(known: Known) -> Iterator[Variant]:
    few = [*known.group("idle", CROWD), known.named(FRESH)]
    dial = known.act("connect", *range(CROWD))
    if crowded(known, CROWD + 1) and known.declared:
        beside(known, CROWD + 1)
    says = f"{CROWD} connections say nothing; another client is served."
    made = known.scenario_of("idle/few", says, [dial, known.exchange(CROWD, name=FRESH)], few)
    yield Variant("few", made, rests=True)
    if known.tls:
        silent = [*map(known.plain, few[:CROWD]), few[CROWD]]
        says = f"{CROWD} connections do not begin their TLS handshake; another client is served."
        served = known.exchange(CROWD, name=FRESH)
        made = known.scenario_of("idle/handshake", says, [dial, served], silent)
        yield Variant("handshake", made, leaves=True)
    if crowded(known, CROWD + 1):
        return
    known = known.waiting(MANY)
    size = MANY if known.capacity is None else min(MANY, known.capacity - 4)
    pause = (known.wait(AFTER_EACH),)
    crowd = [replace(known.bare(one), on_connect=pause) for one in known.group("idle", size)]
    sockets = [known.named(OLDEST), known.named(FRESH), *crowd]
    many = range(2, 2 + size)
    steps: list[Step] = [
        known.exchange(0, name=OLDEST) if known.lasts else known.act("connect", 0),
        known.act("connect", *many),
        known.wait(IDLE / 2),
        known.exchange(0, name=OLDEST),
        known.act("close", *many, drop=True),
        known.exchange(1, name=FRESH),
    ]
    says = f"{size} connections say nothing; the oldest is served at the end."
    yield Variant("many", known.scenario_of("idle/many", says, steps, sockets), unless_idle)


def ends_idle(fault: Evidence) -> bool:
    """Whether a connection was ended in order while nothing was owed on it: a server may have such
    a limit, and `reuse` tells of short ones.
    """
    return fault.kind is Kind.CLOSED and fault.step in (OLDEST, SECOND) and not fault.said_size


def unless_idle(tried: Try) -> Evidence | None:
    """The first fault, but for that."""
    return next((one for one in tried.faults if not ends_so(one, tried)), None)


def ends_so(fault: Evidence, tried: Try) -> bool:
    """The same; of several that were ended so, one may have crossed its end with a request, which
    is reset then.
    """
    crossed = fault.kind is Kind.RESET and any(map(ends_idle, tried.faults))
    return ends_idle(replace(fault, kind=Kind.CLOSED) if crossed else fault)


def fd_1024(known: Known) -> Iterator[Variant]:
    beside(known, DESCRIPTORS)
    known = known.waiting(DESCRIPTORS)
    steps: list[Step] = [
        known.wait_up_to(COMING),  # a listen(5) is no fault, and each SYN sent again a second
        known.exchange(0, name=FIRST) if known.lasts else known.act("connect", 0),
        known.meet("all are connected"),
        known.exchange(0, name=SECOND),
        known.meet("all are served"),
    ]
    says = f"{DESCRIPTORS} connections: each is served in its turn, or refused in order."
    made = known.scenario_of("fd-1024", says, steps, users=DESCRIPTORS)
    made = replace(made, timeout=max(PATIENT, known.timeout))
    yield Variant("", made, refuses_in_order, unknown=unless_served)


def unless_served(tried: Try) -> str:
    """Nothing is known where few were served: others may well have been refused."""
    return "" if tried.right.get(SECOND, 0) >= SELECT_SERVES else unjudged(tried)


def refuses_in_order(tried: Try) -> Evidence | None:
    """Whoever is served at first is served on. Those who are not were refused, or wait until one of
    few leaves: select() knows no more than 1,024.
    """
    for fault in tried.faults:
        early = fault.step != SECOND or ends_so(fault, tried)  # or in its `on_connect`
        waits = fault.kind in LATE and tried.right.get(FIRST, 0) >= SELECT_SERVES
        if not early or waits:
            return fault
    return None


def flood(known: Known) -> Iterator[Variant]:
    beside(known, CROWD)
    known = known.waiting(FLOOD)
    steps: list[Step] = [known.act("connect", 0), known.act("close", 0, drop=True)]
    says = f"{FLOOD} clients connect at once, and leave; then a fresh one is served."
    made = known.scenario_of("flood", says, steps, [known.plain(known.named(CLIENT))], users=FLOOD)
    yield Variant("", made, forgives, leaves=True, unknown=something)


def forgives(tried: Try) -> Evidence | None:
    """What becomes of the crowd is of no account."""
    return None


def interleaved(known: Known) -> Iterator[Variant]:
    clients = 8 if known.capacity is None else min(8, known.capacity)
    seeds = known.seeds or [known.seed + number for number in range(3)]
    for seed in seeds:
        says = f"{clients} clients at once do what the seed {seed} has drawn."
        steps = drawn(known.alone, Random(seed), clients)
        sockets = known.group(CLIENT, clients)
        made = known.scenario_of(f"interleave/{seed}", says, steps, sockets)
        yield Variant(str(seed), made, leaves=True)
