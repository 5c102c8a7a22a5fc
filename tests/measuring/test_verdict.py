"""The verdict: every rule of precedence, what each threshold measures, and what has no sample."""

from __future__ import annotations

import pytest
from samples import ERRORS, IMPLIED, fault, measured

from loadmux.errors import Kind
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.stats import Stats
from loadmux.measuring.thresholds import Metric, Threshold
from loadmux.measuring.verdict import Outcome, Stood, Verdict, combined, judge

RUN = Outcome(duration=2.0)
ROWS = {"login": [0.010, 0.020], "ask": [0.030, 0.040, 0.050, 0.060]}
SLOW = Threshold("max < 1ms", None, "max", "<", 0.001)
FEW_AT_LOGIN = Threshold("'login': errors < 5", "login", "errors", "<", 5)


def value(
    stats: Stats, metric: Metric, step: str | None = None, quantile: float = 0
) -> float | None:
    """What a threshold on this metric measures; it is crossed whenever that is nothing."""
    threshold = Threshold("any", step, metric, ">=", 0, quantile)
    [result] = judge(stats, [threshold], RUN).thresholds
    assert result.met is (result.measured is not None)
    return result.measured


def code(stats: Stats, *thresholds: Threshold, outcome: Outcome = RUN) -> ExitCode:
    return judge(stats, thresholds, outcome).code


def test_all_right_and_all_met_is_a_pass() -> None:
    verdict = judge(measured(ROWS), [ERRORS], RUN)
    assert verdict.code is ExitCode.PASS
    assert verdict.reason == "6 exchanges, every check held"
    assert [(result.measured, result.met) for result in verdict.thresholds] == [(0.0, True)]


def test_a_fault_is_a_failure_that_counts_the_kinds() -> None:
    stats = fault("ask", Kind.TIMEOUT, stats=fault("ask", Kind.CORRUPT, 2, measured(ROWS)))
    verdict = judge(stats, [ERRORS], RUN)
    assert verdict.code is ExitCode.FAIL
    assert verdict.reason == "3 errors (2 corrupt, 1 timeout) in 9 exchanges"
    assert verdict.thresholds[0].measured == 3


def test_errors_within_an_allowance_pass_and_are_told() -> None:
    allowed = Threshold("error_rate < 50%", None, "error_rate", "<", 0.5)
    verdict = judge(fault("ask", times=2, stats=measured(ROWS)), [allowed], RUN)
    assert verdict.code is ExitCode.PASS
    assert verdict.reason == ("8 exchanges, 2 errors (2 corrupt): as many as the thresholds allow")
    assert verdict.thresholds[0].measured == 2 / 8


@pytest.mark.parametrize(
    ("thresholds", "step", "expected"),
    [
        ((IMPLIED, FEW_AT_LOGIN), "login", ExitCode.PASS),
        ((IMPLIED, FEW_AT_LOGIN), "ask", ExitCode.FAIL),
        ((IMPLIED, FEW_AT_LOGIN), "connect", ExitCode.FAIL),
        ((ERRORS, FEW_AT_LOGIN), "login", ExitCode.FAIL),
        ((FEW_AT_LOGIN,), "login", ExitCode.PASS),
        ((FEW_AT_LOGIN,), "ask", ExitCode.FAIL),
        ((), "ask", ExitCode.FAIL),
        ((SLOW,), "ask", ExitCode.FAIL),
    ],
)
def test_who_judges_a_fault(
    thresholds: tuple[Threshold, ...], step: str, expected: ExitCode
) -> None:
    assert code(fault(step, stats=measured(ROWS)), *thresholds) is expected


def test_more_errors_than_a_step_is_allowed_fail() -> None:
    assert code(fault("login", times=5, stats=measured(ROWS)), IMPLIED, FEW_AT_LOGIN) == 1


def test_another_threshold_crossed() -> None:
    verdict = judge(measured(ROWS), [ERRORS, SLOW], RUN)
    assert verdict.code is ExitCode.THRESHOLD
    assert verdict.reason == "1 of 2 thresholds crossed: max < 1ms"
    assert [result.met for result in verdict.thresholds] == [True, False]


def test_many_crossed_thresholds_are_named_in_part() -> None:
    verdict = judge(measured(ROWS), [SLOW] * 5, RUN)
    assert verdict.reason == (
        "5 of 5 thresholds crossed: max < 1ms, max < 1ms, max < 1ms, and 2 more"
    )


