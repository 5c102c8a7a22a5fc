"""Requests in parts, and several in one: what TCP may do to a stream is no fault of a client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from loadmux.language.meaning.expected import ByRule
from loadmux.language.meaning.stepvalues import Step
from loadmux.probing.cases.variants import (
    CROWD,
    MOST,
    SEVERAL,
    Variant,
    answers,
    beside,
    offsets,
    pipelined,
)
from loadmux.probing.known import Known

EACH = 20
"""How often one of a crowd asks."""
RECORD = 1 << 14
"""Bytes of a TLS record at most (RFC 8446, 5.1)."""
REST = 1 << 24
"""A last piece: all that is left."""


def control(known: Known) -> Iterable[Variant]:
    says = "The exchange as it is."
    return [Variant("control", known.scenario_of("control", says, [known.exchange(0)]))]


def at_once(known: Known) -> Iterator[Variant]:
    beside(known)
    clients = CROWD if known.capacity is None else min(CROWD, known.capacity)
    step: Step = known.exchange(0, name="at once")
    steps = [known.again(EACH if known.lasts else 1, [step])]
    says = f"{clients} clients at once, each as it would be alone."
    yield Variant("", known.scenario_of("at-once", says, steps, users=clients))


def split(known: Known) -> Iterator[Variant]:
    for at in offsets(known):
        step = known.exchange(0, name=f"cut after {at}", pieces=(at, REST), gap=known.pause)
        says = f"The request in two pieces, cut after byte {at}."
        # on a busy machine a server may find both pieces at once
        yield Variant(str(at), known.scenario_of(f"split/{at}", says, [step]), twice=True)


def bytewise(known: Known) -> Iterator[Variant]:
    gap = min(0.02, 2.0 / max(1, len(known.sent)))
    step: Step = known.exchange(0, name="byte by byte", pieces=(1,), gap=gap)
    if not known.closes and len(known.sent) < MOST:
        step = known.again(3, [step])  # on a busy machine a server may find all bytes of one there
    yield Variant("", known.scenario_of("bytewise", "The request one byte at a time.", [step]))


def coalesced(count: int) -> Callable[[Known], Iterator[Variant]]:
    def make(known: Known) -> Iterator[Variant]:
        pipelined(known)
        known = known.alone
        label, says = f"coalesced/{count}", f"{count} requests in one segment."
        sent = known.send(0, known.several(count), name=f"{count} requests")
        yield Variant("", known.scenario_of(label, says, [sent, *answers(known, count)]))
        if known.tls and count == SEVERAL:
            yield from a_record(known)

    return make


def a_record(known: Known) -> Iterator[Variant]:
    """What is left of a record that was read in part lies in the TLS library: no event tells it."""
    most = int(2 * known.rate) if known.rate else RECORD
    count = min(most, RECORD // max(1, len(known.sent)))
    if count <= SEVERAL:
        return
    sent = known.send(0, known.several(count), name=f"{count} requests")
    taken = list(answers(known, 1))
    takes = taken if isinstance(known.reply, ByRule) else [known.again(count, taken)]
    says = f"{count} requests, as many as fill a TLS record."
    yield Variant("record", known.scenario_of("coalesced/16/record", says, [sent, *takes]))


def coalesced_split(known: Known) -> Iterator[Variant]:
    pipelined(known)
    known = known.alone
    for at in offsets(known):
        pieces = (len(known.sent) + at, REST)
        sent = known.send(
            0, known.several(2), name=f"2 requests, cut after {at}", pieces=pieces, gap=known.pause
        )
        says = f"Two requests, the second cut after its byte {at}."
        made = known.scenario_of(f"coalesced/2/split/{at}", says, [sent, *answers(known, 2)])
        yield Variant(str(at), made, twice=True)
