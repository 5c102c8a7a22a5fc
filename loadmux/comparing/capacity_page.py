"""A found capacity as one page of HTML, and its curves as one SVG: the answer, latency over
throughput, throughput over users, latency by percentile, every load that was tried.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

from loadmux.comparing import capacity_text, page, pieces
from loadmux.comparing.capacity import Capacity, Point
from loadmux.comparing.contest_pieces import by_percentile
from loadmux.comparing.page import PLAIN, text
from loadmux.comparing.pieces import Piece
from loadmux.comparing.scaling import Law, law
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import figures, terminal
from loadmux.report.charts import Line, Range, Ranged, linear
from loadmux.report.drawing import latencies

STEPS = 40


def html(found: Capacity) -> str:
    return "\n".join(_page(found)) + "\n"


def svg(found: Capacity) -> str:
    return pieces.picture(list(charts(found)))


def _page(found: Capacity) -> Iterator[str]:
    passed = found.code is ExitCode.PASS
    word = "capacity" if passed else terminal.WORDS[found.code][0]
    kind = "pass" if passed else word.lower()
    about = [line for line in capacity_text.why(found) if line]
    yield from page.begin(capacity_text.headline(found), word, kind, about)
    rows = capacity_text.by_load(found.points)
    if rows:
        yield from pieces.section("Curves", charts(found))
        yield '<h2>Loads</h2>\n<div class="table">'
        yield from _table(found, rows)
        yield "</div>"
    if found.law is not None:
        lines = map(text, capacity_text.scaling(found.law))
        yield f"<h2>Scaling</h2>\n<pre>{chr(10).join(lines)}</pre>"
    if found.ended is not None:
        lines = map(text, terminal.as_text(found.ended).splitlines())
        yield f"<h2>The fault that ended it</h2>\n<pre>{chr(10).join(lines)}</pre>"
    yield page.END


def charts(found: Capacity) -> Iterator[Piece]:
    """Those for which something was measured."""
    rows = capacity_text.by_load(found.points)
    if rows:
        yield from _curves(found, rows)
    if found.axis == "users" and rows:
        yield _throughput(found, rows)
    yield from _percentiles(found, rows)


def _curves(found: Capacity, rows: Sequence[Point]) -> Iterator[Piece]:
    x = linear(max(one.rate for one in rows), _per_second)
    curves = [
        Ranged(name, [_range(found, one, of) for one in rows if of(one) > 0], colour)
        for colour, (name, of) in enumerate((("p50", _p50), ("p99", _p99)))
    ]
    values = [end for curve in curves for one in curve.ranges for end in (one.low, one.high)]
    if values:
        carried = [one for one in rows if one.load == found.answer.low]
        lines = [Line(one.rate, "the load that is carried") for one in carried]
        yield pieces.curves("latency over throughput", x, latencies(values), curves, lines)


def _percentiles(found: Capacity, rows: Sequence[Point]) -> Iterator[Piece]:
    """Of the load that is carried, the one that is not, and one below, as far as there are some."""
    loads = [one.load for one in rows]
    low, high = found.answer.low, found.answer.high
    below = [one for one in loads if low is not None and one <= low / 2]
    shown = {
        capacity_text.load(found.axis, load): report.stats.total.histogram
        for load in dict.fromkeys((*below[-1:], low, high))
        if load is not None and (report := found.report_of(load)) is not None
    }
    drawn = {(n, PLAIN(name)): one for n, (name, one) in enumerate(shown.items()) if one.count}
    if drawn:
        yield by_percentile("latency by percentile", drawn)


def _throughput(found: Capacity, rows: Sequence[Point]) -> Piece:
    most = max(one.load for one in rows)
    measured = Ranged("measured", [_rates(found, one) for one in rows])
    curves = [measured]
    top = max(one.high for one in measured.ranges)
    if isinstance(found.law, Law):
        given = found.law.single[0], found.law.contention[0], found.law.coherency[0]
        at = [1 + (most - 1) * step / STEPS for step in range(STEPS + 1)]
        fitted = [law(users, *given) for users in at]
        ranges = [Range(users, rate, rate, rate) for users, rate in zip(at, fitted, strict=True)]
        curves.append(Ranged("Universal Scalability Law", ranges, 1))
        top = max(top, *fitted)
    x = linear(most, lambda value: f"{value:g}")
    return pieces.curves("throughput over users", x, linear(top, _per_second), curves)


def _range(found: Capacity, one: Point, of: Callable[[Point], float]) -> Range:
    values = [value for other in _same(found, one) if (value := of(other)) > 0]
    told = f"{capacity_text.load(found.axis, one.load)}: {figures.time(of(one))}"
    return Range(one.rate, min(values), of(one), max(values), told)


def _rates(found: Capacity, one: Point) -> Range:
    values = [other.rate for other in _same(found, one)]
    middle = statistics.median(values)
    told = f"{capacity_text.load(found.axis, one.load)}: {figures.rate(middle)}"
    return Range(one.load, min(values), middle, max(values), told)


def _same(found: Capacity, one: Point) -> list[Point]:
    """The trials of the same load and kind."""
    return [other for other in found.points if (other.load, other.long) == (one.load, one.long)]


def _p50(one: Point) -> float:
    return one.p50


def _p99(one: Point) -> float:
    return one.p99


def _per_second(value: float) -> str:
    return f"{value / 1000:g}k/s" if value >= 10_000 else f"{value:g}/s"


def _table(found: Capacity, rows: Sequence[Point]) -> Iterator[str]:
    heads = "".join(f"<th>{one}</th>" for one in capacity_text.HEADINGS)
    yield f"<table><thead><tr>{heads}</tr></thead><tbody>"
    for one in rows:
        shown = capacity_text.cells(found.axis, one, found.points)
        yield f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in shown)}</tr>"
    yield "</tbody></table>"
