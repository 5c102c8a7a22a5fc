"""The end of a test, before Locust stops its users: ours end, and all figures come in.

The master tells its workers to settle, and waits until each has said that it did: by then what it
sent before has been heard, for messages keep their order.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import gevent
from locust.env import Environment

from loadmux.locust.dividing import DIVIDE, MARGIN
from loadmux.locust.engine import Engine
from loadmux.locust.figures import Figures
from loadmux.locust.here import Here

logger = logging.getLogger("loadmux")

GRACE = 0.5
"""Seconds to end an iteration in, at least: somebody sits in front of a page and waits."""
SETTLE_WITHIN = 5.0
"""Seconds beyond the grace that the master waits for its workers' last figures."""


HAND_OVER_WITHIN = 2 * MARGIN + 1
"""Seconds in which others have taken over what a worker that leaves has to do."""


class Settling:
    """See the module."""

    def __init__(self, here: Here, figures: Figures) -> None:
        self.here = here
        self.figures = figures
        self._settled: set[str] = set()

    def begin(self) -> None:
        """A test starts: nobody has settled."""
        self._settled.clear()

    def settle(self) -> None:
        """Before Locust stops its users: ours end, and all figures come in."""
        if self.here.is_master:
            self._settle_workers()
        elif self.here.engine is not None:
            self.here.engine.empty(self.grace)
            self.figures.flush()

    @property
    def grace(self) -> float:
        """For how long (seconds) users may go on with the iteration in hand when a test stops.

        Where nobody waits in front of a page it is at least what the scenarios say: a server that
        answers no more is seen only by those who wait for it.
        """
        told = max(GRACE, float(self.here.environment.stop_timeout or 0.0))
        if self.here.preparation is None or not self.here.options.get("headless"):
            return told
        parts = self.here.preparation.parts.values()
        return max(told, *(part.scenario.load.graceful_stop for part in parts))

    def _settle_workers(self) -> None:
        self.here.runner.send_message("loadmux_stop", {"grace": self.grace})
        until = time.monotonic() + self.grace + SETTLE_WITHIN
        while self._unsettled() and time.monotonic() < until:
            gevent.sleep(0.05)
        if late := self._unsettled():
            logger.warning("no last figures within %.0f s: %s", SETTLE_WITHIN, ", ".join(late))
        if self.here.tally is not None:
            self.here.tally.lost = {*self.here.tally.workers} - self._settled

    def _unsettled(self) -> list[str]:
        return sorted({*self.here.present()} - self._settled)

    def told_to_settle(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._settle_worker(float(msg.data["grace"]))
        self.here.runner.send_message("loadmux_settled", None)

    def _settle_worker(self, grace: float) -> None:
        if self.here.engine is not None:
            self.here.engine.empty(grace)
        self.figures.flush()
        self.here.runner._send_stats()  # Locust's own report may be 3 s away, or never come

    def leave(self) -> None:
        """A worker is told to end in the middle of a test: its master gets the last figures."""
        if self.here.engine is not None:
            self._hand_over(self.here.engine)
            self._settle_worker(self.grace)
            # After the figures: messages keep their order, and the master waits for this one.
            self.here.runner.send_message("loadmux_settled", None)
            self.here.close_engine()

    def _hand_over(self, engine: Engine) -> None:
        """Of an open load go on until others make our starts."""
        if engine.opened and not engine.idle:
            self.here.runner.send_message(DIVIDE, {"run": self.here.run, "leaves": True})
            until = time.monotonic() + HAND_OVER_WITHIN
            while not engine.idle and time.monotonic() < until:
                gevent.sleep(0.05)

    def hear_settled(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._settled.add(msg.node_id)