def test_nothing_measured_is_inconclusive_and_crosses_every_threshold() -> None:
    """Connects alone measure nothing where exchanges were asked for."""
    thresholds = [
        ERRORS,
        Threshold("p(99) < 1s", None, "p", "<", 1, 0.99),
        Threshold("iterations < 5", None, "iterations", "<", 5),
        Threshold("dropped == 0", None, "dropped", "==", 0),
    ]
    verdict = judge(measured({"ask": []}, connects=[0.001]), thresholds, RUN)
    assert verdict.code is ExitCode.INCONCLUSIVE
    assert verdict.reason == "nothing was measured: no exchange succeeded"
    assert [(result.measured, result.met) for result in verdict.thresholds] == [(None, False)] * 4


def test_all_wrong_is_a_failure_but_inconclusive_where_all_of_it_is_allowed() -> None:
    stats = fault("ask", stats=measured({"ask": []}))
    assert code(stats, ERRORS) is ExitCode.FAIL
    allowed = Threshold("errors < 9", None, "errors", "<", 9)
    assert code(stats, allowed) is ExitCode.INCONCLUSIVE


def test_a_scenario_without_exchanges_is_measured_by_its_connects() -> None:
    stats = measured({}, connects=[0.001, 0.002, 0.003])
    verdict = judge(stats, [ERRORS], RUN)
    assert verdict.code is ExitCode.PASS
    assert verdict.reason == "3 connects, every check held"
    fault("connect", Kind.REFUSED, stats=stats)
    assert value(stats, "error_rate") == 1 / 4
    assert value(stats, "rate") == 3 / 2.0
    nothing = "nothing was measured: the scenario sends and expects nothing"
    assert judge(measured({}), [ERRORS], RUN).reason == nothing


def test_a_scenario_that_only_sends_is_measured_by_its_sends() -> None:
    stats = measured({"push": [0.001]})
    stats.row("push").kind = "send"
    assert judge(stats, [ERRORS], RUN).reason == "1 send, every check held"


def test_a_silence_that_was_kept_counts_though_it_has_no_latency() -> None:
    stats = measured({"hush": []})
    stats.row("hush").pass_untimed()
    assert code(stats, ERRORS) is ExitCode.PASS
    assert value(stats, "rate") == 1 / 2.0
    assert value(stats, "p", quantile=0.99) is None


@pytest.mark.parametrize("metric", ["p", "min", "mean", "max", "rate", "errors", "error_rate"])
def test_a_step_without_samples_crosses_its_threshold(metric: Metric) -> None:
    stats = measured({"ask": [0.01], "never": []})
    for step in ("never", "connect", "unheard of"):
        threshold = Threshold("any", step, metric, ">=", 0)
        assert code(stats, ERRORS, threshold) is ExitCode.THRESHOLD
        assert value(stats, metric, step) is None


def test_what_latency_thresholds_measure() -> None:
    stats = measured(ROWS, connects=[0.001, 0.003])
    assert value(stats, "min") == 0.010
    assert value(stats, "max") == 0.060
    assert value(stats, "mean") == pytest.approx(0.035)
    assert value(stats, "mean", "login") == pytest.approx(0.015)
    assert value(stats, "max", "connect") == 0.003
    assert value(stats, "p", quantile=1.0) == 0.060
    assert value(stats, "p", "ask", 0.5) == pytest.approx(0.040, rel=0.008)
    assert value(stats, "p", quantile=0.5) == pytest.approx(0.030, rel=0.008)


def test_rate_counts_what_was_right_over_the_duration() -> None:
    stats = fault("ask", times=9, stats=measured(ROWS))
    assert value(stats, "rate") == 6 / 2.0
    assert value(stats, "rate", "login") == 2 / 2.0
    threshold = Threshold("rate > 1/s", None, "rate", ">", 1)
    assert judge(stats, [threshold], Outcome(0.0)).thresholds[0].measured is None


def test_error_rate_counts_faults_met_outside_exchanges_as_attempts() -> None:
    stats = fault("connect", Kind.REFUSED, 2, measured(ROWS, connects=[0.001]))
    fault("ask", times=1, stats=stats)
    fault("close main #3", Kind.SURPLUS, stats=stats)
    assert value(stats, "errors") == 4
    assert value(stats, "error_rate") == 4 / (6 + 4)
    assert value(stats, "error_rate", "ask") == 1 / 5
    assert value(stats, "error_rate", "connect") == 2 / 3


