"""The reply to what was sent before, on one socket: the hot path of a bare `expect`.

As `Connection.exchange` without the sending: what comes is compared with what is likely, and goes
the careful way where it is anything else. Where more than one answer is owed, several may come at
once: the rest waits in the inbox for the steps that follow.
"""

from __future__ import annotations

from collections.abc import Generator
from time import perf_counter
from types import coroutine
from typing import NamedTuple

from loadmux.driver.awaiting import Awaited, await_replies, cut_off
from loadmux.driver.connection import Connection, Plan
from loadmux.driver.loop import Interrupted
from loadmux.driver.peer import TRY, Sent
from loadmux.driver.poller import READABLE


class Answered(NamedTuple):
    """What was answered, and when (`perf_counter` seconds) the reply was complete."""

    sent: Sent
    ended: float


@coroutine
def await_answer(
    connection: Connection, plan: Plan, entire: bool
) -> Generator[None, bool, Answered | Awaited]:
    """Only where an answer is owed and nothing has been read yet; see `Peer.only_asked`.

    `entire`: what begins with the likely reply is right that far. What is returned had its care
    where it is an Awaited. Raises Fault.
    """
    task, late, began = connection.task, False, perf_counter()
    entire = entire and len(connection.unanswered) > 1 and not plan.swift
    try:
        if not connection.ready & TRY:
            connection.want = READABLE
            task.set_deadline(began + plan.timeout)
            late = yield
            connection.want = 0
        else:
            task.deadline = began + plan.timeout
        if not late:
            size = connection.room if entire else plan.size
            try:
                data: bytes | None = connection._recv(size)
            except OSError as error:
                data = None
                connection._receive_failed(error)
            connection._keep(data, size)
            if data == plan.likely or (plan.swift and plan.fits(data)):
                return Answered(connection.answered(data or b""), perf_counter())
            if entire and (sent := connection.answered_ahead(plan.likely)) is not None:
                return Answered(sent, perf_counter())
    except Interrupted:
        cut_off([Awaited(connection, plan.verifier(), began)], plan.timeout)
        raise
    awaited = plan.awaited(connection, began, late)
    yield from await_replies(task, [awaited], plan.timeout)
    return awaited
