"""How the command line ends where it cannot do what it was asked: a line, and an exit code.

Traceback-free by construction: every error that a user can cause is a `LoadmuxError`; what else is
raised is our own breakdown, and ends with 70.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from loadmux.cli.printing import BUG, complain
from loadmux.errors import Broken, DriverFault, LoadmuxError, TargetFailed, UsageError
from loadmux.measuring.exitcodes import ExitCode
from loadmux.running import breakdown

CODES: tuple[tuple[type[LoadmuxError], ExitCode], ...] = (
    (Broken, ExitCode.BROKEN),
    (DriverFault, ExitCode.INCONCLUSIVE),
    (TargetFailed, ExitCode.UNREACHABLE),
    (LoadmuxError, ExitCode.INVALID),
)


def end(error: Exception) -> NoReturn:
    """End the process with what was raised."""
    for kind, code in CODES:
        if isinstance(error, kind):
            text = f"loadmux: {error}" if isinstance(error, UsageError) else str(error)
            print(text, file=sys.stderr)
            sys.exit(code)
    if isinstance(error, ModuleNotFoundError):  # a package is not installed: no bug of ours
        complain(f"loadmux: cannot start: {type(error).__name__}: {error}")
        sys.exit(ExitCode.BROKEN)
    complain(f"loadmux: loadmux itself broke: {breakdown.told(error)}")
    if trace := breakdown.traced(error):
        complain(BUG, trace)
    sys.exit(ExitCode.BROKEN)
