"""Many runs as one `Report`, so that whatever takes a run's takes theirs: reporters, plugins.

Runs of the same thing are gathered into one part, whose statistics are those of all of them; parts
of different things stand beside each other, each with its label, as several scenarios of a run do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from loadmux.errors import UsageError
from loadmux.measuring.stats import Stats
from loadmux.measuring.timeline import Timeline
from loadmux.measuring.verdict import ExitCode, Verdict
from loadmux.report.model import Report, ScenarioReport


def gathered(known: Report | None, new: Report) -> Report:
    """Two runs of one scenario as one; it passed if one of them did, unless the other one failed.

    That a generator was held up in one of many runs is told by the figures, and no verdict.
    """
    if known is None:
        known = replace(new, parts=(replace(new.parts[0], stats=Stats(), duration=0.0),))
    (before,), (part,) = known.parts, new.parts
    stats = merged([before.stats, part.stats])
    passed = ExitCode.PASS in (before.verdict.code, part.verdict.code)
    failed = ExitCode.FAIL in (before.verdict.code, part.verdict.code)
    earlier = before.verdict.code is (ExitCode.FAIL if failed or not passed else ExitCode.PASS)
    both = replace(
        part,
        stats=stats,
        duration=before.duration + part.duration,
        verdict=before.verdict if earlier else part.verdict,
    )
    return replace(new, parts=(both,), stats=stats, duration=both.duration, started=known.started)


def beside(
    reports: Mapping[str, Report],
    verdict: Verdict,
    seconds: float,
    command: str,
    notes: Sequence[str],
) -> Report:
    """Runs of different things, by their labels, as one that took so many seconds.

    Raises UsageError where there are none.
    """
    parts = [replace(_part(one), label=label) for label, one in reports.items()]
    if not parts:
        raise UsageError("no run was measured, of which it could tell")
    last = list(reports.values())[-1]
    return replace(
        last,
        parts=tuple(parts),
        stats=merged([one.stats.labelled(one.label) for one in parts]),
        duration=seconds,
        verdict=verdict,
        command=command,
        notes=tuple(notes),
        timeline=Timeline(),
        findings=(),
        started=min(one.started for one in reports.values()),
        target_cpu=None,
        generator_cpu=None,
    )


def merged(all_of_them: Iterable[Stats]) -> Stats:
    whole = Stats()
    for one in all_of_them:
        whole.merge(one)
    return whole


def _part(report: Report) -> ScenarioReport:
    (part,) = report.parts
    return part
