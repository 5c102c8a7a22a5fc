"""Prints on streams that may fail, and tells on standard error what could not be printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from loadmux.errors import UsageError
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import streams
from loadmux.running import breakdown

STREAM = Path("-")
BUG = "loadmux: this is a bug in loadmux; please report it with what follows"


def deliver(write: Callable[[], None]) -> ExitCode:
    """Print or write something; INCONCLUSIVE where it was lost, BROKEN where that is our fault."""
    before = streams.lost(sys.stdout)
    try:
        write()
        sys.stdout.flush()
        lost: Exception | None = streams.lost(sys.stdout)
        if lost is before or isinstance(lost, BrokenPipeError):
            return ExitCode.PASS
    except (UsageError, OSError) as error:
        lost = error
    except Exception as error:
        complain(f"loadmux: it broke while it reported: {breakdown.told(error)}")
        complain(BUG, breakdown.traced(error))
        return ExitCode.BROKEN
    complain(f"loadmux: the report could not be written: {lost}")
    return ExitCode.INCONCLUSIVE


def complain(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr)
