"""Judges a run: thresholds against what was measured, and one exit code that says the outcome.

Pure: statistics in, `Verdict` out. The precedence, strongest first: loadmux itself broke (70),
interrupted (130), target not reached (4), errors beyond what a threshold allows (1), nothing
measured, the generator lost or its schedule not kept (3), another threshold crossed (99), pass (0).
Errors in the scenario's own code are the author's: with them a run is inconclusive at best, for
what they kept from being sent was not checked.

Broken. After a bug or with no memory left nothing is sure, not even a fault that was seen before:
what broke may have been wrong for a while. So nobody is blamed, and what was measured is shown. A
generator process that somebody killed was right until then, and is lost (3).

Errors. A fault counts against the thresholds on `errors` or `error_rate` of its own step and those
of the whole run. The implied `errors == 0` stands in for what the user left unsaid, so it counts
only the steps that no threshold of their own judges: `'login': errors < 5` is not overruled by it
(by an `errors == 0` that the user wrote, it is). A fault that no threshold counts is a failure as
well, and so is a target whose process ended in mid-run.

Samples. A run is measured by its exchanges; by its sends where nothing answers them; by its
receives where nothing is sent; by its connects where nothing is received either. When none of them
succeeded, nothing was measured. A threshold over no samples is crossed, with nothing measured: over
a whole run without samples that is inconclusive; over one step without samples it is a threshold
crossed (99), even one on `errors`, as no reply was wrong.

Schedule (open load). The generator did not keep it when it dropped iterations while it had no pause
itself, or when in some phase every tenth start came more than `BEHIND` late although there was a
user for it. What a slow target makes late or drops is none of its faults. Starts that are less late
than that still count in response times: when one in a hundred is more than `LATE` late, a crossed
threshold on a latency may be the generator's doing, and is inconclusive as well.

Standstills. A generator that stood still (its process was stopped, a step held its loop) has missed
starts, and the figures from then on, for about `RECOVERY` seconds, are not only the target's. A
threshold on them that is crossed, and would not be without that time, makes the run inconclusive;
so does a connection that ended meanwhile, for the target may well have given up a silent client.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadmux.measuring.exitcodes import ExitCode as ExitCode
from loadmux.measuring.measured import (
    ERROR_METRICS,
    OPERATORS,
    ThresholdResult,
    latency,
    measured_by,
    result_of,
    row_of,
    scopes,
)
from loadmux.measuring.stats import Stats
from loadmux.measuring.thresholds import Threshold

NAMED = 3
BEHIND = 0.05
LATE = 0.01
LATENCIES = frozenset({"p", "min", "mean", "max"})
AMOUNTS = frozenset({"rate", "iterations"})
RECOVERY = 0.5


PRECEDENCE = (
    ExitCode.BROKEN,
    ExitCode.INTERRUPTED,
    ExitCode.UNREACHABLE,
    ExitCode.FAIL,
    ExitCode.INCONCLUSIVE,
    ExitCode.THRESHOLD,
    ExitCode.PASS,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is one line for a person, without the word for the code itself."""

    code: ExitCode
    reason: str
    thresholds: tuple[ThresholdResult, ...]


