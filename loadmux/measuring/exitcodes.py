"""How a command ends, as a number."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    PASS = 0
    FAIL = 1
    INVALID = 2
    INCONCLUSIVE = 3
    UNREACHABLE = 4
    BROKEN = 70
    THRESHOLD = 99
    INTERRUPTED = 130
