"""Clients that send, or read, slowly or not at all, while others are to be served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from loadmux.language.meaning.expected import ByRule, Exactly
from loadmux.language.meaning.scenario import Pace
from loadmux.language.meaning.stepvalues import Step
from loadmux.plugins.payloads import Data, Repeated
from loadmux.probing.bench import TAKEN
from loadmux.probing.cases.leaving import (
    BLOCK,
    FILL,
    SMALL_WINDOW,
    filled,
    never_full,
    small,
    unless_unread,
)
from loadmux.probing.cases.variants import (
    IDLE,
    OTHERS,
    PATIENT,
    Variant,
    answers,
    beside,
    offsets,
    pipelined,
)
from loadmux.probing.known import BUSY_FOR, CLIENT, FRESH, Known

SLOWLY = "reads slowly"
READ, READ_GAP, READ_IN_ALL = 1 << 16, 0.002, 1 << 20
"""A slow reader reads so much at a time, so often, and so much in all: more than the kernel holds
for a client with a small window.
"""
STALLED, STALLED_FOR = 32 << 20, 12.0
"""Bytes of replies at most that nobody reads, and seconds of work for them."""
MORE = 8
"""Of that a part for the second time, which tells whether the first one was enough."""
PIECES = 6
ONE_BY_ONE = 50_000
"""Replies at most that are judged each by itself."""


def served_beside(
    known: Known, place: int, times: int, seconds: float, meanwhile: str
) -> list[Step]:
    """Another client is served again and again, over so many seconds; what one does meanwhile."""
    steps: list[Step] = [known.exchange(place, name=f"{OTHERS}, while one {meanwhile}")]
    if not known.lasts:
        steps.append(known.act("close", place))
    return [known.again(times, [*steps, known.wait(round(seconds / times, 3))])]


def slow_writer(known: Known) -> Iterator[Variant]:
    """Others are served between two pieces: who waits for the rest of the request waits for ever,
    however long the deadline is.
    """
    beside(known)
    known = known.alone.raw()
    places = offsets(known)
    cuts = [0, *places[:: -(-len(places) // PIECES) or 1], len(known.sent)]
    steps: list[Step] = []
    for first, last in pairwise(cuts):
        if first:
            others = served_beside(known, 1, 1, known.pause, "sends slowly")
            steps += [known.wait(known.pause), *others]
        steps.append(known.send(0, Data(known.sent[first:last]), name=f"up to byte {last}"))
    sockets = [known.named(CLIENT), known.named(FRESH)]
    says = "A request comes slowly; others are served meanwhile."
    steps += answers(known, 1)
    yield Variant("", known.scenario_of("slow-writer", says, steps, sockets))


def slow_reader(known: Known) -> Iterator[Variant]:
    beside(known)
    known = known.alone
    slow = known.named(CLIENT, receive_buffer=SMALL_WINDOW, read=Pace(READ, READ_GAP))
    sockets = [slow, known.named(FRESH)]
    count = known.volume(READ_IN_ALL) if known.pipelining and not known.closes else 1
    whole = isinstance(known.reply, ByRule | Exactly)
    count = count if whole else min(count, ONE_BY_ONE)
    block = min(count, max(1, BLOCK // max(1, len(known.sent))))
    blocks = max(1, count // block)
    asks = known.again(blocks, [known.send(0, known.several(block), name="requests")])
    takes: Step = known.again(blocks * block, list(answers(known, 1)))
    if isinstance(known.reply, ByRule):
        takes = known.expect(0, name="replies")
    elif isinstance(known.reply, Exactly):
        takes = known.expect(0, Exactly(Repeated(known.reply.payload, blocks * block)), "replies")
    if count == 1:
        branch: list[Step] = [known.send(0, name="request"), *answers(known, 1)]
        steps: list[Step] = [known.at_once(branch, served_beside(known, 1, 4, 0.4, SLOWLY))]
    elif isinstance(known.reply, ByRule):
        steps = [known.at_once([asks, takes], served_beside(known, 1, 10, 2.0, SLOWLY))]
    else:
        full = round(0.1 + min(3.0, count / max(known.rate, 1.0)), 2)
        late: list[Step] = [known.act("stop_reading", 0), known.wait(full)]
        late += [known.act("resume_reading", 0)]
        others = served_beside(known, 1, 10, max(2.0, full), SLOWLY)
        steps = [known.at_once([*late, takes], [asks], others)]
    says = f"{blocks * block} replies are read slowly: each comes whole, others are served."
    made = known.scenario_of("slow-reader", says, steps, sockets)
    yield Variant("", replace(made, timeout=max(PATIENT, 2 * known.timeout)))


def stalled_reader(known: Known) -> Iterator[Variant]:
    beside(known)
    pipelined(known)
    sockets = [small(known), known.named(FRESH)]
    last = filled(known, STALLED // MORE, STALLED_FOR / MORE, f"{FILL} again")
    steps: list[Step] = [
        known.act("stop_reading", 0),
        filled(known, STALLED, STALLED_FOR),
        *served_beside(known, 1, 2, 0.2, "does not read"),
        last,
        *served_beside(known, 1, 3, 0.3, "does not read"),
        known.act("resume_reading", 0),
        known.act("close", 0, drop=True),
    ]
    says = "A client sends requests and reads no reply; others are served, memory stays."
    made = known.scenario_of("stalled-reader", says, steps, sockets)
    made = replace(made, timeout=max(2 * BUSY_FOR, known.timeout))  # others wait for that work
    short = never_full(known, last, TAKEN)
    yield Variant("", made, unless_unread, leaves=True, stalls=True, short=short)


def zero_window(known: Known) -> Iterator[Variant]:
    pipelined(known)
    known = known.alone
    count = min(2000, known.volume(1 << 17))
    socket = small(known)
    steps: list[Step] = [
        known.act("stop_reading", 0),
        known.send(0, known.several(count), name="requests"),
        known.wait(IDLE),
        known.act("resume_reading", 0),
    ]
    taken = list(answers(known, 1))
    steps += taken if isinstance(known.reply, ByRule) else [known.again(count, taken)]
    says = f"{count} replies meet a closed window; every byte comes when it opens."
    yield Variant("", known.scenario_of("zero-window", says, steps, [socket]))
