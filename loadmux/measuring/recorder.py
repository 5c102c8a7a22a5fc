"""What a step records into: a row, and by how much its iteration began too late."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from loadmux.measuring.rows import StepStats
from loadmux.measuring.volume import Volume

Record = Callable[[float], None]
"""Takes a latency in seconds."""


class Recorder:
    """Called with a latency (seconds) from the send, which was `delay` seconds late.

    The bytes that are moved meanwhile are for `volume`.
    """

    __slots__ = ("delay", "row", "volume")

    # Not a dataclass: open load makes one for each iteration.
    def __init__(self, row: StepStats, delay: float = 0.0) -> None:
        self.row = row
        self.delay = delay
        self.volume: Volume = row.volume

    def __call__(self, seconds: float) -> None:
        self.row.record_since(self.delay, seconds)

    def sized(self, sent: int, received: int) -> Record:
        """What takes the latencies of exchanges that moved so many bytes, and counts these."""
        if not self.delay:
            return self.row.sized(sent, received)
        return partial(self.row.record_moved, sent, received, self.delay)
