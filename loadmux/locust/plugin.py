"""What loadmux does in a Locust process beside its users: one `Plugin` for each environment.

The roles: a *worker* has an engine and sends what it measures; the *master* prepares the test
(scenarios, targets), gathers, judges, and has the page; a process that is alone does both. The
order of things hangs on Locust's events:
- `test_start`, master first: the test is prepared and the job put where it travels to the workers.
- `test_stopping`: all users are let go before Locust kills anybody, and the workers' last figures
  are awaited: `Runner.quit` would give them half a second, and Locust's own stop none.
- `quitting` is fired in reverse: what is registered first speaks last, when all figures are in.

A driver that cannot go on ends the test, loudly, with exit code 3.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from functools import cache
from time import process_time
from typing import Any, cast

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from locust.env import Environment
from locust.event import EventHook
from locust.runners import (
    STATE_CLEANUP,
    STATE_INIT,
    STATE_RUNNING,
    STATE_SPAWNING,
    STATE_STOPPED,
    STATE_STOPPING,
    MasterRunner,
    WorkerRunner,
)
from rich.console import Console

from loadmux.errors import LoadmuxError, TargetFailed, UsageError
from loadmux.language import usercode
from loadmux.locust import tables, wire
from loadmux.locust.described import Described
from loadmux.locust.engine import Engine, ParkedUser
from loadmux.locust.job import job_from
from loadmux.locust.preparation import Choice, Preparation, choice_from, load_all
from loadmux.locust.tally import Health, Tally
from loadmux.measuring.stats import Stats
from loadmux.measuring.verdict import ExitCode
from loadmux.report import terminal
from loadmux.running.worker import resident_memory

logger = logging.getLogger("loadmux")

FLUSH_EVERY = 0.5
GRACE = 0.5
SETTLE_WITHIN = 5.0
MASTER_SILENT_AFTER = 6
MASTER_TELLS_WITHIN = 3.0
EVENTS_A_FLUSH = 1000
MISTAKE_EVERY = 1.0
JOB = "loadmux_job"
ATTRIBUTE = "_loadmux"

batch = EventHook()
"""Fired about twice a second on every worker with `environment`, `user_class` (a name) and `stats`
(a `measuring.stats.Stats` of that interval), from a greenlet of its own: for exporters that want
all that was measured without an event for each request."""


def of(environment: Environment) -> Plugin:
    """The environment's plugin, made when first asked for."""
    found = environment.__dict__.get(ATTRIBUTE)
    if found is None:
        found = environment.__dict__[ATTRIBUTE] = Plugin(environment)
    return cast(Plugin, found)


@cache
def started_in() -> int:
    """The process that loaded the locustfile, also in what `--processes` forked from it."""
    return os.getpid()


