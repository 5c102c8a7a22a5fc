"""Settings of the whole suite, and what its last lines say of what was skipped."""

from __future__ import annotations

import fcntl
import os
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

# The tests start hundreds of Python processes. Each would compile the package anew where the
# environment forbids to keep bytecode, as that of many container images does.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No example is judged by the clock: it may have to wait for other tests' processes.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """In a fresh clone one process compiles the tests, and then the others load what it has left.

    At once, each would compile all of them: 10 s of CPU.
    """
    run = getattr(session.config, "workerinput", {}).get("testrunuid")
    cache = getattr(session.config, "cache", None)
    if run is None or cache is None:
        return (yield)
    with (cache.mkdir("collecting") / "run").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if file.read() == run:
            fcntl.flock(file, fcntl.LOCK_UN)
            return (yield)
        try:
            return (yield)
        finally:
            file.truncate(0)
            file.write(run)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the skips by their reasons, the most frequent one first."""
    reasons = Counter(map(reason, terminalreporter.stats.get("skipped", [])))
    if reasons:
        terminalreporter.section("skipped")
    for text, count in reasons.most_common():
        terminalreporter.write_line(f"{count:5} skipped: {text}")


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped; pytest keeps it beside the place where that was said."""
    told = report.longrepr
    return (told[2] if isinstance(told, tuple) else str(told)).removeprefix("Skipped: ")
