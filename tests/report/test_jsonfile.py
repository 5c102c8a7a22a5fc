"""The JSON file holds what was measured, follows its own schema, and is written whole or not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import needs
import pytest
from samples import (
    EXPECTED,
    IMPLIED,
    RECEIVED,
    fault,
    measured,
    on_schedule,
    over_time,
    report,
    several,
    together,
    wrong_byte,
)

from loadmux import __version__
from loadmux.errors import Kind
from loadmux.measuring.thresholds import Threshold
from loadmux.measuring.verdict import Outcome
from loadmux.report.jsonfile import as_json, write
from loadmux.report.jsonschema import SCHEMA
from loadmux.report.model import Report, WorkerReport


def full() -> Report:
    """A report in which nothing is empty."""
    stats = measured({"ask": [0.010, 0.020, 0.030], "never": []}, connects=[0.001])
    stats.record_fault(wrong_byte())
    fault("connect", Kind.REFUSED, stats=stats)
    stats.iterations, stats.interrupted, stats.dropped = 3, 1, 2
    stats.passed_over = 4
    stats.started, stats.served = 2, 1
    return report(
        stats,
        [IMPLIED, Threshold("'never': p(99) < 1s", "never", "p", "<", 1.0, 0.99)],
        workers=(
            WorkerReport(0, 1, busy=0.99, late=0.002, cpu=1.5, memory=4096),
            WorkerReport(1, 1, busy=0.1, lost="killed by signal 9"),
        ),
        notes=("the rule is weak",),
    )


def valid(document: object) -> None:
    needs.validator(SCHEMA).validate(document)


def unknown_keys(document: object, schema: dict[str, Any], at: str = "") -> list[str]:
    """Keys that the schema does not describe: it allows them, but this version writes none."""
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null" and document is not None:
            return unknown_keys(document, option, at)
    if isinstance(document, list):
        return [key for item in document for key in unknown_keys(item, schema["items"], at)]
    if not isinstance(document, dict):
        return []
    properties = schema["properties"]
    unknown = [f"{at}.{key}" for key in document if key not in properties]
    for key in document.keys() & properties.keys():
        unknown += unknown_keys(document[key], properties[key], f"{at}.{key}")
    return unknown


@pytest.mark.parametrize(
    "made",
    [
        full(),
        report(measured({"ask": [0.1]})),
        report(measured({}), outcome=Outcome(0.0, unreachable="nobody listens"), workers=()),
        report(measured({"ask": []}), outcome=Outcome(0.0, interrupted=True)),
        on_schedule(),
        several({"a": measured({"ask": [0.1]}), "b": fault("ask")}),
        together({"a": on_schedule(), "b": report(measured({"ask": [0.1]}))}),
        over_time(),
    ],
    ids=[
        "full",
        "pass",
        "unreachable",
        "interrupted",
        "open",
        "several",
        "several open",
        "over time",
    ],
)
def test_every_report_follows_the_schema(made: Report) -> None:
    document = json.loads(json.dumps(as_json(made), allow_nan=False))
    valid(document)
    assert unknown_keys(document, SCHEMA) == []


def test_the_timeline_says_when_it_went_wrong() -> None:
    document = as_json(over_time(seconds=20, errors_at=12))
    points = document["timeline"]["points"]
    assert [one["at"] for one in points if one["errors"]] == [12.0]
    assert sum(one["count"] for one in points) == document["exchanges"]["count"]
    assert {one["users"] for one in points} == {2}


def test_the_top_level_says_the_outcome() -> None:
    document = as_json(full())
    assert {key: document[key] for key in ("schema_version", "verdict", "exit_code")} == {
        "schema_version": 1,
        "verdict": "fail",
        "exit_code": 1,
    }
    assert document["reason"] == "2 errors (1 refused, 1 corrupt) in 4 exchanges"
    assert (document["seed"], document["duration"]) == (42, 2.0)
    assert document["exchanges"] == {"count": 4, "errors": 2, "rate": 1.5}
    assert document["scenario"] == {"name": "talk", "path": "talk.yaml"}
    assert document["target"] == {
        "url": "tcp://127.0.0.1:8001",
        "model": "epoll",
        "reply": "received",
        "command": [],
    }
    assert (document["iterations"], document["interrupted"], document["dropped"]) == (3, 1, 2)
    assert document["passed_over"] == 4
    assert document["version"] == __version__
    assert document["started"] == "1970-01-01T00:00:00.000+00:00"
    assert document["users"] == {"started": 2, "served": 1}
    assert document["notes"] == ["the rule is weak"]
    assert document["command"] == "loadmux run talk.yaml --seed 42"


@pytest.mark.parametrize(
    ("outcome", "word", "code"),
    [
        (Outcome(1.0), "pass", 0),
        (Outcome(1.0, target_died="gone"), "fail", 1),
        (Outcome(1.0, generator_failed="no memory"), "inconclusive", 3),
        (Outcome(1.0, unreachable="nobody listens"), "unreachable", 4),
        (Outcome(1.0, interrupted=True), "interrupted", 130),
        (Outcome(1.0, broken="a bug"), "broken", 70),
    ],
)
def test_the_words_of_the_verdicts(outcome: Outcome, word: str, code: int) -> None:
    document = as_json(report(measured({"ask": [0.1]}), outcome=outcome))
    assert (document["verdict"], document["exit_code"]) == (word, code)


def test_rows_of_steps_and_connects() -> None:
    ask, never = as_json(full())["steps"]
    assert {key: ask[key] for key in ("name", "kind", "count", "errors", "rate")} == {
        "name": "ask",
        "kind": "exchange",
        "count": 4,
        "errors": 1,
        "rate": 1.5,
    }
    latency = ask["latency"]
    assert (latency["min"], latency["max"]) == (0.010, 0.030)
    assert latency["mean"] == pytest.approx(0.020)
    assert latency["p50"] == pytest.approx(0.020, rel=0.008)
    assert {latency[name] for name in ("p95", "p99", "p99_9")} == {0.030}
    assert never == {
        "name": "never",
        "kind": "exchange",
        "count": 0,
        "errors": 0,
        "rate": 0.0,
        "latency": None,
        "service": None,
        "bytes_in": 0,
        "bytes_out": 0,
    }
    connects = as_json(full())["connects"]
    assert (connects["name"], connects["count"], connects["errors"]) == ("connect", 2, 1)


def test_open_load_tells_both_latencies_and_its_schedule() -> None:
    document = as_json(on_schedule())
    ask = document["steps"][0]
    assert ask["count"] == 6
    assert (ask["latency"]["max"], ask["service"]["max"]) == (1.030, 0.030)
    schedule = document["schedule"]
    assert schedule.pop("lateness")["max"] == 0.0002
    assert schedule == {"begun": 6, "dropped": 4, "waited": 1, "overrun": 0, "missed": 0}


def test_a_row_for_each_phase() -> None:
    steady, rush = as_json(on_schedule())["phases"]
    assert steady["name"] == "steady"
    assert (steady["count"], steady["dropped"], rush["count"], rush["dropped"]) == (3, 0, 3, 4)
    assert (rush["load"], rush["duration"], rush["rate"]) == ("3..7", 1.0, 3.0)
    assert (rush["latency"]["max"], rush["service"]["max"]) == (1.030, 0.030)


def test_of_several_each_tells_its_schedule_and_phases_and_the_run_all_of_them() -> None:
    closed = report(measured({"ask": [0.1]}))
    document = as_json(together({"a": on_schedule(), "b": closed, "c": on_schedule()}))
    first, second, third = document["scenarios"]
    assert [row["name"] for row in document["phases"]] == [
        *("a: steady", "a: rush", "c: steady", "c: rush")
    ]
    assert [row["name"] for row in first["phases"]] == ["steady", "rush"]
    assert (second["schedule"], second["phases"]) == (None, [])
    assert first["schedule"] == third["schedule"] == as_json(on_schedule())["schedule"]
    assert (document["schedule"]["begun"], document["schedule"]["dropped"]) == (12, 8)
    services = [row["service"] is not None for row in document["steps"]]
    assert services == [True, False, True]


def test_closed_load_has_neither_schedule_nor_phases() -> None:
    document = as_json(full())
    assert document["schedule"] is None
    assert document["phases"] == []


def test_a_fault_keeps_its_evidence() -> None:
    refused, corrupt = as_json(full())["faults"]
    assert (refused["first"], corrupt["first"]) == (0.0, 1.25)
    assert (corrupt["kind"], corrupt["step"], corrupt["count"]) == ("corrupt", "ask", 1)
    [example] = corrupt["examples"]
    assert example["offset"] == 20
    assert bytes.fromhex(example["expected"]) == EXPECTED
    assert bytes.fromhex(example["received"]) == RECEIVED
    assert (example["user"], example["iteration"], example["socket"]) == (7, 3, "first")
    assert example["transcript"][1] == {
        "at": 1.0,
        "what": "sent",
        "size": 8,
        "data": b"This is ".hex(),
    }
    assert refused["examples"][0]["expected"] is None


def test_thresholds_and_the_generator() -> None:
    document = as_json(full())
    assert document["thresholds"] == [
        {"text": "errors == 0", "step": None, "metric": "errors", "measured": 2.0, "met": False},
        {
            "text": "'never': p(99) < 1s",
            "step": "never",
            "metric": "p",
            "measured": None,
            "met": False,
        },
    ]
    generator = document["generator"]
    assert (generator["poller"], generator["busy"], generator["limited"]) == ("epoll", 0.99, False)
    assert generator["late_p99"] == 0.002
    assert [worker["lost"] for worker in generator["workers"]] == [None, "killed by signal 9"]
    assert as_json(report(measured({"ask": [0.1]})))["generator"]["limited"] is False


def test_text_that_no_encoding_has_is_written_all_the_same(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \x1b[31m")
    path = tmp_path / "report.json"
    write(report(measured({name: [0.1]}), name=name), str(path))
    assert json.loads(path.read_text(encoding="ascii"))["steps"][0]["name"] == name


def test_several_scenarios_are_told_apart_and_together() -> None:
    told = as_json(several({"a": measured({"ask": [0.1]}), "b": fault("ask", times=2)}))
    assert (told["verdict"], told["exit_code"]) == ("fail", 1)
    assert told["exchanges"]["count"] == 1
    assert [row["name"] for row in told["steps"]] == ["a: ask", "b: ask"]
    assert [group["step"] for group in told["faults"]] == ["b: ask"]
    assert [one["text"] for one in told["thresholds"]] == ["a: errors == 0", "b: errors == 0"]
    first, second = told["scenarios"]
    assert (first["name"], first["verdict"], first["exchanges"]["errors"]) == ("a", "pass", 0)
    assert (second["name"], second["verdict"], second["exchanges"]["errors"]) == ("b", "fail", 2)
    assert [one["name"] for one in told["targets"]] == ["a", "b"]


def test_one_scenario_is_a_list_of_one() -> None:
    told = as_json(full())
    (only,) = told["scenarios"]
    assert only["name"] == told["scenario"]["name"]
    for key in ("verdict", "exit_code", "reason", "exchanges", "iterations", "users", "duration"):
        assert only[key] == told[key]
