"""What each step measured in each second, written while the run goes on, as CSV or as NDJSON.

`--report csv=FILE`, `--report ndjson=FILE`. A row for each second and row of the report in which
something ended, as soon as every generator process has told of that second: the file can be
followed. In both forms a row has the same names (`COLUMNS`): `at` is when the second begins, in
seconds since the start, `clock` the same by the clock of the machine (UTC), latencies are in
seconds, empty (null) where none was measured. `users` are those of the whole run, the most at once.
`bytes_in` were received and `bytes_out` sent: of messages, without what TLS and TCP add.

What cannot be written costs no verdict: it is told at the end. What is no regular file, and
standard output, is written at the end, for whoever reads it could hold up the run.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from loadmux.errors import UsageError
from loadmux.measuring.histogram import Histogram
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import Stats
from loadmux.measuring.timeline import AT_ONCE
from loadmux.report.model import Report
from loadmux.report.writing import special

COLUMNS = (
    *("clock", "at", "step", "kind", "count", "errors", "users"),
    *("min", "mean", "p50", "p95", "p99", "max"),
    *("bytes_in", "bytes_out"),
)
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
PATIENCE = 3
"""Seconds for which somebody who tells nothing is waited for."""

Value = str | float | int | None
Row = Mapping[str, Value]


@dataclass(slots=True)
class Second:
    """`rows` by their names, with the label of their scenario; see `StepStats`."""

    users: int = 0
    rows: dict[str, StepStats] = field(default_factory=dict)

    def add(self, stats: Stats, users: int) -> None:
        self.users = max(self.users, users)
        for row in (*stats.steps.values(), stats.connects):
            if not row.idle:
                known = self.rows.setdefault(row.name, StepStats(row.name, row.kind))
                known.kind = row.kind if known.kind == "other" else known.kind
                known.merge(row)


class Series:
    """Puts what is told into seconds, and gives those that are complete."""

    def __init__(self, began: datetime) -> None:
        self.began = began
        self._seconds: dict[int, Second] = {}
        self._written = 0
        self._told: dict[object, tuple[float, float]] = {}
        self._active: dict[object, int] = {}

    def add(self, source: object, elapsed: float, stats: Stats, active: int) -> None:
        """A source told at `elapsed` (seconds) what it measured since the last time."""
        begin, end = self._told.get(source, (0.0, 0.0))
        if elapsed > end + AT_ONCE:
            begin = end
        self._told[source] = begin, max(end, elapsed)
        before = self._active.get(source, stats.started)
        self._active[source] = active
        users = sum(self._active.values()) - active + max(active, before)
        place = max(self._written, int((begin + max(end, elapsed)) / 2))
        self._seconds.setdefault(place, Second()).add(stats, users)

    def complete(self, running: Collection[object]) -> Iterator[Row]:
        """The rows of the seconds of which all of these sources have told.

        What they told last may still go on: it comes in portions.
        """
        latest = max((end for _, end in self._told.values()), default=0.0)
        told = min((self._told.get(source, (0.0, 0.0))[1] for source in running), default=latest)
        yield from self._rows(int(max(told, latest - PATIENCE, AT_ONCE) - AT_ONCE))

    def rest(self) -> Iterator[Row]:
        """The rows of all other seconds: nothing more will be told."""
        yield from self._rows(max(self._seconds, default=0) + 1)

    def _rows(self, upto: int) -> Iterator[Row]:
        for place in sorted(self._seconds):
            if place < upto:
                second = self._seconds.pop(place)
                for row in second.rows.values():
                    yield self._row(place, second, row)
        self._written = max(self._written, upto)

    def _row(self, at: int, second: Second, row: StepStats) -> Row:
        clock = (self.began + timedelta(seconds=at)).isoformat(timespec="milliseconds")
        counts = {"count": row.count, "errors": row.errors, "users": second.users}
        named: dict[str, str | int] = {"clock": clock, "at": at, "step": row.name, "kind": row.kind}
        volume = {"bytes_in": row.volume.received, "bytes_out": row.volume.sent}
        return dict[str, Value](**named, **counts, **_latencies(row.histogram), **volume)


def _latencies(histogram: Histogram) -> dict[str, float | None]:
    if not histogram.count:
        return dict.fromkeys(("min", "mean", *SHARES, "max"))
    shares = {name: histogram.percentile(share) for name, share in SHARES.items()}
    return {"min": histogram.low, "mean": histogram.mean, **shares, "max": histogram.high}


def as_csv(row: Row | None) -> str:
    """A line; None: the headings."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS if row is None else [_cell(row[name]) for name in COLUMNS])
    return file.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.9f}"
    return "" if value is None else str(value)


def as_ndjson(row: Row | None) -> str:
    return "" if row is None else json.dumps(row, allow_nan=False) + "\n"


FORMS: dict[str, Callable[[Row | None], str]] = {"csv": as_csv, "ndjson": as_ndjson}


class SeriesReporter:
    """A reporter that hears of everything while the run goes on; `file` None: it prints."""

    def __init__(self, form: str, file: Path | None) -> None:
        self.file = file
        self.prints = file is None
        self._form = FORMS[form]
        self._series: Series | None = None
        self._failed: Exception | None = None
        self._held: list[str] = []
        self._out: IO[str] | None = None

    def hear(
        self,
        source: object,
        elapsed: float,
        stats: Stats,
        active: int,
        running: Collection[object],
        late: float = 0.0,
    ) -> None:
        """A source told something; those that are `running` will tell more. Raises nothing."""
        if self._failed is None:
            try:
                series = self._series or self._begin(elapsed)
                series.add(source, elapsed, stats, active)
                self._say(series.complete(running))
            except Exception as error:
                self._failed = error

    def renew(self) -> None:
        """A file is of one run: nothing to do before it."""

    def _begin(self, elapsed: float) -> Series:
        """The run began so many seconds ago."""
        self._series = Series(datetime.now(UTC) - timedelta(seconds=elapsed))
        if self.file is not None and not special(self.file):
            self._out = self.file.open("w", encoding="utf-8", newline="")
        self._say([None])
        return self._series

    def _say(self, rows: Iterable[Row | None]) -> None:
        text = "".join(map(self._form, rows))
        if self._out is None:
            self._held.append(text)
        else:
            self._out.write(text)
            self._out.flush()

    def deliver(self, report: Report, write: Callable[[str], object]) -> None:
        """Write what is left. Raises UsageError where something could not be written."""
        try:
            if self._failed is not None:
                raise self._failed
            self._say((self._series or self._begin(0.0)).rest())
            if self._out is not None:
                self._out.close()
            elif self.file is not None:
                self.file.write_text("".join(self._held), encoding="utf-8")
            else:
                write("".join(self._held))
        except OSError as error:
            raise UsageError(f"cannot write {self.file}: {error.strerror or error}") from error