def test_iterations_and_dropped_are_counted() -> None:
    stats = measured(ROWS)
    stats.iterations, stats.dropped, stats.interrupted = 3, 2, 7
    assert value(stats, "iterations") == 3
    assert value(stats, "dropped") == 2


@pytest.mark.parametrize(
    ("op", "met"),
    [("==", True), ("!=", False), ("<", False), ("<=", True), (">", False), (">=", True)],
)
def test_every_operator_on_the_limit(op: str, met: bool) -> None:
    stats = measured(ROWS)
    stats.iterations = 3
    threshold = Threshold("any", None, "iterations", op, 3)  # type: ignore[arg-type]
    assert judge(stats, [threshold], RUN).thresholds[0].met is met


def test_a_generator_that_failed_leaves_it_open_unless_something_was_wrong() -> None:
    outcome = Outcome(2.0, generator_failed="no descriptors left")
    verdict = judge(measured(ROWS), [ERRORS, SLOW], outcome)
    assert verdict.code is ExitCode.INCONCLUSIVE
    assert verdict.reason == "the load generator failed: no descriptors left"
    assert code(fault("ask", stats=measured(ROWS)), ERRORS, outcome=outcome) is ExitCode.FAIL


def test_a_target_that_died_failed_even_between_two_exchanges() -> None:
    verdict = judge(measured(ROWS), [ERRORS], Outcome(2.0, target_died="it was killed"))
    assert verdict.code is ExitCode.FAIL
    assert verdict.reason == "it was killed; 6 exchanges, no errors"


def test_precedence_from_the_strongest_on() -> None:
    stats = fault("connect", Kind.REFUSED, stats=Stats())
    every = Outcome(1.5, "it ran out of memory", True, "nobody listens", "lost", "gone")
    verdict = judge(fault("talk", stats=measured(ROWS)), [ERRORS], every)
    assert (verdict.code, verdict.reason) == (
        ExitCode.BROKEN,
        "loadmux itself broke: it ran out of memory; until then 6 exchanges, 1 error (1 corrupt)",
    )
    both = Outcome(1.5, interrupted=True, unreachable="nobody listens", target_died="gone")
    verdict = judge(stats, [ERRORS], both)
    assert verdict.code is ExitCode.INTERRUPTED
    assert verdict.reason == "stopped early, after 1.5 s: 1 connect, 1 error (1 refused)"
    verdict = judge(stats, [ERRORS], Outcome(1.5, unreachable="nobody listens"))
    assert (verdict.code, verdict.reason) == (ExitCode.UNREACHABLE, "nobody listens")
    assert code(stats, ERRORS) is ExitCode.FAIL


def test_exit_codes_are_those_of_the_language() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "PASS": 0,
        "FAIL": 1,
        "INVALID": 2,
        "INCONCLUSIVE": 3,
        "UNREACHABLE": 4,
        "BROKEN": 70,
        "THRESHOLD": 99,
        "INTERRUPTED": 130,
    }


# --- the schedule of open load ------------------------------------------------------------------


def late(*starts: float) -> Stats:
    """A healthy run whose starts were so late."""
    stats = measured(ROWS)
    stats.begun = len(starts)
    stats.starts.samples.extend(starts)
    stats.fold()
    return stats


def phases(*parts: Stats) -> Outcome:
    return Outcome(duration=2.0, phases=parts)


SLOWER = Threshold("p(99) < 1ms", None, "p", "<", 0.001, 0.99)
DROPPED = Threshold("dropped == 0", None, "dropped", "==", 0)


def test_what_the_generator_had_no_time_for_is_its_own_fault() -> None:
    stats = late(*[0.0] * 100)
    stats.dropped, stats.overrun = 70, 30
    verdict = judge(stats, [ERRORS, DROPPED], phases(stats))
    assert verdict.code is ExitCode.INCONCLUSIVE
    assert "could not keep its schedule: it had no time for 30 iterations" in verdict.reason


def test_what_a_slow_target_dropped_crosses_a_threshold() -> None:
    stats = late(*[0.0] * 100)
    stats.dropped = 70
    assert code(stats, ERRORS, DROPPED, outcome=phases(stats)) is ExitCode.THRESHOLD
    assert code(stats, ERRORS, outcome=phases(stats)) is ExitCode.PASS


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ([0.0] * 95 + [0.3] * 5, ExitCode.PASS),
        ([0.0] * 85 + [0.3] * 15, ExitCode.INCONCLUSIVE),
        ([0.02] * 100, ExitCode.PASS),
    ],
)
def test_a_schedule_is_not_kept_when_one_start_in_ten_is_late(
    starts: list[float], expected: ExitCode
) -> None:
    stats = late(*starts)
    assert code(stats, ERRORS, outcome=phases(stats)) is expected


