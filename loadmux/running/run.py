"""Runs scenarios: targets up, generator processes up, statistics merged, one Report at the end.

The generator always runs in processes of its own (`worker`), also when there is only one: what
draws the live view then never delays the loop, and there is one way of doing things. This process
only listens to them. A worker that dies or falls silent is named in the report and makes the run
inconclusive; what it had told until then is kept.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate
from time import monotonic, perf_counter, time

from loadmux.driver.endpoint import bind
from loadmux.driver.pacer import Rate
from loadmux.driver.poller import check_poller
from loadmux.driver.sources import sources
from loadmux.errors import DriverFault, Kind, UsageError
from loadmux.language.scenario import Load, Phase, Scenario
from loadmux.language.servers import Url
from loadmux.language.shares import labels
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import Stats
from loadmux.measuring.timeline import Timeline
from loadmux.measuring.verdict import Outcome, Stood, combined, judge
from loadmux.report import figures, standstills
from loadmux.report.model import (
    Finding,
    Listener,
    PhaseReport,
    Progress,
    Report,
    ScenarioReport,
    TargetReport,
)
from loadmux.running import breakdown
from loadmux.running.compiling.endpoints import resolve
from loadmux.running.cores import Cores
from loadmux.running.generators.barriers import Blocked, Coordinator, Open
from loadmux.running.generators.channel import wait
from loadmux.running.generators.outside import LISTEN_FOR, Worker, await_ready, death, ended, spawn
from loadmux.running.generators.said import STOP, Failed, Final, Go, Job, Share, Update
from loadmux.running.interrupts import HURRY, Interrupts, blocked
from loadmux.running.ownclock import OwnClock
from loadmux.running.processes import ServerProcess
from loadmux.running.remedies import remedies
from loadmux.running.seeds import draw_seed
from loadmux.running.starting import connections, servers_of
from loadmux.running.watching import Watched, leaves_work, local, record, watched
from loadmux.running.weak import weak_rule_notes

SPARE_DESCRIPTORS = 32
SELECT_LIMIT = 1024
SILENT_AFTER = 5.0
CLOSING_TIME = 10.0
SPOILT = "the generator stood still meanwhile"
HURRY_WITHIN = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """What is not the scenario's business; `command` tells, for a seed, how to repeat the run.

    `watch`: look also at servers that we have not started. `listeners` hear in this process of all
    that workers tell.
    """

    workers: int = 1
    poller: str | None = None
    command: Callable[[int], str] = str
    interrupts: Interrupts = field(default_factory=Interrupts)
    watch: bool = False
    listeners: Sequence[Listener] = ()
    held: Mapping[str, ServerProcess] = field(default_factory=dict)


@dataclass(slots=True)
class Part:
    """A scenario in this run: its targets and what it measured.

    `label` tells its rows from those of the others ("" where there are none), `first` is the number
    of its first user. `rows` has all its rows, without samples. `phases` has what was measured in
    each phase, by its number.
    """

    scenario: Scenario
    label: str
    first: int
    processes: dict[str, ServerProcess] = field(default_factory=dict)
    urls: dict[str, Url] = field(default_factory=dict)
    rows: Stats = field(default_factory=Stats)
    stats: Stats = field(default_factory=Stats)
    phases: dict[int, Stats] = field(default_factory=dict)
    elapsed: float = 0.0
    died: str | None = None
    last_lines: list[str] = field(default_factory=list)
    watched: list[Watched] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    unreachable: str | None = None
    barriers: Coordinator = field(default_factory=Coordinator)

    def phase_stats(self, number: int) -> Stats:
        """What was measured in a phase, in all the rows."""
        if number not in self.phases:
            self.phases[number] = Stats()
            self.phases[number].merge(self.rows)
        return self.phases[number]

    def kind_of(self, row: StepStats) -> str:
        """The kind of a row that has been merged into `stats`."""
        return self.stats.row_of(row.of, row.kind, row.name).kind

    def say(self, text: str) -> str:
        return f"{self.label}: {text}" if self.label else text


@dataclass(slots=True)
class State:
    """The run as it stands.

    `failed` is why the generator could not go on, `broken` why that was loadmux's own fault.
    """

    parts: list[Part]
    workers: list[Worker] = field(default_factory=list)
    interrupted: bool = False
    aborted: bool = False
    failed: str | None = None
    broken: str | None = None
    trace: str = ""
    began: float = 0.0
    shown: float = 0.0
    interval: Stats = field(default_factory=Stats)
    timeline: Timeline = field(default_factory=Timeline)
    started: float = 0.0
    listeners: Sequence[Listener] = ()
    cores: Cores = field(default_factory=Cores)
    reserve: bytearray = field(default_factory=lambda: bytearray(breakdown.RESERVE))

    @property
    def over(self) -> bool:
        """Whether there is no reason to go on."""
        return self.interrupted or bool(self.failed or self.broken)

    @property
    def running(self) -> set[object]:
        """Who will tell more: the numbers of a worker and of a scenario."""
        parts = range(len(self.parts))
        return {(one.number, part) for one in self.workers if not one.over for part in parts}

    def breaks(self, reason: str, trace: str = "") -> None:
        """loadmux itself broke; `trace` is the traceback of a bug."""
        if self.broken is None:
            self.broken, self.trace = reason, trace

    def kill_workers(self) -> None:
        for worker in self.workers:
            worker.process.kill()


def check_limits(scenarios: Sequence[Scenario], settings: Settings) -> None:
    """Refuse before anything is sent what could only fail half-way. Raises UsageError."""
    check_poller(settings.poller)
    for source in {one.source for scenario in scenarios for one in scenario.sockets}:
        if source is not None:
            block = sources(source)
            for address in dict.fromkeys((block[0], block[-1])):
                check_source(address)
    bundled = [
        connections(name, scenario)
        for scenario in scenarios
        for name, target in scenario.servers.items()
        if target.bundled is not None
    ]
    check_descriptors("the bundled target", max(bundled, default=0), "use fewer users")
    needed = sum(
        -(-scenario.load.users // settings.workers) * len(scenario.sockets)
        for scenario in scenarios
    )
    check_descriptors("a worker", needed, "use fewer users or more --workers")
    needed += SPARE_DESCRIPTORS
    if settings.poller == "select" and needed > SELECT_LIMIT:
        raise UsageError(
            f"--poller select: {needed} descriptors a worker are more than FD_SETSIZE"
            f" ({SELECT_LIMIT}); use --poller epoll or poll, fewer users, or more --workers"
        )


def check_descriptors(who: str, wanted: int, remedy: str) -> None:
    """Raises UsageError where a process may not open so many connections."""
    needed, limit = wanted + SPARE_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit != resource.RLIM_INFINITY and needed > limit:
        raise UsageError(
            f"{wanted} connections: {who} needs {needed} descriptors, the hard limit is {limit}:"
            f" raise it (`ulimit -Hn`), or {remedy}"
        )


def check_source(source: str) -> None:
    """Raises UsageError where sockets cannot be bound to this address."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        try:
            bind(sock, source)
        except DriverFault as fault:
            raise UsageError(f"source: {fault}") from None


