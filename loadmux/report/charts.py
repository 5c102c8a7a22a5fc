"""Charts as SVG, drawn without a library: axes, curves in steps, bars; colours come from CSS.

A chart is a text that stands in a page as it is. Its classes are those of `page.css`: `c0`... for
the curves in a fixed order, the same in each chart. Their colours are told apart by whoever sees no
red, no green or no blue, too (CIELAB distances of 22 and more in both schemes), and have a contrast
of 3 with what is behind them. Every mark has a `<title>`, which browsers show when one points at it
and readers read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 440, 200
LEFT, RIGHT, TOP, BOTTOM = 62, 10, 8, 24
TICKS = 4
TICKS_OF_TIME = 7
COLOURS = 8

MARKS = (
    "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",  # a disc
    "m-3-3h6v6h-6z",
    "m0-4l4 7h-8z",
    "m0-4.4l4.4 4.4l-4.4 4.4l-4.4-4.4z",
    "m0 4l4-7h-8z",
    "m-1.3-4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",  # a cross
    "m-4 2.5l4-6.5l4 6.5l-4-2z",
    "m-4-1.5h8v3h-8z",
)
"""What stands at the values of a curve, drawn from there."""

Told = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Axis:
    """`place` says where a value lies, from 0 to 1; `ticks` are values with their labels."""

    place: Callable[[float], float]
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Mark:
    """From `begin` to `end` on the x axis, `value` on the y axis, and what is told of it."""

    begin: float
    end: float
    value: float
    told: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """`colour` counts from 0; -1 is that of errors. `bars`: filled from the axis on."""

    name: str
    marks: Sequence[Mark]
    colour: int = 0
    bars: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """At a place on the x axis a value with its range, and what is told of it."""

    at: float
    low: float
    value: float
    high: float
    told: str = ""


@dataclass(frozen=True, slots=True)
class Ranged:
    """A curve through values with their ranges as a band; those past COLOURS are dashed.

    Beside its colour each has a mark of its own, for whoever sees no colours. Without a `band` the
    ranges are whiskers only: those of many curves would hide each other.
    """

    name: str
    ranges: Sequence[Range]
    colour: int = 0
    band: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """A line across the chart at `at`, or a band that ends at `end`, with its name."""

    at: float
    name: str
    end: float | None = None


def linear(high: float, told: Told) -> Axis:
    """From 0 to a round number that is not below `high`."""
    step = _round(high / TICKS) if high > 0 else 1.0
    count = max(1, ceil(high / step - 1e-9))
    top = count * step
    return Axis(lambda value: value / top, [(n * step, told(n * step)) for n in range(count + 1)])


def spanning(high: float, told: Told) -> Axis:
    """From 0 to `high` itself, with round numbers between: of time."""
    high = high or 1.0
    step = _round(high / TICKS_OF_TIME)
    ticks = [n * step for n in range(floor(high / step + 1e-9) + 1)]
    return Axis(lambda value: min(value / high, 1.0), [(one, told(one)) for one in ticks])


def logarithmic(low: float, high: float, told: Told) -> Axis:
    """From the power of ten below `low` to the one above `high`; both are more than 0."""
    first, last = floor(log10(low)), ceil(log10(high) - 1e-9)
    last = max(last, first + 1)
    ticks = [10.0**power for power in range(first, last + 1)]

    def place(value: float) -> float:
        return (log10(max(value, ticks[0])) - first) / (last - first)

    return Axis(place, [(one, told(one)) for one in ticks])


def named(names: Sequence[str]) -> Axis:
    """Places 0, 1, 2, ... with names, equally far from each other."""
    count = len(names)
    return Axis(lambda value: (value + 0.5) / count, list(enumerate(names)))


def of_percentiles(count: int) -> Axis:
    """HdrHistogram's axis over `count` samples: 90%, 99%, 99.9% are equally far from each other."""
    last = max(1, ceil(log10(max(count, 2))))
    labels = ["0%", *(f"{100 - 100 / 10**nines:.10g}%" for nines in range(1, last + 1))]
    labels[6:] = [""] * len(labels[6:])  # they are long, and would overlap
    ticks = [(1 - 10.0**-nines, label) for nines, label in enumerate(labels)]

    def place(share: float) -> float:
        return min(1.0, -log10(max(1 - share, 10.0**-last)) / last)

    return Axis(place, ticks)


def _round(value: float) -> float:
    """1, 2 or 5 times a power of ten, not below `value`."""
    power = 10.0 ** floor(log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value * (1 - 1e-9))


def chart(
    title: str, x: Axis, y: Axis, curves: Sequence[Curve | Ranged], lines: Sequence[Line] = ()
) -> str:
    """A figure with its caption, and a legend where there are several curves."""
    return "\n".join(_figure(title, x, y, curves, lines))


def _figure(
    title: str, x: Axis, y: Axis, curves: Sequence[Curve | Ranged], lines: Sequence[Line]
) -> Iterator[str]:
    yield f'<figure class="chart"><figcaption><span>{escape(title)}</span>'
    if len(curves) > 1:
        for curve in curves:
            yield f'<span class="key {colour(curve)}">{escape(curve.name)}</span>'
    yield "</figcaption>"
    yield f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
    yield from drawn(x, y, curves, lines)
    yield "</svg></figure>"


