"""The colours of curves, as people see them who see no red, no green or no blue."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from importlib.resources import files

import pytest

LEAST = 20.0
CONTRAST = 3.0
SEEN: dict[str, Sequence[Sequence[float]]] = {
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "no green": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "no blue": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}
"""G. Machado, M. Oliveira, L. Fernandes, A Physiologically-based Model for Simulation of Color
Vision Deficiency, 2009."""
XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
WHITE = (0.9505, 1.0, 1.089)


def product(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> list[float]:
    return [sum(one * other for one, other in zip(row, vector, strict=True)) for row in matrix]


def linear(colour: str) -> list[float]:
    """The red, green and blue of `#rrggbb`, or `#rgb`, as light."""
    digits = colour[1:] if len(colour) == 7 else "".join(one * 2 for one in colour[1:])
    values = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    return [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in values]


def lab(light: Sequence[float]) -> tuple[float, float, float]:
    seen = [min(max(one, 0.0), 1.0) for one in light]
    x, y, z = (
        value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116
        for value in (a / b for a, b in zip(product(XYZ, seen), WHITE, strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def scheme(name: str) -> dict[str, str]:
    text = files("loadmux.report").joinpath(f"{name}.css").read_text("utf-8")
    return dict(re.findall(r"--(\w+): (#[0-9a-f]+)", text))


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("name", ["light", "dark"])
def test_curves_can_be_told_apart(name: str, seen: str) -> None:
    colours = {key: value for key, value in scheme(name).items() if re.fullmatch(r"c\d", key)}
    assert len(colours) == 8
    places = {key: lab(product(SEEN[seen], linear(one))) for key, one in colours.items()}
    for one, other in itertools.combinations(places, 2):
        assert math.dist(places[one], places[other]) > LEAST, (one, other)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_curves_and_words_stand_out(name: str) -> None:
    colours = scheme(name)
    light = {key: product(XYZ, linear(one))[1] for key, one in colours.items()}
    for key in (*(f"c{n}" for n in range(8)), "good", "bad", "warn", "soft", "ink"):
        low, high = sorted((light[key], light["card"]))
        assert (high + 0.05) / (low + 0.05) > CONTRAST, key