def lying(scenarios: Sequence[Scenario], fault: str) -> tuple[Scenario]:
    """The scenario with its bundled target told to lie in this way. Raises UsageError."""
    scenario = scenarios[0]
    servers = dict(scenario.servers)
    if len(servers) > 1 or len(scenarios) > 1:
        raise UsageError("--fault: there are several targets; write 'fault: NAME' in one of them")
    for name, target in servers.items():
        if target.bundled is None:
            raise UsageError("--fault: only a bundled target can be told to lie")
        servers[name] = replace(target, options={**target.options, "fault": fault})
    return (scenario.with_servers(servers),)


def run(
    scenarios: Sequence[Scenario], settings: Settings, show: Callable[[Progress], None]
) -> Report:
    """Run scenarios to a verdict; `show` is called a few times a second.

    Raises UsageError when nothing can be sent, TargetFailed when a target does not start, Broken or
    DriverFault where a generator process does not. An interrupt ends the run early, and so does
    what breaks in loadmux itself; what was measured until then is in the report.
    """
    check_limits(scenarios, settings)
    given = (scenario.seed for scenario in scenarios if scenario.seed is not None)
    seed = next(given, None)
    seed = draw_seed() if seed is None else seed
    state = State(parts_of(scenarios), listeners=settings.listeners)
    with surviving(state), ExitStack() as stack:
        for part in state.parts:
            part.processes.update(settings.held)
            for name, process in servers_of(part.scenario, settings.interrupts, settings.held):
                part.processes[name] = stack.enter_context(process)
            part.urls = urls_of(part)
        for part in state.parts:
            watch(part, settings.watch)
        stack.enter_context(started(state, seed, settings))
        conduct(state, settings.interrupts, show)
        if not (state.over or any(worker.lost for worker in state.workers)):
            for part in state.parts:
                look_at(part, state.began, lambda: settings.interrupts.count > 0)
    return report(settings, seed, state)


