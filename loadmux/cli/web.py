"""Starts Locust for `loadmux web`: `python -m loadmux.cli.web`, with Locust's options.

Locust takes half a second to import and longer to begin: an interrupt meanwhile ends the process
without a traceback. Afterwards the interrupt is the plugin's (`locust.plugin`).
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from loadmux.running.interrupts import INTERRUPTED, unblock


def leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


def end(number: int, frame: FrameType | None) -> None:
    """End in order: Locust may have forked workers by now, and ends them when it exits."""
    sys.exit(INTERRUPTED)


def main() -> None:
    """Run Locust; ends the process."""
    heard = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    if heard:
        signal.signal(signal.SIGINT, leave)
    unblock()
    from locust.main import main as locust

    if heard:
        signal.signal(signal.SIGINT, end)
    sys.argv[0] = "locust"
    locust()


if __name__ == "__main__":
    main()
