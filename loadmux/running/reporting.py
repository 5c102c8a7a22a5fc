"""The report of a run that has ended, each scenario with its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from loadmux.driver.pacer import Rate
from loadmux.language.meaning.scenario import Phase
from loadmux.measuring.stats import Stats
from loadmux.measuring.verdict import Outcome, Stood, combined, judge
from loadmux.report import figures, standstills
from loadmux.report.model import PhaseReport, Report, ScenarioReport, TargetReport
from loadmux.running.generators.said import Final
from loadmux.running.notes import notes
from loadmux.running.settings import Settings
from loadmux.running.state import Part, State, beginnings
from loadmux.running.targets import words


def report(settings: Settings, seed: int, state: State) -> Report:
    workers = state.workers
    finals = [worker.final for worker in workers if worker.final is not None]
    unreached = never_reached(finals)
    generator = tuple(worker.report() for worker in workers)
    stood = standstills.stood(generator)
    parts = tuple(part_report(part, seed, state, unreached, stood) for part in state.parts)
    stats = labelled_stats(parts)
    duration = max(part.elapsed for part in state.parts)
    verdicts = [(one.label, one.verdict) for one in parts]
    return Report(
        parts=parts,
        poller=workers[0].poller,
        duration=duration,
        stats=stats,
        verdict=combined(verdicts, stats, duration),
        seed=seed,
        command=settings.command(seed),
        workers=generator,
        notes=(*standstills.told(generator), *notes(state, finals)),
        trace=state.trace,
        timeline=state.timeline,
        started=state.started,
        findings=tuple(one for part in state.parts for one in part.findings),
        target_cpu=state.cores.target,
        generator_cpu=state.cores.generator,
    )


def labelled_stats(parts: Sequence[ScenarioReport]) -> Stats:
    """What all scenarios measured, each row with its scenario's label."""
    stats = Stats()
    for one in parts:
        stats.merge(one.stats.labelled(one.label))
    return stats


def part_report(
    part: Part, seed: int, state: State, unreached: Mapping[str, str], stood: Stood | None
) -> ScenarioReport:
    scenario = part.scenario
    phases = tuple(phase_reports(part))
    part.unreachable = next(filter(None, map(unreached.get, map(str, part.urls.values()))), None)
    outcome = Outcome(
        duration=part.elapsed,
        phases=tuple(phase.stats for phase in phases),
        broken=state.broken,
        interrupted=state.interrupted,
        unreachable=part.unreachable,
        generator_failed=state.failed,
        target_died=part.died,
        stood=stood,
    )
    return ScenarioReport(
        label=part.label,
        scenario=replace(scenario, seed=seed),
        targets=tuple(
            TargetReport(name, str(part.urls[name]), target.bundled, target.rule, words(part, name))
            for name, target in scenario.servers.items()
        ),
        duration=part.elapsed,
        stats=part.stats,
        verdict=judge(part.stats, scenario.thresholds, outcome),
        phases=phases,
    )


def phase_reports(part: Part) -> Iterator[PhaseReport]:
    load, duration = part.scenario.load, part.elapsed
    begins = beginnings(load)
    for number, (phase, begin) in enumerate(zip(load.phases, begins, strict=True)):
        end = begins[number + 1] if number + 1 < len(begins) else duration
        took = max(0.0, min(end, duration) - begin)
        stats = part.phase_stats(number)
        yield PhaseReport(phase.name, planned(phase), took, stats)


def planned(phase: Phase) -> str:
    """What a phase is to do, in words: `0..500 users`, `2,000/s`."""
    pacer = phase.pacer
    if isinstance(pacer, Rate):
        ends = [figures.rate(rate) for rate in dict.fromkeys((pacer.first, pacer.last))]
        return "..".join(ends)
    ends = [f"{users:,}" for users in dict.fromkeys((pacer.first, pacer.last))]
    return "..".join(ends) + (" user" if ends == ["1"] else " users")


def never_reached(finals: list[Final]) -> dict[str, str]:
    """The URLs that no worker ever reached, and why."""
    reached = {url for final in finals for url in final.reached}
    failed = {url: text for final in finals for url, text in final.unreachable.items()}
    return {url: text for url, text in failed.items() if url not in reached}