@dataclass(frozen=True, slots=True)
class Stood:
    """That the generator stood still `count` times, for `seconds` in all; `text` says it."""

    text: str
    seconds: float
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run was like beside its statistics; each text is None where it did not happen.

    `phases` are the statistics of each, where there are phases.
    """

    duration: float
    broken: str | None = None
    interrupted: bool = False
    unreachable: str | None = None
    generator_failed: str | None = None
    target_died: str | None = None
    stood: Stood | None = None
    phases: tuple[Stats, ...] = ()


def judge(stats: Stats, thresholds: Sequence[Threshold], outcome: Outcome) -> Verdict:
    """The verdict on a run whose statistics are complete (folded and merged)."""
    results = tuple(
        result_of(stats, threshold, thresholds, outcome.duration) for threshold in thresholds
    )
    code, reason = _conclusion(stats, results, outcome)
    return Verdict(code, reason, results)


def combined(verdicts: Sequence[tuple[str, Verdict]], stats: Stats, duration: float) -> Verdict:
    """One verdict on several scenarios, by their labels: the worst, as the precedence has it.

    `stats` are those of all of them. The thresholds bear the labels of their scenarios.
    """
    if len(verdicts) == 1:
        return verdicts[0][1]
    results = tuple(
        _labelled(label, result) for label, verdict in verdicts for result in verdict.thresholds
    )
    code = min((verdict.code for _, verdict in verdicts), key=PRECEDENCE.index)
    if code is ExitCode.BROKEN:
        return Verdict(code, verdicts[0][1].reason, results)
    if code is ExitCode.PASS:
        return Verdict(code, _passed(stats), results)
    if code is ExitCode.INTERRUPTED:
        return Verdict(code, _stopped(stats, duration), results)
    worst = [f"{label}: {verdict.reason}" for label, verdict in verdicts if verdict.code is code]
    more = f"; and {len(worst) - NAMED} more scenarios" if len(worst) > NAMED else ""
    return Verdict(code, "; ".join(worst[:NAMED]) + more, results)


def _labelled(label: str, result: ThresholdResult) -> ThresholdResult:
    threshold = result.threshold
    step = None if threshold.step is None else f"{label}: {threshold.step}"
    return replace(
        result, threshold=replace(threshold, text=f"{label}: {threshold.text}", step=step)
    )


def _conclusion(
    stats: Stats, results: Sequence[ThresholdResult], outcome: Outcome
) -> tuple[ExitCode, str]:
    """The first rule that applies, in the order of the module's docstring."""
    crossed = [result for result in results if not result.met]
    if outcome.broken is not None:
        return ExitCode.BROKEN, _broken(stats, outcome.broken)
    if outcome.interrupted:
        return ExitCode.INTERRUPTED, _stopped(stats, outcome.duration)
    if outcome.unreachable is not None:
        return ExitCode.UNREACHABLE, outcome.unreachable
    if outcome.target_died is not None:
        return ExitCode.FAIL, f"{outcome.target_died}; {_amount(stats)}, {_errors(stats)}"
    if _failed(stats, results):
        return ExitCode.FAIL, f"{_errors(stats)} in {_amount(stats)}"
    if outcome.generator_failed is not None:
        return ExitCode.INCONCLUSIVE, f"the load generator failed: {outcome.generator_failed}"
    if stats.script_errors:
        return ExitCode.INCONCLUSIVE, _script_errors(stats)
    if not measured_by(stats).right:
        return (
            ExitCode.INCONCLUSIVE,
            f"nothing was measured: {_nothing(stats)}",
        )
    if late := stats.overdue():
        more = f"; and {_plural(len(late) - 1, 'more step')}" if len(late) > 1 else ""
        return ExitCode.INCONCLUSIVE, f"{late[0]}{more}"
    if doubtful := [one.told(url) for url, one in stats.unread.items() if one.doubtful]:
        return ExitCode.INCONCLUSIVE, "; ".join(filter(None, doubtful[:NAMED]))
    if (missed := _schedule_missed(stats, crossed, outcome)) is not None:
        return ExitCode.INCONCLUSIVE, missed
    if (spoilt := _spoilt(stats, crossed, outcome)) is not None:
        return ExitCode.INCONCLUSIVE, spoilt
    if crossed:
        texts = ", ".join(result.threshold.text for result in crossed[:NAMED])
        texts += f", and {len(crossed) - NAMED} more" if len(crossed) > NAMED else ""
        share = f"{len(crossed)} of {_plural(len(results), 'threshold')}"
        return ExitCode.THRESHOLD, f"{share} crossed: {texts}"
    return ExitCode.PASS, _passed(stats)


def _broken(stats: Stats, reason: str) -> str:
    return f"loadmux itself broke: {reason}; until then {_amount(stats)}, {_errors(stats)}"


def _stopped(stats: Stats, duration: float) -> str:
    return f"stopped early, after {duration:.1f} s: {_amount(stats)}, {_errors(stats)}"


def _passed(stats: Stats) -> str:
    if stats.errors:
        return f"{_amount(stats)}, {_errors(stats)}: as many as the thresholds allow"
    return f"{_amount(stats)}, every check held"


