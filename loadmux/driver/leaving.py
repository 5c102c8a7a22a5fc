"""One connection that is given up: what still comes on it is judged, and the server told the end.

See `closing` for who gives it up, and when.
"""

from __future__ import annotations

from collections.abc import Callable

from loadmux.checking.verifying import Verifier
from loadmux.driver.connection import Connection
from loadmux.driver.loop import NEVER, at_once
from loadmux.driver.poller import READ
from loadmux.errors import Fault
from loadmux.measuring.unread import Unread

LINGER = 0.5
"""Seconds for which a server that owes nothing is waited for to end its side after our FIN."""
LINGER_MOST = 2.0
KEPT = 64 * 1024
READ_MOST = 256 * 1024 * 1024
"""Bytes after which one that never stops sending is not waited for any longer."""

Found = Callable[[Connection, Fault], None]
"""Takes a fault that came to light on a connection that was given up."""


class Leaving:
    """One connection that is given up.

    `due` is when it is no longer waited for, unless something comes (`patience` seconds more), and
    `until` when it is not in any case. `over`: the stream has ended. `more`: bytes were left for
    the next turn. `mute`: it was sent what nobody is to answer; whether that was read, `unread`
    says, after a look at how much is `left`.
    """

    __slots__ = (
        "after",
        "amid",
        "connection",
        "due",
        "extra",
        "fault",
        "judged",
        "left",
        "lost",
        "more",
        "mute",
        "over",
        "patience",
        "read",
        "strict",
        "stuck",
        "unread",
        "until",
        "wrong",
    )

    def __init__(
        self,
        connection: Connection,
        judged: bool = True,
        after: bool = False,
        strict: bool = False,
        amid: bool = False,
        stuck: int = 0,
    ) -> None:
        """`judged`: what has come is; `after`: also what comes after our FIN.

        `strict`: that the connection is lost already is a fault, unless a message on it was given
        up: then it is the server's answer to half a message. `amid`: what lies here a step may have
        been about to take, so it is no surplus. `stuck`: so many bytes have lain here for a while
        that begin what may come at any time; they are surplus if it ends with them.
        """
        self.connection = connection
        connection.forsaken = connection.forsaken or not judged
        self.judged = judged and not connection.forsaken
        self.amid = amid
        self.stuck = stuck
        self.after = after
        self.strict = strict and not connection.midway
        self.extra: list[bytes] = []
        self.wrong: Verifier | None = None
        self.fault: Fault | None = None
        self.over = self.more = self.lost = False
        self.read = 0
        self.unread: Unread | None = None
        self.left: int | None = None
        self.wait(0.0)
        owed = connection.verifier or connection.unanswered or not explained(connection)
        self.mute = bool(connection.spoke) and judged and not owed
        connection.paused = False
        connection.ready |= READ  # an event may be on its way, or have come while nobody read
        rule = connection.rule_verifier
        if rule is not None and rule is not connection.verifier:
            rule.restart()

    def wait(self, patience: float, most: float = NEVER) -> None:
        """Be patient from now on, in seconds."""
        now = self.connection.loop.awake()
        self.patience, self.due, self.until = patience, now + patience, now + most

    @property
    def _surplus(self) -> bool:
        """Whether more came than was asked for; the beginning of a push may have more to come."""
        return bool(self.extra) and not self.connection.begun(b"".join(self.extra))

    @property
    def found(self) -> bool:
        return self._surplus or self.wrong is not None or self.fault is not None

    def hear(self) -> None:
        """Take what has come, a bounded part of it, and judge it."""
        connection = self.connection
        self.more = False
        while not self.over:
            try:
                data = connection.take()
            except Fault as fault:
                self._lost(fault)
                return
            if data is None:
                return
            if not data and connection.eof:
                self._end()
                return
            self.read += len(data)
            self.over = self.read > READ_MOST
            self.due = min(self.connection.loop.awake() + self.patience, self.until)
            if self.judged:
                self._judge(data)
            if connection.task.overtime():
                self.more = connection.at_hand
                return

    def _end(self) -> None:
        """The server has ended its side in order."""
        self.over = True
        if self.stuck and self.stuck == self.connection.half_read and not self.found:
            self.extra.append(self.connection.held())

    def _lost(self, fault: Fault) -> None:
        """The connection is no more; that TLS ended badly harms nobody at the end."""
        self.over = True
        tls = self.connection.tls
        self.lost = not (tls is not None and tls.unfinished)
        if self.strict and self.lost:
            self.fault = self.fault or fault

    def _judge(self, data: bytes) -> None:
        connection, verifier = self.connection, self.connection.verifier
        if self.wrong is not None:
            if not connection.datagrams and len(self.wrong.received) < KEPT:
                self.wrong.received += data
        elif verifier is None or verifier.done:
            self._judge_unasked(data)
        else:
            connection.give(verifier, data)
            connection.answer(verifier.answer())
            if verifier.wrong_at is not None:
                self.wrong = verifier
            elif verifier.done:
                connection.settle(verifier)

    def _judge_unasked(self, data: bytes) -> None:
        """Bytes (or a datagram) that came while no reply was under way."""
        connection, rule = self.connection, self.connection.rule_verifier
        awaited = bool(connection.unanswered) or self.amid
        if connection.datagrams:
            if rule is not None and not rule.done:
                rule.take(data)
                self.wrong = rule if rule.wrong_at is not None else None
            elif rule is not None or not awaited:
                self.extra.append(data)
            return
        if connection.endpoint.unasked is not None:
            data = b"".join((*self.extra, data))  # what is left of a ping may go on
            self.extra.clear()
            try:
                data = connection.unexplained(data)
            except Fault as fault:
                self.fault = self.fault or fault
                return
        elif rule is not None and not self.extra:
            data = rule.take(data)
            if rule.wrong_at is not None:
                self.wrong = rule
                return
        unasked = data and not (awaited and rule is None)
        if unasked and sum(map(len, self.extra)) < KEPT:
            self.extra.append(data)

    def coming(self) -> bool:
        """Whether more lies here to be judged, or must come by the rule, and there is hope."""
        self.hear()
        if self.over or self.found:
            return False
        rule, now = self.connection.rule_verifier, self.connection.loop.awake()
        missing = rule is not None and not rule.done
        return (self.more and now < self.until) or (missing and now < self.due)

    def say_goodbye(self) -> bool:
        """Tell the server the end; false where a plain close does, or the connection is gone."""
        connection = self.connection
        if self.over or self._quiet() or connection.endpoint.linger == 0:
            return False  # the last of these has the kernel send a RST, as the scenario says
        if not connection.say_goodbye():
            return connection.datagrams and self.mute
        rule = connection.rule_verifier
        by_rule = rule is not None and connection.verifier in (None, rule)
        self.judged = self.judged and (self.after or by_rule)
        connection.forsaken = not self.judged
        self.strict = False
        return True

    def _quiet(self) -> bool:
        """Whether nothing can come any more, as far as anybody knows."""
        connection = self.connection
        under_way = connection.verifier or connection.rule_verifier or connection.unanswered
        asked = under_way or connection.spoke or connection.midway
        asked = asked or self.found or self.read or self.after or self.stuck
        return not asked and self.judged and connection.tls is None

    @property
    def linger(self) -> float:
        """For how long without progress the server is waited for after our FIN, in seconds."""
        if self.connection.datagrams:
            return 0.0
        return LINGER if self.connection.rule_verifier is None else LINGER_MOST

    def speaking(self) -> bool:
        """Whether the server has not ended its side yet, and is to be waited for."""
        self.hear()
        if self.read:
            self.mute = False  # it has read something, and goes on
        if self.over or self.connection.loop.awake() < self.due:
            return not self.over
        return self.mute and self._look()

    def _look(self) -> bool:
        """See what of ours is unread; true where the server is to be given time to read it."""
        connection = self.connection
        loop, sock, sent = connection.loop, connection.sock, connection.spoke
        assert sock is not None
        left = loop.queues.left(sock, connection.tls is not None)
        if left is None:
            self.unread = Unread(unknown=1, untold=sent)
        elif not left.size or (self.left is not None and left.size < self.left):
            self.unread = Unread(drained=1) if connection.datagrams else None
        elif self.left is None:
            self.left, self.due = left.size, loop.awake() + LINGER
            return True
        else:
            size, never = min(left.size, sent), not left.accepted
            mostly = never or 2 * size >= sent
            self.unread = Unread(1, int(mostly), int(never), sent, size)
        return False

    def tell(self, found: Found) -> None:
        """Hand over what was found, once."""
        connection, fault = self.connection, self.fault
        if self.wrong is not None:
            fault = at_once(connection.task, connection.wrong(self.wrong))
        elif self._surplus:
            fault = connection.surplus(*self.extra)
        self.extra, self.wrong, self.fault = [], None, None
        if fault is not None:
            found(connection, fault)
        if self.lost and self.mute and not self.strict:
            self.unread = Unread(unknown=1, untold=connection.spoke)
        if self.unread is not None:
            connection.task.left_unread(connection.endpoint.url, self.unread)


def explained(connection: Connection) -> bool:
    """Whether all that a rule says is owed has come."""
    return connection.rule_verifier is None or connection.rule_verifier.done
