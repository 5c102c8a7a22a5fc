"""Contract tests for plugins, and for pollers: what loadmux's own parts are tested with.

Call them from a test of your own, whatever runs it; each raises AssertionError with what is wrong:

    from loadmux.testing import check_framer, check_forms
    from shouter import FRAMER

    def test_frames():
        framing = FRAMER.read_framing(None, 1024)
        check_framer(framing, {b"HELLO!": b"HELLO"}, malformed=[b"hello!"])

    def test_forms():
        check_forms("shout", FRAMER, payloads=["hi"], replies=["HI"], wrong=["[1]"])
"""

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
