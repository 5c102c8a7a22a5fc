"""Random bytes: so many as were asked for, fresh each time, and told by their source alone."""

from __future__ import annotations

from random import Random

import pytest

from loadmux.running.compiling.randoms import LEAST, STRETCH, random_bytes

SIZES = (
    0,
    1,
    LEAST - 1,
    LEAST,
    65536,
    STRETCH,
    STRETCH + 1,
    STRETCH + 16,
    STRETCH + 17,
    3 * STRETCH,
)


@pytest.mark.parametrize("size", SIZES)
def test_they_have_their_size_and_their_source(size: int) -> None:
    data = random_bytes(Random(1), size)
    assert len(data) == size
    assert data == random_bytes(Random(1), size)


def test_no_two_are_alike_nor_shifted_into_one_another() -> None:
    source = Random(2)
    found = [random_bytes(source, LEAST) for _ in range(200)]
    assert len({data[:16] for data in found}) == 200
    assert len({data[16:] for data in found}) > 190
