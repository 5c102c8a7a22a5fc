"""Writing what a run has found into a file: whole or not at all.

A place that cannot be written is told before a run, not after it. Raises UsageError, with the name
of the file and the reason.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from loadmux.errors import UsageError


def write_text(path: str | Path, made: str) -> None:
    """Write a file, whole or not at all; UsageError where that cannot be done.

    A file is written beside it and renamed, so a reader never sees half of one. What is there and
    is no regular file (`/dev/stdout`, a pipe) is written to directly.
    """
    try:
        if special(path):
            Path(path).write_text(made, encoding="utf-8")
        else:
            _replace(Path(os.path.realpath(path)), made)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


def check_writable(path: str | Path) -> None:
    """UsageError when `write` could not write there: to be known before a run, not after it."""
    folder = Path(os.path.realpath(path)).parent
    if Path(path).is_dir():
        raise UsageError(f"cannot write {path}: Is a directory")
    if not special(path) and not folder.is_dir():
        raise UsageError(f"cannot write {path}: No such directory: {folder}")
    if not os.access(path if special(path) else folder, os.W_OK):
        raise UsageError(f"cannot write {path}: Permission denied")


def special(path: str | Path) -> bool:
    """Whether something is there that is no regular file: a device, a pipe."""
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return False


def _replace(place: Path, text: str) -> None:
    beside = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(place)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
