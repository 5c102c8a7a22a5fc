"""What becomes of all that arrives on a stream: replies, and what nobody asked for.

One reader for a connection: the coroutine of its user. A failed check raises `Fault` with evidence
gathered here and judged by `diagnosis`. Bytes that nobody asked for are noticed by `check_surplus`.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from loadmux.checking.diagnosis import EVIDENCE
from loadmux.checking.verifying import RuleVerifier, Verifier
from loadmux.driver import evidence
from loadmux.driver.loop import Interrupted, Task, at_once, next_turn, wait_io
from loadmux.driver.peer import Sent
from loadmux.driver.poller import READABLE
from loadmux.driver.sending import Sending
from loadmux.driver.suspects import owed_elsewhere, suspects
from loadmux.errors import SAID, Fault, Kind

KEPT = 64 * 1024
GATHER = 0.1
"""Seconds of quiet after which a server is taken to have said what follows a wrong byte."""
GATHER_MOST = 0.5
MOST_UNANSWERED = 65_536
"""Messages that are remembered at most: of those to a sink nobody ever answers one."""
DEBT_WITHIN = 5.0
"""Seconds in which a server that asked for an answer (a ping) has to make room for it."""


class Stream(Sending):
    """See the module."""

    __slots__ = ()

    # --- replies --------------------------------------------------------------------------------

    async def check_surplus(self) -> None:
        """Before a send or a close: Fault if bytes or an end lie here that nobody asked for."""
        self.drain()
        if self.inbox:
            self.explain_unasked()
        if self.debt and not self.midway:
            owed, self.debt = self.debt, b""
            await self.send_rest(owed, 0, DEBT_WITHIN)
            self.update_dirty()
        if self.inbox and not self.unanswered:
            elsewhere = owed_elsewhere(self)
            extra = await gather(self.task, self, max(self.inbox.size, len(self.last)))
            if self.endpoint.unasked is not None:
                extra = self.unexplained(extra)
            if extra and not self.begun(extra):
                noticed = perf_counter()
                extra += await gather(self.task, self, SAID - len(extra))
                raise evidence.noticed(evidence.surplus(self, extra, elsewhere), self, noticed)
            self.inbox.put_back(extra)
        if self.eof and not self.inbox:
            raise self.fault(Kind.CLOSED, "the server had closed the connection before this step")
        self.check_lost()

    def held(self) -> bytes:
        """What was read and is kept back from the inbox, as it is not whole yet."""
        return b""

    @property
    def half_read(self) -> int:
        """How many bytes are kept back so."""
        return 0

    def ended_idle(self) -> bool:
        """Whether the server has ended the connection in order while nothing was owed.

        That TLS ended without close_notify harms nobody then. Raises Fault for what explains
        nothing.
        """
        self.drain()
        if self.inbox:
            self.explain_unasked()
        tls = self.tls
        ended = self.eof or (self.lost is not None and tls is not None and tls.unfinished)
        rule = self.rule_verifier
        owed = self.inbox or self.unanswered or self.midway or not (rule is None or rule.done)
        return ended and not owed

    def check_lost(self) -> None:
        """Fault if the connection was lost (not ended in order) and nothing is left to read."""
        if self.lost is not None and not self.inbox:
            raise self._lost(self.lost, "")

    def explain_unasked(self) -> None:
        """Leave in the inbox only what nothing explains. Raises Fault."""
        self.inbox.add(self.unexplained(self.inbox.take_all()))
        self.update_dirty()

    def unexplained(self, data: bytes) -> bytes:
        """What is left of bytes that came after a reply, once its rule has taken what it may."""
        if self.endpoint.unasked is not None and not self._came_again(data):
            answer, data, ended, aside = self.endpoint.unasked(data, bool(self.unanswered))
            self.answer(answer)
            if aside:
                self.task.passed_over(aside)
            if ended:
                raise self.fault(Kind.CLOSED, ended)
        verifier = self.rule_verifier
        return data if verifier is None or not verifier.done else verifier.take(data)

    def _came_again(self, data: bytes) -> bool:
        """Whether what came behind the last reply is that reply, while nothing is awaited."""
        last = self.last
        return not self.unanswered and len(last) >= EVIDENCE and data.startswith(last)

    def begun(self, rest: bytes) -> bool:
        """Whether what is left of `unexplained` bytes begins what the server may say unasked."""
        return self.endpoint.begun is not None and self.endpoint.begun(rest)

    def give(self, verifier: Verifier, data: bytes) -> None:
        """Have arrived bytes checked; what belongs to a later reply goes back."""
        verifier.follow(self.last)
        self.inbox.put_back(verifier.take(data))

    def hang_up(self) -> None:
        """The reply said that the connection ends with it: read it to its end, then close."""
        self.ending = self.dirty = True

    def asks(self, delay: float, payload: bytes) -> None:
        """A message is about to be sent that is to be answered; see `Sent`."""
        if len(self.unanswered) >= MOST_UNANSWERED:
            return
        sent = Sent(perf_counter(), delay)
        if self.endpoint.requests is None:
            kept = self.endpoint.learns and len(payload) <= KEPT
            self.unanswered.append(sent._replace(data=payload) if kept else sent)
        else:
            self._request(sent, payload, self.endpoint.requests)

    def _request(
        self, sent: Sent, payload: bytes, told: Callable[[bytes], tuple[list[bytes], bytes]]
    ) -> None:
        """Write down each request in what is sent; one that was begun before goes on."""
        begun = b""
        if self.unanswered and self.unanswered[-1].data and told(self.unanswered[-1].data)[1]:
            sent, begun = sent._replace(at=self.unanswered[-1].at), self.unanswered.pop().data
        whole, rest = told(begun + payload)
        self.unanswered += [sent._replace(data=data) for data in (*whole, rest) if data]

    def tell_apart(self) -> None:
        """Now that it is known how: the requests in what was sent before."""
        told, sent = self.endpoint.requests, list(self.unanswered)
        if told is not None:
            self.unanswered.clear()
            for one in sent:
                self._request(one, one.data, told)

    def answered(self, data: bytes) -> Sent:
        """The whole right reply to the oldest message without an answer has come in one read."""
        self.last, self.last_at, self.verifier = data, 0.0, None
        self.spoke = 0
        self.inbox.clear()
        sent = self.unanswered.pop(0)
        self.update_dirty()
        return sent

    def answered_ahead(self, reply: bytes) -> Sent | None:
        """The same where what has come begins with this whole reply; None where it does not."""
        if not (self.inbox and self.inbox[0].startswith(reply)):
            return None
        self.inbox.put_back(self.inbox.pop(0)[len(reply) :])
        self.last, self.last_at, self.verifier = reply, 0.0, None
        self.spoke = 0
        sent = self.unanswered.pop(0)
        self.update_dirty()
        return sent

    def settle(self, verifier: Verifier) -> Sent | None:
        """A reply is complete and right: keep it, and what its rule may still bring.

        It answers the oldest message without an answer, which is returned; by a rule, all of them.
        """
        sent = self.unanswered[0] if self.unanswered else None
        self.last = bytes(verifier.received[:KEPT])
        self.last_at = 0.0
        self.verifier = None
        if verifier.aside:
            self.task.passed_over(verifier.aside)
        if verifier.received:
            self.spoke = 0
        if isinstance(verifier, RuleVerifier):
            more = self.writer is not None or self.unruled
            self.rule_verifier = None if verifier.idle and not more else verifier
            self.silent = verifier.idle and not verifier.received
            del self.unanswered[: len(self.unanswered) - len(self.unruled)]
        else:
            del self.unanswered[: verifier.answers]
            self._explain(verifier)
        self.update_dirty()
        return sent

    def _explain(self, verifier: Verifier) -> None:
        """A reply that was checked in another way settles what the socket's rule can make of it."""
        rule = self.rule_verifier
        if rule is None:
            return
        rule.restart()
        rest = rule.take(bytes(verifier.received))
        if rest or rule.wrong_at is not None or rule.idle:
            self.rule_verifier = None

    def surplus(self, *extra: bytes) -> Fault:
        """The fault of bytes that nobody asked for."""
        return evidence.surplus(self, b"".join(extra), owed_elsewhere(self))

    async def wrong(self, verifier: Verifier) -> Fault:
        """The fault of a reply with a wrong byte, once what follows has been seen."""
        noticed, known = perf_counter(), suspects(self, verifier)
        enough = len(verifier.expected()) + len(self.last)
        enough += sum(len(reply) for _, reply in known.later)
        enough = max(enough, SAID) - len(verifier.received)
        verifier.received += await gather(self.task, self, enough)
        return evidence.noticed(evidence.wrong(self, verifier, known), self, noticed)

    def late(self, verifier: Verifier, timeout: float, quiet: float) -> Fault:
        """The fault of a reply that did not come within `timeout` (seconds); see `evidence`."""
        verifier.lapse()
        if verifier.wrong_at is not None:
            return at_once(self.task, self.wrong(verifier))
        return evidence.late(self, verifier, timeout, quiet)

    # --- closing --------------------------------------------------------------------------------

    def close_plainly(self, last: bool) -> bool:
        """Close, if nothing is owed, can come, or lies unread: then nobody has to be waited for.

        False where more care is needed; what was read is in the inbox then. Who is to say nothing
        is asked now and then for a sign that it reads, and at the user's `last` chance.
        """
        if self.dirty or self.verifier is not None or self.tls is not None:
            return False
        if self.spoke and (last or not self.silent or self.loop.queues.turn(self.endpoint.url)):
            return False
        try:
            self.inbox.add(said := self._recv(1))
            self.reads_for.received += len(said)
        except BlockingIOError:
            self.abandon()
            return True
        except OSError as error:
            self.lost, self.dirty = error, True
            return False
        self.eof = not self.inbox
        return False


async def gather(task: Task, connection: Stream, size: int) -> bytes:
    """After a wrong byte: read on for `size` bytes, an end, GATHER seconds of quiet, GATHER_MOST.

    What follows is what the server has to say of it, and tells a flipped bit from a lost, repeated
    or foreign stretch. That the run ends meanwhile only ends the gathering: the fault in hand is
    not lost.
    """
    got = b""
    until = task.loop.awake() + GATHER_MOST
    while len(got) < size and task.loop.awake() < until:
        try:
            data = connection.take()
        except Fault:
            break
        if data == b"":
            break
        if data is not None:
            got += data
            if not task.overtime():
                continue
        try:
            if data is not None:
                await next_turn(task)
                continue
            connection.want = READABLE
            task.set_deadline(perf_counter() + GATHER)
            timed_out = await wait_io(task)
        except Interrupted:
            timed_out = True
        connection.want = 0
        if timed_out:
            break
    return got
