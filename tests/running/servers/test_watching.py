"""Whether a thread spins, as the times say that the kernel counts for it."""

from __future__ import annotations

import pytest

from loadmux.running.servers.watching import PERSISTS, Calm, Look, is_busy

MS = 10**6
BEFORE = Look(10.0, {1: (500 * MS, 70 * MS), 2: (0, 0)})


def after(seconds: float, ran: int, waited: int, other: int = 0, late: int = 0) -> Look:
    one, two = ((500 + ran) * MS, (70 + waited) * MS), (other * MS, late * MS)
    return Look(10.0 + seconds, {1: one, 2: two})


@pytest.mark.parametrize(
    ("look", "busy"),
    [
        (after(2, 2000, 0), True),
        (after(2, 100, 1900), True),
        (after(2, 1000, 0, other=1000), True),
        (after(2, 300, 600, other=350, late=750), True),
        (after(2, 600, 0), False),
        (after(2, 60, 1820), False),
        (after(2, 0, 0), False),
        (after(2, 1000, 0, other=600), False),
    ],
    ids=[
        "spins",
        "spins-late",
        "two",
        "two-late",
        "a-third",
        "a-third-late",
        "rests",
        "two-at-times",
    ],
)
def test_a_core_is_busy(look: Look, busy: bool) -> None:
    assert is_busy(BEFORE, look) is busy


def test_calm_is_judged_by_all_of_the_time() -> None:
    calm = Calm()
    calm.begin(Look(0.0, {1: (0, 0)}))
    for tenth in range(1, 40):
        calm.look(Look(tenth / 10, {1: (3 * tenth * MS, 91 * tenth * MS)}, runnable=True))
    assert not calm.spun
    calm.since = None
    for tenth in range(40, 40 + int(PERSISTS * 10) + 2):
        calm.look(Look(tenth / 10, {1: (100 * tenth * MS, 3549 * MS)}, runnable=True))
    assert calm.spun
