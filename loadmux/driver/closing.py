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

from loadmux.driver.awaiting import readable
from loadmux.driver.connection import Connection
from loadmux.driver.leaving import LINGER_MOST, Found, Leaving
from loadmux.driver.loop import NEVER, Interrupted, Task, next_turn
from loadmux.errors import Evidence, Fault


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


async def await_rest(
    task: Task, connections: Sequence[Connection], timeout: float
) -> Mapping[Connection, int]:
    """Wait, before a FIN of ours may keep a server from it, for the rest of what has begun to come.

    Those of which nothing more came in `timeout` seconds, and how many bytes have.
    """
    while half := [
        one for one in connections if one.half_read and not one.eof and one.lost is None
    ]:
        timed_out = False
        if any(one.more for one in half):
            await next_turn(task)
        else:
            timed_out = await readable(task, half, task.loop.awake() + timeout)
        for one in half:
            one.drain()
        if timed_out:
            return {one: one.half_read for one in half if one.half_read}
    return {}


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
