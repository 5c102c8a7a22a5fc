"""`--report NAME[=FILE]` under Locust: the same reporters as in `loadmux run`, on the same report.

Of the last test, where the page made several; csv and ndjson need a test without a page. A report
that cannot be written is told, and leaves no pass.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

from loadmux.errors import UsageError
from loadmux.locust.here import Here
from loadmux.report.model import Listener, Report
from loadmux.report.reporters import IN_FILES, Delivering, chosen, listeners

logger = logging.getLogger("loadmux")


class Reporting:
    """See the module."""

    def __init__(self, here: Here) -> None:
        self.here = here
        self._reporters: list[Delivering] = []

    def look_ahead(self) -> None:
        """What can be known to be wrong before a test. Raises UsageError."""
        words = self.here.options.get("report") or []
        self._reporters = chosen(words)
        if self.here.options.get("headless"):
            return
        for word in words:
            if word.partition("=")[0] in IN_FILES:
                raise UsageError(f"--report {word}: it is of one test; add --headless")

    def listeners(self) -> Sequence[Listener]:
        return listeners(self._reporters)

    def write(self, report: Report) -> bool:
        """Write the files; whether all of them are there. Those without one wait for the end."""
        written = [self._deliver(one, report) for one in self._reporters if one.file is not None]
        rest = [one for one in self._reporters if one.file is None]

        def last(**_: Any) -> None:
            for one in rest:
                self._deliver(one, report)

        self.here.environment.events.quit.add_listener(last)
        return all(written)

    def _deliver(self, reporter: Delivering, report: Report) -> bool:
        try:
            reporter.deliver(report, sys.stdout.write)
        except Exception as error:  # a plugin's, or ours: the verdict stands all the same
            logger.error("the report could not be written: %s", error)
            return False
        return True
