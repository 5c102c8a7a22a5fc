"""Runs are compared with saved ones: what got too much worse is a threshold crossed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import loadmux
from samples import fault, measured, report, several

from loadmux.errors import UsageError
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import baseline
from loadmux.report.model import Report


def run(latency: float, count: int = 100) -> Report:
    """So many exchanges in two seconds, each of them that slow (in seconds)."""
    return report(measured({"ask": [latency] * count}, connects=[0.001]))


def judged(now: list[Report], before: list[Report], *limits: str) -> Report:
    rules = [baseline.rule(limit) for limit in limits]
    return baseline.compared(baseline.worst(now), baseline.of(now), baseline.of(before), rules)


@pytest.mark.parametrize(
    ("latency", "count", "limit", "code"),
    [
        (0.0119, 100, "p(99)=20%", ExitCode.PASS),
        (0.0121, 100, "p(99)=20%", ExitCode.THRESHOLD),
        (0.0121, 100, "ask: p(99) = 20%", ExitCode.THRESHOLD),
        (0.0121, 100, "'ask': p(99)=25%", ExitCode.PASS),
        (0.0080, 100, "max=0%", ExitCode.PASS),
        (0.0100, 90, "rate=10%", ExitCode.PASS),
        (0.0100, 89, "rate=10%", ExitCode.THRESHOLD),
        (0.0100, 200, "rate=0%", ExitCode.PASS),
        (9.0000, 1, "connect: p(50)=1%", ExitCode.PASS),
    ],
)
def test_a_limit_holds_up_to_its_share(
    latency: float, count: int, limit: str, code: ExitCode
) -> None:
    assert judged([run(latency, count)], [run(0.010)], limit).verdict.code is code


def test_a_regression_says_what_was_and_what_is_and_stands_among_the_thresholds() -> None:
    made = judged([run(0.015)], [run(0.010)], "p(99)=20%")
    assert made.verdict.reason == (
        "slower than the baseline: ask: p(99) <= 12.0ms (baseline 10.0ms +20%)"
    )
    crossed = made.parts[0].verdict.thresholds[-1]
    assert (crossed.met, crossed.measured) == (False, 0.015)
    assert any(
        note == "baseline: ask: rate 50.0/s, was 50.0/s (+0.0%); "
        "p(50) 15.0ms, was 10.0ms (+50.0%); p(99) 15.0ms, was 10.0ms (+50.0%)"
        for note in made.notes
    )


def test_the_median_of_several_runs_decides() -> None:
    before = [run(0.010)]
    assert judged([run(0.010), run(0.011), run(9.0)], before, "p(50)=20%").verdict.code == 0
    made = judged([run(0.010), run(0.015), run(9.0)], before, "p(50)=20%")
    assert made.verdict.code is ExitCode.THRESHOLD
    assert any("p(50) 15.0ms [10.0ms..9.00s], was 10.0ms" in note for note in made.notes)


def test_a_fault_in_one_of_several_runs_is_the_verdict() -> None:
    wrong = report(fault("ask", stats=measured({"ask": [0.01]})))
    made = judged([run(0.010), wrong, run(0.010)], [run(0.010)], "p(99)=20%")
    assert made.verdict.code is ExitCode.FAIL


def test_a_row_of_which_nothing_is_measured_any_more_is_a_regression() -> None:
    now = measured({"ask": [0.01], "tell": []})
    before = report(measured({"ask": [0.01], "tell": [0.01]}))
    made = judged([report(now)], [before], "p(99)=50%")
    assert made.verdict.code is ExitCode.THRESHOLD
    assert "baseline: nothing was measured of its row 'tell'" in made.notes


def test_a_baseline_of_something_else_is_told_as_that() -> None:
    before = baseline.of([run(0.01)])
    machine = {**before.machine, "processor": "Z80"}
    other = replace(before, machine=machine, load="talk: 9 users; 1 worker")
    made = baseline.compared(run(0.01), baseline.of([run(0.01)]), other, [])
    assert made.verdict.code is ExitCode.PASS
    assert next(note for note in made.notes if "another" in note).startswith(
        "baseline: it was made with another processor: Z80, now "
    )
    assert sum("another load" in note for note in made.notes) == 1


def test_several_scenarios_are_compared_row_by_row() -> None:
    before = several({"a": measured({"ask": [0.01]}), "b": measured({"ask": [0.01]})})
    now = several({"a": measured({"ask": [0.01]}), "b": measured({"ask": [0.05]})})
    made = judged([now], [before], "p(99)=20%")
    assert made.verdict.code is ExitCode.THRESHOLD
    assert "b: ask: p(99)" in made.verdict.reason
    assert "a: ask: p(99)" not in made.verdict.reason


def test_what_is_saved_reads_back(tmp_path: Path) -> None:
    saved = baseline.of([run(0.010), run(0.020)])
    baseline.write(saved, tmp_path / "b.json")
    assert baseline.read(tmp_path / "b.json", []) == saved


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("p(99)", "is no limit; write [STEP:] METRIC=PERCENT"),
        ("p(99)=20", "is no limit"),
        ("p(98)=20%", "a baseline has no 'p(98)'"),
        ("p99=20%", "did you mean 'p(99)'?"),
        ("rate=1.2.3%", "is no number"),
        ("aks: rate=1%", "no step 'aks'; did you mean 'ask'?"),
    ],
)
def test_a_wrong_limit_is_told(tmp_path: Path, text: str, told: str) -> None:
    baseline.write(baseline.of([run(0.01)]), tmp_path / "b.json")
    with pytest.raises(UsageError) as caught:
        baseline.read(tmp_path / "b.json", [baseline.rule(text)])
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"loadmux_baseline": 2}', "[1", "\0"])
def test_what_is_no_baseline_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(UsageError, match="is no baseline; --save-baseline writes one"):
        baseline.read(tmp_path / "b.json", [])


SCENARIO = """
target: {bundled: epoll, reply: echo}
steps: [{name: ask, send: hello, expect: hello}]
load: {users: 2, iterations: 20}
"""


def test_runs_are_saved_and_compared(tmp_path: Path) -> None:
    file, saved, made = tmp_path / "s.yaml", tmp_path / "b.json", tmp_path / "made.json"
    file.write_text(SCENARIO)
    first = loadmux("run", file, "--repeat", "3", "--save-baseline", saved, "-q")
    assert first.code == 0
    assert "run 3 of 3: PASS" in first.err
    document = json.loads(saved.read_text())
    assert document["runs"] == 3
    document["rows"]["ask"]["max"] = [1e-9] * 3
    saved.write_text(json.dumps(document))
    beside = ("--baseline", saved)
    assert loadmux("run", file, *beside, "-q").code == 0
    limit = ("--max-regression", "max=50%", "--json-file", made)
    done = loadmux("run", file, *beside, *limit)
    assert done.code == 99
    assert "slower than the baseline: ask: max <= " in done.out
    assert "✗ ask: max <= " in done.out
    assert json.loads(made.read_text())["thresholds"][-1]["met"] is False


def test_runs_that_fail_are_not_saved_nor_repeated(tmp_path: Path) -> None:
    file, saved = tmp_path / "s.yaml", tmp_path / "b.json"
    file.write_text(SCENARIO)
    done = loadmux("run", file, "--fault", "flip:1", "--repeat", "3", "--save-baseline", saved)
    assert done.code == 1
    assert not saved.exists()
    assert f"{saved} is not written: the run did not pass" in done.err


def test_what_cannot_be_compared_is_told_before_the_run(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(SCENARIO)
    done = loadmux("run", file, "--baseline", tmp_path / "none.json")
    assert done.code == 2
    assert "No such file or directory; --save-baseline" in done.err
    assert loadmux("run", file, "--max-regression", "rate=1%").code == 2
    assert loadmux("run", file, "--repeat", "2", "--report", "csv=x").code == 2
