"""One step on several sockets at once, or with a message in pieces: the hot path of both.

As `Connection.exchange`, but all is sent before the first reply is awaited, and the replies are
taken as they come. A reply may come in parts, as its message went: where no beginning of it is
right by itself (`entire`), the rest is waited for here.

Whatever else happens (a send that the kernel does not take whole, a byte that differs, an end, a
time-out) goes the careful way, with all that is still awaited: no fault is told here.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from time import perf_counter
from types import coroutine

from loadmux.driver.awaiting import Awaited, await_replies, cut_off
from loadmux.driver.connection import Connection, Plan
from loadmux.driver.listening import Listener
from loadmux.driver.loop import Interrupted, Task
from loadmux.driver.owntime import NOT_MEASURED
from loadmux.driver.poller import READ, READABLE
from loadmux.measuring.recorder import Record

PARTS_MOST = 16
"""Parts of a message that are sent without a look at the time."""

Talk = tuple[Connection, Plan, bytes, Sequence[bytes]]
"""What is said on a connection, whole and in the parts in which it is sent, and its reply."""
Odd = tuple[bytes | None, int]
"""What a read of so many bytes has brought that is not the reply; None where it failed."""
Waiting = tuple[Connection, Plan, bytes, Record]
"""What was said; what records it, as what is likely may be another reply when this one has come."""


@coroutine
def exchange_several(
    task: Task, talks: Sequence[Talk], entire: bool
) -> Generator[None, bool, None]:
    """Only on streams that are not `dirty`, with nothing `TRY`; all plans have one `timeout`.

    Raises Fault.
    """
    clock, loop = perf_counter, task.loop
    waiting: list[Waiting] = []
    for talk in talks:
        connection, plan, payload, parts = talk
        connection.payload = payload
        connection.awaited = plan.likely
        connection.began = began = clock()
        sent, error = 0, None
        try:
            for part in parts:
                count = connection._send(part)
                sent += count
                if count != len(part):
                    break
        except OSError as failed:
            error = failed
        if error is not None or sent != len(payload):
            yield from _send_on(task, talks, len(waiting), sent, error)
            return
        connection.want = READABLE
        waiting.append((*talk[:3], plan.record))
    stood, timeout = loop.stood, plan.timeout
    heard: dict[Connection, float] = {}
    odd: Odd | None = None
    task.deadline = deadline = began + timeout
    if deadline < task.alarm:
        loop.push_alarm(task, deadline)
    try:
        while waiting:
            if (yield):
                break
            for one in waiting:
                connection = one[0]
                if not connection.want:
                    break
            else:
                continue
            took = _take(connection, entire)
            if took is True:
                connection.last_at = now = clock()
                began = connection.began
                one[3](now - began if began >= loop.woke else NOT_MEASURED)
                waiting.remove(one)
            elif took is False:
                now = clock()
                heard[connection] = now - loop.stood
                connection.want = READABLE
                task.deadline = now + timeout
            else:
                odd = took
                break
        else:
            return
    except Interrupted:
        cut_off(_awaited(waiting, heard, stood), timeout)
        raise
    judged = _awaited(waiting, heard, stood)
    if odd is not None:
        connection._keep(*odd)
    yield from await_replies(task, judged, timeout)
    for one, awaited in zip(waiting, judged, strict=True):
        one[1].over(awaited)


def _take(connection: Connection, entire: bool) -> Odd | bool:
    """Whether the reply is whole, where what has come is right; a part of it is put aside."""
    likely, inbox = connection.awaited, connection.inbox
    begun = inbox.take_all() if inbox else b""
    size = len(likely) + 1 - len(begun)
    data: bytes | None = None
    try:
        data = connection._recv(size)
    except OSError as error:
        connection._not_received(error)
    if data is not None and begun + data == likely:
        connection.ready &= ~READ
        connection.last = likely
        return True
    inbox.add(begun)
    if entire and data and likely.startswith(begun + data):
        connection.ready &= ~READ
        inbox.add(data)
        return False
    return data, size


def _awaited(
    waiting: Sequence[Waiting], heard: dict[Connection, float], stood: float
) -> list[Awaited]:
    """What is still to come, for the careful way; `heard` is when, in the loop's own time, and
    `stood` for how long the loop had stood still when all was sent.
    """
    found = []
    for connection, plan, payload, _ in waiting:
        plan.sent(connection, payload, len(payload))
        connection.want = 0
        connection.verifier = verifier = plan.verifier()
        at = heard.get(connection, 0.0)
        due = (at or connection.began - stood) + plan.timeout
        found.append(Awaited(connection, verifier, connection.began, due, heard=at))
        if at and connection.inbox:
            data = connection.inbox.take_all()
            connection.reads_for.received += len(data)
            connection.note("received", data, at + connection.loop.stood)
            connection.give(verifier, data)
    return found


async def _send_on(
    task: Task, talks: Sequence[Talk], at: int, sent: int, error: OSError | None
) -> None:
    """The same where of the message number `at` the kernel took only `sent` bytes at first, or
    said `error`.
    """
    timeout = talks[at][1].timeout
    listener = Listener(task, timeout)
    waiting = []
    for number, (connection, plan, payload, _) in enumerate(talks):
        if number > at:
            await connection.check_surplus()
            connection.payload, connection.began = payload, perf_counter()
        connection.want = 0
        left = sent if number == at else 0
        plan.sent(connection, payload, len(payload) if number < at else left)
        awaited = Awaited(connection, plan.verifier(), connection.began)
        waiting.append(awaited)
        if number < at:
            awaited.listen(listener)
            awaited.held = False
        else:
            await connection.say(awaited, payload, timeout, listener, sent, error)
            sent, error = 0, None
    due = task.loop.limit(perf_counter(), timeout)
    for awaited in waiting:
        awaited.due = due
    await await_replies(task, [one for one in waiting if not one.over], timeout)
    for talk, awaited in zip(talks, waiting, strict=True):
        talk[1].over(awaited)
