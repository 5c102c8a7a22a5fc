"""The cases: what each makes of the known exchange. A case that is new is one function more.

`CASES` has them in the order in which they are tried. A case makes variants, which are scenarios;
what none of them may do to others, and to the process, is looked at by the bench after each case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

from loadmux.errors import Evidence, Kind
from loadmux.language.expected import ByRule, Closed, Exactly
from loadmux.language.scenario import Pace, Scenario, Socket
from loadmux.language.stepvalues import Step
from loadmux.plugins.payloads import Data, Repeated
from loadmux.probing.bench import Bench
from loadmux.probing.beyond import Told, emfile, same_port
from loadmux.probing.handshaking import hellos
from loadmux.probing.interleaving import drawn
from loadmux.probing.known import BUSY_FOR, BYSTANDER, CLIENT, FRESH, Known
from loadmux.probing.outcome import Level
from loadmux.probing.trying import LATE, Try

MOST = 64
"""Offsets that are tried of a long request."""
ENDS = 8
MARKS = (b"\r\n", b"\n", b"\0", b" ")
AT_ONCE = 20
SEVERAL = 16
ROUNDS = 5
IDLE = 1.0
"""Seconds in which nothing is said."""
CROWD, MANY, DESCRIPTORS, FLOOD = 12, 500, 1100, 2000
"""How many connections there are."""
COMING = 4.0
"""Seconds in which they come, one after the other."""
AFTER_EACH = 0.002
SELECT_SERVES = 900
OTHERS, SLOWLY = "others", "reads slowly"
FIRST, SECOND, OLDEST = "first", "second", "oldest"
SMALL_WINDOW = 4096
READ, READ_GAP, READ_IN_ALL = 1 << 16, 0.002, 1 << 20
"""A slow reader reads so much at a time, so often, and so much in all: more than the kernel holds
for a client with a small window.
"""
STALLED, STALLED_FOR = 32 << 20, 12.0
"""Bytes of replies at most that nobody reads, and seconds of work for them."""
FULL = 1 << 19
"""Bytes of replies at most until the client of one is gone."""
OFTEN, GONE_OFTEN, EACH, HALVES = 100, 10, 20, 8
"""How often: clients leave half-way, or before their reply; one of a crowd asks; clients say FIN.
"""
BLOCK = RECORD = 1 << 14
PIECES = 6
ONE_BY_ONE = 50_000
"""Replies at most that are judged each by itself."""
PATIENT = 15.0
REST = 1 << 24
"""A last piece: all that is left."""


class Unsupported(Exception):
    """The case cannot be tried with this exchange or server; says why."""


def first_fault(tried: Try) -> Evidence | None:
    """Every fault counts."""
    return tried.fault


@dataclass(frozen=True, slots=True)
class Variant:
    """One scenario of a case; `label` tells it from the others. `judge` says which fault counts.

    `leaves`: its clients go away before they were answered. `stalls`: one does not read. `rests`:
    the server is looked at while nobody says anything.
    """

    label: str
    scenario: Scenario
    judge: Callable[[Try], Evidence | None] = first_fault
    leaves: bool = False
    stalls: bool = False
    rests: bool = False


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
        failed = sorted(one for one in known.failing if one.startswith("coalesced"))
        raise Unsupported(f"{failed[0]} fails" if failed else "--no-pipelining")


def crowded(known: Known, clients: int) -> bool:
    """Whether so many clients are more than the server takes at once."""
    return known.capacity is not None and known.capacity < clients


def woven(
    known: Known,
    label: str,
    says: str,
    steps: Sequence[Step],
    leaves: bool,
    client: Socket | None = None,
) -> Variant:
    """Steps of the client 0; a bystander is served before and after, a fresh client after."""
    sockets = [client or known.named(CLIENT), known.named(FRESH), known.named(BYSTANDER)]
    fresh = known.exchange(1, name=FRESH)
    if crowded(known, 3):
        scenario = known.scenario_of(label, says, [*steps, fresh], sockets[:2])
        return Variant(label, scenario, leaves=leaves)
    first: Step = known.exchange(2, name=f"{BYSTANDER} before")
    if not known.lasts:
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
        yield Variant(str(at), known.scenario_of(f"split/{at}", says, [step]))


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
        label = f"coalesced/2/split/{at}"
        yield Variant(str(at), known.scenario_of(label, says, [sent, *answers(known, 2)]))


# --- leaving ------------------------------------------------------------------------------------


def abort(how: str) -> Callable[[Known], Iterator[Variant]]:
    def make(known: Known) -> Iterator[Variant]:
        if how == "reset" and known.scheme == "unix":
            raise Unsupported("a Unix socket has no reset; abort/close is what its server sees")
        for at in [*offsets(known, least=0), len(known.sent)]:
            leave = known.act("close", 0, drop=True) if how == "close" else known.act("reset", 0)
            says = f"The client is gone after {at} bytes ({how}); others are served."
            steps = [head(known, at), leave]
            yield known_leaves(known, f"abort/{how}/{at}", str(at), says, steps)
        quick = known.gone(0) if how == "close" else known.act("reset", 0)
        goes: list[Step] = [head(known, len(known.sent) // 2), quick, known.wait(AFTER_EACH)]
        says = f"{OFTEN} clients are gone half-way ({how}); others are served."
        many = known_leaves(known, f"abort/{how}/many", "many", says, [known.again(OFTEN, goes)])
        yield replace(many, judge=unless_crowded)
        if known.tls:
            yield from leaves_handshake(known, how)

    return make


def leaves_handshake(known: Known, how: str) -> Iterator[Variant]:
    """The client is gone in the middle of the TLS handshake."""
    leave = known.act("close", 0, drop=True) if how == "close" else known.act("reset", 0)
    for at, data in hellos().items():
        says = f"The client is gone after the {at} of its TLS handshake ({how}); others are served."
        steps: list[Step] = [known.send(0, Data(data), name=at), leave]
        made = woven(known, f"abort/{how}/{at.replace(' ', '-')}", says, steps, leaves=True)
        first, *others = made.scenario.sockets
        scenario = replace(made.scenario, sockets=(known.plain(first), *others))
        yield Variant(at.replace(" ", "-"), scenario, leaves=True)


def unless_crowded(tried: Try) -> Evidence | None:
    """The first fault, but for a short accept queue's."""
    mine = (*LATE, Kind.REFUSED, Kind.UNREACHABLE, Kind.RESET)
    faults = (one for one in tried.faults if one.socket != CLIENT or one.kind not in mine)
    return next(faults, None)


