"""The figures of a test on their way: from the engine to Locust's tables and to the tally.

Where there is a tally, alone or on the master, they go into it at once; a worker keeps them in an
outbox until Locust reports to the master. With them goes whether the test is over by itself.
"""

from __future__ import annotations

import logging
import time
from dataclasses import astuple
from time import process_time
from typing import Any

import gevent
from locust.runners import STATE_RUNNING

from loadmux.language.sources import usercode
from loadmux.locust import tables, wire
from loadmux.locust.engine import Engine
from loadmux.locust.exporting import Exporter
from loadmux.locust.here import Here
from loadmux.locust.shape import Phases
from loadmux.locust.tally import Health, users_only
from loadmux.measuring.stats import Stats
from loadmux.running.generators.worker import resident_memory

logger = logging.getLogger("loadmux")

FLUSH_EVERY = 0.5
"""Seconds."""
STATE = ("reach", "poller", "over")
MISTAKE_EVERY = 1.0
"""Seconds between two reports of the same place: a loop that raises would flood the page."""


class Figures:
    """See the module."""

    def __init__(self, here: Here, exporter: Exporter) -> None:
        self.here = here
        self.exporter = exporter
        self._outbox: dict[tuple[str, int], Stats] = {}
        self._told_mistakes: dict[tuple[str, str], float] = {}
        self._exhausted: dict[str, bool] = {}
        self._over = False
        self._cpu_before = 0.0

    def begin(self) -> None:
        """A test starts, where it is judged."""
        self._exhausted.clear()
        self._over = False

    def begin_engine(self) -> None:
        """A test starts, where its users are."""
        self._outbox.clear()
        self._over = False
        self._told_mistakes.clear()
        self._cpu_before = process_time()

    def run(self) -> None:
        """For ever: flush now and then, and end a test that is over."""
        while True:
            gevent.sleep(FLUSH_EVERY)
            if self.here.engine is not None:
                self.flush()
                self._tell_the_last_word(self.here.engine)
            if self.here.engine is not None and not self.here.is_worker:
                self._end_if_over(self.here.engine.aborted, self.here.engine.exhausted)

    def _tell_the_last_word(self, engine: Engine) -> None:
        """The master waits for it: Locust's own report may be 3 s away."""
        if self.here.is_worker and engine.opened and engine.exhausted and not self._over:
            self._over = True
            self.here.runner._send_stats()

    def await_the_last_word(self) -> None:
        """Users were started anew: what workers said of their work being done is out of date."""
        self._exhausted.clear()

    def reset(self) -> None:
        """Locust's statistics begin anew, and so do ours."""
        if self.here.tally is not None:
            self.here.tally.reset()
        self._outbox = {where: users_only(stats) for where, stats in self._outbox.items()}
        if self.here.engine is None:
            return
        for name, phase, stats in self.here.engine.take():
            self._keep(name, phase, users_only(stats))

    def _keep(self, name: str, phase: int, stats: Stats) -> None:
        if self.here.tally is not None and self.here.engine is not None:
            self.here.tally.add(name, stats, "local", len(self.here.engine.users()), phase)
        else:
            self._outbox.setdefault((name, phase), Stats()).merge(stats)

    def flush(self) -> None:
        """Pour what the engine has measured into Locust's statistics, the tally or the outbox."""
        if self.here.engine is None:
            return
        for name, phase, stats in self.here.engine.take():
            tables.pour(
                stats, self.here.environment.stats, f"{name}: " if self.here.prefixed else ""
            )
            self._keep(name, phase, stats)
            self.exporter.add(name, stats)
            self._tell_mistakes(name)
        if self.here.tally is not None:
            self.here.tally.lasted = self.here.engine.elapsed
            self.here.tally.note("local", self._health())
            self.here.tally.note_reach(self._reach())
        self.exporter.wake()

    def _tell_mistakes(self, name: str) -> None:
        """Errors of the scenario's code, for Locust's Exceptions: now and then one for each place.

        How many there were stands in our own report.
        """
        assert self.here.engine is not None
        mistakes, now = self.here.engine.crews[name].mistakes, time.monotonic()
        for where in list(mistakes):
            told = self._told_mistakes.get((name, where))
            if told is None or now - told >= MISTAKE_EVERY:
                error, owner = mistakes.pop(where)
                self._told_mistakes[name, where] = now
                trace = usercode.own(error.trace)
                hook: Any = self.here.environment.events.user_error
                hook.fire(user_instance=owner, exception=error, tb=trace)

    def _health(self) -> Health:
        assert self.here.engine is not None
        loop, now = self.here.engine.loop, time.perf_counter()
        late = sorted(loop.late)
        span = now - loop.epoch
        return Health(
            loop.busy_share(now),
            late[int(len(late) * 0.99)] if late else 0.0,
            (process_time() - self._cpu_before) / span if span > 0 else 0.0,
            resident_memory(),
            len(self.here.engine.users()),
            loop.standstills.count,
            loop.standstills.seconds,
            loop.standstills.take(),
        )

    def _reach(self) -> dict[str, list[Any]]:
        assert self.here.engine is not None
        controls = {name: crew.control for name, crew in self.here.engine.crews.items()}
        return {name: [[*one.reached], dict(one.unreachable)] for name, one in controls.items()}

    def tell(self, data: dict[str, Any], **_: Any) -> None:
        """A worker's report to its master: what was flushed since the last one."""
        told: dict[str, Any] = {
            "run": self.here.run,
            "stats": [
                [name, phase, wire.pack(one, "statistics")]
                for (name, phase), one in self._outbox.items()
            ],
        }
        if self.here.engine is not None:
            told["health"] = astuple(self._health())
            told["reach"] = self._reach()
            told["poller"] = self.here.engine.loop.poller.name
            engine = self.here.engine
            told["over"] = [engine.aborted, engine.exhausted, engine.elapsed]
        self._outbox = {}
        data["loadmux"] = told

    def hear(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """A worker's report."""
        told, tally = data.get("loadmux"), self.here.tally
        if told is None or tally is None:
            return
        if client_id not in self.here.runner.clients and client_id not in tally.workers:
            return  # a stranger's, whom Locust has not let in
        try:
            reports = [
                (str(name), int(phase), wire.unpack(one, Stats))
                for name, phase, one in told["stats"]
            ]
            health = Health.of(told["health"]) if "health" in told else None
            reach, poller, over = [told[name] for name in STATE] if health else ({}, "", (0, 0, 0))
            aborted, exhausted, elapsed = over[0], over[1], float(over[2])
        except (wire.Unreadable, ValueError, TypeError, LookupError, AttributeError) as error:
            logger.error("a report of %s cannot be read, and is left out: %s", client_id, error)
            return
        for name, phase, stats in reports:
            tally.add(name, stats, client_id, 0 if health is None else health.users, phase)
        if health is not None:
            tally.note(client_id, health)
            tally.note_reach(reach)
            tally.poller = poller
            tally.lasted = max(tally.lasted, elapsed)
            self._exhausted[client_id] = exhausted
            done = all(self._exhausted.get(client) for client in self.here.present())
            self._end_if_over(aborted, done)  # after its figures are in: a fault is among them

    def _end_if_over(self, aborted: bool, exhausted: bool) -> None:
        """A scenario may end a run: by a fault, or without a page by its number of iterations."""
        parts = [] if self.here.tally is None else list(self.here.tally.parts.values())
        begun = any(part.stats.started for part in parts)
        ours = len(self.here.classes()) == len(self.here.environment.user_classes)
        done = exhausted and begun and ours and self.here.runner.state == STATE_RUNNING
        shape = self.here.environment.shape_class
        by_itself = isinstance(shape, Phases) or (self.here.options.get("headless") and not shape)
        if not self._over and self.here.running and (aborted or (done and by_itself)):
            self._over = True
            logger.info("a fault ended the test" if aborted else "all users have done their work")
            self.here.end_run()
