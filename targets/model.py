"""What a server file says about its IO model; `--describe` prints it as a line of JSON."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from lies import FAULTS


class Model(NamedTuple):
    """What a server file says about its IO model, in words for people."""

    name: str
    summary: str
    waits: str
    limit: str
    platforms: str = "Linux, BSD, macOS"
    at_once: int | None = None
    """How many clients it can serve at once; None where only descriptors and memory limit them."""
    pool: int | None = None
    """Where each client holds one of `--workers`: how many workers are sensible at most."""
    options: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """Options beyond the common ones, as argparse's add_argument takes them."""
    tls: bool = True
    """Whether it can speak TLS: models whose sockets are not plain ones cannot."""
    datagrams: bool = False
    """Whether it is served by UDP."""
    faults: Collection[str] = tuple(FAULTS)
    """The faults that it can be told to have."""
    unavailable: Callable[[], str | None] = lambda: None
    """Why the model cannot run on this machine, or None."""

    def describe(self) -> str:
        """One line of JSON."""
        import json

        reason = self.unavailable()
        return json.dumps(
            {
                "model": self.name,
                "summary": self.summary,
                "waits": self.waits,
                "limit": self.limit,
                "platforms": self.platforms,
                "at_once": self.at_once,
                "pool": self.pool,
                "tls": self.tls,
                "available": reason is None,
                "reason": reason,
                "options": list(self.options),
            }
        )
