"""Does a reporter make a text of any finished run: one that passed, failed, or measured nothing?"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator

from loadmux.errors import Evidence, Kind, Moment
from loadmux.language.loading import load
from loadmux.measuring.stats import Stats
from loadmux.measuring.verdict import Outcome, judge
from loadmux.report.model import Finding, Report, ScenarioReport, TargetReport, WorkerReport

SCENARIO = """
target: tcp://127.0.0.1:9
steps: [{name: "talk <&> \u00e4", send: hi, expect: hi}]
load: {users: 2, run_time: 1s}
thresholds: ["errors == 0", "p(99) < 5ms"]
"""


def check_reporter(reporter: Callable[[Report], str | bytes]) -> None:
    """Check a reporter with runs of several kinds. Raises AssertionError."""
    for name, report in sample_reports():
        before = pickle.dumps(report.stats)
        made = reporter(report)
        assert isinstance(made, str | bytes), f"{name}: it returned {type(made).__name__!r}"
        assert made, f"{name}: it returned nothing"
        assert pickle.dumps(report.stats) == before, f"{name}: it changed the report"


def sample_reports() -> Iterator[tuple[str, Report]]:
    passed = Stats()
    for latency in (0.001, 0.002, 0.003):
        passed.row("talk <&> \u00e4").samples.append(latency)
        passed.connects.samples.append(latency / 2)
    yield "a run that passed", sample(passed)
    failed = Stats()
    failed.row("talk <&> \u00e4").samples.append(0.001)
    transcript = [Moment(0.1, "sent", b"hi", 2), Moment(0.2, "received", b"\xff\x00", 2)]
    fault = Evidence(
        Kind.CORRUPT,
        "byte 0 of the reply is 0xff, expected 0x68",
        offset=0,
        expected=b"hi",
        received=b"\xff\x00",
        step="talk <&> \u00e4",
        user=1,
        iteration=0,
        socket="main",
        at=0.2,
        transcript=transcript,
    )
    failed.record_fault(fault)
    yield "a run that failed", sample(failed)
    yield "a run that measured nothing", sample(Stats())


def sample(stats: Stats) -> Report:
    """A finished run with these statistics."""
    scenario = load("sample.yaml", text=SCENARIO)
    for row in stats.steps.values():
        row.kind = "exchange"
    stats.fold()
    outcome = Outcome(
        duration=1.0,
        interrupted=False,
        unreachable=None,
        generator_failed=None,
        target_died=None,
    )
    verdict = judge(stats, scenario.thresholds, outcome)
    targets = (TargetReport("", "tcp://127.0.0.1:9"),)
    return Report(
        parts=(ScenarioReport("", scenario, targets, 1.0, stats, verdict),),
        poller="epoll",
        duration=1.0,
        stats=stats,
        verdict=verdict,
        seed=1,
        command="loadmux run sample.yaml --seed 1",
        workers=(WorkerReport(0, 2, 0.5, 0.001, 0.6, 2**24),),
        notes=("a remark",),
        findings=(Finding(Kind.ZOMBIES, "", "tcp://127.0.0.1:9", "2 processes <&>"),),
    )
