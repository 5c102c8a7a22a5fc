"""Results of many runs as JSON files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadmux.comparing import claims
from loadmux.comparing.capacity import Capacity
from loadmux.comparing.contest import Contest, Figures, Out, Point
from loadmux.comparing.entrants import Entrant
from loadmux.errors import UsageError
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.histogram import Histogram
from loadmux.report.baseline import machine

CAPACITY_VERSION = 1
CONTEST_VERSION = 1
FIGURES = ("rate", "p50", "p99", "cpu", "limited", "idle_gone")


def of_capacity(found: Capacity) -> dict[str, Any]:
    """What `--json-file` of `loadmux capacity` holds; times are in seconds."""
    return {
        "loadmux_capacity": CAPACITY_VERSION,
        "machine": machine(),
        "scenario": found.scenario.path,
        "targets": {name: one.called for name, one in found.scenario.servers.items()},
        "objectives": [one.text for one in found.objectives],
        "axis": found.axis,
        "verdict": found.code.name.lower(),
        "answer": asdict(found.answer),
        "seconds": found.seconds,
        "budget_spent": found.spent,
        "law": asdict(found.law) if found.law and not isinstance(found.law, str) else found.law,
        "fault": found.ended.verdict.reason if found.ended is not None else None,
        "points": [asdict(one) for one in found.points],
    }


def text(told: dict[str, Any]) -> str:
    return json.dumps(told, indent=2, allow_nan=False) + "\n"


# --- comparisons --------------------------------------------------------------------------------


def of_contest(contest: Contest) -> dict[str, Any]:
    """What `--json-file` of `loadmux compare` holds: every figure of every round."""
    return {
        "loadmux_comparison": CONTEST_VERSION,
        "machine": dict(contest.machine),
        "scenario": contest.scenario,
        "axis": contest.axis,
        "seconds": contest.seconds,
        "rounds": contest.rounds,
        "took": contest.took,
        "budget_spent": contest.spent,
        "pinned": contest.pinned,
        "others_busy": contest.others,
        "verdict": contest.code.name.lower(),
        "entrants": [asdict(one) for one in contest.entrants],
        "points": [asdict(one) for one in contest.points],
        "figures": [
            {"entrant": entrant, "point": point, "round": number, **_figures(one)}
            for (entrant, point), taken in contest.taken.items()
            for number, one in taken.items()
        ],
        "latencies": [
            {
                "entrant": entrant,
                "point": point,
                **asdict(one),
                "counts": sorted(one.counts.items()),
            }
            for (entrant, point), one in contest.latencies.items()
            if one.count
        ],
        "skipped": sorted(contest.skipped),
        "kept": contest.kept,
        "claims": [
            {
                "claim": one.claim.text,
                "verdict": one.verdict,
                "ratio": one.ratio and asdict(one.ratio),
            }
            for one in claims.judged(contest)
        ],
        "out": [
            {"entrant": entrant, "point": point, "reason": one.reason, "wrong": one.wrong}
            for (entrant, point), one in contest.out.items()
        ],
    }


def _figures(one: Figures) -> dict[str, Any]:
    return {name: getattr(one, name) for name in FIGURES}


def read_contest(path: Path) -> Contest:
    """A comparison that was written. Raises UsageError."""
    try:
        return _contest(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise UsageError(f"{path} is no comparison; compare --json-file writes one") from None


def _contest(told: Any) -> Contest:
    if told["loadmux_comparison"] != CONTEST_VERSION:
        raise ValueError
    entrants = [
        Entrant(**{**one, "options": tuple(map(tuple, one["options"]))}) for one in told["entrants"]
    ]
    points = [Point(**one) for one in told["points"]]
    found = Contest(entrants, points, told["axis"], told["scenario"], told["seconds"])
    for one in told["figures"]:
        entrant, point, number = (one.pop(name) for name in ("entrant", "point", "round"))
        if not (entrant < len(entrants) and point < len(points)):
            raise ValueError
        found.taken.setdefault((entrant, point), {})[number] = Figures(**one)
    for one in told.get("latencies", ()):
        entrant, point = one.pop("entrant"), one.pop("point")
        counts = Counter({int(bucket): int(count) for bucket, count in one.pop("counts")})
        found.latencies[entrant, point] = Histogram(counts, **one)
    for one in told["out"]:
        found.out[one["entrant"], one["point"]] = Out(one["reason"], one["wrong"])
    found.rounds, found.took, found.spent = told["rounds"], told["took"], told["budget_spent"]
    found.pinned, found.others = told["pinned"], told["others_busy"]
    found.blocks = 1 + max((one for taken in found.taken.values() for one in taken), default=-1)
    found.interrupted = told["verdict"] == ExitCode.INTERRUPTED.name.lower()
    found.machine, found.kept = told["machine"], told["kept"]
    found.skipped = frozenset((entrant, point) for entrant, point in told["skipped"])
    return found


def merged(contests: Sequence[Contest]) -> Contest:
    """All in one: the rounds of later ones follow, whose figures are set beside their own only.

    Raises UsageError where they were measured by other means, so that nothing could be compared.
    """
    first = contests[0]
    for other in contests[1:]:
        for name in ("axis", "scenario", "seconds", "machine"):
            if getattr(other, name) != getattr(first, name):
                raise UsageError(f"compare: the files cannot be merged: another {name}")
    entrants = list(dict.fromkeys(one for contest in contests for one in contest.entrants))
    points = sorted(
        dict.fromkeys(one for contest in contests for one in contest.points),
        key=lambda point: point.value,
    )
    whole = Contest(entrants, points, first.axis, first.scenario, first.seconds)
    for contest in contests:
        for (entrant, point), taken in contest.taken.items():
            key = entrants.index(contest.entrants[entrant]), points.index(contest.points[point])
            rounds = whole.taken.setdefault(key, {})
            rounds.update({whole.blocks + number: one for number, one in taken.items()})
            if (entrant, point) in contest.latencies:
                of = contest.latencies[entrant, point]
                whole.latencies.setdefault(key, Histogram()).merge(of)
        for (entrant, point), out in contest.out.items():
            key = entrants.index(contest.entrants[entrant]), points.index(contest.points[point])
            whole.out[key] = out
        whole.kept |= contest.kept
        whole.rounds += contest.rounds
        whole.blocks += contest.blocks
        whole.took += contest.took
        whole.spent = whole.spent or contest.spent
    every = {(e, p) for e in range(len(entrants)) for p in range(len(points))}
    whole.skipped = frozenset(every - whole.taken.keys() - whole.out.keys())
    whole.pinned, whole.machine, whole.others = first.pinned, first.machine, first.others
    return whole
