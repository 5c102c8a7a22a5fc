"""A clock for judging others by: it stands still while this process does.

Who is stopped, suspended, or waits where it should not, hears nobody meanwhile; that nobody spoke
is then no fault of theirs.
"""

from __future__ import annotations

from time import monotonic

MOST = 1.0


class OwnClock:
    """Seconds since it was made, of which no more than `MOST` pass between two looks at it."""

    def __init__(self) -> None:
        self._seen = monotonic()
        self._passed = 0.0

    def now(self) -> float:
        seen = monotonic()
        self._passed += min(seen - self._seen, MOST)
        self._seen = seen
        return self._passed