def test_one_phase_whose_schedule_was_not_kept_is_enough() -> None:
    good, bad = late(*[0.0] * 900), late(*[0.3] * 20)
    total = Stats()
    total.merge(good)
    total.merge(bad)
    assert code(total, ERRORS, outcome=phases(good, bad)) is ExitCode.INCONCLUSIVE
    assert code(total, ERRORS, outcome=phases(total)) is ExitCode.PASS


def test_late_starts_make_a_crossed_latency_doubtful_and_nothing_else() -> None:
    stats = late(*[0.0] * 98, 0.02, 0.02)
    verdict = judge(stats, [ERRORS, SLOWER], phases(stats))
    assert verdict.code is ExitCode.INCONCLUSIVE
    assert verdict.reason.endswith("which may be why a threshold was crossed: p(99) < 1ms")
    stats.dropped = 1
    assert code(stats, ERRORS, DROPPED, outcome=phases(stats)) is ExitCode.THRESHOLD
    assert code(stats, ERRORS, outcome=phases(stats)) is ExitCode.PASS
    punctual = late(*[0.0] * 99, 0.02)
    assert code(punctual, ERRORS, SLOWER, outcome=phases(punctual)) is ExitCode.THRESHOLD


def test_a_fault_weighs_more_than_a_schedule() -> None:
    stats = fault("ask", stats=late(*[0.3] * 100))
    assert code(stats, ERRORS, outcome=phases(stats)) is ExitCode.FAIL


# --- several scenarios --------------------------------------------------------------------------


def verdicts(*codes: ExitCode) -> list[tuple[str, Verdict]]:
    names = "abcdefg"
    return [(names[i], Verdict(code, f"{code.name} it is", ())) for i, code in enumerate(codes)]


BY_SEVERITY = [
    ExitCode.PASS,
    ExitCode.THRESHOLD,
    ExitCode.INCONCLUSIVE,
    ExitCode.FAIL,
    ExitCode.UNREACHABLE,
]


@pytest.mark.parametrize("worse", range(1, len(BY_SEVERITY)))
@pytest.mark.parametrize("turned", [False, True])
def test_the_worst_of_several_is_the_verdict_and_names_its_scenario(
    worse: int, turned: bool
) -> None:
    codes = [BY_SEVERITY[worse - 1], BY_SEVERITY[worse]]
    pair = verdicts(*(reversed(codes) if turned else codes))
    verdict = combined(pair, measured(ROWS), 2.0)
    assert verdict.code is BY_SEVERITY[worse]
    label = "a" if turned else "b"
    assert verdict.reason == f"{label}: {BY_SEVERITY[worse].name} it is"


def test_several_that_pass_are_counted_together() -> None:
    passed = verdicts(ExitCode.PASS, ExitCode.PASS)
    assert combined(passed, measured(ROWS), 2.0).reason == "6 exchanges, every check held"
    allowed = combined(passed, fault("ask", stats=measured(ROWS)), 2.0)
    assert allowed.code is ExitCode.PASS
    assert allowed.reason == "7 exchanges, 1 error (1 corrupt): as many as the thresholds allow"


def test_several_that_were_interrupted_or_failed() -> None:
    stopped = combined(verdicts(ExitCode.INTERRUPTED, ExitCode.INTERRUPTED), measured(ROWS), 1.25)
    assert stopped.code is ExitCode.INTERRUPTED
    assert stopped.reason == "stopped early, after 1.2 s: 6 exchanges, no errors"
    failed = combined(verdicts(*[ExitCode.FAIL] * 5), measured(ROWS), 2.0)
    said = "a: FAIL it is; b: FAIL it is; c: FAIL it is; and 2 more scenarios"
    assert failed.reason == said


