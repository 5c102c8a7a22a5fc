"""What a step records into: a row, and by how much its iteration began too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from loadmux.measuring.stats import StepStats
from loadmux.measuring.volume import Volume

Record = Callable[[float], None]
"""Takes a latency in seconds."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Called with a latency (seconds) from the send, which was `delay` seconds late.

    The bytes that are moved meanwhile are for `volume`.
    """

    row: StepStats
    delay: float = 0.0
    volume: Volume = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "volume", self.row.volume)

    def __call__(self, seconds: float) -> None:
        self.row.record_since(self.delay, seconds)

    def sized(self, sent: int, received: int) -> Record:
        """What takes the latencies of exchanges that moved so many bytes, and counts these."""
        if not self.delay:
            return self.row.sized(sent, received)
        return partial(self._sized, sent, received)

    def _sized(self, sent: int, received: int, seconds: float) -> None:
        self.volume.add(Volume(sent, received))
        self(seconds)
