"""This process under Locust: which role it has, and what it has of the test that is on.

All parts of the plugin are given the same `Here`; what one keeps for itself is not in it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner

from loadmux.locust.described import Described
from loadmux.locust.engine import Engine
from loadmux.locust.preparation import Preparation
from loadmux.locust.tally import Tally

STOPS_WITHIN = 60.0
"""Seconds that Locust's master gives its workers to stop, beyond the stop timeout."""


class Here:
    """`tally` is of the test that runs, or of the last one; a worker has none. `given` are the
    options as the command line made them, before any form. `run` is unlike that of any other test.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.given = dict(self.options)
        self.engine: Engine | None = None
        self.preparation: Preparation | None = None
        self.tally: Tally | None = None
        self.run = ""
        self.folders: list[tempfile.TemporaryDirectory[str]] = []
        self.stopping_since: float | None = None

    @property
    def runner(self) -> Any:
        return self.environment.runner

    @property
    def is_worker(self) -> bool:
        return isinstance(self.runner, WorkerRunner)

    def await_runner(self) -> None:
        """Wait until it is known which role this is.

        A worker that joins a running test is told to start before its runner has been made: who
        looks then would take it for a process that is alone, and for the judge of the test.
        """
        while self.runner is None:  # nobody tells when Locust's constructor has returned
            gevent.sleep(0.01)

    @property
    def is_master(self) -> bool:
        return isinstance(self.runner, MasterRunner)

    @property
    def running(self) -> bool:
        return self.runner is not None and self.runner.state in (STATE_SPAWNING, STATE_RUNNING)

    @property
    def options(self) -> dict[str, Any]:
        return vars(self.environment.parsed_options) if self.environment.parsed_options else {}

    @property
    def stopping(self) -> bool:
        """Whether the last test has not quite stopped yet.

        Not by Locust's state alone: with a lost worker it says so for a minute after the end. Nor
        for ever: a stop can be cut short, by another one.
        """
        if self.stopping_since is None:
            return False
        limit = float(self.environment.stop_timeout or 0.0) + STOPS_WITHIN
        return time.monotonic() - self.stopping_since < limit

    def classes(self) -> list[type[Described]]:
        """The classes of this test that carry out scenarios."""
        return [one for one in self.environment.user_classes if issubclass(one, Described)]

    def every(self) -> list[type[Described]]:
        """The classes that any test can have."""
        available: Mapping[str, Any] = self.environment.available_user_classes or {}
        every = dict.fromkeys([*self.environment.user_classes, *available.values()])
        return [one for one in every if issubclass(one, Described)]

    @property
    def prefixed(self) -> bool:
        """Whether several classes share Locust's table, so that rows need the class's name."""
        return len(self.environment.user_classes) > 1

    def present(self) -> list[str]:
        """The workers that the master hears of."""
        clients = self.runner.clients
        return sorted({*clients} - {one.id for one in clients.missing})

    def close_engine(self) -> None:
        if self.engine is not None:
            engine, self.engine = self.engine, None  # first: close() gives way to other greenlets
            engine.close()
        while self.folders:
            self.folders.pop().cleanup()

    def end_targets(self) -> None:
        if self.preparation is not None:
            self.preparation.close()
            self.preparation = None

    def end_run(self) -> None:
        """Stop the test, and the program if nobody sits in front of it."""
        headless = self.options.get("headless")
        # Both wait for the users and for the workers; whoever calls us may be what they wait for.
        gevent.spawn(self.runner.quit if headless else self.runner.stop)