def parts_of(scenarios: Sequence[Scenario]) -> list[Part]:
    """The scenarios with their labels, their users numbered on from each other's."""
    starts = accumulate((scenario.load.users for scenario in scenarios), initial=0)
    return [Part(*each) for each in zip(scenarios, labels(scenarios), starts, strict=False)]


def urls_of(part: Part) -> dict[str, Url]:
    """Where the targets listen, by name. Raises TargetFailed where a host has no address."""
    urls = {}
    for name, target in part.scenario.servers.items():
        url = part.processes[name].url if name in part.processes else target.url
        assert url is not None
        resolve(url)
        urls[name] = url
    return urls


@contextmanager
def surviving(state: State) -> Iterator[None]:
    """Within the block: what breaks when something may have been measured is left to the report."""
    try:
        yield
    except Exception as error:
        if not state.began:
            raise
        state.reserve.clear()
        state.breaks(breakdown.told(error), breakdown.traced(error))


@contextmanager
def started(state: State, seed: int, settings: Settings) -> Iterator[None]:
    """Worker processes, each with its job, all of them ready; none is left after the block."""
    parts, workers = state.parts, state.workers
    stride = min(settings.workers, sum(part.scenario.load.users for part in parts))
    try:
        with settings.interrupts.undone_by(state.kill_workers):
            for number in range(stride):
                shares = tuple(share_of(part, number, stride) for part in parts)
                with blocked():
                    workers.append(spawn(number, sum(len(share.numbers) for share in shares)))
                workers[-1].channel.put(Job(shares, seed, settings.poller, number, stride))
            state.cores = Cores(roots_of(parts))  # while they start
            await_ready(workers)
            for part, rows in zip(parts, workers[0].rows, strict=True):  # all have the same
                part.rows = rows
                part.stats.merge(rows)
            settings.interrupts.measuring()
        yield
    finally:
        for worker in workers:
            worker.channel.close()
        for worker in workers:
            ended(worker.process)


def share_of(part: Part, number: int, stride: int) -> Share:
    """Worker `number` of `stride` runs the users whose numbers leave that remainder."""
    first, last = part.first, part.first + part.scenario.load.users
    numbers = range(first + (number - first) % stride, last, stride)
    return Share(part.scenario, part.urls, numbers, first)


# --- while it runs ------------------------------------------------------------------------------


def conduct(state: State, interrupts: Interrupts, show: Callable[[Progress], None]) -> None:
    """Start all workers at once, listen until each has ended, one way or the other."""
    workers = state.workers
    state.began = state.shown = monotonic()
    state.started = time()
    clock = OwnClock()
    state.cores.begin([worker.process.pid for worker in workers])
    go = Go(perf_counter())
    for worker in workers:
        worker.channel.put(go)
    stopping = hurried = None
    while running := [worker for worker in workers if not worker.over]:
        wait([worker.channel for worker in running], LISTEN_FOR)
        now = clock.now()
        for worker in running:
            hear(worker, state, now)
        if stopping is None:
            open_barriers(running, state)
        look_for_silence(running, now)
        state.cores.look()
        show_progress(workers, state, show)
        for part in state.parts:
            note_death(part)
            for one in part.watched:
                one.look(any(worker.owing for worker in running))
        died = any(part.died for part in state.parts)
        state.aborted = any(one.final is not None and one.final.aborted for one in workers)
        state.interrupted = interrupts.count > 0
        if stopping is None and (state.over or state.aborted or died):
            stopping = now
            for worker in running:
                worker.channel.put(STOP)
        if hurried is None and interrupts.count >= HURRY:
            hurried = now
        give_up(running, state, stopping, now)
        if hurried is not None and now > hurried + HURRY_WITHIN:
            leave_behind(running)


def note_death(part: Part) -> None:
    """Write down how one of its targets ended on its own, and what it said last."""
    for name, process in part.processes.items():
        died = None if part.died else process.died()
        if died is not None:
            part.died = f"{name}: {died}" if name else died
            part.last_lines = process.last_lines()


def open_barriers(workers: list[Worker], state: State) -> None:
    """Open, for each scenario, the barrier at which all that still run wait, if there is one.

    None where time is up for good: who leaves then was interrupted, the others are about to be.
    """
    running = [worker for worker in workers if not worker.over]
    for number, part in enumerate(state.parts):
        if monotonic() >= latest_end(part, state.began):
            continue
        name = part.barriers.decide([worker.number for worker in running])
        if name is not None:
            for worker in running:
                worker.channel.put(Open(name, number))


