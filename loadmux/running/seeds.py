"""The seed of a run that was given none."""

from __future__ import annotations

import random


def draw_seed() -> int:
    """A seed for a run that was given none; printed, so that the run can be repeated."""
    return random.SystemRandom().getrandbits(32)
