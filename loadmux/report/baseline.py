"""Baselines: what runs measured, saved, and what later runs are compared with.

`--save-baseline FILE` writes, for each row of the report, the rate and the latencies of `--repeat`
runs: of each the median, the lowest and the highest. `--baseline FILE` puts them beside those of
the runs now, a note for each row. `--max-regression [STEP:] METRIC=SHARE` is judged as a threshold
on the median: a latency may be that much higher than the saved one, a rate that much lower. Without
a step it holds for every row in which anything is measured, but for the connects.

A baseline of another machine, Python or load is told as one: its figures may differ for that alone.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from loadmux import __version__
from loadmux.errors import UsageError
from loadmux.language.text.nodes import suggestion
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.measured import ThresholdResult
from loadmux.measuring.rows import StepStats
from loadmux.measuring.thresholds import CONNECT, Metric, Operator, Threshold
from loadmux.measuring.verdict import PRECEDENCE, Verdict
from loadmux.report import figures
from loadmux.report.model import Report
from loadmux.report.writing import write_text

VERSION = 1
SHARES = {"50": 0.5, "75": 0.75, "90": 0.9, "95": 0.95, "99": 0.99, "99.9": 0.999, "99.99": 0.9999}
METRICS = ("rate", "mean", *(f"p({percent})" for percent in SHARES), "max")
TOLD = ("rate", "p(50)", "p(99)")
UNJUDGED = frozenset({"connect", "ignored", "other"})
_RULE = re.compile(r"(?:(?P<step>.*):)?\s*(?P<metric>[^:=]+?)\s*=\s*(?P<share>[0-9.]{1,12})\s*%\s*")


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several runs."""

    median: float
    low: float
    high: float


Rows = Mapping[str, Mapping[str, Spread]]
"""Spreads by metric, by the name of the row."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How much worse (0.2: 20%) a metric may get; `step` None: of each row."""

    step: str | None
    metric: str
    share: float
    text: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """`machine` says where it was measured, `load` what was done, both in words."""

    rows: Rows
    runs: int
    machine: Mapping[str, str]
    load: str


# --- reading ------------------------------------------------------------------------------------


def rule(text: str) -> Rule:
    """What `--max-regression` says. Raises UsageError."""
    found = _RULE.fullmatch(text)
    how = "write [STEP:] METRIC=PERCENT, such as p(99)=20% or rate=10%"
    if found is None:
        raise UsageError(f"--max-regression: {text!r} is no limit; {how}")
    metric = found["metric"].replace(" ", "")
    if metric not in METRICS:
        hint = suggestion(metric, METRICS, "there are")
        raise UsageError(f"--max-regression: a baseline has no {metric!r}{hint}")
    try:
        share = float(found["share"]) / 100
    except ValueError:
        raise UsageError(f"--max-regression: {found['share']!r} is no number; {how}") from None
    step = found["step"].strip().strip("'\"") if found["step"] is not None else None
    return Rule(step or None, metric, share, text)


def read(path: Path, rules: Sequence[Rule]) -> Baseline:
    """A baseline that was saved, which has what the rules speak of. Raises UsageError."""
    try:
        found = _baseline(json.loads(path.read_text("utf-8")))
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"cannot read {path}: {why}; --save-baseline {path} writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} is no baseline; --save-baseline writes one") from None
    for one in rules:
        if one.step is not None and one.step not in found.rows:
            hint = suggestion(one.step, list(found.rows), "it has")
            raise UsageError(f"--max-regression: the baseline has no step {one.step!r}{hint}")
    return found


def _baseline(document: Any) -> Baseline:
    if document["loadmux_baseline"] != VERSION:
        raise ValueError
    rows = {
        str(name): {metric: Spread(*map(float, spread)) for metric, spread in row.items()}
        for name, row in document["rows"].items()
    }
    return Baseline(rows, int(document["runs"]), dict(document["machine"]), str(document["load"]))


# --- measuring ----------------------------------------------------------------------------------


def of(reports: Sequence[Report]) -> Baseline:
    """What these runs of the same scenarios measured."""
    measured: dict[str, dict[str, list[float]]] = {}
    for report in reports:
        for row in rows_of(report):
            for metric, value in _figures(row, report).items():
                measured.setdefault(row.name, {}).setdefault(metric, []).append(value)
    rows = {
        name: {metric: _spread(values) for metric, values in found.items()}
        for name, found in measured.items()
    }
    return Baseline(rows, len(reports), machine(), _load(reports[0]))


def _spread(values: list[float]) -> Spread:
    values, half = sorted(values), len(values) // 2
    middle = values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
    return Spread(middle, values[0], values[-1])


def rows_of(report: Report) -> list[StepStats]:
    return [*report.stats.steps.values(), report.stats.connects]


def _figures(row: StepStats, report: Report) -> dict[str, float]:
    found = {"rate": row.rate(report.duration)} if row.right else {}
    if row.histogram.count:
        found["mean"] = row.histogram.mean
        for percent, share in SHARES.items():
            found[f"p({percent})"] = row.histogram.percentile(share)
        found["max"] = row.histogram.high
    return found


