"""Tables of figures that fit: a name, then figures, each of them whole.

What does not fit a terminal gives way in this order: the room between columns, columns that can be
spared, the middle of long names. In a file nothing is left out or cut: a very long name takes a
line of its own there, and so does one that would look like another when it is cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

INDENT = 2
LEAST_NAME = 16
"""Columns that a name gets before one of figures is spared for it."""

LEAST_CUT = 8
"""Columns in which a name that is cut still says something."""

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of one table are written: `shown` are the places of the cells, the name's first.

    `name` is the width of the column of names, `widths` those of all cells, by their places.
    `spared` are the headings of the columns that are left out.
    """

    shown: tuple[int, ...]
    widths: tuple[int, ...]
    name: int
    gap: int
    spared: tuple[str, ...] = ()

    @property
    def between(self) -> str:
        return " " * self.gap

    def figures(self, row: Row) -> list[str]:
        """The cells of a row that are shown, behind its name, each as wide as its column."""
        return [" " * (self.widths[i] - cell_len(row[i])) + row[i] for i in self.shown[1:]]


def layout(table: Sequence[Row], room: int, spare: Sequence[str]) -> Layout:
    """For a table with its headings first, in `room` columns.

    `spare` are headings that can be left out, the first one first.
    """
    widths = tuple(max(cell_len(row[i]) for row in table) for i in range(len(table[0])))
    least = min(widths[0], LEAST_NAME)
    found = _layout(table[0], widths, room, 2, ())
    for count in range(len(spare) + 1):
        if found.name >= least:
            break
        found = _layout(table[0], widths, room, 1, tuple(spare[:count]))
    return found


def _layout(
    headings: Row, widths: tuple[int, ...], room: int, gap: int, spared: tuple[str, ...]
) -> Layout:
    shown = tuple(i for i, heading in enumerate(headings) if heading not in spared)
    figures = sum(widths[i] for i in shown[1:]) + gap * (len(shown) - 1)
    name = min(widths[0], room - INDENT - figures)
    told = tuple(heading for heading in headings if heading in spared)
    return Layout(shown, widths, name, gap, told)


def names(table: Sequence[Row], width: int, mark: str) -> list[str | None]:
    """The names of all rows in `width` columns; None for one that needs a line of its own.

    No `mark`: none is cut.
    """
    cut = [shortened(row[0], width, mark) for row in table]
    seen = Counter(cut)
    return [
        one if one == row[0] or (mark and width >= LEAST_CUT and seen[one] == 1) else None
        for one, row in zip(cut, table, strict=True)
    ]


def shortened(name: str, width: int, mark: str) -> str:
    """A name in `width` columns: its middle gives way to `mark` where it is longer."""
    if cell_len(name) <= width:
        return name
    kept = max(2, width - cell_len(mark))
    head = -(-kept * 2 // 3)
    tail, size = "", 0
    for one in reversed(name):
        size += cell_len(one)
        if size > kept - head:
            break
        tail = one + tail
    return set_cell_size(name, head) + mark + tail