def drawn(
    x: Axis, y: Axis, curves: Sequence[Curve | Ranged], lines: Sequence[Line] = ()
) -> Iterator[str]:
    """What stands in the picture of a chart."""
    yield from _grid(x, y)
    for line in lines:
        yield _across(line, x)
    for curve in curves:
        if isinstance(curve, Ranged):
            yield from _ranged(curve, x, y)
        else:
            yield from _bars(curve, x, y) if curve.bars else _steps(curve, x, y)


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for value, label in y.ticks:
        at = _down(y.place(value))
        yield f'<path class="grid" d="M{LEFT} {at:.1f}H{right}"/>'
        yield f'<text class="y" x="{LEFT - 6}" y="{at + 4:.1f}">{escape(label)}</text>'
    for value, label in x.ticks:
        at = _along(x.place(value))
        yield f'<path class="tick" d="M{at:.1f} {bottom}v4"/>'
        kind = "x end" if at > WIDTH - RIGHT - 20 else "x"
        yield f'<text class="{kind}" x="{at:.1f}" y="{HEIGHT - 6}">{escape(label)}</text>'


def _across(line: Line, x: Axis) -> str:
    begin = _along(x.place(line.at))
    width = 1.0 if line.end is None else max(2.0, _along(x.place(line.end)) - begin)
    kind = "line" if line.end is None else "band"
    return (
        f'<rect class="{kind}" x="{begin:.1f}" y="{TOP}" width="{width:.1f}"'
        f' height="{HEIGHT - TOP - BOTTOM}"><title>{escape(line.name)}</title></rect>'
    )


def _bars(curve: Curve, x: Axis, y: Axis) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM
    yield f'<g class="bars {colour(curve)}">'
    for mark in curve.marks:
        if mark.value > 0:
            begin, top = _along(x.place(mark.begin)), _down(y.place(mark.value))
            width = max(1.0, _along(x.place(mark.end)) - begin - 0.5)
            yield (
                f'<rect x="{begin:.1f}" y="{min(top, bottom - 1):.1f}" width="{width:.1f}"'
                f' height="{max(1.0, bottom - top):.1f}"><title>{escape(mark.told)}</title></rect>'
            )
    yield "</g>"


def _steps(curve: Curve, x: Axis, y: Axis) -> Iterator[str]:
    """A line in steps, broken where a mark does not follow the one before it."""
    path, before = [], None
    for mark in curve.marks:
        at = _down(y.place(mark.value))
        if before is not None and abs(before - mark.begin) < 1e-9:
            path.append(f"V{at:.1f}")
        else:
            path.append(f"M{_along(x.place(mark.begin)):.1f} {at:.1f}")
        path.append(f"H{_along(x.place(mark.end)):.1f}")
        before = mark.end
    if path:
        yield f'<path class="curve {colour(curve)}" d="{"".join(path)}"/>'
    for mark in curve.marks:
        if mark.told:
            begin = _along(x.place(mark.begin))
            width = max(0.5, _along(x.place(mark.end)) - begin)
            yield (
                f'<rect class="hit" x="{begin:.1f}" y="{TOP}" width="{width:.1f}"'
                f' height="{HEIGHT - TOP - BOTTOM}"><title>{escape(mark.told)}</title></rect>'
            )


def _ranged(curve: Ranged, x: Axis, y: Axis) -> Iterator[str]:
    if not curve.ranges:
        return
    along = [_along(x.place(one.at)) for one in curve.ranges]
    shade, mark = colour(curve), MARKS[curve.colour % len(MARKS)]
    lows, values, highs = (
        [(at, _down(y.place(value))) for at, value in zip(along, of, strict=True)]
        for of in zip(*((one.low, one.value, one.high) for one in curve.ranges), strict=True)
    )
    if curve.band:
        yield f'<path class="range {shade}" d="{_path([*lows, *reversed(highs)])}Z"/>'
    yield f'<path class="curve {shade}" d="{_path(values)}"/>'
    for (at, low), (_, value), (_, high), one in zip(
        lows, values, highs, curve.ranges, strict=True
    ):
        yield f'<g class="{shade}"><path class="curve" d="M{at:.1f} {low:.1f}V{high:.1f}"/>'
        yield f'<path class="dot" d="M{at:.1f} {value:.1f}{mark}">'
        yield f"<title>{escape(one.told)}</title></path></g>"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{at:.1f} {value:.1f}" for at, value in points)


def legend(curve: Curve | Ranged, at: float, down: float) -> Iterator[str]:
    """The sample of a curve that stands beside its name."""
    yield f'<g class="{colour(curve)}"><path class="curve" d="M{at:.0f} {down:.0f}h18"/>'
    if isinstance(curve, Ranged):
        mark = MARKS[curve.colour % len(MARKS)]
        yield f'<path class="dot" d="M{at + 9:.0f} {down:.0f}{mark}"/>'
    yield "</g>"


def colour(curve: Curve | Ranged) -> str:
    dashed = " dashed" if curve.colour >= COLOURS else ""
    return "bad" if curve.colour < 0 else f"c{curve.colour % COLOURS}{dashed}"


def _along(place: float) -> float:
    return LEFT + min(max(place, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


def _down(place: float) -> float:
    return HEIGHT - BOTTOM - min(max(place, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)