def unless_unread(tried: Try) -> Evidence | None:
    """The first fault, but for replies that the client has left lying about: nobody asks for them,
    and as all are alike, they are taken for those that others await.
    """
    unread = (Kind.SURPLUS, Kind.CROSSTALK, Kind.DUPLICATE)
    found = next((one for one in tried.faults if one.kind not in unread), None)
    if found is None and tried.faults:
        for step, times in tried.right.items():
            if step.startswith(OTHERS) and not times:
                return Evidence(Kind.TIMEOUT, "nobody was served", step=step, socket=FRESH)
    return found


def known_leaves(
    known: Known,
    label: str,
    short: str,
    says: str,
    steps: Sequence[Step],
    client: Socket | None = None,
) -> Variant:
    """`woven`, of a client that leaves before it was answered."""
    made = woven(known, label, says, steps, True, client)
    return Variant(short, made.scenario, leaves=True)


def abort_accept(known: Known) -> Iterator[Variant]:
    known = known.waiting(ROUNDS * AT_ONCE)
    crowd = AT_ONCE if not crowded(known, AT_ONCE + 2) else 1
    sockets = [known.named(FRESH), *(known.plain(one) for one in known.group(CLIENT, crowd))]
    places = range(1, 1 + crowd)
    gone = [known.act("connect", *places), known.act("reset", *places, drop=True)]
    says = "Connections that were reset before they were accepted; then a fresh client."
    steps: list[Step] = [known.again(ROUNDS, gone), known.exchange(0, name=FRESH)]
    yield Variant("", known.scenario_of("abort/accept", says, steps, sockets), leaves=True)


