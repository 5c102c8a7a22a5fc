"""The report as JSON, for programs, in the shape that `jsonschema` states."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadmux import __version__
from loadmux.driver.standstill import Standstill
from loadmux.errors import Evidence, Moment
from loadmux.measuring.consequences import Consequences
from loadmux.measuring.hanging import Overdue
from loadmux.measuring.histogram import Histogram
from loadmux.measuring.measured import ThresholdResult
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import FaultGroup, Stats
from loadmux.measuring.unread import Unread
from loadmux.measuring.volume import Volume
from loadmux.report import said
from loadmux.report.jsonschema import PERCENTILES, SCHEMA_VERSION, WORDS
from loadmux.report.limit import limit
from loadmux.report.model import Finding, PhaseReport, Report, ScenarioReport, TargetReport
from loadmux.report.writing import write_text


def as_json(report: Report) -> dict[str, Any]:
    """The report as values that `json.dumps` takes, in the shape of `SCHEMA`."""
    stats, verdict = report.stats, report.verdict
    duration = report.duration
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": WORDS[verdict.code],
        "exit_code": verdict.code.value,
        "reason": verdict.reason,
        "seed": report.seed,
        "command": report.command,
        "version": __version__,
        "started": report.began.isoformat(timespec="milliseconds"),
        "duration": duration,
        "scenario": {"name": report.scenario.name, "path": report.scenario.path},
        "target": _target(report.targets[0]),
        "targets": [{"name": one.name, **_target(one)} for one in report.targets],
        "exchanges": _exchanges(stats, duration),
        **_bytes(stats.volume),
        "steps": [
            _row(row, part.duration)
            for part in report.parts
            for row in part.stats.labelled(part.label).steps.values()
        ],
        "scenarios": [_scenario(part) for part in report.parts],
        "connects": _row(stats.connects, duration),
        "iterations": stats.iterations,
        "interrupted": stats.interrupted,
        "passed_over": stats.passed_over,
        "ended_idle": stats.ended_idle,
        "dropped": stats.dropped,
        "schedule": _schedule(stats, report.parts),
        "phases": [_phase(phase) for part in report.parts for phase in part.labelled_phases],
        "users": _users(stats),
        "timeline": _timeline(report),
        "thresholds": [_threshold(result) for result in verdict.thresholds],
        "faults": [_group(group, stats.consequences) for group in stats.faults_in_order],
        "script_errors": [
            {"message": errors.text, "count": errors.count}
            for errors in stats.script_errors.values()
        ],
        "hanging": [_hanging(one) for one in stats.overdue()],
        "unread": [
            _unread(url, one) for url, one in stats.unread.items() if one.told(url) is not None
        ],
        "findings": [_finding(one) for one in report.findings],
        "generator": _generator(report, stats),
        "notes": list(report.notes),
    }


def text(report: Report) -> str:
    return json.dumps(as_json(report), indent=2, allow_nan=False) + "\n"


def write(report: Report, path: str | Path) -> None:
    """Write the report to `path`, as `write_text` does."""
    write_text(path, text(report))


def _target(target: TargetReport) -> dict[str, object]:
    return {
        "url": target.url,
        "model": target.model,
        "reply": target.rule,
        "command": list(target.command),
    }


def _scenario(part: ScenarioReport) -> dict[str, Any]:
    scenario, stats = part.scenario, part.stats
    return {
        "name": part.label or scenario.name,
        "path": scenario.path,
        "weight": scenario.weight or 1,
        "verdict": WORDS[part.verdict.code],
        "exit_code": part.verdict.code.value,
        "reason": part.verdict.reason,
        "duration": part.duration,
        "exchanges": _exchanges(stats, part.duration),
        "iterations": stats.iterations,
        "interrupted": stats.interrupted,
        "dropped": stats.dropped,
        "schedule": _schedule(stats, [part]),
        "phases": [_phase(phase) for phase in part.phases],
        "users": _users(stats),
    }


def _timeline(report: Report) -> dict[str, Any]:
    return {
        "interval": report.timeline.interval,
        "points": [
            {
                "at": at,
                "count": measured.count,
                "errors": point.errors,
                "dropped": point.dropped,
                "users": point.users,
                **_bytes(point.volume),
                **_curves(measured.histogram),
            }
            for at, point, measured in report.timeline.of(report.stats.total.kind)
        ],
    }


def _curves(histogram: Histogram) -> dict[str, float | None]:
    if not histogram.count:
        return dict.fromkeys(("p50", "p95", "p99", "max"))
    found = {name: histogram.percentile(PERCENTILES[name]) for name in ("p50", "p95", "p99")}
    return {**found, "max": histogram.high}


def _exchanges(stats: Stats, duration: float) -> dict[str, Any]:
    total = stats.total
    return {"count": total.count, "errors": stats.errors, "rate": total.rate(duration)}


def _users(stats: Stats) -> dict[str, int]:
    return {"started": stats.started, "served": stats.served}


def _row(row: StepStats, duration: float) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "count": row.count,
        "errors": row.errors,
        "rate": row.rate(duration),
        "latency": _latency(row.histogram),
        "service": None if row.service is None else _latency(row.service),
        **_bytes(row.volume),
    }


def _bytes(volume: Volume) -> dict[str, int]:
    return {"bytes_in": volume.received, "bytes_out": volume.sent}


def _schedule(stats: Stats, parts: Sequence[ScenarioReport]) -> dict[str, Any] | None:
    """None where no iteration of these scenarios, which have measured this, starts on one."""
    if not any(part.scenario.load.open for part in parts):
        return None
    return {
        "begun": stats.begun,
        "dropped": stats.dropped,
        "waited": stats.waited,
        "overrun": stats.overrun,
        "missed": stats.missed,
        "lateness": _latency(stats.starts.histogram),
    }


def _phase(phase: PhaseReport) -> dict[str, Any]:
    stats = phase.stats
    row = _row(stats.total, phase.duration)
    del row["kind"]
    return row | {
        "name": phase.name,
        "load": phase.load,
        "duration": phase.duration,
        "errors": stats.errors,
        "iterations": stats.iterations,
        "dropped": stats.dropped,
    }


def _latency(histogram: Histogram) -> dict[str, float] | None:
    if not histogram.count:
        return None
    exact = {"min": histogram.low, "mean": histogram.mean, "max": histogram.high}
    return exact | {name: histogram.percentile(share) for name, share in PERCENTILES.items()}


def _threshold(result: ThresholdResult) -> dict[str, Any]:
    threshold = result.threshold
    return {
        "text": threshold.text,
        "step": threshold.step,
        "metric": threshold.metric,
        "measured": result.measured,
        "met": result.met,
    }


def _group(group: FaultGroup, consequences: Consequences) -> dict[str, Any]:
    key = group.kind, group.step
    _, followed = consequences.from_group(key)
    return {
        "kind": group.kind.value,
        "step": group.step,
        "count": group.count,
        "first": group.first,
        "follows": consequences.following(key),
        "followed_by": [
            {"kind": kind.value, "step": step, "count": count}
            for (kind, step), count in followed.items()
        ],
        "examples": [_example(evidence) for evidence in group.examples],
    }


def _example(evidence: Evidence) -> dict[str, Any]:
    return {
        "message": evidence.message,
        "user": evidence.user,
        "iteration": evidence.iteration,
        "socket": evidence.socket,
        "target": evidence.target,
        "at": evidence.at,
        "offset": evidence.offset,
        "excerpt_at": evidence.excerpt_at,
        "expected": None if evidence.expected is None else evidence.expected.hex(),
        "received": None if evidence.received is None else evidence.received.hex(),
        "said": evidence.said.hex(),
        "said_size": evidence.said_size,
        "said_text": said.text_of(evidence),
        "belongs_to": evidence.belongs_to,
        "transcript": [_moment(moment) for moment in evidence.transcript],
    }


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "at": moment.at,
        "what": moment.what,
        "size": max(moment.size, len(moment.data)),
        "data": moment.data.hex(),
    }


def _hanging(one: Overdue) -> dict[str, Any]:
    return {
        "step": one.step,
        "users": one.users,
        "unserved": one.unserved,
        "waited": one.waited,
        "longest": one.right or None,
        "owed": one.owed,
    }


def _unread(url: str, one: Unread) -> dict[str, Any]:
    return {
        "target": url,
        "stuck": 0 if one.drained else one.stuck,
        "unaccepted": one.unaccepted,
        "sent": one.sent,
        "left": one.left,
        "unknown": one.unknown,
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "target": one.target,
        "url": one.url,
        "text": one.text,
        "fault": one.fault,
    }


def _standstill(worker: int, one: Standstill) -> dict[str, Any]:
    return {
        "worker": worker,
        "at": one.at,
        "seconds": one.seconds,
        "held": one.held,
        "step": one.step,
        "user": one.user,
        "where": one.where,
    }


def _generator(report: Report, stats: Stats) -> dict[str, Any]:
    workers = report.workers
    return {
        "poller": report.poller,
        "busy": max((worker.busy for worker in workers), default=0.0),
        "limited": report.limited,
        "limit": None if (found := limit(report)) is None else found.by,
        "target_cpu": None if report.target_cpu is None else report.target_cpu.cores,
        "late_p99": max((worker.late for worker in workers), default=0.0),
        "stood_still": max((worker.stood_still for worker in workers), default=0),
        "stood": max((worker.stood for worker in workers), default=0.0),
        "spoilt": stats.spoilt,
        "unjudged": stats.unjudged,
        "standstills": [
            _standstill(worker.number, one) for worker in workers for one in worker.standstills
        ],
        "workers": [
            {
                "number": worker.number,
                "users": worker.users,
                "busy": worker.busy,
                "late_p99": worker.late,
                "cpu": worker.cpu,
                "memory": worker.memory,
                "lost": worker.lost,
            }
            for worker in workers
        ],
    }
