"""What was measured, for those who listen to events: `batch`, and Locust's `events.request`.

In a greenlet of its own, so that a slow listener cannot stop the driver; what it cannot keep up
with is dropped, oldest first. The statistics do not depend on any of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import gevent
from gevent.event import Event
from locust.event import EventHook

from loadmux.errors import Evidence, Kind
from loadmux.locust import tables
from loadmux.locust.here import Here
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import Stats

EVENTS_A_FLUSH = 1000
"""Failures told for each flush; those beyond are in the statistics alone."""

batch = EventHook()
"""Fired about twice a second on every worker with `environment`, `user_class` (a name) and `stats`
(a `measuring.stats.Stats` of that interval), from a greenlet of its own: for exporters that want
all that was measured without an event for each request."""


class Exporter:
    """Takes what each flush has measured, and tells it to all who want to know."""

    def __init__(self, here: Here) -> None:
        self.here = here
        self._notices: deque[tuple[str, Stats]] = deque(maxlen=1000)
        self._noticed = Event()

    def add(self, name: str, stats: Stats) -> None:
        """What the class called `name` has measured since the last time."""
        self._notices.append((name, stats))

    def wake(self) -> None:
        """Have it told now."""
        self._noticed.set()

    def run(self) -> None:
        """For ever: tell what there is."""
        while True:
            self._noticed.wait()
            self._noticed.clear()
            while self._notices:
                name, stats = self._notices.popleft()
                batch.fire(environment=self.here.environment, user_class=name, stats=stats)
                self._fire_requests(name, stats)

    def _fire_requests(self, name: str, stats: Stats) -> None:
        """`events.request` for all listeners but Locust's own, whose work is done already."""
        wanted = next(
            (one.request_events for one in self.here.classes() if one.__name__ == name), "none"
        )
        handlers = [
            handler
            for handler in self.here.environment.events.request._handlers
            if getattr(handler, "__qualname__", "") != "Runner.__init__.<locals>.on_request"
        ]
        if not handlers or wanted == "none":
            return
        hook = EventHook()  # a copy: Locust's listener would count the same requests again
        hook._handlers = handlers
        for count, event in enumerate(requests(stats, wanted == "all")):
            if wanted != "all" and count == EVENTS_A_FLUSH:
                break
            hook.fire(**event)
            if not count % 100:  # Python code of others: the driver wants its turn meanwhile
                gevent.sleep(0)


class TargetFault(Exception):
    """What `events.request` has as the exception of an exchange that was wrong.

    `kind` is its kind of fault, `evidence` what is known of it (of the first few).
    """

    def __init__(self, kind: Kind, evidence: Evidence | None) -> None:
        super().__init__(f"{kind}: {evidence.message}" if evidence else tables.explained(kind))
        self.kind = kind
        self.evidence = evidence


def requests(stats: Stats, all_of_them: bool) -> Iterator[dict[str, Any]]:
    """Keyword arguments of `events.request` for what was measured in an interval.

    The bytes that a step received are divided among its requests.
    """
    lengths: dict[str, Iterator[int]] = {}
    for group in stats.faults.values():
        row = stats.connects if group.step == "connect" else stats.row(group.step)
        length = lengths.setdefault(row.name, shares(row))
        for number in range(group.count):
            evidence = group.examples[number] if number < len(group.examples) else None
            error = TargetFault(group.kind, evidence)
            yield request(row.kind, group.step, None, next(length), error)
    if all_of_them:
        for row in tables.rows(stats):
            length = lengths.setdefault(row.name, shares(row))
            for seconds, count in row.histogram.buckets():
                for _ in range(count):
                    yield request(row.kind, row.name, seconds * 1000, next(length), None)


def shares(row: StepStats) -> Iterator[int]:
    """How many bytes each request of a row received, for the sum of all of them is known."""
    each, more = divmod(row.volume.received, row.count) if row.count else (0, 0)
    return chain(repeat(each + 1, more), repeat(each))


def request(
    kind: str, name: str, milliseconds: float | None, length: int, error: Exception | None
) -> dict[str, Any]:
    return {
        "request_type": kind,
        "name": name,
        "response_time": milliseconds,
        "response_length": length,
        "response": None,
        "exception": error,
        "context": {},
    }
