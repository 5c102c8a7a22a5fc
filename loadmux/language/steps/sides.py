"""Which sockets the branches of a `together` use, and whether they may: one writer, one reader."""

from __future__ import annotations

from collections.abc import Sequence

from loadmux.errors import Position
from loadmux.language.grammar.reading import Reading
from loadmux.language.meaning.stepvalues import (
    SIDES,
    Exchange,
    OnSockets,
    Performed,
    Step,
    flat,
)
from loadmux.units import quoted

SHARED = {"send", "expect"}
"""A connection has one writer and one reader."""


def check_branches(r: Reading, branches: Sequence[Sequence[Step]]) -> None:
    sides = [sides_of(branch) for branch in branches]
    for socket in dict.fromkeys(socket for one in sides for socket in one):
        found = [one[socket] for one in sides if socket in one]
        if (len(found) > 1 and {side for side, _ in found} != SHARED) or len(found) > 2:
            first, where = found[0][1], found[1][1]
            name = quoted(r.sockets.flat[socket].name)
            message = f"two branches use the socket {name} at once (the other one at line"
            message = f"{message} {first.line}); give each branch its own sockets, or let one only"
            r.add(where, f"{message} send and the other only expect")


def sides_of(steps: Sequence[Step]) -> dict[int, tuple[str, Position]]:
    """The sockets that these steps use, whether they only `send` or only `expect` on them, and
    where they first use them.
    """
    found: dict[int, tuple[str, Position]] = {}
    for step in flat(steps):
        if isinstance(step, Exchange | OnSockets | Performed):
            side = _side(step)
            for socket in step.sockets:
                before, where = found.get(socket, (side, step.where))
                found[socket] = side if before == side else "both", where
    return found


def _side(step: Exchange | OnSockets | Performed) -> str:
    if isinstance(step, Exchange):
        return "send" if step.expect is None else "expect" if step.send is None else "both"
    return SIDES.get(step.action, "both") if isinstance(step, OnSockets) else "both"
