"""How connections are given up: what has come is judged, FIN is sent, the rest is read.

- Whatever ends a connection (a step, a fault on another socket, the end of the run), all that had
  arrived is judged before. `close` and `finish` are strict: what no step has asked for by now is a
  fault. `drop` and `reset` cut a conversation off: what a later step might have read is none.
- Then comes FIN (over TLS close_notify before it), then what the server still sends is read, until
  it has ended its side too, or for a while. A close with unread bytes, or bytes that come after it,
  make the kernel send a RST (RFC 2525, 2.17; RFC 1122, 4.2.2.13), which can upset a server that is
  then blamed for it.
- What comes after our FIN may be a server's comment on a conversation that was broken off (`400`).
  Only a reply rule judges it, which explains all that a server may say, and `finish`, as nothing
  may follow a reply that ends its connection.
- Where nothing is owed, nothing more can come and nothing lies unread, a plain close resets nobody,
  and the server is not waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from loadmux.checking.verifying import Verifier
from loadmux.driver.awaiting import readable
from loadmux.driver.connection import Connection
from loadmux.driver.loop import NEVER, Interrupted, Task, at_once, next_turn
from loadmux.driver.poller import READ
from loadmux.errors import Evidence, Fault
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
        self.judged = judged
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


async def close(
    task: Task,
    connections: Sequence[Connection],
    timeout: float,
    found: Found | None = None,
    stuck: Mapping[Connection, int] | None = None,
) -> None:
    """Close in order: what a rule says is owed is awaited for `timeout` seconds without progress.

    What a rule allows beyond that has LINGER_MOST to go on after our FIN. Raises the first Fault,
    once all are closed, unless `found` takes them. `stuck`: see `Leaving`.
    """
    leaving = []
    for connection in connections:
        half = 0 if stuck is None else stuck.get(connection, 0)
        if not half and connection.close_plainly(last=found is not None):
            continue
        ends = connection.ending
        leaving.append(one := Leaving(connection, strict=True, after=ends, stuck=half))
        one.mute = one.mute and not (connection.datagrams and found is None)
        connection.unanswered.clear()
        one.wait(timeout)
    if leaving and found is not None:
        await _depart(task, leaving, NEVER, found)
    elif leaving:
        await _or_raise(task, leaving, NEVER)


async def finish(task: Task, connection: Connection) -> None:
    """Close after a reply that ends its connection. Raises Fault if anything comes after it."""
    connection.unanswered.clear()
    await _or_raise(task, [Leaving(connection, after=True)], LINGER_MOST)


async def leave(task: Task, connection: Connection) -> None:
    """Close where another connection is to go on. Raises Fault for what nobody asked for."""
    await _or_raise(task, [Leaving(connection)], LINGER_MOST)


async def drop(
    task: Task,
    connections: Sequence[Connection],
    found: Found | None = None,
    first: Evidence | None = None,
) -> None:
    """Give up connections in the middle of whatever they are at.

    With `found` what has come on them is judged. After a fault, `first`, only on those that it has
    nothing to do with: on its own socket, and where another reply of its step was under way, what
    is wrong is wrong already.
    """
    leaving = []
    for connection in connections:
        if not connection.connected:
            continue
        beside = first is None or (connection.name != first.socket and connection.verifier is None)
        endpoint = connection.endpoint
        judged = found is not None and beside
        amid = endpoint.listens or (first is not None and endpoint.guessed)
        leaving.append(Leaving(connection, judged=judged, amid=amid))
        leaving[-1].wait(0.0, LINGER_MOST)
    await _depart(task, leaving, LINGER_MOST, found or _ignored)


def reset(connection: Connection) -> None:
    """Judge what has come, then send a RST. Raises Fault.

    What may be the reply to a message that nobody asked a reply for is nobody's fault: whether it
    is here already is a matter of microseconds.
    """
    explained = not connection.spoke or connection.rule_verifier is not None
    leaving = Leaving(connection, judged=explained)
    leaving.hear()
    while leaving.more and not leaving.found:
        leaving.hear()
    faults: list[Fault] = []
    leaving.tell(lambda _, fault: faults.append(fault))
    connection.reset()
    if faults:
        raise faults[0]


def abandon(connection: Connection) -> None:
    """Close at once, and judge nothing: the kernel answers what comes then by a RST."""
    connection.unanswered.clear()
    connection.tls = None
    connection.abandon()


def _ignored(connection: Connection, fault: Fault) -> None:
    pass


async def _depart(task: Task, leaving: Sequence[Leaving], most: float, found: Found) -> None:
    """Lead connections through all that comes before their end, all at once.

    They are read on for `most` seconds after our FIN, whatever comes.

    Interrupted, it hands over what it has found so far; the connections are left to `drop`.
    """
    try:
        await _while(task, leaving, Leaving.coming)
        going = [one for one in leaving if one.say_goodbye()]
        for one in going:
            one.wait(one.linger, most)
        await _while(task, going, Leaving.speaking)
    finally:
        for one in leaving:
            one.tell(found)
    for one in leaving:
        one.connection.abandon()


async def _or_raise(task: Task, leaving: Sequence[Leaving], most: float) -> None:
    """The same, for a step: the first fault is raised, also if time is up."""
    faults: list[Fault] = []
    try:
        await _depart(task, leaving, most, lambda _, fault: faults.append(fault))
    except Interrupted:
        if not faults:
            raise
    if faults:
        raise faults[0]


async def _while(
    task: Task, going: Sequence[Leaving], waited_for: Callable[[Leaving], bool]
) -> None:
    """Wait, and have arrivals looked at, for as long as one of them is waited for."""
    try:
        while going := [one for one in going if waited_for(one)]:
            if any(one.more for one in going):
                await next_turn(task)
            else:
                due = min(one.due for one in going)
                await readable(task, [one.connection for one in going], due)
    except Interrupted:
        for one in going:
            one.connection.want = 0
        raise