def _schedule_missed(
    stats: Stats, crossed: Sequence[ThresholdResult], outcome: Outcome
) -> str | None:
    """Why the schedule was not kept, where that was the generator's own fault."""
    could_not = "the load generator could not keep its schedule"
    if stats.overrun:
        dropped = _plural(stats.overrun, "iteration")
        return f"{could_not}: it had no time for {dropped}; give it more --workers or a lower rate"
    late = max((phase.starts.histogram.percentile(0.9) for phase in outcome.phases), default=0.0)
    if late > BEHIND:
        return f"{could_not}: one start in ten was more than {late * 1e3:.0f} ms late"
    late = stats.starts.histogram.percentile(0.99)
    doubtful = [r.threshold.text for r in crossed if r.threshold.metric in LATENCIES]
    if late > LATE and doubtful:
        return (
            f"one start in a hundred was more than {late * 1e3:.0f} ms late through the generator,"
            f" which may be why a threshold was crossed: {doubtful[0]}"
        )
    return None


def _spoilt(stats: Stats, crossed: Sequence[ThresholdResult], outcome: Outcome) -> str | None:
    """What cannot be said as the generator stood still, if that is what decides."""
    stood = outcome.stood
    if stood is None:
        return None
    if stats.unjudged:
        ended = _plural(stats.unjudged, "connection")
        return f"{stood.text}, and {ended} ended meanwhile: nobody can say whose doing that is"
    if stats.missed:
        return f"{stood.text}, and missed {_plural(stats.missed, 'start')} of its schedule"
    doubtful = [one for one in crossed if _doubtful(stats, one, stood, outcome.duration)]
    if not doubtful or len(doubtful) < len(crossed):
        return None
    first = doubtful[0].threshold.text
    return f"{stood.text}, which may be why a threshold was crossed: {first}"


def _doubtful(stats: Stats, result: ThresholdResult, stood: Stood, duration: float) -> bool:
    """Whether a threshold might have been met, had the generator not stood still.

    Of the latencies as many as fall into the time that it spoilt may be its doing: the slowest.
    """
    threshold, measured = result.threshold, result.measured
    if threshold.metric in ERROR_METRICS:
        return False
    if measured is None or threshold.metric == "dropped":
        return True
    if threshold.metric in AMOUNTS:
        if stood.seconds >= duration:
            return True
        otherwise = measured * duration / (duration - stood.seconds)
    else:
        spoilt = (stood.seconds + stood.count * RECOVERY) / duration if duration else 1.0
        row = row_of(stats, threshold)
        fastest = row.histogram.fastest(1 - spoilt) if row is not None else None
        if fastest is None or not fastest.count:
            return True
        otherwise = latency(fastest, threshold)
    return bool(OPERATORS[threshold.op](otherwise, threshold.value))


def _script_errors(stats: Stats) -> str:
    count = sum(errors.count for errors in stats.script_errors.values())
    first = next(iter(stats.script_errors.values())).text
    return f"{_plural(count, 'error')} in the scenario's code: {first}"


def _nothing(stats: Stats) -> str:
    row = measured_by(stats)
    if row.kind == "connect" and not row.count:
        return "the scenario sends and expects nothing"
    return f"no {row.kind} succeeded"


def _failed(stats: Stats, results: Sequence[ThresholdResult]) -> bool:
    """Whether an errors threshold is crossed by what was measured, or a fault escapes them all."""
    judging = [result for result in results if result.threshold.metric in ERROR_METRICS]
    if any(not result.met and result.measured is not None for result in judging):
        return True
    if any(result.threshold.step is None for result in judging):
        return False
    judged = scopes(stats, [result.threshold for result in judging])
    return any(group.step not in judged for group in stats.faults.values())


def _amount(stats: Stats) -> str:
    row = measured_by(stats)
    return _plural(row.count, row.kind)


def _errors(stats: Stats) -> str:
    """`3 errors (1 timeout, 2 corrupt)`, the kind that began first at first."""
    if not stats.errors:
        return "no errors"
    kinds: Counter[str] = Counter()
    for group in stats.faults_in_order:
        kinds[group.kind] += group.count
    listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return f"{_plural(stats.errors, 'error')} ({listed})"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
