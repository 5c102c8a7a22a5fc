"""Ends in order: a FIN with, or behind, what is still to be answered; and a connection's reuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loadmux.language.meaning.expected import Closed
from loadmux.language.meaning.stepvalues import Step
from loadmux.plugins.payloads import Data
from loadmux.probing.cases.leaving import filled, small, unless_unread
from loadmux.probing.cases.variants import IDLE, SEVERAL, Variant, again, answers, woven
from loadmux.probing.known import Known

HALVES = 4
"""How often clients say FIN behind a request, and with it."""


def the_end(known: Known, place: int) -> list[Step]:
    """The server ends the connection; that of some replies is awaited with them."""
    return [] if known.parts else [known.expect(place, Closed(), "the end")]


def held(known: Known) -> list[Step]:
    """What is sent from now on, and the FIN behind it, reach the server at once."""
    return [known.act("cork", 0)] if known.scheme in ("tcp", "tls") else []


def half_close(known: Known) -> Iterator[Variant]:
    known = known.alone
    behind: list[Step] = [
        known.send(0, name="request"),
        known.act("half_close", 0),
        *answers(known, 1),
        *the_end(known, 0),
    ]
    steps = [*held(known), *behind]  # a server that is quick has replied when a later FIN comes
    if not known.parts:
        steps = [known.again(HALVES, behind), known.again(HALVES, steps)]
    says = "FIN behind the request, and with it: the reply comes whole, then the end."
    yield Variant("", known.scenario_of("half-close", says, steps))


def fin_pending(known: Known) -> Iterator[Variant]:
    known = known.alone
    count = 1 if known.closes or not known.pipelining else SEVERAL
    steps: list[Step] = [
        *held(known),
        known.send(0, known.several(count), name="requests" if count > 1 else "request"),
        known.act("half_close", 0),
        *answers(known, count),
        *the_end(known, 0),
    ]
    says = f"{count} requests and a FIN at once: each is answered, then comes the end."
    if count > 1:
        yield Variant("requests", known.scenario_of("fin-pending/requests", says, steps))
    raw = known.raw()
    steps = [
        raw.send(0, Data(known.sent[:-1]), name="request but for its last byte"),
        known.wait(known.pause),
        *held(known),
        raw.send(0, Data(known.sent[-1:]), name="last byte"),
        known.act("half_close", 0),
        *answers(raw, 1),
        *the_end(known, 0),
    ]
    says = "The request's last byte and the FIN come at once."
    if len(known.sent) > 1 and "split" not in known.failing:
        yield Variant("last-byte", known.scenario_of("fin-pending/last-byte", says, steps))
    fill = filled(known) if count > 1 else known.send(0, name="request")
    steps = [known.act("stop_reading", 0), fill, known.act("close", 0, drop=True)]
    says = "The client closes while the server still sends; others are served."
    closes = woven(known, "fin-pending/close", says, steps, small(known))
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
