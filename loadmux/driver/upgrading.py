"""TLS on a connection that is open already: what STARTTLS and its kin agree on in plain text.

Nothing may come between that agreement and the handshake: whoever is on the way could put it there,
and it would be taken for something that was said under TLS (CVE-2011-0411). So what lies here
unread, and what comes in place of the handshake, is `surplus`.
"""

from __future__ import annotations

import ssl
from time import perf_counter

from loadmux.driver import advice, evidence
from loadmux.driver.connection import Connection
from loadmux.driver.loop import Interrupted, Task
from loadmux.driver.peer import Owed
from loadmux.driver.stream import gather
from loadmux.driver.suspects import owed_elsewhere
from loadmux.errors import SAID, Fault, Kind

WHERE = "TLS cannot begin"
EARLY = "; they came in plain text, before the TLS handshake"


async def start_tls(
    task: Task,
    connection: Connection,
    context: ssl.SSLContext,
    server_name: str | None,
    timeout: float,
) -> float:
    """Shake hands; the seconds it took. Raises Fault."""
    try:
        await connection.check_surplus()
    except Fault as fault:
        if fault.evidence.kind not in advice.ENDS:
            fault.evidence.message += EARLY
        raise
    connection.inbox.add(connection.held())
    if connection.inbox:
        raise plain(connection, await gather(task, connection, SAID))
    began = perf_counter()
    opened, connection.opened_at = connection.opened_at, 0.0  # nobody else speaks on it meanwhile
    due = connection.loop.limit(began, timeout)
    try:
        await connection.secure(context, server_name, due, timeout, WHERE, Kind.TIMEOUT)
    except Interrupted:
        connection.owed = Owed("the TLS handshake", began, timeout)
        raise
    except Fault as fault:
        early = b"" if connection.tls is None else connection.tls.no_record
        if early and fault.evidence.kind is Kind.TLS:
            raise plain(connection, early) from None
        raise
    finally:
        connection.opened_at = opened
    _go_on(connection)
    return connection.loop.since(began)


def _go_on(connection: Connection) -> None:
    """All that stood between the connection and its socket stands before its TLS now."""
    connection.read_slowly()
    connection.note("TLS")
    if connection.loop.tap is not None:
        connection.loop.tap.secured(connection)
    if connection.endpoint.any_time is not None:
        connection.drain()  # what came behind the handshake is told by no further event
    connection.update_dirty()


def plain(connection: Connection, data: bytes) -> Fault:
    """The fault of bytes in plain text where the handshake was to begin."""
    fault = evidence.surplus(connection, data, owed_elsewhere(connection))
    fault.evidence.message += EARLY
    return fault