def machine() -> dict[str, str]:
    """What the speed of a generator depends on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "loadmux": __version__,
    }


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1].strip() if found is not None else platform.processor()


def _load(report: Report) -> str:
    parts = []
    for part in report.parts:
        load = part.scenario.load
        phases = ", ".join(f"{one.name}: {one.load}" for one in part.phases)
        users = figures.plural(load.users, "user")
        parts.append(f"{part.label or part.scenario.name}: {phases or users}")
    return f"{'; '.join(parts)}; {figures.plural(len(report.workers), 'worker')}"


def write(baseline: Baseline, path: Path) -> None:
    """Save it, whole or not at all. Raises UsageError."""
    document = {
        "loadmux_baseline": VERSION,
        "runs": baseline.runs,
        "machine": baseline.machine,
        "load": baseline.load,
        "rows": {
            name: {metric: [one.median, one.low, one.high] for metric, one in row.items()}
            for name, row in baseline.rows.items()
        },
    }
    write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


# --- comparing ----------------------------------------------------------------------------------


def worst(reports: Sequence[Report]) -> Report:
    """Of several runs the one to show: that with the worst verdict, or the one in the middle."""
    code = min((one.verdict.code for one in reports), key=PRECEDENCE.index)
    those = [one for one in reports if one.verdict.code is code]
    if code is not ExitCode.PASS:
        return those[0]
    return sorted(those, key=lambda one: one.stats.total.rate(one.duration))[(len(those) - 1) // 2]


def compared(report: Report, now: Baseline, before: Baseline, rules: Sequence[Rule]) -> Report:
    """The report with the baseline beside it: notes, and a threshold for each limit of each row."""
    results = tuple(_judged(report, now.rows, before.rows, rules))
    notes = (*report.notes, *_notes(now, before))
    verdict = _with(report.verdict, results)
    if len(report.parts) > 1:
        return replace(report, verdict=verdict, notes=notes)
    part = replace(report.parts[0], verdict=verdict)
    return replace(report, verdict=verdict, notes=notes, parts=(part,))


def _judged(
    report: Report, now: Rows, before: Rows, rules: Sequence[Rule]
) -> Iterator[ThresholdResult]:
    judged = {row.name for row in rows_of(report) if row.kind not in UNJUDGED}
    for one in rules:
        for name in before:
            wanted = name in judged if one.step is None else name == one.step
            if wanted and one.metric in before[name]:
                spread = now.get(name, {}).get(one.metric)
                yield _result(one, name, before[name][one.metric].median, spread)


def _result(one: Rule, name: str, before: float, spread: Spread | None) -> ThresholdResult:
    falls = one.metric == "rate"
    limit = before * (1 - one.share if falls else 1 + one.share)
    op: Operator = ">=" if falls else "<="
    sign = "-" if falls else "+"
    metric, _, percent = one.metric.partition("(")
    limits = f"{_told(one.metric, limit)} (baseline {_told(one.metric, before)} {sign}"
    text = f"{name}: {one.metric} {op} {limits}{one.share * 100:g}%)"
    quantile = SHARES.get(percent.rstrip(")"), 0.0)
    step = CONNECT if name == CONNECT else name
    threshold = Threshold(text, step, cast(Metric, metric), op, limit, quantile)
    if spread is None:
        return ThresholdResult(threshold, None, False)
    met = spread.median >= limit if falls else spread.median <= limit
    return ThresholdResult(threshold, spread.median, met)


def _with(verdict: Verdict, results: tuple[ThresholdResult, ...]) -> Verdict:
    crossed = [one.threshold.text for one in results if not one.met]
    every = verdict.thresholds + results
    if not crossed or verdict.code not in (ExitCode.PASS, ExitCode.THRESHOLD):
        return replace(verdict, thresholds=every)
    more = f", and {len(crossed) - 3} more" if len(crossed) > 3 else ""
    reason = f"slower than the baseline: {', '.join(crossed[:3])}{more}"
    if verdict.code is ExitCode.THRESHOLD:
        reason = f"{verdict.reason}; {reason}"
    return Verdict(ExitCode.THRESHOLD, reason, every)


def _notes(now: Baseline, before: Baseline) -> Iterator[str]:
    yield from _other(now, before)
    for name, row in now.rows.items():
        if name in before.rows:
            told = [_beside(metric, row, before.rows[name]) for metric in TOLD]
            if beside := "; ".join(filter(None, told)):
                yield f"baseline: {name}: {beside}"
        else:
            yield f"baseline: it has no row {name!r}"
    for name in before.rows:
        if name not in now.rows:
            yield f"baseline: nothing was measured of its row {name!r}"


def _beside(metric: str, now: Mapping[str, Spread], before: Mapping[str, Spread]) -> str:
    if metric not in now or metric not in before:
        return ""
    new, old = now[metric], before[metric]
    change = f" ({(new.median / old.median - 1) * 100:+.1f}%)" if old.median else ""
    return f"{metric} {_range(metric, new)}, was {_range(metric, old)}{change}"


def _range(metric: str, spread: Spread) -> str:
    if spread.low == spread.high:
        return _told(metric, spread.median)
    ends = f"{_told(metric, spread.low)}..{_told(metric, spread.high)}"
    return f"{_told(metric, spread.median)} [{ends}]"


def _told(metric: str, value: float) -> str:
    return figures.rate(value) if metric == "rate" else figures.time(value)


def _other(now: Baseline, before: Baseline) -> Iterator[str]:
    """That the baseline is of something else, which may be why figures differ."""
    for name, value in now.machine.items():
        was = before.machine.get(name, "unknown")
        if was != value:
            yield f"baseline: it was made with another {name}: {was}, now {value}"
    if before.load != now.load:
        yield f"baseline: it was made under another load: {before.load}, now {now.load}"
