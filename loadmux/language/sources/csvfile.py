"""A CSV file as columns: bytes in, values out, or a ValueError of one line with file and line.

The format is RFC 4180's as the standard library reads it (`csv`, strict): commas, double quotes, a
header row. UTF-8, with or without a byte order mark. Blank lines are no rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from loadmux.units import quoted


def parse(name: str, data: bytes) -> dict[str, tuple[bytes, ...]]:
    """The values of each column in the order of the rows, as UTF-8; at least one row.

    Space around a column's name is no part of it, space around a value is.
    """
    records = _records(name, _decoded(name, data))
    line, header = next(records, (1, []))
    if not header:
        raise ValueError(f"{quoted(name)} is empty; its first line must name the columns")
    columns = _named(name, line, header)
    for line, fields in records:
        if len(fields) != len(header):
            shown = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            raise ValueError(
                f"{quoted(name)} line {line}: {shown}, but the header names {len(header)} columns"
            )
        for values, value in zip(columns.values(), fields, strict=True):
            values.append(value.encode())
    whole = {column: tuple(values) for column, values in columns.items()}
    if not next(iter(whole.values())):
        raise ValueError(f"{quoted(name)} has no row below its header")
    return whole


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{quoted(name)} line {line}: the byte 0x{error.object[error.start]:02x} is not UTF-8;"
            " save the file as UTF-8"
        ) from None


def _records(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line that it begins at."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{quoted(name)} line {line}: no valid CSV: {error}") from None


def _named(name: str, line: int, header: list[str]) -> dict[str, list[bytes]]:
    columns: dict[str, list[bytes]] = {}
    for place, field in enumerate(header, 1):
        column = field.strip()
        if not column:
            raise ValueError(f"{quoted(name)} line {line}: column {place} has no name")
        if column in columns:
            raise ValueError(f"{quoted(name)} line {line}: two columns are called {quoted(column)}")
        columns[column] = []
    return columns
