"""The cases: what each makes of the known exchange. A case that is new is one function more.

`CASES` has them in the order in which they are tried. A case makes variants, which are scenarios;
what none of them may do to others, and to the process, is looked at by the bench after each case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from loadmux.language.meaning.stepvalues import Step
from loadmux.plugins.payloads import Data
from loadmux.probing.beyond import emfile, same_port
from loadmux.probing.cases.crowds import fd_1024, flood, idle, interleaved
from loadmux.probing.cases.cutting import (
    at_once,
    bytewise,
    coalesced,
    coalesced_split,
    control,
    split,
)
from loadmux.probing.cases.ending import fin_pending, half_close, reuse
from loadmux.probing.cases.leaving import abort, abort_accept, abort_reply, leaks
from loadmux.probing.cases.slowness import slow_reader, slow_writer, stalled_reader, zero_window
from loadmux.probing.cases.variants import Case, Unsupported, Variant
from loadmux.probing.known import Known
from loadmux.probing.outcome import Level


def urgent(known: Known) -> Iterator[Variant]:
    if known.scheme != "tcp":
        raise Unsupported(f"urgent bytes are TCP's, {known.scheme} has none")
    send = known.send(0, Data(b"!"), name="urgent", urgent=True)
    steps: list[Step] = [send, known.wait(known.pause), known.exchange(0)]
    says = "A byte out of band (MSG_OOB), then the exchange."
    yield Variant("", known.scenario_of("urgent", says, steps))


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
        "leaks",
        "must",
        "600 clients come and go; no thread or file of them stays",
        leaks,
        needs=("abort/close",),
    ),
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