def hear(worker: Worker, state: State, now: float) -> None:
    """Take what a worker has said by `now` (own seconds); its end without a last word is a loss."""
    for said in worker.channel.take():
        worker.heard = now
        note(said, worker, state)
    if worker.channel.gone and not worker.over:
        how, own = death(worker)
        worker.lost = f"{how} after {monotonic() - state.began:.1f} s"
        if own:
            state.breaks(f"generator process {worker.number} {worker.lost}")
        else:
            state.failed = state.failed or f"generator process {worker.number} {worker.lost}"


def note(said: object, worker: Worker, state: State) -> None:
    match said:
        case Blocked(part=part):
            state.parts[part].barriers.hear(worker.number, said)
        case Update():
            absorb(said, worker, state)
        case Final():
            worker.final = said
            absorb(said.update, worker, state)
        case Failed(reason=reason, update=update, broken=broken, trace=trace):
            worker.lost = reason
            if broken:
                state.breaks(f"generator process {worker.number}: {reason}", trace)
            else:
                state.failed = state.failed or reason
            if update is not None:
                absorb(update, worker, state)


def absorb(update: Update, worker: Worker, state: State) -> None:
    worker.health = update.health
    rows = (row for one in update.parts.values() for row in one.stats.steps.values())
    worker.owing = update.health.owed or any(row.count for row in rows)
    worker.standstills.extend(update.standstills)
    for number, measured in update.parts.items():
        part = state.parts[number]
        worker.active[number] = measured.active
        part.stats.merge(measured.stats)
        part.elapsed = max(part.elapsed, measured.elapsed)
        told = (worker.number, number), measured.elapsed
        state.timeline.add(*told, measured.stats, measured.active, part.kind_of)
        for hear in state.listeners:
            labelled = measured.stats.labelled(part.label)
            hear(*told, labelled, measured.active, state.running, update.health.late)
        state.interval.merge(measured.stats.labelled(part.label))
        if part.scenario.load.phases:
            part.phase_stats(measured.phase).merge(measured.stats)


def look_for_silence(running: list[Worker], now: float) -> None:
    for worker in running:
        if now - worker.heard > SILENT_AFTER:
            worker.silent = max(worker.silent, now - worker.heard)


def give_up(running: list[Worker], state: State, stopping: float | None, now: float) -> None:
    """End workers that are past their time and have fallen silent, or are long past it.

    `stopping` and `now` are own seconds: in those in which this process stood still itself, nobody
    could be heard.
    """
    due = max(latest_end(part, 0.0) for part in state.parts) if stopping is None else stopping
    patience = max(part.scenario.timeout for part in state.parts) + CLOSING_TIME
    for worker in running:
        silent = now - worker.heard
        if not worker.over and (now > due + patience or (now > due and silent > SILENT_AFTER)):
            worker.lost = f"did not answer for {silent:.1f} s and was ended"
            state.failed = state.failed or f"generator process {worker.number} {worker.lost}"
            worker.process.kill()


def leave_behind(running: list[Worker]) -> None:
    """End at once who does not end in order though the run was interrupted twice."""
    for worker in running:
        if not worker.over:
            worker.lost = "was ended by the second interrupt"
            worker.process.kill()


def latest_end(part: Part, began: float) -> float:
    """When the last users of a scenario are interrupted, in seconds as `began`; a bit early.

    Each worker counts from when it heard `Go`, which is later.
    """
    load = part.scenario.load
    if load.run_time is None:
        return float("inf")
    return began + load.run_time + load.graceful_stop


def show_progress(workers: list[Worker], state: State, show: Callable[[Progress], None]) -> None:
    now = monotonic()
    span = now - state.shown
    recent = state.interval.total
    if span < 0.5 or (not recent.count and span < 1.0):
        return
    elapsed = now - state.began
    times = [part.scenario.load.run_time for part in state.parts]
    known = [time for time in times if time is not None]
    show(
        Progress(
            elapsed=elapsed,
            time_left=max(0.0, max(known) - elapsed) if len(known) == len(times) else None,
            users=sum(sum(worker.active.values()) for worker in workers if not worker.over),
            exchanges=sum(part.stats.total.count for part in state.parts),
            rate=recent.right / span,
            errors=sum(part.stats.errors for part in state.parts),
            p50=recent.histogram.percentile(0.5),
            p99=recent.histogram.percentile(0.99),
            dropped=sum(part.stats.dropped for part in state.parts),
            phase=", ".join(filter(None, (phase_at(part, elapsed) for part in state.parts))),
        )
    )
    state.shown, state.interval = now, Stats()


