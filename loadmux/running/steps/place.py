"""Where a step stands: what a mistake of the scenario is told with, if only the run shows it.

Such a mistake ends the run (DriverFault), and no fault is counted against the target.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadmux.driver.user import VirtualUser
from loadmux.errors import DriverFault, Position


@dataclass(frozen=True, slots=True)
class Place:
    """A step, and its place in a file."""

    where: Position
    step: str

    def refuse(self, user: VirtualUser, socket: str, body: bytes, why: ValueError) -> DriverFault:
        return DriverFault(
            f"{self.where}: step {self.step!r} of user {user.number} on socket {socket!r} needs a"
            f" frame for a body that cannot be framed: {why}; the body begins {body[:40]!r}"
        )

    def unable(self, user: VirtualUser, socket: str, why: object) -> DriverFault:
        on = f" on socket {socket!r}" if socket else ""
        return DriverFault(
            f"{self.where}: step {self.step!r} of user {user.number}{on} cannot be carried out:"
            f" {why}"
        )
