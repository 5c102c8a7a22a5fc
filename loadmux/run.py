"""Runs a scenario: target up, generator processes up, statistics merged, one Report at the end.

The generator always runs in processes of its own (`worker`), also when there is only one: what
draws the live view then never delays the loop, and there is one way of doing things. This process
only listens to them. A worker that dies or falls silent is named in the report and makes the run
inconclusive; what it had told until then is kept.
"""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from types import FrameType

from loadmux.driver.connection import bind
from loadmux.driver.poller import check_poller
from loadmux.errors import DriverFault, Kind, TargetFailed, UsageError
from loadmux.report.model import Progress, Report, WorkerReport
from loadmux.rules import rule as rule_named
from loadmux.scenario import ByRule, Exchange, Scenario, Target, Url
from loadmux.script import draw_seed, flat, resolve
from loadmux.stats import Stats
from loadmux.target import TargetProcess, describe
from loadmux.verdict import Outcome, judge
from loadmux.worker import GO, STOP, Failed, Final, Job, Ready, Update

# Not `-m`, and with -P: the folder that a user stands in may hold a select.py of their own.
WORKER = "import sys; sys.path.append(sys.argv[2]); from loadmux.worker import main; main()"
PACKAGE_AT = str(Path(__file__).resolve().parents[1])
SPARE_DESCRIPTORS = 32
SELECT_LIMIT = 1024
SILENT_AFTER = 5.0
LISTEN_FOR = 0.25
START_WITHIN = 60.0
CLOSING_TIME = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What is not the scenario's business; `command` tells, for a seed, how to repeat the run."""

    workers: int = 1
    poller: str | None = None
    command: Callable[[int], str] = str


@dataclass(slots=True)
class Worker:
    """One generator process, seen from here."""

    number: int
    users: int
    process: subprocess.Popen[bytes]
    pipe: Connection
    poller: str = ""
    heard: float = 0.0
    last: Update | None = None
    final: Final | None = None
    lost: str | None = None
    silent: float = 0.0

    @property
    def over(self) -> bool:
        return self.final is not None or self.lost is not None

    def report(self) -> WorkerReport:
        last = self.final.update if self.final is not None else self.last
        lost = self.lost
        if lost is None and self.silent:
            lost = f"did not answer for {self.silent:.1f} s, then went on"
        if last is None:
            return WorkerReport(self.number, self.users, lost=lost)
        return WorkerReport(
            self.number, self.users, last.busy, last.late, last.cpu, last.memory, lost
        )


@dataclass(slots=True)
class State:
    """The run as it stands."""

    stats: Stats = field(default_factory=Stats)
    interrupted: bool = False
    failed: str | None = None
    died: str | None = None
    began: float = 0.0
    shown: float = 0.0
    interval: Stats = field(default_factory=Stats)


