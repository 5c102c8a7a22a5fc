"""Gathers what a fault's report needs, after the fact: this path may be slow and thorough.

The hot path leaves only references behind (the last payload, the last reply, two times); here they
become excerpts and a transcript, beside what `diagnosis` makes of the bytes and their `suspects`.
"""

from __future__ import annotations

import socket
from itertools import islice
from time import perf_counter

from loadmux.checking import diagnosis
from loadmux.checking.verifying import Problem, Verifier
from loadmux.driver import advice
from loadmux.driver.peer import SHOWN, Peer, peers
from loadmux.driver.poller import READ
from loadmux.driver.suspects import (
    ELSEWHERE_IN_STORM,
    Labelled,
    Suspects,
    diagnosed,
    told_by_its_text,
)
from loadmux.errors import SAID, Evidence, Fault, Kind, Moment

UNENDED = frozenset({Kind.CLOSED, Kind.RESET, Kind.TIMEOUT, Kind.TRUNCATED})
"""What ends a reply of which nothing was wrong so far."""


def fault(
    connection: Peer,
    kind: Kind,
    message: str,
    verifier: Verifier | None = None,
    offset: int | None = None,
    belongs_to: str | None = None,
) -> Fault:
    """A fault on this connection; with a verifier, what was expected stands beside what came."""
    connection.loop.faults += 1
    found = Evidence(kind, message, offset, belongs_to=belongs_to, socket=connection.name)
    if verifier is not None:
        received, expected = bytes(verifier.received), verifier.expected()
        at = len(received) if offset is None else offset
        found.excerpt_at, found.expected, found.received = diagnosis.excerpt(expected, received, at)
        if not expected and kind in UNENDED:
            found.expected = None  # not known beforehand; it is not that nothing was expected
    found.heard(*said(connection, verifier or connection.verifier))
    found.at = perf_counter() - connection.loop.began
    found.transcript = transcript(connection)
    found.message += advice.speaks_tls(connection, kind, found.transcript)
    found.user, found.target = connection.user, connection.endpoint.url
    if kind in advice.ENDS:
        connection.loop.look_for_suspension()
        found.unjudged = silent_since(connection, connection.loop.woke)
    return Fault(found)


def noticed(fault: Fault, connection: Peer, when: float) -> Fault:
    """The fault, which was noticed at this `perf_counter` time, before more was waited for."""
    fault.evidence.at = when - connection.loop.began
    return fault


def said(connection: Peer, verifier: Verifier | None) -> tuple[bytes, int]:
    """What has come of the reply in hand, and behind it: the first SAID bytes, and the number."""
    heard = b"" if verifier is None else bytes(verifier.received[:SAID])
    size = 0 if verifier is None else len(verifier.received)
    behind = connection.inbox.peek(SAID - len(heard))
    return heard + behind, size + connection.inbox.size


def silent_since(connection: Peer, woke: float) -> bool:
    """Whether nothing has come since the loop stood still, which ended at `woke`.

    A server may have a time-out as well: to it, who stands still is a client that is gone.
    """
    if not woke:
        return False
    began = connection.loop.began
    heard = [one.at + began for one in connection.moments or () if one.what == "received"]
    return max(connection.dialed, connection.last_at, *heard) < woke


def transcript(connection: Peer) -> list[Moment]:
    """The last moments of a socket, oldest first; times in seconds since the run began."""
    began = connection.loop.began
    moments = list(connection.moments or ())
    if connection.opened_at:
        moments.append(Moment(connection.opened_at - began, "connected"))
    if connection.began:
        data = connection.payload
        moments.append(Moment(connection.began - began, "sent", data[:SHOWN], len(data)))
    if connection.last_at:
        # Right ahead of the last reply: of those before `exchange` has kept nothing.
        moments.append(Moment(connection.last_at - began - 1e-9, "earlier exchanges left out"))
        data = connection.last
        moments.append(Moment(connection.last_at - began, "received", data[:SHOWN], len(data)))
    return sorted(moments, key=lambda moment: moment.at)


def wrong(connection: Peer, verifier: Verifier, known: Suspects) -> Fault:
    """The reply is wrong at `verifier.wrong_at`: say how."""
    problem = verifier.unreadable or verifier.problem()
    if problem is not None:
        return _problem(connection, bytes(verifier.received), problem, known)
    finding = diagnosed(connection, verifier, known)
    more = advice.is_framed(connection, verifier.expected(), bytes(verifier.received))
    text = finding.message + more
    return fault(connection, finding.kind, text, verifier, finding.offset, finding.belongs_to)


def _problem(connection: Peer, came: bytes, problem: Problem, known: Suspects) -> Fault:
    """What a frame's judge has found, unless the frame is known to be another's, or to be old."""
    kind, text, owner = problem.kind, problem.message, None
    if problem.expected is not None:
        owners = list({who for who, reply in known.elsewhere if reply == came})
        if came and came == known.previous:
            kind, text = Kind.MISMATCH, f"{text}; it is equal to the previous reply"
        elif size := _doubled(came, problem.expected, known.previous):
            kind = Kind.DUPLICATE
            part = "" if size == len(known.previous) else f"the last {size} bytes of "
            text = f"{part}the previous reply ({len(known.previous)} bytes) came again"
        elif (step := _awaited_by(came, known)) is not None:
            before = _behind(came, problem)
            kind = Kind.REORDERED if before else Kind.MISMATCH
            text = f"the reply that step {step!r} awaits came {'before it' if before else 'here'}"
        elif not known.pending and _behind(came, problem):
            if kind is Kind.CORRUPT:  # nobody changes a byte, and then says it rightly
                kind = Kind.DUPLICATE if came.count(problem.received) > 1 else Kind.MISMATCH
            text += "; the right one came behind it"
        elif len(owners) == 1 and len(problem.received) >= diagnosis.EVIDENCE:
            kind, owner = Kind.CROSSTALK, owners[0]
            text = f"{text}; {diagnosis.owned(owners)}"
        elif (finding := told_by_its_text(connection, came, problem, known)) is not None:
            kind, owner = finding.kind, finding.belongs_to
            text = f"{text}; {finding.message}"
    found = fault(connection, kind, text, None, problem.offset, owner)
    _show(found, problem.expected, problem.received, problem.offset or 0)
    return found