def phase_at(part: Part, elapsed: float) -> str:
    """`name (2 of 3)`, or nothing where there is but one."""
    load = part.scenario.load
    if len(load.phases) < 2:
        return ""
    number = sum(begin <= elapsed for begin in beginnings(load))
    return part.say(f"{load.phases[number - 1].name} ({number} of {len(load.phases)})")


def beginnings(load: Load) -> list[float]:
    """When each phase is to begin, in seconds since the start."""
    times = [phase.pacer.seconds for phase in load.phases]
    return [sum(times[:number]) for number in range(len(times))]


# --- the targets' processes ---------------------------------------------------------------------


def roots_of(parts: Sequence[Part]) -> set[int]:
    """The processes of this machine that are the targets; none where one of them is elsewhere."""
    found: set[int] = set()
    for part in parts:
        for name, url in part.urls.items():
            process = part.processes.get(name)
            roots = local(url) if process is None else [process.process.pid]
            if not roots:
                return set()
            found |= set(roots)
    return found


def watch(part: Part, always: bool) -> None:
    """Look at the targets' processes, as they are before any client."""
    scenario = part.scenario
    for name, url in part.urls.items():
        target, process = scenario.servers[name], part.processes.get(name)
        wanted = always or target.watch is not None
        roots = [process.process.pid] if process is not None else local(url) if wanted else []
        if roots:
            label = part.say(name) if name else part.label
            part.watched.append(watched(label, url, roots, name, scenario))
        elif wanted:
            part.unseen.append(f"no process that listens at {url} can be looked at from here")


def look_at(part: Part, began: float, given_up: Callable[[], bool]) -> None:
    """After the last client: what the targets' processes do then; `began` is a `monotonic` time."""
    for one in part.watched:
        part.findings += one.findings(given_up, leaves_work(part.stats))
    record([one for one in part.findings if one.fault], part.stats, began)


# --- at the end ---------------------------------------------------------------------------------


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


def words(part: Part, name: str) -> tuple[str, ...]:
    """The command that started a target, if there is one."""
    started = part.scenario.servers[name].command is not None and name in part.processes
    return part.processes[name].words if started else ()


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


def notes(state: State, finals: list[Final]) -> Iterator[str]:
    """Remarks that a person should not have to find out alone."""
    if state.aborted:
        yield "the first fault ended the run (on_error: abort)"
    for part in state.parts:
        yield from map(part.say, notes_on(part, state, len(finals)))


def notes_on(part: Part, state: State, workers: int) -> Iterator[str]:
    """Remarks on one scenario, in a run with so many workers."""
    scenario, stats = part.scenario, part.stats
    if part.died is not None:
        yield part.died + "; the faults after that are its death, not as many bugs"
    if len(part.last_lines) > 1:
        yield "the last lines that it printed:"
        yield from (f"| {line}" for line in part.last_lines)
    ended_early = state.over or state.aborted or part.died or part.unreachable
    missing = 0 if scenario.load.phases else scenario.load.users - stats.started
    if not ended_early and missing > 0:
        yield (
            f"{missing} of {scenario.load.users} users were never started, the run ended first:"
            " give it a longer --run-time, a higher --spawn-rate, or more --workers"
        )
    if stats.slow_connects:
        yield (
            f"{stats.slow_connects} connects took about 1 s or more: the target's accept queue was"
            " full and the kernel sent SYN again; give listen() a larger backlog, or a --spawn-rate"
        )
    if stats.spoilt:
        yield f"{figures.plural(stats.spoilt, 'latency', 'latencies')} not measured: {SPOILT}"
    if stats.unjudged:
        ended = figures.plural(stats.unjudged, "connection")
        yield f"{ended} ended while the generator stood still, which is neither right nor wrong"
    unserved = 0 if state.interrupted or part.unreachable else stats.started - stats.served
    if unserved > 0:
        yield f"{unserved} of {stats.started} users never completed an iteration"
    yield from map(str, stats.overdue())
    yield from filter(None, (one.told(url) for url, one in stats.unread.items()))
    kinds = {group.kind for group in stats.faults.values()}
    if scenario.load.users > 1 and workers > 1 and kinds & {Kind.CORRUPT, Kind.MISMATCH}:
        yield (
            "another worker's users are recognized only by ${user} in what they send or expect;"
            " other bytes of theirs count as corrupt or mismatch: look again with --workers 1"
        )
    for errors in stats.script_errors.values():
        times = "" if errors.count == 1 else f" ({errors.count} times)"
        yield f"error in the scenario's code: {errors.text}{times}"
    yield from part.unseen
    yield from weak_rule_notes(scenario)
    yield from remedies(scenario, stats)
