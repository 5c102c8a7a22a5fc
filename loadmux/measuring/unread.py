"""What was sent and nobody answers: whether it was read, as far as that can be seen. Pure.

A server that is to say nothing (the rule `sink`, messages without an `expect`) looks right whatever
it does with what it is sent; the kernel takes it for a server that never accepts. So connections
that had no answer are looked at when they are given up, unless the server ends its side in order,
which it cannot do with bytes unread.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Unread:
    """Of one target: `stuck` connections of which bytes lay unread, none fewer after a while.

    They had been sent `sent` bytes of which `left` lay there. `mostly` counts those of which it was
    half or more, `unaccepted` those of them that were never accepted. `drained` counts looks that
    saw the peer read, where all share one queue (datagrams). `unknown` connections (`untold` bytes)
    could not be looked at.
    """

    stuck: int = 0
    mostly: int = 0
    unaccepted: int = 0
    sent: int = 0
    left: int = 0
    drained: int = 0
    unknown: int = 0
    untold: int = 0

    def add(self, other: Unread) -> None:
        self.stuck += other.stuck
        self.mostly += other.mostly
        self.unaccepted += other.unaccepted
        self.sent += other.sent
        self.left += other.left
        self.drained += other.drained
        self.unknown += other.unknown
        self.untold += other.untold

    @property
    def doubtful(self) -> bool:
        """Whether what counts as sent was for the greater part not read."""
        return self.mostly > 0 and not self.drained

    def told(self, target: str) -> str | None:
        """A remark, if there is something to remark."""
        if self.stuck and not self.drained:
            return self._stuck(target)
        if self.unknown and not self.drained:
            return (
                f"nothing shows that {target} has read what it was sent: {self.untold:,} bytes on"
                f" {_connections(self.unknown)} without an answer, and its end cannot be seen here"
            )
        return None

    def _stuck(self, target: str) -> str:
        never = f", of which {self.unaccepted:,} were never accepted" if self.unaccepted else ""
        if self.unaccepted == self.stuck:
            never = ", none of which was ever accepted" if self.stuck > 1 else ", never accepted"
        return (
            f"{target} has not read what it was sent: {self.left:,} of {self.sent:,} bytes lie"
            f" unread on {_connections(self.stuck)}{never}"
        )


def _connections(count: int) -> str:
    return "1 connection" if count == 1 else f"{count:,} connections"