def _awaited_by(came: bytes, known: Suspects) -> str | None:
    """The step whose reply, as far as such are known, came first."""
    for step, reply in known.later:
        if len(reply) >= diagnosis.EVIDENCE and came.startswith(reply):
            return step
    return None


def _doubled(came: bytes, expected: bytes, previous: bytes) -> int:
    """How many bytes of the previous reply's end came again, if the right one is behind them."""
    at = previous.rfind(came[: diagnosis.EVIDENCE]) if len(came) >= diagnosis.EVIDENCE else -1
    again = previous[at:] if at >= 0 else b""
    found = again and came.startswith(again) and came.find(expected, len(again)) >= 0
    return len(again) if found and expected else 0


def _behind(came: bytes, problem: Problem) -> bool:
    """Whether the right reply came as well, behind what was taken for it."""
    right = problem.expected or b""
    return len(right) >= diagnosis.EVIDENCE and came.find(right, len(problem.received)) > 0


def surplus(connection: Peer, extra: bytes, elsewhere: Labelled) -> Fault:
    """Bytes that no `expect` asked for; shown as received, with nothing as expected.

    `elsewhere` is what other sockets got or await.
    """
    finding = diagnosis.diagnose_surplus(extra, previous=connection.last, owed_elsewhere=elsewhere)
    more = advice.is_framed(connection, connection.last, connection.last + extra)
    text = finding.message + more
    found = fault(connection, finding.kind, text, None, finding.offset, finding.belongs_to)
    _show(found, b"", extra, finding.offset)
    found.evidence.heard(extra)
    return found


def _show(found: Fault, expected: bytes | None, received: bytes, at: int) -> None:
    """Put excerpts around byte `at` into the evidence."""
    shown = found.evidence
    shown.excerpt_at, right, shown.received = diagnosis.excerpt(expected or b"", received, at)
    shown.expected = None if expected is None else right


def closed(connection: Peer, verifier: Verifier) -> Fault:
    """The server closed in order although it owes bytes."""
    got = len(verifier.received)
    when = f"after {got} bytes of the reply" if got else "instead of replying"
    text = f"the server closed the connection {when}; still owed: {verifier.owed()}"
    return fault(connection, Kind.CLOSED, text, verifier if got else None)


def stalled(connection: Peer, sent: int, size: int, timeout: float) -> Fault:
    """The server stopped reading in the middle of a message of `size` bytes."""
    text = f"the server took {sent} of {size} bytes, then none for {timeout:g} s"
    return fault(connection, Kind.SEND_STALLED, text, connection.heard)


def deaf(connection: Peer, timeout: float) -> Fault:
    """There was no room for TLS's end."""
    text = f"the server took nothing for {timeout:g} s, not even the end (close_notify)"
    return fault(connection, Kind.SEND_STALLED, text)


def late(connection: Peer, verifier: Verifier, timeout: float, quiet: float) -> Fault:
    """Time is up: silence, a reply too slow or cut short, or a reply on the wrong socket.

    `timeout` is the limit, `quiet` how long nothing has come, in seconds.
    """
    other = misdelivered(connection, verifier.expected())
    if other is not None:
        text = f"no reply within {timeout:g} s: it arrived on {other.label} instead"
        return fault(connection, Kind.CROSSTALK, text, verifier, 0, other.label)
    got = len(verifier.received)
    if not got:
        text = f"no reply within {timeout:g} s; owed: {verifier.owed()}"
        text += advice.sent_no_frame(connection, verifier)
        return fault(connection, Kind.TIMEOUT, text)
    if quiet < timeout / 2:
        text = f"only {got} bytes of the reply came within {timeout:g} s; owed: {verifier.owed()}"
        return fault(connection, Kind.TIMEOUT, text, verifier, got)
    text = f"{got} bytes of the reply came, then nothing for {quiet:.3g} s; owed: {verifier.owed()}"
    return fault(connection, Kind.TRUNCATED, text, verifier, got)


def misdelivered(connection: Peer, expected: bytes) -> Peer | None:
    """The socket to the same target that holds this one's whole reply, unread and unasked for."""
    if not expected:
        return None
    for other in islice(peers(connection.loop), ELSEWHERE_IN_STORM):
        asked = other.unanswered or other.verifier is not None or other.spoke
        if other is connection or asked:
            continue
        if other.endpoint.url != connection.endpoint.url:
            continue
        if other.inbox.peek(len(expected)) == expected or peek(other, len(expected)) == expected:
            return other
    return None


def peek(connection: Peer, size: int) -> bytes:
    """Up to `size` bytes that the kernel holds for this socket, left where they are."""
    if connection.sock is None or connection.want or not connection.ready & READ:
        return b""
    if connection.tls is not None:
        return connection.tls.peek(size)
    try:
        return connection.sock.recv(size, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return b""
