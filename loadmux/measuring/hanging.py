"""What users were still waiting for when they were cut off, and when that is no success.

A run may end before a time-out does, so a server that has stopped answering for good need not have
made a single fault by then. Nor is a slow one to be blamed for what it was about to say. What
decides is how long was waited (`overdue`), beside the longest that the step took and was right:

- a user that has been served before is kept waiting too long after PATIENCE times that, or half a
  time-out more than that, whichever is less;
- one that was never served at all, after a little (UNSERVED) more than that: others were answered
  in the meantime, this one was not;
- in no case before LEAST seconds.

A step that was never right is held against the longest of all. Pure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

LEAST = 1.0
PATIENCE = 3.0
UNSERVED = 1.25
PARTS = 10
"""Waits are counted by tenths of a second."""


@dataclass(slots=True)
class Hanging:
    """Users that were cut off while they waited at one step, by the tenths of seconds they waited.

    `unserved` are those of them that had never completed an iteration. `longest` is in seconds,
    `owed` what that one waited for, `timeout` the longest that the step waits (seconds).
    """

    served: Counter[int] = field(default_factory=Counter)
    unserved: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0
    owed: str = ""
    timeout: float = 0.0

    def add(self, seconds: float, owed: str, timeout: float, served: bool) -> None:
        (self.served if served else self.unserved)[int(seconds * PARTS)] += 1
        self._note(seconds, owed, timeout)

    def merge(self, other: Hanging) -> None:
        self.served.update(other.served)
        self.unserved.update(other.unserved)
        self._note(other.longest, other.owed, other.timeout)

    def _note(self, seconds: float, owed: str, timeout: float) -> None:
        if seconds > self.longest:
            self.longest, self.owed = seconds, owed
        self.timeout = max(self.timeout, timeout)


@dataclass(frozen=True, slots=True)
class Overdue:
    """`users` waited at a step for far too long, `unserved` of them were never served.

    `waited` is the longest wait, `right` the longest that was answered in the end (0: none was),
    both in seconds.
    """

    step: str
    users: int
    unserved: int
    waited: float
    right: float
    owed: str

    def __str__(self) -> str:
        who = "1 user was" if self.users == 1 else f"{self.users:,} users were"
        never = f", {self.unserved:,} of them never served" if self.unserved else ""
        before = f"the longest that was answered took {_time(self.right)}"
        return (
            f"{who} kept waiting at step '{self.step}' for up to {_time(self.waited)} when cut off"
            f"{never} ({before if self.right else 'nothing was ever answered'});"
            f" owed: {self.owed}"
        )


def overdue(step: str, hanging: Hanging, right: float, longest: float) -> Overdue | None:
    """What of this is no success.

    `right` is the longest latency of the step, 0 where it was never right, `longest` that of all.
    """
    most = right or longest
    served = max(LEAST, min(PATIENCE * most, most + hanging.timeout / 2))
    unserved = max(LEAST, UNSERVED * most)
    never = _above(hanging.unserved, unserved)
    users = never + _above(hanging.served, served)
    if not users:
        return None
    return Overdue(step, users, never, hanging.longest, right, hanging.owed)


def _above(waits: Counter[int], limit: float) -> int:
    return sum(count for tenths, count in waits.items() if tenths / PARTS >= limit)


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
