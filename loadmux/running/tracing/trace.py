"""One iteration of one user, everything on the wire told as it happens: what `trace` runs.

The steps are those of a run, with the same checks, in this process. Around each stands a `Traced`
one that tells of it; a `Tracer` taps the sockets. After a wrong reply the sockets are listened to
until they fall silent, so that all of what the server has to say is told.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter

from loadmux.errors import DriverFault, Evidence
from loadmux.language.keys.file import IMPLIED
from loadmux.language.meaning.scenario import Load, Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.stats import Stats
from loadmux.measuring.verdict import Outcome, Verdict, judge
from loadmux.running.generators.channel import Channel, pair
from loadmux.running.generators.said import Job, Share, Update
from loadmux.running.generators.worker import Worker
from loadmux.running.interrupts import Interrupts
from loadmux.running.seeds import draw_seed
from loadmux.running.servers.starting import servers_of
from loadmux.running.state import Part, parts_of
from loadmux.running.targets import note_death, urls_of
from loadmux.running.tracing.traced import Linger, Traced, libraries, traced
from loadmux.running.tracing.tracer import Say, Tracer


def trace(
    scenario: Scenario,
    say: Say,
    *,
    check: bool = True,
    poller: str | None = None,
    interrupts: Interrupts | None = None,
) -> ExitCode:
    """Run one iteration of one user. Raises what `run` raises before anything is sent."""
    tracer = Tracer(scenario, say, check)
    part, verdict = watched(tracer, poller, interrupts)
    for line in part.last_lines:
        say(f"| {line}", "dim")
    if not (check or part.died or verdict.code is ExitCode.UNREACHABLE):
        return ExitCode.PASS
    say("", "")
    say(f"{verdict.code.name}: {verdict.reason}", "good" if not verdict.code else "bad")
    return verdict.code


def watched(
    tracer: Tracer, poller: str | None = None, interrupts: Interrupts | None = None
) -> tuple[Part, Verdict]:
    """The run of the tracer's scenario, and the verdict on it. Raises what `trace` does."""
    scenario, say = tracer.scenario, tracer.say
    scenario = replace(scenario, load=Load(users=1, iterations=1, graceful_stop=0.0))
    seed = draw_seed() if scenario.seed is None else scenario.seed
    part = parts_of([replace(scenario, seed=seed)])[0]
    with ExitStack() as stack:
        for name, process in servers_of(scenario, interrupts):
            part.processes[name] = stack.enter_context(process)
        part.urls = urls_of(part)
        for name, url in part.urls.items():
            say(f"{f'target {name}' if name else 'target'}  {url}", "")
        tracer.began = perf_counter()
        verdict = _run(part, tracer, seed, poller)
        tracer.conclude()
    return part, verdict


def _run(part: Part, tracer: Tracer, seed: int, poller: str | None) -> Verdict:
    ours, theirs = pair()
    with ours, theirs:
        worker = Worker(Job((Share(part.scenario, part.urls, range(1)),), seed, poller), theirs)
        _attach(worker, tracer)
        failed, unreachable = None, None
        try:
            final = worker.run()
            worker.portions[0].stats.merge(final.update.parts[0].stats)
            unreachable = next(iter(final.unreachable.values()), None)
        except DriverFault as fault:
            failed = str(fault)
        finally:
            worker.loop.close()
        stats = _measured(worker, ours)
    note_death(part)
    faults = [one for group in stats.faults.values() for one in group.examples]
    for evidence in faults if tracer.check else ():
        if known(evidence) not in map(known, tracer.told):
            tracer.blame(evidence)
    outcome = Outcome(
        duration=perf_counter() - tracer.began,
        unreachable=unreachable,
        generator_failed=failed,
        target_died=part.died,
    )
    return judge(stats, (IMPLIED,), outcome)


def known(evidence: Evidence) -> tuple[str, str, str]:
    """What tells one fault from another; what was told by the worker is a copy."""
    return evidence.kind, evidence.message, evidence.socket


def _measured(worker: Worker, ours: Channel) -> Stats:
    """All that the worker has told, and what it still holds."""
    stats = worker.portions[0].stats.take()
    for update in ours.take():
        if isinstance(update, Update):
            stats.merge(update.parts[0].stats)
    return stats


def _attach(worker: Worker, tracer: Tracer) -> None:
    """Have the worker's only user tell of all that it does."""
    worker.loop.tap = tracer
    (user,) = worker.portions[0].users
    script = user.script
    before, main, after = (
        traced(one, tracer) for one in (script.before, script.steps, script.after)
    )
    opening = [traced(one, tracer) for one in script.on_connect]
    for library in libraries([*before, *main, *after]):
        library.told = lambda operation: Traced(operation, tracer)
    user.script = replace(
        script, before=before, steps=[*main, Linger(tracer)], after=after, on_connect=opening
    )
