"""Standard output and error that cannot fail: a verdict must not depend on who reads it.

The reader may leave, the disk be full, the terminal be gone, the stream be closed from the start.
After `secure` writing to `sys.stdout` and `sys.stderr` raises nothing, wherever that is done (by
rich, by typer, by a warning, when the interpreter ends); `lost` tells what went wrong. Descriptors
0, 1 and 2 are open then, so that no socket of a run can get one of these numbers.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Sink(io.FileIO):
    """A descriptor to write to; after the first failure, kept in `lost`, all is thrown away."""

    lost: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        while self.lost is None:
            try:
                written: int | None = super().write(data)
            except OSError as error:
                self.lost = error
            else:
                if written is not None:
                    return written
                writable(self.fileno())  # somebody else has made it non-blocking
        return memoryview(data).nbytes


def writable(fd: int) -> None:
    """Wait until a descriptor takes something."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()


def lost(stream: TextIO) -> OSError | None:
    """Why what was written to `sys.stdout` or `sys.stderr` did not arrive, None where it did."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.lost if isinstance(raw, Sink) else None


def secure() -> None:
    """Make the standard streams of this process such ones."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets this very number
    sys.stdout = _secured(1, sys.stdout)
    sys.stderr = _secured(2, sys.stderr)


def _secured(number: int, before: TextIO | None) -> TextIO:
    buffer = io.BufferedWriter(Sink(number, "w", closefd=False))
    if not isinstance(before, io.TextIOWrapper):
        return io.TextIOWrapper(buffer, "utf-8", "backslashreplace", line_buffering=number == 2)
    before.flush()
    return io.TextIOWrapper(
        buffer,
        before.encoding,
        before.errors,
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )
