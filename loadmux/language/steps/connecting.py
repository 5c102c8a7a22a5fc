"""What is said of a socket's `on_connect`: steps that belong to each new connection of it.

They are read for the first socket of a group and then stand for each of its members. They may name
whatever the file defines anywhere: when they run is up to the connections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from loadmux.errors import Position
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.references import Reference
from loadmux.language.meaning.stepvalues import (
    Exchange,
    For,
    OnSockets,
    Performed,
    Repeat,
    Step,
    Together,
    Transaction,
)

PREFIX = "on_connect "
"""Begins the rows of such steps."""


@contextmanager
def reading(r: Reading, own: Reference) -> Iterator[None]:
    """What is read within belongs to new connections of the socket (or group) `own`."""
    steps, r.steps = r.steps, 0
    r.sockets.own, r.names.anytime, r.row_prefix = own, True, PREFIX
    try:
        yield
    finally:
        r.sockets.own, r.names.anytime, r.row_prefix = None, False, ""
        r.steps = steps


def refuse(r: Reading, where: Position, why: str) -> None:
    """A mistake where steps of `on_connect` are being read: of the connection as a whole."""
    if r.sockets.own is not None:
        r.add(where, f"'on_connect' prepares a connection that goes on; {why}")


def moved(steps: Sequence[Step], socket: int) -> tuple[Step, ...]:
    """The same steps for another socket of the group."""
    return tuple(_moved(step, socket) for step in steps)


def _moved(step: Step, socket: int) -> Step:
    match step:
        case Exchange() | OnSockets() | Performed():
            return replace(step, sockets=(socket,))
        case Repeat(do=do) | For(do=do) | Transaction(do=do):
            return replace(step, do=moved(do, socket))
        case Together(branches=branches, uses=uses, says=says):
            return replace(
                step,
                branches=tuple(moved(branch, socket) for branch in branches),
                uses=tuple((socket,) if use else () for use in uses),
                says=tuple((socket,) if said else () for said in says),
            )
    return step
