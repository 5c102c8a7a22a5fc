"""Fresh random bytes, many of them in a short time.

Large ones begin with fresh bytes, which say where in a prepared stretch the rest is taken from: to
draw a MiB anew takes 6 ms, which is more than to send it and to compare the reply.
"""

from __future__ import annotations

import random
from functools import cache

LEAST = 4096
"""Smaller ones are drawn as a whole."""
FRESH = 16
STRETCH = 1 << 20
"""Bytes at most that follow fresh ones."""
POOL = 2 * STRETCH


@cache
def pool() -> bytes:
    """The prepared bytes, the same in every process."""
    return random.Random("loadmux").randbytes(POOL)


def random_bytes(source: random.Random, size: int) -> bytes:
    """So many fresh bytes; all that is told of them comes from `source`."""
    if size < LEAST:
        return source.randbytes(size)
    prepared, pieces, left = pool(), [], size
    while left:
        fresh = source.randbytes(min(left, FRESH))
        rest = min(left - len(fresh), STRETCH)
        at = int.from_bytes(fresh[:8], "big") % (POOL - rest)
        pieces += [fresh, prepared[at : at + rest]]
        left -= len(fresh) + rest
    return b"".join(pieces)
