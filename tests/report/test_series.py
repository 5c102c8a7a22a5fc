"""Rows a second, as they are told: nothing is lost or told twice, and nothing stops a run."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from commands import loadmux
from hypothesis import given
from hypothesis import strategies as st
from samples import fault, measured, report

from loadmux.errors import UsageError
from loadmux.report.series import COLUMNS, Row, Series, SeriesReporter, as_csv, as_ndjson

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_second_is_written_once_all_have_told_of_it() -> None:
    series = Series(BEGAN)
    both = {0, 1}
    for half in range(1, 6):
        for source in both:
            elapsed = half / 2 + source / 1000
            series.add(source, elapsed, measured({"ask": [0.001, 0.003]}), 5)
            rows = list(series.complete(both))
            if (half, source) == (3, 1):
                (row,) = rows
                assert (row["at"], row["count"], row["users"], row["max"]) == (0, 8, 10, 0.003)
                assert row["clock"] == "2026-01-01T00:00:00.000+00:00"
            else:
                assert not rows or half == 5
    assert [row["count"] for row in series.rest()] == [4]


def test_who_tells_nothing_does_not_hold_up_the_others_for_long() -> None:
    series = Series(BEGAN)
    series.add(1, 0.5, measured({"ask": [0.1]}), 1)
    written = []
    for half in range(1, 20):
        series.add(0, half / 2, measured({"ask": [0.1]}), 1)
        written += [row["at"] for row in series.complete({0, 1})]
    assert written == list(range(6))


told = st.tuples(st.integers(0, 2), st.floats(0, 60), st.sampled_from("ab"), st.integers(0, 3))


@given(st.lists(told, max_size=30))
def test_every_attempt_is_in_one_row(said: list[tuple[int, float, str, int]]) -> None:
    series = Series(BEGAN)
    rows: list[Row] = []
    for source, elapsed, step, count in said:
        series.add(source, elapsed, measured({step: [0.1] * count}), 1)
        rows += series.complete({0, 1, 2})
    rows += series.rest()
    for step in "ab":
        counts = [row["count"] for row in rows if row["step"] == step]
        assert sum(map(int, map(str, counts))) == sum(n for *_, name, n in said if name == step)
    places = [(row["at"], row["step"]) for row in rows]
    assert len(set(places)) == len(places)


@given(st.text(), st.integers(0, 2))
def test_both_forms_read_back(step: str, count: int) -> None:
    series = Series(BEGAN)
    series.add(0, 0.4, measured({step: [0.25] * count}), 1)
    series.add(0, 0.4, fault(step), 1)
    (row,) = series.rest()
    text = as_csv(None) + as_csv(row)
    heading, cells = csv.reader(io.StringIO(text))
    assert heading == [*COLUMNS]
    assert cells[2] == step
    assert cells[heading.index("p99")] == ("0.250000000" if count else "")
    assert json.loads(as_ndjson(row)) == dict(row)


def test_a_full_disk_is_told_at_the_end_only() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this machine has no /dev/full")
    made = SeriesReporter("csv", Path("/dev/full"))
    made.hear(0, 0.5, measured({"ask": [0.1]}), 1, {0})
    with pytest.raises(UsageError, match="cannot write /dev/full: No space left"):
        made.deliver(report(measured({})), print)


def test_a_file_that_vanishes_is_told_at_the_end_only(tmp_path: Path) -> None:
    made = SeriesReporter("csv", tmp_path / "gone" / "made.csv")
    made.hear(0, 0.5, measured({"ask": [0.1]}), 1, {0})
    made.hear(0, 1.0, measured({"ask": [0.1]}), 1, {0})
    with pytest.raises(UsageError, match="No such file"):
        made.deliver(report(measured({})), print)


SCENARIO = """
target: {bundled: epoll, reply: echo}
steps: [{name: ask, send: hello, expect: hello}, {name: tell, send: hello, expect: hello}]
load: {users: 3, run_time: 2s, pacing: 10ms}
"""


def test_a_run_of_two_workers_sums_up_to_its_totals(tmp_path: Path) -> None:
    file, made, lines, whole = (tmp_path / name for name in ("s.yaml", "c.csv", "l", "j.json"))
    file.write_text(SCENARIO)
    reports = ("--report", f"csv={made}", "--report", f"ndjson={lines}", "--json-file", whole)
    assert loadmux("run", file, "--workers", "2", *reports, "-q").code == 0
    rows = list(csv.DictReader(made.open()))
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [(row["at"], row["step"]) for row in rows] == [
        (str(one["at"]), one["step"]) for one in told
    ]
    for step in json.loads(whole.read_text())["steps"]:
        counts = [int(row["count"]) for row in rows if row["step"] == step["name"]]
        assert sum(counts) == step["count"]
        assert len(counts) >= 2
    assert {row["users"] for row in rows[:2]} == {"3"}


def test_without_a_file_they_are_printed(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(SCENARIO)
    done = loadmux("run", file, "-t", "200ms", "-q", "--report", "csv")
    assert done.code == 0
    assert ",".join(COLUMNS) in done.out.splitlines()
