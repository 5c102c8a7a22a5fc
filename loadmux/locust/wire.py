"""Values that travel between Locust's master and its workers, as bytes.

Scenarios go one way, statistics and evidence the other; both are frozen or plain dataclasses. They
are pickled, as the generator processes of `loadmux run` get them, but what arrives here has crossed
a network: only the classes of `ALLOWED` and of plugins are ever made, so that a message can build
values and call nothing else ("Restricting Globals", the standard library's documentation of
pickle). Code does not travel: a scenario that calls functions names them, and a worker imports them
from its own disk. Plugins are those that are installed here: which modules theirs are, the metadata
of their distributions says, never the message; and of their rules only these themselves are named.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter
from contextlib import suppress
from dataclasses import is_dataclass
from enum import Enum
from typing import Any

from loadmux.errors import UsageError
from loadmux.plugins.contracts import GROUPS
from loadmux.plugins.registry import PluginError, Registry

LARGEST = 8 * 2**20
ALLOWED = frozenset(
    f"loadmux.{name}"
    for name in (
        *("errors", "checking.framing", "checking.prefixed", "checking.marked", "checking.events"),
        *("checking.checked", "checking.rules", "driver.pacer", "language.scenario"),
        *("measuring.hanging", "measuring.unread", "measuring.stats", "measuring.thresholds"),
        *("measuring.consequences", "language.expected", "checking.composed", "checking.bodies"),
        *("plugins.contracts", "plugins.formulas", "plugins.payloads"),
    )
)
OURS = "loadmux"
PROTOCOLS = "loadmux.protocols"


class _Plugins:
    """What is installed here, found out when a message first needs it."""

    def __init__(self) -> None:
        registry = Registry()
        self.packages = {PROTOCOLS}
        self.parts: list[object] = []
        for group in GROUPS:
            for name in registry.names(group):
                with suppress(PluginError):
                    self.packages.add(registry.plugin(group, name).package)
        self.packages.discard(OURS)
        for name in registry.names("rules"):
            with suppress(PluginError):
                rule = registry.rule(name)
                self.parts += [rule.likely, rule.verifier]

    def own(self, module: str) -> bool:
        """Whether a module is in the package of a plugin."""
        return any(module == one or module.startswith(f"{one}.") for one in self.packages)


class _Reader(pickle.Unpickler):
    _plugins: _Plugins | None = None

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "Counter"):
            return Counter
        if module not in ALLOWED:
            return self._of_plugin(module, name)
        found = super().find_class(module, name)
        # A dotted name may lead out of the module again, through what it imports.
        if is_value(found) and found.__module__ in ALLOWED:
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no value of loadmux")

    def _of_plugin(self, module: str, name: str) -> Any:
        plugins = self._plugins = self._plugins or _Plugins()
        if plugins.own(module):
            found = super().find_class(module, name)
            if is_value(found) and plugins.own(found.__module__):
                return found
            if any(found is part for part in plugins.parts):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no value of loadmux")


def is_value(found: object) -> bool:
    """Whether this is a class whose objects are values."""
    if not isinstance(found, type):
        return False
    named = issubclass(found, tuple) and hasattr(found, "_fields")
    return named or is_dataclass(found) or issubclass(found, Enum)


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
