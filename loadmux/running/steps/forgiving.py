"""An exchange on a connection that its server may end while nothing is owed (`idle_close`).

A server that ends an idle connection does not know that a message is on its way (RFC 9112, section
9.3.1). So where a connection that has carried replies ends without a byte in answer to a message
that was the only one under way, the message goes out again, on a new connection, once; but only if
the server's kernel refused it with a RST, behind a FIN (the message came after close(2)) or alone
(it lay unread). Whoever has read a message and closes sends a FIN alone: that server is at fault.
Over TLS nobody can tell, for a library that ends reads on, until the client's close_notify comes.
What happens on the new connection is as ever.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from time import perf_counter

from loadmux.driver.connection import Connection
from loadmux.driver.loop import Interrupted, sleep_until
from loadmux.driver.queues import TCP_CLOSE, state_of
from loadmux.driver.user import VirtualUser
from loadmux.errors import Fault, Kind
from loadmux.measuring.recorder import Recorder
from loadmux.running.steps.exchanging import Exchange

REFUSED_WITHIN = 0.25
"""Seconds between a FIN and the RST for what came behind it: shutdown(2) and close(2) are two."""
LOOK_EVERY = 0.005


@dataclass(slots=True)
class Forgiving(Exchange):
    """See the module; on one socket, with a message."""

    def __post_init__(self) -> None:
        Exchange.__post_init__(self)  # with slots there is another class than super() knows
        self.constant = False

    def run(self, user: VirtualUser) -> Awaitable[None]:
        return self._again(user, user.connections[self.sockets[0]])

    def delayed(self, user: VirtualUser, record: Recorder) -> Awaitable[None] | None:
        return None

    async def _again(self, user: VirtualUser, connection: Connection) -> None:
        idle, opened = is_idle(connection), connection.opened_at
        try:
            await Exchange.run(self, user)
        except Fault as fault:
            told = fault.evidence
            silent = told.socket == connection.name and not told.said_size
            same = idle and silent and connection.opened_at == opened
            reset = same and told.kind is Kind.RESET
            ended = same and told.kind is Kind.CLOSED
            if not (reset or (ended and await was_refused(user, connection))):
                raise
        else:
            return
        connection.abandon()
        user.control.stats.ended_idle += 1
        await Exchange.run(self, user)


def is_idle(connection: Connection) -> bool:
    """Whether it has carried a reply, nothing is under way, and it has not ended so far."""
    if not (connection.connected and connection.last):
        return False
    connection.drain()
    rule = connection.rule_verifier
    owed = connection.unanswered or connection.inbox or not (rule is None or rule.done)
    return not (owed or connection.midway or connection.eof or connection.lost is not None)


async def was_refused(user: VirtualUser, connection: Connection) -> bool:
    """Whether a RST has followed the end, or does so soon; false where no kernel tells, and true
    over TLS.
    """
    if connection.endpoint.tls is not None:
        return True
    due = perf_counter() + REFUSED_WITHIN
    while (there := not has_reset(connection)) and perf_counter() < due:
        try:
            await sleep_until(user, perf_counter() + LOOK_EVERY)
        except Interrupted:
            break
    return not there


def has_reset(connection: Connection) -> bool:
    sock = connection.sock
    return sock is not None and connection.streams_over_tcp and state_of(sock) == TCP_CLOSE
