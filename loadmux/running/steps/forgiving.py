"""An exchange on a connection that its server may end while nothing is owed (`idle_close`).

A server that ends an idle connection does not know that a message is on its way (RFC 9112, section
9.3.1): it read none, and says none. So where a connection that has carried replies ends without a
byte in answer to a message that was the only one under way, it is taken to have ended before, and
the message goes out again, on a new connection, once. What happens there is as ever.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from loadmux.driver.connection import Connection
from loadmux.driver.user import VirtualUser
from loadmux.errors import Fault, Kind
from loadmux.measuring.recorder import Recorder
from loadmux.running.steps.exchanging import Exchange

ENDS = (Kind.CLOSED, Kind.RESET)


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
            ended = told.kind in ENDS and told.socket == connection.name and not told.said_size
            if not (idle and ended and connection.opened_at == opened):
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
