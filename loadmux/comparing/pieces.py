"""The pictures of comparisons and capacities: pieces of one width, for a page or one SVG.

Nothing is told by colour alone: curves have marks and dashes of their own, fields their figures,
rows their names. A range is a band or a whisker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest

from loadmux.report.charts import HEIGHT, WIDTH, Axis, Curve, Line, Ranged, drawn, legend
from loadmux.report.html import style

GAP, CAPTION = 16, 24
ROW, HEAD, FOOT, LINE = 20, 22, 26, 14
LETTER = 6.2
"""Pixels that a letter takes at most, on average."""
SAMPLE = 26
NAMES, VALUES = 128, 74
"""Pixels for the names on the left, for the figures on the right."""
COLUMNS = 2
"""Pieces beside each other in a picture."""


@dataclass(frozen=True, slots=True)
class Piece:
    title: str
    height: int
    body: Sequence[str]


@dataclass(frozen=True, slots=True)
class Dot:
    """A row of `dots`: a value with its range, and the text of it; `hollow`: it does not count."""

    name: str
    low: float
    value: float
    high: float
    told: str
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a heat map; `share` (0..1) says how full it is, None: not at all."""

    text: str
    share: float | None = None
    told: str = ""
    bad: bool = False


def cut(name: str, pixels: float) -> str:
    """As much of a name as has room there."""
    most = max(2, int(pixels / LETTER))
    return name if len(name) <= most else name[: most - 1] + "…"