class Plugin:
    """See the module. `tally` is of the test that runs, or of the last one."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.engine: Engine | None = None
        self.pending: Preparation | None = None
        self.preparation: Preparation | None = None
        self.tally: Tally | None = None
        self.failure: LoadmuxError | None = None
        self.interrupted = False
        self._interrupted_before = False
        self._outbox: dict[str, Stats] = {}
        self._told_mistakes: dict[tuple[str, str], float] = {}
        self._notices: deque[tuple[str, Stats]] = deque(maxlen=1000)
        self._noticed = Event()
        self._preparing = BoundedSemaphore()
        self._settled: set[str] = set()
        self._exhausted: dict[str, bool] = {}
        self._over = False
        self._explained = False
        self._cpu_before = 0.0

    # --- what the environment is ----------------------------------------------------------------

    @property
    def runner(self) -> Any:
        return self.environment.runner

    @property
    def is_worker(self) -> bool:
        return isinstance(self.runner, WorkerRunner)

    @property
    def is_master(self) -> bool:
        return isinstance(self.runner, MasterRunner)

    @property
    def running(self) -> bool:
        return self.runner is not None and self.runner.state in (STATE_SPAWNING, STATE_RUNNING)

    @property
    def options(self) -> dict[str, Any]:
        return vars(self.environment.parsed_options) if self.environment.parsed_options else {}

    def classes(self) -> list[type[Described]]:
        """The classes of this test that carry out scenarios."""
        return [one for one in self.environment.user_classes if issubclass(one, Described)]

    @property
    def prefixed(self) -> bool:
        """Whether several classes share Locust's table, so that rows need the class's name."""
        return len(self.environment.user_classes) > 1

    def await_the_last_word(self) -> None:
        """Users were started anew: what workers said of their work being done is out of date."""
        self._exhausted.clear()

    # --- from start to end ----------------------------------------------------------------------

    def begin(self) -> None:
        """Once, when the runner is there: what can be known to be wrong ends the program now."""
        if self.is_worker:
            self.runner.register_message("loadmux_stop", self._told_to_settle, concurrent=True)
            gevent.spawn(self._watch_master)
        else:
            try:
                self._look_ahead()
            except LoadmuxError as error:
                print(error, file=sys.stderr)
                raise SystemExit(self.code_of(error)) from None
        if self.is_master:
            self.runner.register_message("loadmux_settled", self._hear_settled)
            self.runner.register_message("loadmux_failed", self._hear_failure)
        gevent.signal_handler(signal.SIGINT, self._interrupt)
        gevent.spawn(self._notify)
        gevent.spawn(self._flush_for_ever)

    def _interrupt(self) -> None:
        """Ctrl-C. Python would raise KeyboardInterrupt wherever it is, mostly inside the driver.

        A terminal tells master and workers at once: a worker waits for its master's word, and ends
        by itself where none comes.
        """
        if self.is_worker and not self._interrupted_before:
            self._interrupted_before = True
            gevent.sleep(MASTER_TELLS_WITHIN)
            self._leave()
            self.runner.quit()
        else:
            hub = gevent.get_hub()
            hub.handle_system_error(KeyboardInterrupt, KeyboardInterrupt())

    def _look_ahead(self) -> None:
        """Read the scenarios; get a test ready that begins by itself. Raises LoadmuxError.

        Locust counts the run time from here on, and by a clock that stands still while nothing
        gives way: what getting ready took would be missing from the test.
        """
        if self.options.get("run_time") == 0:
            raise UsageError("--run-time: it must be more than zero")
        if self.options.get("headless") or self.options.get("autostart"):
            self.prepare(self.choice())
        else:
            load_all(self.classes(), self.choice())
        gevent.get_hub().loop.update_now()

    def code_of(self, error: LoadmuxError) -> ExitCode:
        return ExitCode.UNREACHABLE if isinstance(error, TargetFailed) else ExitCode.INVALID

    def choice(self, form: Mapping[str, Any] | None = None) -> Choice:
        """What is chosen now: the options, and what a start form says instead."""
        form = form or {}
        host = form.get("host", self.environment.host)
        return choice_from({**self.options, **form}, self._own(host))

    def _own(self, host: str | None) -> str | None:
        """Locust's host, unless it belongs to plain Locust users that run beside ours."""
        alone = len(self.classes()) == len(self.environment.user_classes)
        return None if not alone and (host or "").startswith("http") else host

    def prepare(self, choice: Choice, classes: Sequence[type[Described]] | None = None) -> None:
        """Get a test of the classes ready before it starts. Raises LoadmuxError."""
        classes = self.classes() if classes is None else classes
        with self._preparing:  # while a target starts, others have their turn
            self.discard()
            pollers = {one.__name__: one.poller for one in classes}
            self.pending = Preparation(load_all(classes, choice), pollers, choice)

    def prepare_start(
        self, choice: Choice, classes: Sequence[type[Described]] | None = None
    ) -> None:
        """As `prepare`, where Locust would say yes and start nothing. Raises LoadmuxError."""
        if self.runner.state in (STATE_CLEANUP, STATE_STOPPING):
            raise UsageError("the last test has not quite stopped yet: try again in a moment")
        if self._preparing.locked():
            raise UsageError("another test is being started")
        clients = self.runner.clients if self.is_master else None
        if clients is not None and not (clients.ready or clients.spawning or clients.running):
            raise UsageError("no worker is connected to this master")
        self.prepare(choice, classes)
        assert self.pending is not None
        try:
            self.pending.check_workers(len(self._present()) if self.is_master else 0)
        except UsageError:
            self.discard()
            raise

    def discard(self) -> None:
        if self.pending is not None:
            self.pending.close()
            self.pending = None

    def test_start(self) -> None:
        if not self.is_worker:
            self._start_test()
        message = self.options.get(JOB)
        if not self.is_master and message is not None:
            self._start_engine(message)

    def _start_test(self) -> None:
        self.failure, self.tally, self.interrupted = None, None, False
        self._settled.clear()
        self._exhausted.clear()
        self._over = False
        self._end_targets()
        try:
            if self.pending is None:
                self.prepare(self.choice())
            ready, self.pending = self.pending, None
            assert ready is not None
            self.preparation = ready
            workers = self._present() if self.is_master else []
            self.options[JOB] = ready.job(workers).message()
        except LoadmuxError as error:
            self.options[JOB] = None
            self.failure = error
            logger.error("%s", error)
            self._end_run()
            return
        self.tally = Tally(ready.parts, ready.poller or "")
        self.tally.expect(workers)
        for far in ready.elsewhere(workers):
            logger.warning("%s cannot reach a bundled target, which listens on this machine", far)

    def _start_engine(self, message: Mapping[str, Any]) -> None:
        self._close_engine()
        try:
            job = job_from(message)
            slot = (
                job.slot(self.runner.client_id, self.runner.worker_index) if self.is_worker else 0
            )
            self._told_mistakes.clear()
            self.engine = Engine(job, slot, self._engine_failed)
        except LoadmuxError as error:
            self._fail(str(error), "")
            return
        self._cpu_before = process_time()
        if self.tally is not None:
            self.tally.poller = self.engine.loop.poller.name

    def park(self, owner: Described) -> ParkedUser | None:
        """A driver's user for Locust's; None where the test could not be started."""
        if self.engine is None:
            return None
        return self.engine.start(type(owner).__name__, owner)

    def settle(self) -> None:
        """Before Locust stops its users: ours end, and all figures come in."""
        if self.is_master:
            self._settle_workers()
        elif self.engine is not None:
            self.engine.empty(self.grace)
            self.flush()

    @property
    def grace(self) -> float:
        """For how long (seconds) users may go on with the iteration in hand when a test stops.

        Where nobody waits in front of a page it is at least what the scenarios say: a server that
        answers no more is seen only by those who wait for it.
        """
        told = max(GRACE, float(self.environment.stop_timeout or 0.0))
        if self.preparation is None or not self.options.get("headless"):
            return told
        parts = self.preparation.parts.values()
        return max(told, *(part.scenario.load.graceful_stop for part in parts))

    def _settle_workers(self) -> None:
        self.runner.send_message("loadmux_stop", {"grace": self.grace})
        until = time.monotonic() + self.grace + SETTLE_WITHIN
        while self._unsettled() and time.monotonic() < until:
            gevent.sleep(0.05)
        if late := self._unsettled():
            logger.warning("no last figures within %.0f s: %s", SETTLE_WITHIN, ", ".join(late))
        if self.tally is not None:
            self.tally.lost = {*self.tally.workers} - self._settled

    def _unsettled(self) -> list[str]:
        return sorted({*self._present()} - self._settled)

    def _present(self) -> list[str]:
        """The workers that the master hears of."""
        clients = self.runner.clients
        return sorted({*clients} - {one.id for one in clients.missing})

    def _told_to_settle(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._settle_worker(float(msg.data["grace"]))
        self.runner.send_message("loadmux_settled", None)

    def _settle_worker(self, grace: float) -> None:
        if self.engine is not None:
            self.engine.empty(grace)
        self.flush()
        self.runner._send_stats()

    def _leave(self) -> None:
        """A worker is told to end in the middle of a test: its master gets the last figures."""
        if self.engine is not None:
            self._settle_worker(self.grace)
            self.runner.send_message("loadmux_settled", None)
            self._close_engine()

    def _hear_settled(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._settled.add(msg.node_id)

    def test_stop(self) -> None:
        self.flush()
        self._close_engine()
        if self.is_worker:
            return
        if self.tally is not None and self.tally.ended is None:
            tally = self.tally
            tally.ended = time.monotonic()
            tally.interrupted = self.interrupted
            if self.preparation is not None:
                self.preparation.note_deaths()
            verdict = tally.verdict()
            logger.info("%s: %s", verdict.code.name, verdict.reason)
        self.discard()
        self._end_targets()

    def _end_targets(self) -> None:
        if self.preparation is not None:
            self.preparation.close()
            self.preparation = None

    def _close_engine(self) -> None:
        if self.engine is not None:
            engine, self.engine = self.engine, None
            engine.close()

    def stop_if_running(self) -> None:
        """The program is told to end in the middle of a test: what was measured is kept."""
        if self.is_worker:
            self._leave()
        elif self.runner is not None and self.runner.state not in (STATE_INIT, STATE_STOPPED):
            self.interrupted = self.running
            self.runner.stop()

    def conclude(self) -> None:
        """The exit code, unless somebody else has set one or plain users failed."""
        self.discard()
        self._end_targets()
        self._close_engine()
        environment = self.environment
        if environment.process_exit_code is not None or not self.classes():
            return
        if self.is_worker:
            environment.process_exit_code = 0
        elif self.failure is not None:
            environment.process_exit_code = self.code_of(self.failure)
        elif self.tally is None:
            if self.options.get("headless"):
                environment.process_exit_code = ExitCode.INCONCLUSIVE
        else:
            report = self.tally.report()
            # Standard output is spoken for where Locust prints its figures as JSON.
            console = Console(highlight=False, stderr=bool(self.options.get("json")))
            environment.events.quit.add_listener(lambda **_: terminal.render(report, console))
            code = report.verdict.code
            if code is not ExitCode.PASS or not self._others_failed():
                environment.process_exit_code = code

    def _others_failed(self) -> bool:
        """Whether plain Locust users that ran beside ours met errors, or code raised."""
        ours = {tables.explained(kind) for kind in tables.MEANINGS}
        errors = self.runner.stats.errors.values()
        return bool(self.runner.exceptions) or any(one.error not in ours for one in errors)

    # --- figures --------------------------------------------------------------------------------

    def _flush_for_ever(self) -> None:
        while True:
            gevent.sleep(FLUSH_EVERY)
            if self.engine is not None:
                self.flush()
            if self.engine is not None and not self.is_worker:
                self._end_if_over(self.engine.aborted, self.engine.exhausted)

    def flush(self) -> None:
        """Pour what the engine has measured into Locust's statistics, the tally or the outbox."""
        if self.engine is None:
            return
        for name, stats in self.engine.take().items():
            tables.pour(stats, self.environment.stats, f"{name}: " if self.prefixed else "")
            if self.tally is not None:
                self.tally.add(name, stats)
            else:
                self._outbox.setdefault(name, Stats()).merge(stats)
            self._notices.append((name, stats))
            self._tell_mistakes(name)
        if self.tally is not None:
            self.tally.note("local", self._health())
            self.tally.note_reach(self._reach())
        self._noticed.set()

    def _tell_mistakes(self, name: str) -> None:
        """Errors of the scenario's code, for Locust's Exceptions: now and then one for each place.

        How many there were stands in our own report.
        """
        assert self.engine is not None
        mistakes, now = self.engine.crews[name].mistakes, time.monotonic()
        for where in list(mistakes):
            told = self._told_mistakes.get((name, where))
            if told is None or now - told >= MISTAKE_EVERY:
                error, owner = mistakes.pop(where)
                self._told_mistakes[name, where] = now
                trace = usercode.own(error.trace)
                hook: Any = self.environment.events.user_error
                hook.fire(user_instance=owner, exception=error, tb=trace)

    def _health(self) -> Health:
        assert self.engine is not None
        loop, now = self.engine.loop, time.perf_counter()
        late = sorted(loop.late)
        span = now - loop.epoch
        return Health(
            loop.busy_share(now),
            late[int(len(late) * 0.99)] if late else 0.0,
            (process_time() - self._cpu_before) / span if span > 0 else 0.0,
            resident_memory(),
            len(self.engine.users()),
            loop.standstills.count,
            loop.standstills.seconds,
            loop.standstills.take(),
        )

    def _reach(self) -> dict[str, list[Any]]:
        assert self.engine is not None
        controls = {name: crew.control for name, crew in self.engine.crews.items()}
        return {name: [[*one.reached], dict(one.unreachable)] for name, one in controls.items()}

    def tell(self, data: dict[str, Any], **_: Any) -> None:
        """A worker's report to its master: what was flushed since the last one."""
        told: dict[str, Any] = {
            "stats": {name: wire.pack(one, "statistics") for name, one in self._outbox.items()}
        }
        if self.engine is not None:
            told["health"] = astuple(self._health())
            told["reach"] = self._reach()
            told["poller"] = self.engine.loop.poller.name
            told["over"] = [self.engine.aborted, self.engine.exhausted]
        self._outbox = {}
        data["loadmux"] = told

    def hear(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """A worker's report."""
        told, tally = data.get("loadmux"), self.tally
        if told is None or tally is None:
            return
        for name, packed in told["stats"].items():
            tally.add(name, wire.unpack(packed))
        if "health" in told:
            tally.note(client_id, Health.of(told["health"]))
            tally.note_reach(told["reach"])
            tally.poller = told["poller"]
            aborted, self._exhausted[client_id] = told["over"]
            done = all(self._exhausted.get(client) for client in self._present())
            self._end_if_over(aborted, done)

    def _end_if_over(self, aborted: bool, exhausted: bool) -> None:
        """A scenario may end a run: by a fault, or without a page by its number of iterations."""
        parts = [] if self.tally is None else list(self.tally.parts.values())
        begun = any(part.stats.started for part in parts)
        ours = len(self.classes()) == len(self.environment.user_classes)
        done = exhausted and begun and ours and self.runner.state == STATE_RUNNING
        by_itself = self.options.get("headless") and self.environment.shape_class is None
        if not self._over and self.running and (aborted or (done and by_itself)):
            self._over = True
            logger.info("a fault ended the test" if aborted else "all users have done their work")
            self._end_run()

    def _notify(self) -> None:
        """In a greenlet of its own, so that a slow listener cannot stop the driver."""
        while True:
            self._noticed.wait()
            self._noticed.clear()
            while self._notices:
                name, stats = self._notices.popleft()
                batch.fire(environment=self.environment, user_class=name, stats=stats)
                self._fire_requests(name, stats)

    def _fire_requests(self, name: str, stats: Stats) -> None:
        """`events.request` for all listeners but Locust's own, whose work is done already."""
        wanted = next(
            (one.request_events for one in self.classes() if one.__name__ == name), "none"
        )
        handlers = [
            handler
            for handler in self.environment.events.request._handlers
            if getattr(handler, "__qualname__", "") != "Runner.__init__.<locals>.on_request"
        ]
        if not handlers or wanted == "none":
            return
        hook = EventHook()
        hook._handlers = handlers
        for count, event in enumerate(requests(stats, wanted == "all")):
            if wanted != "all" and count == EVENTS_A_FLUSH:
                break
            hook.fire(**event)
            if not count % 100:
                gevent.sleep(0)

    # --- when something breaks ------------------------------------------------------------------

    def _engine_failed(self, error: BaseException) -> None:
        trace = "".join(traceback.format_exception(error))
        text = str(error) if isinstance(error, LoadmuxError) else f"crash: {error!r}"
        gevent.spawn(self._fail, text, trace)

    def _fail(self, reason: str, trace: str) -> None:
        """The driver cannot go on: told to whoever judges, and the test ends."""
        logger.error("the load generator failed: %s%s", reason, f"\n{trace}" if trace else "")
        self.flush()
        if self.is_worker:
            self.runner._send_stats()
            self.runner.send_message("loadmux_failed", {"reason": reason})
        self._close_engine()  # nobody steps it any more: its users would be waited for in vain
        if not self.is_worker:
            self._note_failure(reason)

    def _hear_failure(self, environment: Environment, msg: Any, **_: Any) -> None:
        logger.error("the load generator of %s failed: %s", msg.node_id, msg.data["reason"])
        self._note_failure(msg.data["reason"])

    def _note_failure(self, reason: str) -> None:
        if self.tally is not None:
            self.tally.failed = self.tally.failed or reason
        self._end_run()

    def _end_run(self) -> None:
        """Stop the test, and the program if nobody sits in front of it."""
        headless = self.options.get("headless")
        gevent.spawn(self.runner.quit if headless else self.runner.stop)

    def _watch_master(self) -> None:
        """A worker whose master is gone must not load the target on: Locust waits for a minute.

        A forked one that never hears of its master would wait for ever.
        """
        heard, silent, forked = None, 0, os.getpid() != started_in()
        while True:
            gevent.sleep(1)
            if forked and os.getppid() != started_in():
                self._close_engine()
                self.runner.quit()
                return
            last = self.runner.last_heartbeat_timestamp
            silent = silent + 1 if last == heard and self.engine is not None else 0
            heard = last
            if silent >= MASTER_SILENT_AFTER:
                logger.error("nothing heard of the master for %d s: this worker ends", silent)
                self._close_engine()
                self.runner.quit()
                return

    def explain_cpu(self) -> None:
        if self.engine is not None and not self._explained:
            self._explained = True
            logger.info(
                "loadmux fills a core when the target is fast enough, by design; its own clock"
                " stays true. More load: more workers (--processes)"
            )


def requests(stats: Stats, all_of_them: bool) -> Iterator[dict[str, Any]]:
    """Keyword arguments of `events.request` for what was measured in an interval."""
    for group in stats.faults.values():
        row = stats.connects if group.step == "connect" else stats.row(group.step)
        for number in range(group.count):
            evidence = group.examples[number] if number < len(group.examples) else None
            message = evidence.message if evidence is not None else tables.explained(group.kind)
            yield request(row.kind, group.step, None, RuntimeError(f"{group.kind}: {message}"))
    if all_of_them:
        for row in tables.rows(stats):
            for seconds, count in row.histogram.buckets():
                for _ in range(count):
                    yield request(row.kind, row.name, seconds * 1000, None)


def request(
    kind: str, name: str, milliseconds: float | None, error: Exception | None
) -> dict[str, Any]:
    return {
        "request_type": kind,
        "name": name,
        "response_time": milliseconds,
        "response_length": 0,
        "exception": error,
        "context": {},
    }
