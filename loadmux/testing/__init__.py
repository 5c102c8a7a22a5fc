"""For tests: contracts that plugins and pollers must keep, and the pytest plugin (`pytest_plugin`).

Call the checks from a test of your own, whatever runs it; each raises AssertionError with what is
wrong:

    from loadmux.testing import check_framer, check_forms
    from shouter import FRAMER

    def test_frames():
        framing = FRAMER.read_framing(None, 1024)
        check_framer(framing, {b"HELLO!": b"HELLO"}, malformed=[b"hello!"])

    def test_forms():
        check_forms("shout", FRAMER, payloads=["hi"], replies=["HI"], wrong=["[1]"])
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadmux.testing.framers import check_framer
    from loadmux.testing.pollers import POLLER_CHECKS, check_poller
    from loadmux.testing.reporters import check_reporter
    from loadmux.testing.rules import check_rule
    from loadmux.testing.scenarios import check_forms, check_step

__all__ = [
    "POLLER_CHECKS",
    "check_forms",
    "check_framer",
    "check_poller",
    "check_reporter",
    "check_rule",
    "check_step",
]
MODULES = {
    "POLLER_CHECKS": "pollers",
    "check_forms": "scenarios",
    "check_framer": "framers",
    "check_poller": "pollers",
    "check_reporter": "reporters",
    "check_rule": "rules",
    "check_step": "scenarios",
}


def __getattr__(name: str) -> object:
    """Imported when it is asked for: pytest loads the plugin in every session that has loadmux."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