def curves(
    title: str, x: Axis, y: Axis, of: Sequence[Curve | Ranged], lines: Sequence[Line] = ()
) -> Piece:
    """Curves, with a legend below them where there are several."""
    body = list(drawn(x, y, of, lines))
    keys = list(_legend(of)) if len(of) > 1 else []
    rows = -(-len(of) // _columns(of)) if keys else 0
    return Piece(title, HEIGHT + rows * ROW, [*body, *keys])


def _columns(of: Sequence[Curve | Ranged]) -> int:
    longest = max(len(one.name) for one in of) * LETTER + SAMPLE + GAP
    return max(1, min(len(of), 4, int(WIDTH // longest)))


def _legend(of: Sequence[Curve | Ranged]) -> Iterator[str]:
    columns = _columns(of)
    width = WIDTH / columns
    for number, curve in enumerate(of):
        at, down = number % columns * width, HEIGHT + number // columns * ROW + 8
        yield from legend(curve, at, down)
        name = cut(curve.name, width - SAMPLE)
        yield f'<text x="{at + SAMPLE - 2:.0f}" y="{down + 4}">{escape(name)}</text>'


def dots(title: str, x: Axis, rows: Sequence[Dot]) -> Piece:
    """A row for each name: its value as a dot, its range as a whisker, its figure as a text."""
    right = WIDTH - VALUES
    bottom = len(rows) * ROW + 6
    body = []

    def along(value: float) -> float:
        return NAMES + min(max(x.place(value), 0.0), 1.0) * (right - NAMES)

    for value, label in x.ticks:
        at = along(value)
        body.append(f'<path class="grid" d="M{at:.1f} 2V{bottom}"/>')
        body.append(f'<text class="x" x="{at:.1f}" y="{bottom + 16}">{escape(label)}</text>')
    for number, row in enumerate(rows):
        y = number * ROW + 13
        name = escape(cut(row.name, NAMES - 8))
        kind = "dot hollow" if row.hollow else "dot"
        body.append(f'<text class="y name" x="{NAMES - 8}" y="{y + 4}">{name}</text>')
        body.append(f'<g class="c0"><path class="wide" d="M{along(row.low):.1f} {y}')
        body[-1] += f'H{along(row.high):.1f}"/><circle class="{kind}" cx="{along(row.value):.1f}"'
        body[-1] += f' cy="{y}" r="4"><title>{escape(row.told)}</title></circle></g>'
        figure = escape(row.told.rpartition(": ")[2].partition(" (")[0])
        body.append(f'<text x="{right + 8}" y="{y + 4}">{figure}</text>')
    return Piece(title, bottom + FOOT - 4, body)


def heat(title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Field]]]) -> Piece:
    """Names by columns; a field is the fuller, the nearer it is to the best of its column."""
    width = (WIDTH - NAMES) / max(len(columns), 1)
    body = []
    heads = [name.split(", ") for name in columns]
    head = HEAD + (max(map(len, heads)) - 1) * LINE
    for place, lines in enumerate(heads):
        at = NAMES + (place + 0.5) * width
        for down, name in enumerate(lines):
            y = head - HEAD + 14 - (len(lines) - 1 - down) * LINE
            body.append(f'<text class="x" x="{at:.1f}" y="{y}">{escape(cut(name, width))}</text>')
    for number, (name, fields) in enumerate(rows):
        top = head + number * ROW
        told = escape(cut(name, NAMES - 8))
        body.append(f'<text class="y name" x="{NAMES - 8}" y="{top + 14}">{told}</text>')
        for place, one in enumerate(fields):
            body += _field(one, NAMES + place * width, top, width)
    return Piece(title, head + len(rows) * ROW + 4, body)


def _field(one: Field, left: float, top: float, width: float) -> Iterator[str]:
    if one.share is not None:
        yield (
            f'<rect class="field" x="{left:.1f}" y="{top}" width="{width - 2:.1f}"'
            f' height="{ROW - 2}" rx="2" fill-opacity="{one.share * 0.5:.2f}">'
            f"<title>{escape(one.told)}</title></rect>"
        )
    kind = "x bad" if one.bad else "x name"
    at = left + width / 2 - 1
    yield f'<text class="{kind}" x="{at:.1f}" y="{top + 14}">{escape(cut(one.text, width))}</text>'


def interval(low: float, value: float, high: float, bound: float, x: Axis, kind: str) -> str:
    """One ratio with its interval beside a bound, for a cell of a table."""
    width, middle = 150.0, 8
    at = {name: x.place(one) * width for name, one in (("l", low), ("v", value), ("h", high))}
    limit = x.place(bound) * width
    return (
        f'<svg class="interval {kind}" viewBox="0 0 {width:.0f} 16" role="img" aria-label="'
        f'{value:.3g} ({low:.3g}..{high:.3g}), bound {bound:g}">'
        f'<path class="tick" d="M{limit:.1f} 0V16"/>'
        f'<path class="wide" d="M{at["l"]:.1f} {middle}H{max(at["h"], at["l"] + 1):.1f}"/>'
        f'<circle class="dot" cx="{at["v"]:.1f}" cy="{middle}" r="3.5"/></svg>'
    )


# --- where they stand ---------------------------------------------------------------------------


def figure(piece: Piece) -> str:
    """A piece on a page."""
    title = escape(piece.title)
    head = f'<figure class="chart"><figcaption><span>{title}</span></figcaption>'
    svg = f'<svg viewBox="0 0 {WIDTH} {piece.height}" role="img" aria-label="{title}">'
    return "\n".join([head, svg, *piece.body, "</svg></figure>"])


def section(title: str, pieces: Iterable[Piece]) -> Iterator[str]:
    """Pieces beside each other, below a heading; nothing where there are none."""
    found = [figure(one) for one in pieces]
    if found:
        yield f'<h2>{escape(title)}</h2>\n<div class="charts">'
        yield from found
        yield "</div>"


def picture(pieces: Sequence[Piece]) -> str:
    """All pieces as one SVG that needs nothing else, light or dark as the reader is."""
    return "\n".join(_picture(pieces)) + "\n"


def _picture(pieces: Sequence[Piece]) -> Iterator[str]:
    columns = min(COLUMNS, max(len(pieces), 1))
    rows = list(zip_longest(*(pieces[place::columns] for place in range(columns))))
    heights = [max(one.height for one in row if one is not None) + CAPTION + GAP for row in rows]
    width, height = columns * (WIDTH + GAP) + GAP, sum(heights) + GAP
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width * 1.5:.0f}" font-family="system-ui, sans-serif"><style>{escape(style())}'
        " text.title { fill: var(--ink); font-size: 13px; font-weight: 600; }</style>"
    )
    yield f'<rect width="{width}" height="{height}" fill="var(--card)"/>'
    top = GAP
    for row, size in zip(rows, heights, strict=True):
        for place, piece in enumerate(row):
            if piece is not None:
                yield f'<g transform="translate({GAP + place * (WIDTH + GAP)} {top})">'
                yield f'<text class="title" y="12">{escape(piece.title)}</text>'
                yield f'<g transform="translate(0 {CAPTION})">'
                yield from piece.body
                yield "</g></g>"
        top += size
    yield "</svg>"
