"""Gathers what a fault's report needs, after the fact: this path may be slow and thorough.

The hot path leaves only references behind (the last payload, the last reply, two times); here they
become excerpts, a transcript, and the bytes that other sockets are owed, so that `diagnosis` can
tell a corrupted reply from somebody else's. In a storm of faults the search among other users'
sockets is cut down, or the generator would stall.
"""

from __future__ import annotations

import socket
from itertools import islice
from typing import TYPE_CHECKING

from loadmux.checking import diagnosis
from loadmux.checking.rules import Verifier
from loadmux.driver.poller import READ
from loadmux.errors import Evidence, Fault, Kind, Moment

if TYPE_CHECKING:
    from loadmux.driver.connection import Connection

MOMENTS = 16
ENDS = frozenset({Kind.CLOSED, Kind.RESET, Kind.TLS})
SHOWN = 64
STORM = 50
ELSEWHERE = 20_000
ELSEWHERE_IN_STORM = 500
FAILED_BYTES = 64 * 1024
ELSEWHERE_BYTES = 4 * 1024 * 1024


def fault(
    connection: Connection,
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
    found.transcript = transcript(connection)
    found.user, found.target = connection.user, connection.endpoint.url
    found.unjudged = kind in ENDS and silent_since(connection, connection.loop.woke)
    return Fault(found)


def silent_since(connection: Connection, woke: float) -> bool:
    """Whether nothing has come since the loop stood still, which ended at `woke`.

    A server may have a time-out as well: to it, who stands still is a client that is gone.
    """
    if not woke:
        return False
    epoch = connection.loop.epoch
    heard = [one.at + epoch for one in connection.moments or () if one.what == "received"]
    return max(connection.dialed, connection.last_at, *heard) < woke


def remember(connection: Connection) -> None:
    """A socket is given up in the middle of a reply: keep what it was owed for a while."""
    if connection.verifier is not None:
        expected = connection.verifier.expected()
        if len(expected) <= FAILED_BYTES:
            url = connection.endpoint.url
            connection.loop.failed.append((connection.label, url, expected))


def transcript(connection: Connection) -> list[Moment]:
    """The last moments of a socket, oldest first; times in seconds since the run began."""
    epoch = connection.loop.epoch
    moments = list(connection.moments or ())
    if connection.opened_at:
        moments.append(Moment(connection.opened_at - epoch, "connected"))
    if connection.began:
        data = connection.payload
        moments.append(Moment(connection.began - epoch, "sent", data[:SHOWN], len(data)))
    if connection.last_at:
        moments.append(Moment(connection.last_at - epoch - 1e-9, "earlier exchanges left out"))
        data = connection.last
        moments.append(Moment(connection.last_at - epoch, "received", data[:SHOWN], len(data)))
    return sorted(moments, key=lambda moment: moment.at)


def owed_elsewhere(connection: Connection) -> list[tuple[str, bytes]]:
    """What other sockets to the same target failed to get, await, or got last.

    Of this process alone. Another target has never seen what they sent.
    """
    storm, url = connection.loop.faults > STORM, connection.endpoint.url
    others = [
        one
        for one in connection.loop.connections.values()
        if one is not connection and one.endpoint.url == url
    ]
    others.sort(key=lambda one: one.user != connection.user)
    label = connection.label
    failed = connection.loop.failed
    owed = [(whose, data) for whose, to, data in failed if whose != label and to == url]
    room = ELSEWHERE_BYTES
    for other in islice(others, ELSEWHERE_IN_STORM if storm else ELSEWHERE):
        if room <= 0:
            break
        awaited = other.verifier.expected() if other.verifier is not None else b""
        if other.want and not awaited:
            awaited = other.awaited
        for data in (awaited, other.last):
            if data and len(data) <= room:
                owed.append((other.label, data))
                room -= len(data)
    return owed


def wrong(connection: Connection, verifier: Verifier) -> Fault:
    """The reply is wrong at `verifier.wrong_at`: say how."""
    assert verifier.wrong_at is not None
    problem = verifier.problem()
    if problem is not None:
        found = fault(connection, problem.kind, problem.message, None, problem.offset)
        _show(found, problem.expected, problem.received, problem.offset or 0)
        return found
    finding = diagnosis.diagnose(
        verifier.expected(),
        bytes(verifier.received),
        verifier.wrong_at,
        previous=connection.last,
        owed_elsewhere=owed_elsewhere(connection),
    )
    return fault(
        connection, finding.kind, finding.message, verifier, finding.offset, finding.belongs_to
    )


def surplus(connection: Connection, extra: bytes) -> Fault:
    """Bytes that no `expect` asked for; shown as received, with nothing as expected."""
    finding = diagnosis.diagnose_surplus(
        extra, previous=connection.last, owed_elsewhere=owed_elsewhere(connection)
    )
    found = fault(
        connection, finding.kind, finding.message, None, finding.offset, finding.belongs_to
    )
    _show(found, b"", extra, finding.offset)
    return found


def _show(found: Fault, expected: bytes | None, received: bytes, at: int) -> None:
    """Put excerpts around byte `at` into the evidence."""
    shown = found.evidence
    shown.excerpt_at, right, shown.received = diagnosis.excerpt(expected or b"", received, at)
    shown.expected = None if expected is None else right


def closed(connection: Connection, verifier: Verifier) -> Fault:
    """The server closed in order although it owes bytes."""
    got = len(verifier.received)
    when = f"after {got} bytes of the reply" if got else "instead of replying"
    text = f"the server closed the connection {when}; still owed: {verifier.owed()}"
    return fault(connection, Kind.CLOSED, text, verifier if got else None)


def late(connection: Connection, verifier: Verifier, timeout: float, quiet: float) -> Fault:
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
        return fault(connection, Kind.TIMEOUT, text)
    if quiet < timeout / 2:
        text = f"only {got} bytes of the reply came within {timeout:g} s; owed: {verifier.owed()}"
        return fault(connection, Kind.TIMEOUT, text, verifier, got)
    text = f"{got} bytes of the reply came, then nothing for {quiet:.3g} s; owed: {verifier.owed()}"
    return fault(connection, Kind.TRUNCATED, text, verifier, got)


def misdelivered(connection: Connection, expected: bytes) -> Connection | None:
    """The socket to the same target that holds this one's whole reply, unread and unasked for."""
    if not expected:
        return None
    for other in islice(connection.loop.connections.values(), ELSEWHERE_IN_STORM):
        if other is connection or other.unanswered or other.verifier is not None:
            continue
        if other.endpoint.url != connection.endpoint.url:
            continue
        if other.inbox.peek(len(expected)) == expected or peek(other, len(expected)) == expected:
            return other
    return None


def peek(connection: Connection, size: int) -> bytes:
    """Up to `size` bytes that the kernel holds for this socket, left where they are."""
    if connection.sock is None or connection.want or not connection.ready & READ:
        return b""
    if connection.tls is not None:
        return connection.tls.peek(size)
    try:
        return connection.sock.recv(size, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return b""
