"""When something breaks: a driver that cannot go on, or a master that is gone.

A driver that cannot go on ends the test, loudly: whoever judges is told why.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from functools import cache
from typing import Any

import gevent
from locust.env import Environment

from loadmux.errors import LoadmuxError
from loadmux.locust.figures import Figures
from loadmux.locust.here import Here
from loadmux.running.servers.processes import die_with_parent

logger = logging.getLogger("loadmux")

MASTER_SILENT_AFTER = 6
"""Seconds without a heartbeat of the master, which answers ours of each second."""


@cache
def started_in() -> int:
    """The process that loaded the locustfile, also in what `--processes` forked from it.

    What it forks ends with it: a worker whose master was refused its start would try for minutes to
    reach it, before anything of ours runs in that worker.
    """
    forking = {"pid": 0}

    def end_with_parent() -> None:
        if sys.platform == "linux":
            die_with_parent()
            if os.getppid() != forking["pid"]:  # it has ended meanwhile, and the kernel told nobody
                os.kill(os.getpid(), signal.SIGKILL)

    def note() -> None:
        forking["pid"] = os.getpid()

    os.register_at_fork(before=note, after_in_child=end_with_parent)
    return os.getpid()


class Failures:
    """See the module."""

    def __init__(self, here: Here, figures: Figures) -> None:
        self.here = here
        self.figures = figures

    def engine_failed(self, error: BaseException) -> None:
        trace = "".join(traceback.format_exception(error))
        text = str(error) if isinstance(error, LoadmuxError) else f"crash: {error!r}"
        # In another greenlet: this is the engine's own, which closing the engine kills.
        gevent.spawn(self.fail, text, trace)

    def fail(self, reason: str, trace: str) -> None:
        """The driver cannot go on: told to whoever judges, and the test ends."""
        logger.error("the load generator failed: %s%s", reason, f"\n{trace}" if trace else "")
        self.figures.flush()
        if self.here.is_worker:
            self.here.runner._send_stats()
            self.here.runner.send_message("loadmux_failed", {"reason": reason})
        self.here.close_engine()  # nobody steps it any more: its users would be waited for in vain
        if not self.here.is_worker:
            self._note_failure(reason)

    def give_up(self, reason: str) -> None:
        """Where the test is judged: it cannot go on, and ends."""
        logger.error("%s", reason)
        self._note_failure(reason)

    def hear_failure(self, environment: Environment, msg: Any, **_: Any) -> None:
        if msg.node_id not in self.here.runner.clients:
            return
        logger.error("the load generator of %s failed: %s", msg.node_id, msg.data["reason"])
        self._note_failure(msg.data["reason"])

    def _note_failure(self, reason: str) -> None:
        if self.here.tally is not None:
            self.here.tally.failed = self.here.tally.failed or reason
        self.show(reason)
        self.here.end_run()

    def show(self, reason: str) -> None:
        """Put a reason on the page, under Exceptions: who sits there does not see the log."""
        self.here.runner.log_exception("loadmux", reason, "")

    def watch_master(self) -> None:
        """A worker whose master is gone must not load the target on: Locust waits for a minute.

        A forked one that never hears of its master would wait for ever.
        """
        heard, silent, forked = None, 0, os.getpid() != started_in()
        while True:
            gevent.sleep(1)
            if forked and os.getppid() != started_in():
                self.here.close_engine()
                self.here.runner.quit()
                return
            last = self.here.runner.last_heartbeat_timestamp
            silent = silent + 1 if last == heard and self.here.engine is not None else 0
            heard = last
            if silent >= MASTER_SILENT_AFTER:
                logger.error("nothing heard of the master for %d s: this worker ends", silent)
                self.here.close_engine()
                self.here.runner.quit()
                return
