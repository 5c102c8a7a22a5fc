"""The clock by which others are judged."""

from __future__ import annotations

from time import sleep

from loadmux.running.ownclock import MOST, OwnClock


def test_while_nobody_looks_no_more_than_so_much_passes() -> None:
    clock = OwnClock()
    sleep(MOST + 0.2)  # as good as stopped
    assert clock.now() == MOST
    sleep(0.01)
    assert MOST < clock.now() <= 2 * MOST
