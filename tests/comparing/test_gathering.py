"""Many runs as one report, as reporters get them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from samples import fault, measured, report

from loadmux.cli.answers import Answer, put_out
from loadmux.cli.delivery import Wanted
from loadmux.comparing.contest import Contest, Figures, Out, Point
from loadmux.comparing.contest_forms import as_report
from loadmux.comparing.entrants import Entrant
from loadmux.comparing.gathering import gathered
from loadmux.errors import UsageError
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.stats import Stats
from loadmux.report import junit
from loadmux.report.model import Report
from loadmux.running.interrupts import Interrupts


def run(latency: float, code: ExitCode = ExitCode.PASS) -> Report:
    made = report(measured({"ask": [latency]}))
    (part,) = made.parts
    return replace(made, parts=(replace(part, verdict=replace(part.verdict, code=code)),))


def contest() -> Contest:
    """Two rounds of two servers; the second one was wrong in the second round."""
    found = Contest([Entrant("a", "a"), Entrant("b", "b")], [Point(2, 2)], "users", "echo", 1.0)
    for latency in (0.01, 0.03):
        for entrant in range(2):
            if entrant and latency == 0.03:
                wrong = report(fault("ask", stats=measured({"ask": [latency]})))
                found.take(entrant, 0, Out("1 error", True, wrong))
            else:
                found.take(entrant, 0, Figures(100.0, latency, latency, None, report=run(latency)))
        found.blocks += 1
    found.rounds = 2
    return found


def test_a_contest_is_a_report_with_a_part_for_each_server_at_each_point() -> None:
    found = as_report(contest())
    assert [part.label for part in found.parts] == ["a, 2 users", "b, 2 users"]
    assert {name: row.count for name, row in found.stats.steps.items()} == {
        "a, 2 users: ask": 2,
        "b, 2 users: ask": 3,
    }
    assert found.stats.errors == 1
    assert found.verdict.code is ExitCode.FAIL
    assert found.notes
    assert b'name="b, 2 users"' in junit.render(found)
    with pytest.raises(UsageError, match="files have figures"):
        as_report(Contest([], [], "users", "echo", 1.0))


def test_a_generator_that_was_held_up_once_is_no_verdict_on_many_runs() -> None:
    late, wrong = run(0.1, ExitCode.INCONCLUSIVE), run(0.1, ExitCode.FAIL)
    for runs, code in (
        ([run(0.1), late], ExitCode.PASS),
        ([late, run(0.1), late], ExitCode.PASS),
        ([late], ExitCode.INCONCLUSIVE),
        ([run(0.1), wrong], ExitCode.FAIL),
        ([wrong, run(0.1)], ExitCode.FAIL),
    ):
        whole: Report | None = None
        for one in runs:
            whole = gathered(whole, one)
        assert whole is not None
        assert whole.parts[0].verdict.code is code
        assert whole.stats.total.count == len(runs)


@dataclass
class Ear:
    """A reporter that hears of a run while it goes on, as that for OpenTelemetry does."""

    file: Path | None = None
    prints: bool = False
    heard: Stats = field(default_factory=Stats)
    delivered: list[Report] = field(default_factory=list)

    def hear(
        self,
        source: object,
        elapsed: float,
        stats: Stats,
        active: int,
        running: Collection[object],
        late: float = 0.0,
    ) -> None:
        self.heard.merge(stats)

    def renew(self) -> None:
        pass

    def deliver(self, report: Report, write: object) -> None:
        self.delivered.append(report)


def test_who_listens_to_runs_hears_all_of_them_at_the_end() -> None:
    found, ear = contest(), Ear()
    answer = Answer(
        found, found.code, {}, "told", lambda: (), lambda: "{}", lambda: as_report(found)
    )
    code = put_out(answer, Wanted(True, None, [ear]), Interrupts())
    assert code is ExitCode.FAIL
    assert ear.heard.total.count == 5
    assert [one.verdict.reason for one in ear.delivered] == ["a, b: 2 rounds; wrong: b"]