def abort_reply(known: Known) -> Iterator[Variant]:
    known = known.alone
    count = burst(known, 1 << 16)
    steps: list[Step] = [
        known.act("stop_reading", 0),
        known.send(0, known.several(count), name="requests" if count > 1 else "request"),
        known.wait(known.pause),
        known.act("reset", 0),
    ]
    says = "The client resets the connection when the reply has begun; others are served."
    yield known_leaves(known, "abort/reply/begun", "begun", says, steps)
    several = known.several(min(SEVERAL, count))
    steps = [known.again(GONE_OFTEN, [known.send(0, several, name="request"), known.gone(0)])]
    says = "The client is gone when the reply is written: the next write fails; others are served."
    yield known_leaves(known, "abort/reply/gone", "gone", says, steps)
    if count > 1:
        says = "The client reads nothing, and is gone when its replies can go on no more."
        steps = [known.act("stop_reading", 0), filled(known), known.gone(0)]
        full = known_leaves(known, "abort/reply/full", "full", says, steps, small(known))
        yield replace(full, judge=unless_unread)


def small(known: Known) -> Socket:
    """A client for whose replies the kernel has little room."""
    return known.named(CLIENT, receive_buffer=SMALL_WINDOW)


def filled(known: Known, replies: int = FULL, seconds: float = 0.0) -> Step:
    """Requests until no more are taken, or so many bytes of replies are owed; not more than take
    so many seconds: by default of the time in which others must be served.
    """
    seconds = seconds or known.timeout / 4
    block = known.several(max(1, BLOCK // max(1, len(known.sent))))
    most = known.volume(replies, seconds) * len(known.sent)
    return known.fill(0, block, most, max(0.5, round(10 * known.took, 1)))


# --- ends ---------------------------------------------------------------------------------------


def the_end(known: Known, place: int) -> list[Step]:
    """The server ends the connection; that of some replies is awaited with them."""
    return [] if known.parts else [known.expect(place, Closed(), "the end")]


def half_close(known: Known) -> Iterator[Variant]:
    known = known.alone
    steps: list[Step] = [
        known.send(0, name="request"),
        known.act("half_close", 0),
        *answers(known, 1),
        *the_end(known, 0),
    ]
    if not known.parts:
        steps = [known.again(HALVES, steps)]  # a server that is quick meets the FIN after its reply
    says = "FIN after the request: the reply comes whole, then the end."
    yield Variant("", known.scenario_of("half-close", says, steps))


def fin_pending(known: Known) -> Iterator[Variant]:
    known = known.alone
    count = 1 if known.closes or not known.pipelining else SEVERAL
    steps: list[Step] = [
        known.send(0, known.several(count), name="requests" if count > 1 else "request"),
        known.act("half_close", 0),
        *answers(known, count),
        *the_end(known, 0),
    ]
    says = f"{count} requests and a FIN at once: each is answered, then comes the end."
    if count > 1:
        yield Variant("requests", known.scenario_of("fin-pending/requests", says, steps))
    pieces = (len(known.sent) - 1, 1)
    steps[0] = known.send(0, name="request, its last byte late", pieces=pieces, gap=known.pause)
    steps[2:] = [*answers(known, 1), *the_end(known, 0)]
    says = "The request's last byte and the FIN come at once."
    if len(known.sent) > 1 and "split" not in known.failing:
        yield Variant("last-byte", known.scenario_of("fin-pending/last-byte", says, steps))
    fill = filled(known) if count > 1 else known.send(0, name="request")
    steps = [known.act("stop_reading", 0), fill, known.act("close", 0, drop=True)]
    says = "The client closes while the server still sends; others are served."
    closes = known_leaves(known, "fin-pending/close", "close", says, steps, small(known))
    yield replace(closes, judge=unless_unread)


def reuse(known: Known) -> Iterator[Variant]:
    again(known)
    steps: list[Step] = [
        known.again(10, [known.exchange(0, name="one after the other")]),
        known.wait(IDLE),
        known.exchange(0, name="after a while"),
    ]
    says = "Ten requests on a connection, one after the other; then idle; then one more."
    yield Variant("", known.scenario_of("reuse", says, steps))


# --- others are served --------------------------------------------------------------------------


def beside(known: Known, clients: int = 2) -> None:
    """Raises Unsupported where so many clients are not served at once."""
    if crowded(known, clients):
        told = "one client" if known.capacity == 1 else f"{known.capacity} clients"
        raise Unsupported(f"the server serves {told} at once")


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
    steps: list[Step] = [
        known.act("stop_reading", 0),
        filled(known, STALLED, STALLED_FOR),
        *served_beside(known, 1, 5, 0.5, "does not read"),
        known.act("resume_reading", 0),
        known.act("close", 0, drop=True),
    ]
    says = "A client sends requests and reads no reply; others are served, memory stays."
    made = known.scenario_of("stalled-reader", says, steps, sockets)
    made = replace(made, timeout=max(2 * BUSY_FOR, known.timeout))  # others wait for that work
    yield Variant("", made, unless_unread, leaves=True, stalls=True)


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
    yield Variant("", made, refuses_in_order)


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
    yield Variant("", made, forgives, leaves=True)


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


# --- for information ----------------------------------------------------------------------------


def urgent(known: Known) -> Iterator[Variant]:
    if known.scheme != "tcp":
        raise Unsupported(f"urgent bytes are TCP's, {known.scheme} has none")
    send = known.send(0, Data(b"!"), name="urgent", urgent=True)
    steps: list[Step] = [send, known.wait(known.pause), known.exchange(0)]
    says = "A byte out of band (MSG_OOB), then the exchange."
    yield Variant("", known.scenario_of("urgent", says, steps))


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


def nothing(known: Known) -> Iterable[Variant]:
    """No scenario."""
    return ()


def level_of(case: Case, known: Known) -> Level:
    """How far a server must stand it. Over TLS 1.2 an end may cut what is owed (RFC 5246, 7.2.1),
    and few servers do otherwise by TLS 1.3.
    """
    return "info" if known.tls and case.id in HALF_CLOSED else case.level


HALF_CLOSED = ("half-close", "fin-pending")
CUT = ("split", "bytewise", "coalesced/2")
CASES = (
    Case("control", "must", "the exchange as it is, before and after everything", control),
    Case("at-once", "must", "twelve clients at once, each as it would be alone", at_once),
    Case("split", "must", "the request cut in two, after each of its bytes", split, True),
    Case("bytewise", "must", "the request one byte at a time", bytewise),
    Case("coalesced/2", "must", "two requests in one segment", coalesced(2)),
    Case(
        "coalesced/16",
        "must",
        "sixteen requests in one segment",
        coalesced(16),
        needs=("coalesced/2",),
    ),
    Case("coalesced/2/split", "must", "two requests, the second cut", coalesced_split, True, CUT),
    Case("abort/close", "must", "the client closes after each byte", abort("close"), True),
    Case("abort/reset", "must", "the client resets after each byte", abort("reset"), True),
    Case("abort/accept", "must", "clients that are reset before they are accepted", abort_accept),
    Case("abort/reply", "must", "a reset in the middle of the reply", abort_reply),
    Case(
        "slow-writer", "must", "a request comes slowly; others are served", slow_writer, needs=CUT
    ),
    Case("slow-reader", "must", "replies are read slowly; others are served", slow_reader),
    Case("stalled-reader", "must", "replies are not read; others are served", stalled_reader),
    Case("idle", "must", "500 idle connections beside; the oldest is served", idle),
    Case("fd-1024", "must", "1,100 connections are served, or refused in order", fd_1024),
    Case("flood", "must", "2,000 connects at once; then a fresh client", flood),
    Case("half-close", "should", "FIN after the request: all of the reply, then FIN", half_close),
    Case("fin-pending", "should", "FIN with the last byte, and while replies go out", fin_pending),
    Case("reuse", "should", "ten requests on a connection, then idle, then one", reuse),
    Case(
        "interleave",
        "must",
        "clients that do all this, drawn from a seed",
        interleaved,
        True,
        ("at-once",),
    ),
    Case("urgent", "info", "an urgent byte before the exchange", urgent),
    Case("emfile", "info", "a server that has no descriptor left", nothing, tell=emfile),
    Case("same-port", "info", "a client that comes again from its port", nothing, tell=same_port),
    Case("zero-window", "info", "replies wait for a window that is closed", zero_window),
)
