"""Reports made by hand, for the tests of what is told about a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from loadmux.driver.pacer import Rate
from loadmux.errors import Evidence, Kind, Moment
from loadmux.language.meaning.scenario import Load, Phase, Scenario, Socket
from loadmux.measuring.histogram import Histogram
from loadmux.measuring.stats import Stats
from loadmux.measuring.thresholds import Threshold
from loadmux.measuring.timeline import Timeline
from loadmux.measuring.verdict import Outcome, combined, judge
from loadmux.report.model import PhaseReport, Report, ScenarioReport, TargetReport, WorkerReport

ERRORS = Threshold("errors == 0", None, "errors", "==", 0)
IMPLIED = Threshold("errors == 0", None, "errors", "==", 0, implied=True)
EXPECTED = b"Server received b'This is '"
RECEIVED = b"Server received b'Th\x1bs is '"


def measured(rows: Mapping[str, Sequence[float]], connects: Sequence[float] = ()) -> Stats:
    """Statistics with these latencies (seconds) at exchanges of these names."""
    stats = Stats()
    for name, latencies in rows.items():
        row = stats.row(name)
        row.kind = "exchange"
        row.samples.extend(latencies)
    stats.connects.samples.extend(connects)
    stats.fold()
    return stats


def fault(
    step: str, kind: Kind = Kind.CORRUPT, times: int = 1, stats: Stats | None = None
) -> Stats:
    """Add so many faults of a kind at a step."""
    stats = stats or Stats()
    for _ in range(times):
        stats.record_fault(Evidence(kind, f"{kind} it was", step=step, user=0, iteration=0))
    return stats


def wrong_byte(step: str = "ask") -> Evidence:
    """One wrong byte, an ESC at offset 20, with its transcript."""
    return Evidence(
        Kind.CORRUPT,
        "byte 20 should be 'i'",
        offset=20,
        expected=EXPECTED,
        received=RECEIVED,
        step=step,
        user=7,
        iteration=3,
        socket="first",
        at=1.25,
        transcript=[
            Moment(0.5, "connected"),
            Moment(1.0, "sent", b"This is ", 8),
            Moment(1.25, "received", RECEIVED, len(RECEIVED)),
        ],
    )


def on_schedule() -> Report:
    """Two phases of open load; the server was slow in the second one."""
    steady, rush = measured({"ask": [0.010] * 3}), measured({"ask": [0.010, 0.020]})
    for stats in (steady, rush):
        row = stats.row("ask")
        row.service = Histogram()
        row.service.merge(row.histogram)
        stats.iterations = stats.begun = row.right
    row.record_delayed(1.0, 0.030)
    rush.starts.samples.extend([0.0001, 0.0002])
    rush.fold()
    rush.begun, rush.waited, rush.dropped, rush.started = 3, 1, 4, 2
    total = Stats()
    total.merge(steady)
    total.merge(rush)
    rates = Rate(3.0, 3.0, 1.0), Rate(3.0, 7.0, 1.0)
    load = Load(9, phases=tuple(Phase(str(rate.last), rate, 9) for rate in rates))
    rows = (PhaseReport("steady", "3.00/s", 1.0, steady), PhaseReport("rush", "3..7", 1.0, rush))
    return report(total, phases=rows, load=load)


def over_time(seconds: int = 20, errors_at: int = 12) -> Report:
    """A run of some seconds, with a wrong reply and slow ones in one of them."""
    timeline, total = Timeline(), Stats()
    for half in range(2 * seconds):
        bad = half == 2 * errors_at
        stats = measured({"ask": [0.001, 0.002, 0.300 if bad else 0.003]})
        if bad:
            stats.record_fault(wrong_byte())
        stats.started = 0 if half else 2
        timeline.add(0, (half + 1) / 2, stats, 2, lambda row: row.kind)
        total.merge(stats)
    made = report(total, outcome=Outcome(float(seconds)))
    return replace(made, timeline=timeline)


def several(parts: Mapping[str, Stats], outcome: Outcome | None = None) -> Report:
    """A report on scenarios with these labels, each with the implied threshold."""
    outcome = outcome or Outcome(2.0)
    return together(
        {label: report(stats, outcome=outcome, name=label) for label, stats in parts.items()}
    )


def together(alone: Mapping[str, Report]) -> Report:
    """One report on the scenarios of several, with these labels."""
    reports = [replace(one.parts[0], label=label) for label, one in alone.items()]
    stats = Stats()
    for one in reports:
        stats.merge(one.stats.labelled(one.label))
    verdicts = [(one.label, one.verdict) for one in reports]
    first = next(iter(alone.values()))
    verdict = combined(verdicts, stats, first.duration)
    return replace(first, parts=tuple(reports), stats=stats, verdict=verdict)


def report(
    stats: Stats,
    thresholds: Sequence[Threshold] = (IMPLIED,),
    outcome: Outcome | None = None,
    name: str = "talk",
    workers: tuple[WorkerReport, ...] = (WorkerReport(0, 2, busy=0.5, late=0.001),),
    notes: tuple[str, ...] = (),
    phases: tuple[PhaseReport, ...] = (),
    load: Load = Load(),  # noqa: B008 (frozen)
) -> Report:
    outcome = outcome or Outcome(2.0)
    scenario = Scenario(
        path="talk.yaml",
        name=name,
        description="",
        target=None,
        variables={},
        sockets=(Socket("main"),),
        before=(),
        steps=(),
        after=(),
        load=load,
        thresholds=tuple(thresholds),
    )
    targets = (TargetReport("", "tcp://127.0.0.1:8001", "epoll", "received"),)
    duration, verdict = outcome.duration, judge(stats, thresholds, outcome)
    return Report(
        parts=(ScenarioReport("", scenario, targets, duration, stats, verdict, phases),),
        poller="epoll",
        duration=duration,
        stats=stats,
        verdict=verdict,
        seed=42,
        command="loadmux run talk.yaml --seed 42",
        workers=workers,
        notes=notes,
    )


FAST = Threshold("p(99) < 1ms", None, "p", "<", 0.001, 0.99)


def wrong() -> Report:
    """A run with one wrong byte."""
    stats = measured({"ask": [0.010, 0.020], "tell": [0.5]}, connects=[0.001])
    stats.record_fault(wrong_byte())
    return report(stats, [ERRORS])


OUTCOMES: dict[str, Callable[[], Report]] = {
    "pass": lambda: report(measured({"ask": [0.010]})),
    "fail": wrong,
    "threshold": lambda: report(measured({"ask": [0.010]}), [FAST]),
    "inconclusive": lambda: report(Stats(), outcome=Outcome(2.0, generator_failed="it was killed")),
    "unreachable": lambda: report(
        fault("connect", Kind.REFUSED), outcome=Outcome(2.0, unreachable="no")
    ),
    "interrupted": lambda: report(measured({"ask": [0.1]}), outcome=Outcome(2.0, interrupted=True)),
    "broken": lambda: report(measured({"ask": [0.1]}), outcome=Outcome(2.0, broken="a bug")),
    "several": lambda: several({"a": measured({"ask": [0.1]}), "b": fault("ask")}),
    "phases": on_schedule,
}
"""A report of every kind of end, and of several scenarios and phases."""


def filled(samples: list[float]) -> Histogram:
    """What holds just these latencies."""
    histogram = Histogram()
    histogram.add(samples)
    return histogram
