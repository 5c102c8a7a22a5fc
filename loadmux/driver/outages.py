"""Tells a server's death from what it brings about, for the users of one loop. Pure.

A server that dies takes all its connections along, and refuses those that come after: a hundred
faults, and one bug. A connection that is lost says nothing of the others; that nobody listens any
more does. So an outage of a target

- is known by a connect that is refused (or finds no way to it), where one had succeeded before;
- began with the first connection that was lost (`closed`, `reset`) within MOMENT seconds before
  that, no connect having succeeded since; where there is none, with the refusal itself;
- lasts until a connect succeeds.

What follows from its first sign: refusals and lost connections until then, and connections from
before that are found lost only later. No fault of another kind ever does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from loadmux.errors import Evidence, Kind
from loadmux.measuring.consequences import Cause, Consequences

MOMENT = 1.0
LOST = frozenset({Kind.CLOSED, Kind.RESET})
NOT_LET_IN = frozenset({Kind.REFUSED, Kind.UNREACHABLE})


@dataclass(slots=True)
class _Target:
    """`lost`: connections since the last connect. `outage` is the present one's first sign, and
    `refused` when the last connect was; `last` is that of the one before, which ended at `ended`
    (seconds since the run began).
    """

    lost: deque[Evidence] = field(default_factory=deque)
    outage: Cause | None = None
    refused: float = 0.0
    last: Cause | None = None
    ended: float = 0.0


class Outages:
    """The targets of some users, by their URLs."""

    def __init__(self, consequences: Consequences) -> None:
        self._consequences = consequences
        self._targets: dict[str, _Target] = {}

    def note(self, evidence: Evidence, opened: float, reached: bool) -> None:
        """A fault on a connection that was opened `opened` seconds after the run began.

        `reached`: a connect to its target had succeeded before.
        """
        if evidence.kind in LOST:
            self._lost(evidence, opened)
        elif evidence.kind in NOT_LET_IN and reached:
            self._not_let_in(evidence)

    def back(self, url: str, dialed: float) -> None:
        """A connect to this target has succeeded that was begun `dialed` seconds after the run was.

        It shows that somebody listened then, and nothing of what was found since.
        """
        target = self._targets.get(url)
        if target is None:
            return
        while target.lost and target.lost[0].at < dialed:
            target.lost.popleft()
        if target.outage is not None and target.refused < dialed:
            target.last, target.ended, target.outage = target.outage, dialed, None

    def _lost(self, evidence: Evidence, opened: float) -> None:
        target = self._targets.setdefault(evidence.target, _Target())
        if target.outage is not None:
            self._consequences.add(target.outage, evidence)
        elif target.last is not None and opened <= target.ended:
            self._consequences.add(target.last, evidence)
        else:
            target.lost.append(evidence)
            self._forget(target, evidence.at)

    def _not_let_in(self, evidence: Evidence) -> None:
        target = self._targets.setdefault(evidence.target, _Target())
        target.refused = max(target.refused, evidence.at)
        if target.outage is None:
            self._forget(target, evidence.at)
            signs = sorted([*target.lost, evidence], key=lambda one: one.at)
            target.lost.clear()
            target.outage = Cause.of(signs[0])
            for one in signs[1:]:
                self._consequences.add(target.outage, one)
        else:
            self._consequences.add(target.outage, evidence)

    def _forget(self, target: _Target, now: float) -> None:
        while target.lost and now - target.lost[0].at > MOMENT:
            target.lost.popleft()
