"""Clients that go before they were answered: others are served, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from loadmux.errors import Evidence, Kind
from loadmux.language.meaning.scenario import Socket
from loadmux.language.meaning.stepvalues import Exchange, Step
from loadmux.plugins.payloads import Data
from loadmux.probing.cases.variants import (
    AFTER_EACH,
    OTHERS,
    SEVERAL,
    Unsupported,
    Variant,
    burst,
    crowded,
    head,
    offsets,
    woven,
)
from loadmux.probing.handshaking import hellos
from loadmux.probing.known import CLIENT, FRESH, Known
from loadmux.probing.trying import LATE, Try, Unknown
from loadmux.report.figures import size

FILL = "fill"
"""How the steps are called that send more than is read."""
AT_ONCE = 20
ROUNDS = 5
SMALL_WINDOW = 4096
FULL = 1 << 19
"""Bytes of replies at most until the client of one is gone."""
HELD = 1 << 17
"""More bytes than kernels hold for a client with a small window."""
OFTEN, GONE_OFTEN = 100, 10
"""How often clients leave half-way, or before their reply."""
BLOCK = 1 << 14
COME, AT_MOST = 300, 20.0
"""Clients of a kind that come one after the other, and seconds in which they are served."""


def abort(how: str) -> Callable[[Known], Iterator[Variant]]:
    def make(known: Known) -> Iterator[Variant]:
        if how == "reset" and known.scheme == "unix":
            raise Unsupported("a Unix socket has no reset; abort/close is what its server sees")
        for at in [*offsets(known, least=0), len(known.sent)]:
            leave = known.act("close", 0, drop=True) if how == "close" else known.act("reset", 0)
            says = f"The client is gone after {at} bytes ({how}); others are served."
            steps = [head(known, at), leave]
            yield woven(known, f"abort/{how}/{at}", says, steps)
        quick = known.gone(0) if how == "close" else known.act("reset", 0)
        goes: list[Step] = [head(known, len(known.sent) // 2), quick, known.wait(AFTER_EACH)]
        says = f"{OFTEN} clients are gone half-way ({how}); others are served."
        many = woven(known, f"abort/{how}/many", says, [known.again(OFTEN, goes)])
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
        made = woven(known, f"abort/{how}/{at.replace(' ', '-')}", says, steps)
        first, *others = made.scenario.sockets
        scenario = replace(made.scenario, sockets=(known.plain(first), *others))
        yield replace(made, scenario=scenario)


def unless_crowded(tried: Try) -> Evidence | None:
    """The first fault, but for a short accept queue's."""
    mine = (*LATE, Kind.REFUSED, Kind.UNREACHABLE, Kind.RESET)
    faults = (one for one in tried.faults if one.socket != CLIENT or one.kind not in mine)
    return next(faults, None)


def unless_unread(tried: Try) -> Evidence | None:
    """The first fault, but for replies that the client has left lying about: nobody asks for them,
    and as all are alike, they are taken for those that others await. A server may give up who does
    not read.
    """
    unread = (Kind.SURPLUS, Kind.CROSSTALK, Kind.DUPLICATE)
    faults = (one for one in tried.faults if one.kind not in unread and not gives_up(one))
    found = next(faults, None)
    if found is None and tried.faults and not any(map(gives_up, tried.faults)):
        for step, times in tried.right.items():
            if step.startswith(OTHERS) and not times:
                return Evidence(Kind.TIMEOUT, "nobody was served", step=step, socket=FRESH)
    return found


def gives_up(fault: Evidence) -> bool:
    """Whether a server has ended the connection of a client that did not read."""
    return fault.kind in (Kind.CLOSED, Kind.RESET) and fault.step.startswith(FILL)


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
    yield woven(known, "abort/reply/begun", says, steps)
    several = known.several(min(SEVERAL, count))
    steps = [known.again(GONE_OFTEN, [known.send(0, several, name="request"), known.gone(0)])]
    says = "The client is gone when the reply is written: the next write fails; others are served."
    yield woven(known, "abort/reply/gone", says, steps)
    if count > 1:
        says = "The client reads nothing, and is gone when its replies can go on no more."
        fill = filled(known)
        steps = [known.act("stop_reading", 0), fill, known.gone(0)]
        full = woven(known, "abort/reply/full", says, steps, small(known))
        yield replace(full, judge=unless_unread, short=never_full(known, fill, HELD))


def leaks(known: Known) -> Iterator[Variant]:
    """So many that no pool of threads is meant for them; each alone."""
    if known.took * COME > AT_MOST:
        raise Unsupported(f"{2 * COME} clients, one after the other, take too long")
    half = head(known, len(known.sent) // 2)
    served: list[Step] = [known.exchange(0), known.act("close", 0, drop=True)]
    comes = [*served, half, known.act("close", 0, drop=True)]
    says = f"{COME} clients are served and {COME} go half-way, in turn: nothing of them stays."
    made = known.scenario_of("leaks", says, [known.again(COME, comes)])
    yield Variant("", made, unless_crowded, leaves=True, clients=2 * COME)


def small(known: Known) -> Socket:
    """A client for whose replies the kernel has little room."""
    return known.named(CLIENT, receive_buffer=SMALL_WINDOW)


def filled(known: Known, replies: int = FULL, seconds: float = 0.0, name: str = FILL) -> Exchange:
    """Requests until no more are taken, or so many bytes of replies are owed; not more than take
    so many seconds: by default of the time in which others must be served.
    """
    seconds = seconds or known.timeout / 4
    block = known.several(max(1, BLOCK // max(1, len(known.sent))))
    most = known.volume(replies, seconds) * len(known.sent)
    return known.fill(0, block, most, max(0.5, round(10 * known.took, 1)), name)


def never_full(known: Known, fill: Exchange, enough: int) -> Unknown:
    """Why a try says nothing of a client who does not read: after `fill` there was still room for
    more, and less than `enough` bytes of replies are owed to it.
    """
    most = (fill.send.at_most if fill.send is not None else None) or 0

    def short(tried: Try) -> str:
        owed = tried.sent * len(known.came) // max(1, len(known.sent))
        ended = any(map(gives_up, tried.faults))
        if ended or owed >= enough or tried.volumes.get(fill.name, 0) < most:
            return ""
        return f"its {size(owed)} of replies need not wait for a reader, and more take too long"

    return short
