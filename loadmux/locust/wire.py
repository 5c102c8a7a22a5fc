"""Values that travel between Locust's master and its workers, as bytes.

Scenarios go one way, statistics and evidence the other; both are frozen or plain dataclasses. They
are pickled, as the generator processes of `loadmux run` get them, but what arrives here has crossed
a network: only the classes of `ALLOWED` are ever made, so that a message can build values and call
nothing else ("Restricting Globals", the standard library's documentation of pickle). Code does not
travel: a scenario that calls functions names them, and a worker imports them from its own disk.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter
from dataclasses import is_dataclass
from enum import Enum
from typing import Any

from loadmux.errors import UsageError

LARGEST = 8 * 2**20
ALLOWED = frozenset(
    f"loadmux.{name}" for name in ("errors", "framing", "pacer", "scenario", "stats")
)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "Counter"):
            return Counter
        found = super().find_class(module, name) if module in ALLOWED else None
        # A dotted name may lead out of the module again, through what it imports.
        if (
            isinstance(found, type)
            and found.__module__ in ALLOWED
            and (is_dataclass(found) or issubclass(found, Enum))
        ):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no value of loadmux")


def pack(value: object, what: str) -> bytes:
    """The value as bytes. Raises UsageError, naming `what`, for more than LARGEST of them."""
    data = pickle.dumps(value, protocol=4)
    if len(data) > LARGEST:
        raise UsageError(
            f"{what}: with all the files that it names it takes {len(data)} bytes, more than the"
            f" {LARGEST} that are sent to workers"
        )
    return data


def unpack(data: bytes) -> Any:
    """What `pack` was given. Raises pickle.UnpicklingError for anything but loadmux's values."""
    return _Reader(io.BytesIO(data)).load()