def check_limits(scenario: Scenario, settings: Settings) -> None:
    """Refuse before anything is sent what could only fail half-way. Raises UsageError."""
    check_poller(settings.poller)
    for one in scenario.sockets:
        if one.source is not None:
            check_source(one.source)
    target = scenario.target
    alone = target is not None and target.bundled is not None
    users = scenario.load.users if alone else -(-scenario.load.users // settings.workers)
    needed = users * len(scenario.sockets) + SPARE_DESCRIPTORS
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit != resource.RLIM_INFINITY and needed > limit:
        who = "the bundled target" if alone else "a worker"
        raise UsageError(
            f"{users} users with {len(scenario.sockets)} sockets: {who} needs {needed} descriptors,"
            f" the hard limit is {limit}: raise it (`ulimit -Hn`), or use fewer users"
            + ("" if alone else " or more --workers")
        )
    if settings.poller == "select" and needed > SELECT_LIMIT:
        raise UsageError(
            f"--poller select: {needed} descriptors a worker are more than FD_SETSIZE"
            f" ({SELECT_LIMIT}); use --poller epoll or poll, fewer users, or more --workers"
        )


def check_source(source: str) -> None:
    """Raises UsageError where sockets cannot be bound to this address."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        try:
            bind(sock, source)
        except DriverFault as fault:
            raise UsageError(f"source: {fault}") from None


def fitted(target: Target, scenario: Scenario) -> Target:
    """A bundled target that can serve all the scenario's connections at once.

    A pool whose size was not chosen gets a worker for each. Raises UsageError where the model
    cannot serve so many: a right server would be blamed for clients that wait in its backlog.
    Raises TargetFailed where the model cannot run on this machine.
    """
    assert target.bundled is not None
    told = describe(target.bundled)
    if not told["available"]:
        raise TargetFailed(f"target {target.bundled} cannot run here: {told['reason']}")
    users, sockets = scenario.load.users, len(scenario.sockets)
    connections = users * sockets
    most = told["at_once"] or told["pool"]
    if most is None or "workers" in target.options:
        return target
    if connections > most:
        raise UsageError(
            f"target {target.bundled} serves {most} at once, and this scenario opens {connections}"
            f" connections ({users} times {sockets}): use fewer --users, or another model"
        )
    if told["at_once"]:
        return target
    return replace(target, options={**target.options, "workers": str(connections)})


def run(scenario: Scenario, settings: Settings, show: Callable[[Progress], None]) -> Report:
    """Run a scenario to its verdict; `show` is called a few times a second.

    Raises UsageError when nothing can be sent, TargetFailed when the target does not start. SIGINT
    and SIGTERM end the run early; what was measured until then is in the report.
    """
    check_limits(scenario, settings)
    seed = scenario.seed if scenario.seed is not None else draw_seed()
    assert scenario.target is not None
    state = State()
    with ExitStack() as stack:
        process = None
        if scenario.target.bundled is not None:
            target = fitted(scenario.target, scenario)
            process = stack.enter_context(TargetProcess(target))
        url = process.url if process is not None else scenario.target.url
        assert url is not None
        resolve(url)
        workers = stack.enter_context(started(scenario, url, seed, settings))
        stack.enter_context(interruptible(state))
        conduct(workers, process, scenario, state, show)
    return report(scenario, settings, seed, url, state, workers)


@contextmanager
def interruptible(state: State) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM are written down; a second one ends the program."""

    def note(number: int, frame: FrameType | None) -> None:
        if state.interrupted:
            raise KeyboardInterrupt
        state.interrupted = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def started(scenario: Scenario, url: Url, seed: int, settings: Settings) -> Iterator[list[Worker]]:
    """Worker processes, each with its job, all of them ready; none is left after the block."""
    workers: list[Worker] = []
    stride = min(settings.workers, scenario.load.users)
    rule = scenario.target.rule if scenario.target is not None else None
    try:
        for number in range(stride):
            users = len(range(number, scenario.load.users, stride))
            worker = spawn(number, users)
            workers.append(worker)
            job = Job(scenario, url, rule, seed, settings.poller, number, stride, users)
            worker.pipe.send(job)
        for worker in workers:
            await_ready(worker)
        yield workers
    finally:
        for worker in workers:
            worker.pipe.close()
            end(worker.process)


def spawn(number: int, users: int) -> Worker:
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", WORKER, str(theirs.fileno()), PACKAGE_AT],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    return Worker(number, users, process, ours)


def await_ready(worker: Worker) -> None:
    """Raises UsageError with the worker's reason when it cannot begin."""
    try:
        said = worker.pipe.recv() if worker.pipe.poll(START_WITHIN) else None
    except (EOFError, OSError):
        said = None
    if isinstance(said, Failed):
        raise UsageError(said.reason)
    if not isinstance(said, Ready):
        raise UsageError(f"generator process {worker.number} did not start")
    worker.poller = said.poller


def end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# --- while it runs ------------------------------------------------------------------------------


def conduct(
    workers: list[Worker],
    process: TargetProcess | None,
    scenario: Scenario,
    state: State,
    show: Callable[[Progress], None],
) -> None:
    """Start all workers at once, listen until each has ended, one way or the other."""
    state.began = state.shown = monotonic()
    for worker in workers:
        worker.heard = state.began
        tell(worker, GO)
    stopping = None
    while running := [worker for worker in workers if not worker.over]:
        for pipe in wait([worker.pipe for worker in running], LISTEN_FOR):
            hear(next(worker for worker in running if worker.pipe is pipe), state)
        look_for_silence(running)
        show_progress(workers, scenario, state, show)
        if process is not None and state.died is None and (died := process.died()) is not None:
            state.died = died
        aborted = any(worker.final is not None and worker.final.aborted for worker in workers)
        if stopping is None and (state.interrupted or state.failed or state.died or aborted):
            stopping = monotonic()
            for worker in running:
                tell(worker, STOP)
        give_up(running, scenario, state, stopping)


def tell(worker: Worker, word: str) -> None:
    try:
        worker.pipe.send(word)
    except OSError:
        return


def hear(worker: Worker, state: State) -> None:
    """Take one message from a worker; its end without a last word is a loss."""
    try:
        said = worker.pipe.recv()
    except (EOFError, OSError):
        code = worker.process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        worker.lost = f"{how} after {monotonic() - state.began:.1f} s"
        state.failed = state.failed or f"generator process {worker.number} {worker.lost}"
        return
    worker.heard = monotonic()
    match said:
        case Update():
            worker.last = said
            absorb(said, state)
        case Final():
            worker.final = said
            absorb(said.update, state)
        case Failed(reason=reason, update=update):
            worker.lost = reason
            worker.last = update or worker.last
            state.failed = state.failed or reason
            if update is not None:
                absorb(update, state)


def absorb(update: Update, state: State) -> None:
    state.stats.merge(update.stats)
    state.interval.merge(update.stats)


def look_for_silence(running: list[Worker]) -> None:
    now = monotonic()
    for worker in running:
        if now - worker.heard > SILENT_AFTER:
            worker.silent = max(worker.silent, now - worker.heard)


def give_up(
    running: list[Worker], scenario: Scenario, state: State, stopping: float | None
) -> None:
    """End workers that are past their time and have fallen silent, or are long past it."""
    load, now = scenario.load, monotonic()
    if stopping is not None:
        due = stopping
    elif load.run_time is not None:
        due = state.began + load.run_time + load.graceful_stop
    else:
        return
    for worker in running:
        silent = now - worker.heard
        if now > due + scenario.timeout + CLOSING_TIME or (now > due and silent > SILENT_AFTER):
            worker.lost = f"did not answer for {silent:.1f} s and was ended"
            state.failed = state.failed or f"generator process {worker.number} {worker.lost}"
            worker.process.kill()


def show_progress(
    workers: list[Worker], scenario: Scenario, state: State, show: Callable[[Progress], None]
) -> None:
    now = monotonic()
    span = now - state.shown
    recent = state.interval.total
    if span < 0.5 or (not recent.count and span < 1.0):
        return
    elapsed = now - state.began
    run_time = scenario.load.run_time
    total = state.stats.total
    show(
        Progress(
            elapsed=elapsed,
            time_left=None if run_time is None else max(0.0, run_time - elapsed),
            users=sum(w.last.active for w in workers if w.last is not None and not w.over),
            exchanges=total.count,
            rate=recent.right / span,
            errors=state.stats.errors,
            p50=recent.histogram.percentile(0.5),
            p99=recent.histogram.percentile(0.99),
        )
    )
    state.shown, state.interval = now, Stats()


# --- at the end ---------------------------------------------------------------------------------


def report(
    scenario: Scenario, settings: Settings, seed: int, url: Url, state: State, workers: list[Worker]
) -> Report:
    finals = [worker.final for worker in workers if worker.final is not None]
    updates = [worker.last for worker in workers if worker.last is not None]
    updates += [final.update for final in finals]
    duration = max((update.elapsed for update in updates), default=0.0)
    unreachable = next((final.unreachable for final in finals if final.unreachable), None)
    if state.stats.connects.right:
        unreachable = None
    outcome = Outcome(
        duration=duration,
        interrupted=state.interrupted,
        unreachable=unreachable,
        generator_failed=state.failed,
        target_died=state.died,
    )
    target = scenario.target
    assert target is not None
    return Report(
        scenario=replace(scenario, seed=seed),
        target=str(url),
        model=target.bundled,
        rule=target.rule,
        poller=workers[0].poller,
        duration=duration,
        stats=state.stats,
        verdict=judge(state.stats, scenario.thresholds, outcome),
        seed=seed,
        command=settings.command(seed),
        workers=tuple(worker.report() for worker in workers),
        notes=tuple(notes(scenario, target, state, finals)),
    )


def notes(scenario: Scenario, target: Target, state: State, finals: list[Final]) -> Iterator[str]:
    """Remarks that a person should not have to find out alone."""
    stats = state.stats
    if state.died is not None:
        yield state.died + "; the faults after that are its death, not as many bugs"
    if any(final.aborted for final in finals):
        yield "the first fault ended the run (on_error: abort)"
    if not state.interrupted and (missing := scenario.load.users - stats.started) > 0:
        yield (
            f"{missing} of {scenario.load.users} users were never started, the run ended first:"
            " give it a longer --run-time, a higher --spawn-rate, or more --workers"
        )
    if stats.slow_connects:
        yield (
            f"{stats.slow_connects} connects took about 1 s or more: the target's accept queue was"
            " full and the kernel sent SYN again; give listen() a larger backlog, or a --spawn-rate"
        )
    if (unserved := stats.started - stats.served) > 0 and not state.interrupted:
        yield f"{unserved} of {stats.started} users never completed an iteration"
    kinds = {group.kind for group in stats.faults.values()}
    if scenario.load.users > 1 and len(finals) > 1 and kinds & {Kind.CORRUPT, Kind.MISMATCH}:
        yield (
            "bytes that belong to another worker's users cannot be recognized and count as corrupt"
            " or mismatch: look again with --workers 1"
        )
    for name in sorted(weak_rules(scenario, target)):
        yield (
            f"rule {name!r} only counts replies: where messages are sent without waiting for the"
            " reply, or in pieces, a lost reply cannot be seen"
        )


def weak_rules(scenario: Scenario, target: Target) -> set[str]:
    used = set()
    for step in flat((*scenario.before, *scenario.steps, *scenario.after)):
        if isinstance(step, Exchange) and step.expect is not None:
            reply = step.expect.reply
            if isinstance(reply, ByRule) and (name := reply.rule or target.rule) is not None:
                used.add(name)
    return {name for name in used if (scenario.rules.get(name) or rule_named(name)).weak}
