"""What broke when loadmux itself did: its own exception, in one line that a person can act on.

A shortage (memory, descriptors, processes) is the machine's, and a traceback through whatever
happened to ask last says nothing. Anything else is a bug: then the traceback is for whoever mends
it.
"""

from __future__ import annotations

import errno
import traceback

SHORTAGES = {
    errno.ENOMEM: "memory",
    errno.EMFILE: "descriptors (ulimit -n)",
    errno.ENFILE: "descriptors of the system",
    errno.EAGAIN: "processes (ulimit -u)",
    errno.ENOSPC: "room on a disk",
}
UNMAPPABLE = ("annot allocate memory", "ailed to map segment")
RESERVE = 4 << 20
"""Bytes to hold, and to let go when memory is short, so that it can still be told."""


def shortage(error: BaseException) -> str | None:
    """What there was too little of, None where that is not what went wrong."""
    if isinstance(error, MemoryError) or any(text in str(error) for text in UNMAPPABLE):
        return "memory"
    known = isinstance(error, OSError) and error.errno is not None
    return SHORTAGES.get(error.errno) if known else None  # type: ignore[attr-defined]


def told(error: BaseException) -> str:
    """One line: what there was too little of, or the exception and the place that raised it."""
    if (what := shortage(error)) is not None:
        return f"it ran out of {what}"
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}{': ' if text else ''}{text}{_place(error)}"


def traced(error: BaseException) -> str:
    """The traceback of a bug, empty for a shortage."""
    if shortage(error) is not None:
        return ""
    return "".join(traceback.format_exception(error))


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
