"""Variables that are read from a table: `{csv: FILE, pick: PICK, when_short: error|wrap}`."""

from __future__ import annotations

from typing import cast, get_args

from loadmux.loader import csvfile, reader
from loadmux.loader.files import Files
from loadmux.loader.hints import nearest
from loadmux.loader.reader import Fields, Mistakes
from loadmux.scenario import Feeder, Pick, WhenShort
from loadmux.yamltree import Entry, MappingNode

KEYS = ("csv", "pick", "when_short")
PICKS: tuple[Pick, ...] = get_args(Pick)
WHEN_SHORT: tuple[WhenShort, ...] = get_args(WhenShort)
FORM = "write {csv: FILE}"


def read(mistakes: Mistakes, entry: Entry, files: Files) -> Feeder | None:
    """The feeder that a mapping in `variables` is, None where it has mistakes."""
    node = entry.value
    assert isinstance(node, MappingNode)
    if not node.incomplete and not any(nearest(one.key, KEYS) for one in node.entries):
        message = "a variable must be a constant, a list or a feeder, not a mapping"
        mistakes.add(node.where, f"{message}; for a feeder {FORM}")
        return None
    before = len(mistakes)
    fields = Fields(mistakes, node, "a feeder", KEYS)
    pick = _choice(mistakes, fields, "pick", PICKS) or "sequential"
    when_short = _choice(mistakes, fields, "when_short", WHEN_SHORT)
    if pick == "random" and when_short is not None:
        message = "'when_short' says nothing here: 'pick: random' draws a row again and again"
        mistakes.add(fields.where_of("when_short"), message)
    columns = _columns(mistakes, fields, files)
    if columns is None or len(mistakes) > before:
        return None
    return Feeder(
        where=node.where,
        name=entry.key,
        file=fields.read("csv", reader.text) or "",
        columns=columns,
        pick=cast(Pick, pick),
        when_short=cast(WhenShort, when_short or "error"),
    )


def _choice(mistakes: Mistakes, fields: Fields, key: str, names: tuple[str, ...]) -> str | None:
    node = fields.value(key)
    return None if node is None else reader.choice(mistakes, node, key, names)


def _columns(
    mistakes: Mistakes, fields: Fields, files: Files
) -> dict[str, tuple[bytes, ...]] | None:
    node = fields.value("csv")
    if node is None:
        if "csv" not in fields.meant:
            mistakes.add(fields.where, f"a feeder needs a file; {FORM}")
        return None
    name = reader.text(mistakes, node, "'csv'")
    if name is None:
        return None
    try:
        return csvfile.parse(name, files.read(name))
    except ValueError as error:
        mistakes.add(node.where, str(error))
        return None
