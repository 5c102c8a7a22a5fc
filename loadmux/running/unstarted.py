"""The report of a run whose target did not start: nothing measured, and a verdict that says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import time

from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Target
from loadmux.measuring.stats import Stats
from loadmux.measuring.verdict import Outcome, combined, judge
from loadmux.report.model import Report, ScenarioReport, TargetReport
from loadmux.running.seeds import draw_seed
from loadmux.running.settings import Settings
from loadmux.running.state import Part, parts_of


def unstarted(scenarios: Sequence[Scenario], settings: Settings, error: Exception) -> Report:
    """For the files that were asked for; `error` is told in one line."""
    seed = next((one.seed for one in scenarios if one.seed is not None), None)
    seed = draw_seed() if seed is None else seed
    reason = " ".join(line.strip() for line in str(error).splitlines())
    parts = tuple(_part(part, seed, reason) for part in parts_of(scenarios))
    stats = Stats()
    return Report(
        parts=parts,
        poller=settings.poller or "",
        duration=0.0,
        stats=stats,
        verdict=combined([(one.label, one.verdict) for one in parts], stats, 0.0),
        seed=seed,
        command=settings.command(seed),
        workers=(),
        started=time(),
    )


def _part(part: Part, seed: int, reason: str) -> ScenarioReport:
    scenario = part.scenario
    outcome = Outcome(duration=0.0, unreachable=reason)
    targets = tuple(_target(name, one) for name, one in scenario.servers.items())
    verdict = judge(part.stats, scenario.thresholds, outcome)
    return ScenarioReport(
        part.label, replace(scenario, seed=seed), targets, 0.0, part.stats, verdict
    )


def _target(name: str, target: Target) -> TargetReport:
    url = "" if target.url is None else str(target.url)
    words = () if target.command is None else target.command.words
    return TargetReport(name, url, target.bundled, target.rule, words)
