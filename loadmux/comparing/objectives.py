"""What a trial says of the objectives: whether they held, by how much, and what broke them.

Objectives are thresholds. Beside them a trial breaks where iterations were dropped (nobody was free
in time to begin them: the load was not there) and where the generator could not do its part. A
reply that is wrong is no matter of load: it ends the search.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadmux.comparing.bench import Measured
from loadmux.comparing.search import Outcome
from loadmux.errors import Kind
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.measured import ThresholdResult, measured_by
from loadmux.measuring.stats import FaultGroup
from loadmux.measuring.thresholds import Threshold
from loadmux.measuring.verdict import LATENCIES, judge
from loadmux.measuring.verdict import Outcome as RunOutcome

WRONG = frozenset(
    {
        *(Kind.CORRUPT, Kind.DUPLICATE, Kind.REORDERED, Kind.CROSSTALK, Kind.SURPLUS),
        *(Kind.MISMATCH, Kind.CHECK),
    }
)
"""What no load excuses."""
FURTHEST = 1.0
GENERATOR, PORTS, DROPPED = "the generator", "ports", "dropped iterations"
NO_PORT = "no free port"


def ended_by(measured: Measured) -> bool:
    """Whether this run leaves nothing to search: the target was wrong, has died, is not there."""
    report = measured.report
    wrong = any(group.kind in WRONG for group in report.stats.faults.values())
    died = report.verdict.code is ExitCode.FAIL and not report.stats.errors
    gone = report.verdict.code in (ExitCode.UNREACHABLE, ExitCode.BROKEN, ExitCode.INTERRUPTED)
    return wrong or died or gone


def outcome(measured: Measured, objectives: Sequence[Threshold]) -> Outcome:
    """How a trial went by these thresholds."""
    stats, report = measured.stats, measured.report
    done = RunOutcome(measured.seconds, phases=(stats,))
    results = judge(stats, objectives, done).thresholds
    margins = [margin(one) for one in results]
    worst = max(range(len(results)), key=margins.__getitem__)
    if report.verdict.code is ExitCode.INCONCLUSIVE and not _whatever(measured, results[worst]):
        return Outcome(FURTHEST, PORTS if NO_PORT in report.verdict.reason else GENERATOR)
    if margins[worst] < 0 and report.verdict.code is ExitCode.FAIL:
        kinds = ", ".join(dict.fromkeys(map(str, (one.kind for one in _faults(measured)))))
        return Outcome(FURTHEST, f"errors: {kinds}")
    if margins[worst] < 0 and not stats.dropped:
        return Outcome(margins[worst])
    if report.limited:
        return Outcome(FURTHEST, GENERATOR)
    if margins[worst] < 0:
        return Outcome(FURTHEST, DROPPED)
    return Outcome(margins[worst], results[worst].threshold.text)


def _whatever(measured: Measured, result: ThresholdResult) -> bool:
    """Whether the generator's own lateness explains nothing: a latency is over its limit by more,
    or nothing was answered at all.
    """
    stats = measured.report.stats
    upset = stats.overrun or stats.missed or stats.unjudged or stats.script_errors
    if upset or any(one.lost or one.stood_still for one in measured.report.workers):
        return False
    if not measured_by(stats).right or result.measured is None:
        return True
    late = stats.starts.histogram.percentile(0.99)
    return result.threshold.metric in LATENCIES and result.measured - late > result.threshold.value


def _faults(measured: Measured) -> list[FaultGroup]:
    return list(measured.report.stats.faults_in_order)


def margin(result: ThresholdResult) -> float:
    """The logarithm of measured/limit, below 0 where the threshold was met."""
    measured, limit = result.measured, result.threshold.value
    if measured is None:
        return FURTHEST
    if limit <= 0 or measured <= 0 or result.threshold.op in ("==", "!="):
        return -FURTHEST if result.met else FURTHEST
    found = math.log(measured / limit)
    if result.threshold.op in (">", ">="):
        found = -found
    found = min(max(found, -FURTHEST), FURTHEST)
    # `<=` is met at the limit itself
    return min(found, -1e-9) if result.met else max(found, 1e-9)
