"""Watching the wire: what is told of connections to whoever wants to see their bytes."""

from __future__ import annotations

from typing import Any, Protocol


class Tap(Protocol):
    """Is told of connections (`Peer`) by whoever drives them, where somebody watches the wire.

    `opened` may put its own in place of what sends and receives, and `secured` again.
    """

    def opened(self, connection: Any) -> None: ...

    def secured(self, connection: Any) -> None: ...

    def noted(self, connection: Any, what: str) -> None: ...

    def closed(self, connection: Any) -> None: ...