def test_thresholds_of_several_bear_their_labels() -> None:
    pair = [
        ("a", judge(measured(ROWS), [ERRORS], RUN)),
        ("b", judge(fault("login", stats=measured(ROWS)), [FEW_AT_LOGIN, SLOW], RUN)),
    ]
    verdict = combined(pair, measured(ROWS), 2.0)
    assert verdict.code is ExitCode.THRESHOLD
    assert verdict.reason == "b: 1 of 2 thresholds crossed: max < 1ms"
    found = [(one.threshold.text, one.threshold.step, one.met) for one in verdict.thresholds]
    assert found == [
        ("a: errors == 0", None, True),
        ("b: 'login': errors < 5", "b: login", True),
        ("b: max < 1ms", None, False),
    ]


def test_the_verdict_on_one_alone_is_its_own() -> None:
    [alone] = verdicts(ExitCode.FAIL)
    assert combined([alone], measured(ROWS), 2.0) is alone[1]


# --- the generator stood still ------------------------------------------------------------------

STOOD = Stood("the generator stood still for 0.5 s at 1.2 s", 0.5, 1)


def stood(duration: float = 2.0) -> Outcome:
    return Outcome(duration=duration, stood=STOOD)


def test_who_stood_still_and_met_all_thresholds_passes() -> None:
    assert code(measured(ROWS), ERRORS, outcome=stood()) is ExitCode.PASS


def test_a_fault_stays_a_fault_whoever_stood_still() -> None:
    stats = fault("ask", Kind.CORRUPT, stats=measured(ROWS))
    assert code(stats, ERRORS, outcome=stood()) is ExitCode.FAIL


@pytest.mark.parametrize(
    ("threshold", "duration", "expected"),
    [
        (SLOW, 2.0, ExitCode.THRESHOLD),
        (Threshold("max < 35ms", None, "max", "<", 0.035), 2.0, ExitCode.INCONCLUSIVE),
        (Threshold("mean < 25ms", None, "mean", "<", 0.025), 2.0, ExitCode.INCONCLUSIVE),
        (Threshold("mean < 15ms", None, "mean", "<", 0.015), 2.0, ExitCode.THRESHOLD),
        (Threshold("p(95) < 35ms", None, "p", "<", 0.035, 0.95), 2.0, ExitCode.INCONCLUSIVE),
        (Threshold("p(95) < 35ms", None, "p", "<", 0.035, 0.95), 2000.0, ExitCode.THRESHOLD),
        (Threshold("p(95) < 1ms", None, "p", "<", 0.001, 0.95), 2.0, ExitCode.THRESHOLD),
        (Threshold("p(95) < 1ms", None, "p", "<", 0.001, 0.95), 0.9, ExitCode.INCONCLUSIVE),
        (Threshold("rate > 3.5/s", None, "rate", ">", 3.5), 2.0, ExitCode.INCONCLUSIVE),
        (Threshold("rate > 100/s", None, "rate", ">", 100.0), 2.0, ExitCode.THRESHOLD),
        (Threshold("iterations > 7", None, "iterations", ">", 7.0), 2.0, ExitCode.INCONCLUSIVE),
        (Threshold("iterations > 70", None, "iterations", ">", 70.0), 2.0, ExitCode.THRESHOLD),
    ],
)
def test_a_threshold_that_a_standstill_may_have_crossed_is_inconclusive(
    threshold: Threshold, duration: float, expected: ExitCode
) -> None:
    stats = measured(ROWS)
    stats.iterations = 6
    verdict = judge(stats, [threshold], stood(duration))
    assert verdict.code is expected
    if expected is ExitCode.INCONCLUSIVE:
        reason = f"{STOOD.text}, which may be why a threshold was crossed: {threshold.text}"
        assert verdict.reason == reason
    assert code(stats, threshold, outcome=Outcome(duration)) is ExitCode.THRESHOLD


def test_a_threshold_that_was_crossed_anyhow_decides() -> None:
    often = Threshold("rate > 100/s", None, "rate", ">", 100.0)
    assert code(measured(ROWS), SLOW, often, outcome=stood()) is ExitCode.THRESHOLD


def test_connections_that_ended_meanwhile_are_inconclusive() -> None:
    stats = measured(ROWS)
    stats.unjudged = 2
    verdict = judge(stats, [ERRORS], stood())
    assert verdict.code is ExitCode.INCONCLUSIVE
    assert "2 connections ended meanwhile" in verdict.reason


def test_starts_that_were_missed_are_inconclusive() -> None:
    stats = measured(ROWS)
    stats.missed = 50
    verdict = judge(stats, [ERRORS], stood())
    assert verdict.code is ExitCode.INCONCLUSIVE
    assert verdict.reason == f"{STOOD.text}, and missed 50 starts of its schedule"
