"""How many bytes went out and came in: of messages, so without what TLS, TCP and IP add to them.

Whoever moves bytes adds them to the volume of a row. The hot path adds nothing: an exchange whose
reply was known beforehand is recorded with others of the very same sizes (`StepStats.sized`), and
the bytes are their number times these sizes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Volume:
    """Bytes; `sent` are those that the kernel took."""

    sent: int = 0
    received: int = 0

    def add(self, other: Volume) -> None:
        self.sent += other.sent
        self.received += other.received

    def take(self) -> Volume:
        """What was added since the last call; this object stays in use."""
        taken = Volume(self.sent, self.received)
        self.sent = self.received = 0
        return taken

    def __bool__(self) -> bool:
        return bool(self.sent or self.received)
