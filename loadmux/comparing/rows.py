"""What many runs measured as rows of a table, for programs: CSV and NDJSON.

In both forms a row has the same names; times are in seconds, what was not measured is empty (null).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping

Row = Mapping[str, str | float | bool | None]


def as_csv(columns: Iterable[str], rows: Iterable[Row]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _cell(value: str | float | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def as_ndjson(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
