"""How many faults only followed from another one, by what they followed from. Pure; mergeable.

Every fault is counted where it was met; this only says which of them the report need not tell as so
many bugs. Who decides that is `driver.outages`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from loadmux.errors import Evidence, Kind

SAME = 0.1
"""Seconds within which the first signs that several processes saw are of one event."""

Group = tuple[Kind, str]
"""A kind of fault, and the step at which it was met."""


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """The first sign of an event at a target: `at` is in seconds since the run began."""

    at: float
    target: str
    kind: Kind
    step: str

    @classmethod
    def of(cls, evidence: Evidence) -> Cause:
        return cls(evidence.at, evidence.target, evidence.kind, evidence.step)

    @property
    def group(self) -> Group:
        return self.kind, self.step


@dataclass(slots=True)
class Consequences:
    """`counts` has the faults that followed from a cause, by their groups.

    `same` maps causes that turned out to be of an event that had been seen before to that one's.
    """

    counts: dict[Cause, Counter[Group]] = field(default_factory=dict)
    same: dict[Cause, Cause] = field(default_factory=dict)

    def add(self, cause: Cause, evidence: Evidence) -> None:
        """A fault followed from this cause."""
        evidence.follows = True
        self.counts.setdefault(cause, Counter())[evidence.kind, evidence.step] += 1

    def merge(self, other: Consequences) -> None:
        """Add what another process saw, or the same one since it last told."""
        for cause, counts in other.counts.items():
            known = self.same.get(cause) or self._first_sign_beside(cause)
            self.counts.setdefault(known, Counter()).update(counts)

    def _first_sign_beside(self, cause: Cause) -> Cause:
        """What this cause goes by from now on: itself, or that of the same event."""
        if cause in self.counts:
            return cause
        beside = (one for one in self.counts if one.target == cause.target)
        other = next((one for one in beside if abs(one.at - cause.at) <= SAME), None)
        if other is None:
            return cause
        first, second = sorted((other, cause))
        counts = self.counts.pop(other)
        counts[second.group] += 1
        self.counts[first] = counts
        self.same = {old: first if new == second else new for old, new in self.same.items()}
        self.same[second] = first
        return first

    def labelled(self, label: str) -> Consequences:
        """The same with `LABEL: ` before every step."""
        return Consequences(
            {
                replace(cause, step=f"{label}: {cause.step}"): Counter(
                    {(kind, f"{label}: {step}"): count for (kind, step), count in counts.items()}
                )
                for cause, counts in self.counts.items()
            }
        )

    def from_group(self, group: Group) -> tuple[int, Counter[Group]]:
        """How many faults of a group were a first sign, and what has followed from them."""
        causes = [cause for cause in self.counts if cause.group == group]
        followed: Counter[Group] = Counter()
        for cause in causes:
            followed.update(self.counts[cause])
        return len(causes), followed

    def following(self, group: Group) -> int:
        """How many faults of a group only followed from others."""
        return sum(counts[group] for counts in self.counts.values())

    def causes_of(self, group: Group) -> Iterator[Cause]:
        """What the faults of a group followed from, in order."""
        return (cause for cause in sorted(self.counts) if self.counts[cause][group])
