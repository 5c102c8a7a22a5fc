"""What loadmux does in a Locust process beside its users: one `Plugin` for each environment.

The roles: a *worker* has an engine and sends what it measures; the *master* prepares the test
(scenarios, targets), gathers, judges, and has the page; a process that is alone does both. The
order of things hangs on Locust's events:
- `test_start`, master first: the test is prepared and the job put where it travels to the workers.
- `test_stopping`: all users are let go before Locust kills anybody, and the workers' last figures
  are awaited: `Runner.quit` would give them half a second, and Locust's own stop none.
- `quitting` is fired in reverse: what is registered first speaks last, when all figures are in.

A driver that cannot go on ends the test, loudly, with exit code 3.

The parts stand apart: `readying` before a test, `figures` and `exporting` while it runs, `settling`
at its end, `failing` when something breaks. Here is the life of a test, which ties them.
"""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import gevent
from locust import argument_parser
from locust.env import Environment
from locust.runners import STATE_INIT, STATE_MISSING, STATE_STOPPED, STATE_STOPPING
from rich.console import Console

from loadmux.driver.crowd import Division
from loadmux.errors import LoadmuxError, TargetFailed
from loadmux.locust import carrying, tables, verdict
from loadmux.locust.admitting import HELLO, Gate, WorkersGate, proof
from loadmux.locust.crew import Parked
from loadmux.locust.described import Described
from loadmux.locust.dividing import DIVIDE, division_from
from loadmux.locust.engine import Engine
from loadmux.locust.exporting import Exporter
from loadmux.locust.failing import Failures
from loadmux.locust.figures import Figures
from loadmux.locust.here import Here
from loadmux.locust.job import JOB, Job, job_from
from loadmux.locust.membership import Members
from loadmux.locust.numbering import MESSAGE, Asking
from loadmux.locust.readying import Readying
from loadmux.locust.repeating import repeats
from loadmux.locust.reporting import Reporting
from loadmux.locust.settling import Settling
from loadmux.locust.tally import Tally
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import terminal

logger = logging.getLogger("loadmux")

MASTER_TELLS_WITHIN = 3.0
REPORTS_EVERY = 3.0
"""Seconds between two reports of one of Locust's workers."""
ATTRIBUTE = "_loadmux"


def of(environment: Environment) -> Plugin:
    """The environment's plugin, made when first asked for."""
    found = environment.__dict__.get(ATTRIBUTE)
    if found is None:
        found = environment.__dict__[ATTRIBUTE] = Plugin(environment)
    return cast(Plugin, found)


@cache
def know_options() -> None:
    """Have Locust find out once what its own options are.

    A worker asks for each option of each message that sends it users, and each time a parser is
    built anew: 1.5 s of CPU a message, in which neither the driver nor a heartbeat has its turn.
    """
    argument_parser.default_args_dict = cache(argument_parser.default_args_dict)


class Plugin:
    """The parts of one environment, and what Locust's events do to them."""

    def __init__(self, environment: Environment) -> None:
        self.here = Here(environment)
        self.ready = Readying(self.here)
        self.exporter = Exporter(self.here)
        self.figures = Figures(self.here, self.exporter)
        self.settling = Settling(self.here, self.figures)
        self.failures = Failures(self.here, self.figures)
        self.members = Members(self.here, self.failures)
        self.reporting = Reporting(self.here)
        self.failure: LoadmuxError | None = None
        self.interrupted = False
        self._begun = False
        self._interrupted_before = False
        self._explained = False

    def begin(self) -> None:
        """Once, when the runner is there: what can be known to be wrong ends the program now."""
        if self._begun:
            return
        self._begun = True
        if self.here.is_master:
            self.gate = Gate(self.here, self.here.given.get("worker_key"))
        if self.here.is_worker:
            know_options()
            if (key := self.here.given.get("worker_key")) is not None:
                WorkersGate(self.here, key)
            self.here.runner.register_message(
                "loadmux_stop", self.settling.told_to_settle, concurrent=True
            )
            self.here.runner.register_message(MESSAGE, self._hear_numbers)
            self.here.runner.register_message(DIVIDE, self._hear_division)
            self.here.runner.send_message(HELLO, {"key": self.here.given.get("worker_key")})
            gevent.spawn(self.failures.watch_master)
        else:
            environment = self.here.environment
            environment.dispatcher_class = self.members.dispatcher(environment.dispatcher_class)
            verdict.keep(self.here)
            try:
                self.reporting.look_ahead()
                self.ready.look_ahead()
            except LoadmuxError as error:
                print(error, file=sys.stderr)
                raise SystemExit(self.code_of(error)) from None
        if self.here.is_master:
            self.here.runner.register_message("loadmux_settled", self.settling.hear_settled)
            self.here.runner.register_message("loadmux_failed", self.failures.hear_failure)
            self.here.runner.register_message(MESSAGE, self.members.hear)
            self.here.runner.register_message(DIVIDE, self.members.dividing.hear)
        gevent.signal_handler(signal.SIGINT, self._interrupt)
        gevent.spawn(self.exporter.run)
        gevent.spawn(self.figures.run)

    def _interrupt(self) -> None:
        """Ctrl-C. Python would raise KeyboardInterrupt wherever it is, mostly inside the driver.

        A terminal tells master and workers at once: a worker waits for its master's word, and ends
        by itself where none comes.
        """
        if self.here.is_worker and not self._interrupted_before:
            self._interrupted_before = True
            gevent.sleep(MASTER_TELLS_WITHIN)
            self.settling.leave()
            self.here.runner.quit()
        else:
            hub = gevent.get_hub()
            hub.handle_system_error(KeyboardInterrupt, KeyboardInterrupt())

    def code_of(self, error: LoadmuxError) -> ExitCode:
        return ExitCode.UNREACHABLE if isinstance(error, TargetFailed) else ExitCode.INVALID

    def test_start(self) -> None:
        self.here.await_runner()
        self.begin()  # before the next message: one may be for us
        if not self.here.is_worker:
            self._start_test()
        message = self.here.options.get(JOB)
        if not self.here.is_master and message is not None:
            self._start_engine(message)

    def _start_test(self) -> None:
        self.failure, self.here.tally, self.interrupted = None, None, False
        self.settling.begin()
        self.figures.begin()
        self.here.end_targets()
        try:
            ready = self.ready.take()
            self.here.preparation = ready
            workers = self.here.present() if self.here.is_master else []
            self.here.run = uuid4().hex
            key = proof(self.here.given.get("worker_key"))
            self.here.options[JOB] = {**ready.job(workers, self.here.run).message(), "key": key}
        except LoadmuxError as error:
            self.here.options[JOB] = None
            self.failure = error
            logger.error("%s", error)
            self.failures.show(str(error))
            self.here.end_run()
            return
        self.members.begin()
        self.members.dividing.begin(workers)
        self.here.tally = Tally(ready.parts, ready.poller or "")
        seed = next(iter(ready.parts.values())).scenario.seed or 0
        self.here.tally.command = repeats(self.here.given, self.here.options, seed)
        self.here.tally.listeners = self.reporting.listeners()
        if self.here.is_master:
            self.here.tally.timeline.interval = REPORTS_EVERY
        self.here.tally.expect(workers)
        for far in ready.elsewhere(workers):
            logger.warning("%s cannot reach a bundled target, which listens on this machine", far)

    def _start_engine(self, message: Mapping[str, Any]) -> None:
        self.here.close_engine()
        try:
            job = job_from(message)
            slot = (
                job.slot(self.here.runner.client_id, self.here.runner.worker_index)
                if self.here.is_worker
                else 0
            )
            self.here.run = job.run
            asking = self._asking(job.run) if self.here.is_worker else None
            moved = self._code(job) if self.here.is_worker else {}
            self.here.engine = Engine(job, slot, self.failures.engine_failed, asking, moved)
            self._share(job, slot)
        except LoadmuxError as error:
            self.failures.fail(str(error), "")
            return
        self.figures.begin_engine()
        if self.here.tally is not None:
            self.here.tally.poller = self.here.engine.loop.poller.name

    def _code(self, job: Job) -> dict[str, str]:
        """Where the author's code is, on a worker. Raises UsageError where it may not run."""
        moved: dict[str, str] = {}
        for share in job.shares.values():
            if carrying.takes_code():
                folder = tempfile.TemporaryDirectory(prefix="loadmux-")
                self.here.folders.append(folder)
                moved |= carrying.unpacked(share.code, Path(folder.name))
            else:
                carrying.check(share.scenario(), [*carrying.named(), *self.ready.own_files()])
        return moved

    def _share(self, job: Job, slot: int) -> None:
        """Who was there at the start knows its share of the starts; who comes late asks for it."""
        assert self.here.engine is not None
        if not self.here.is_worker or self.here.runner.client_id in job.slots:
            self.here.engine.divide(Division(0.0, slot, job.stride), 0.0)
        elif self.here.engine.opened:
            self.here.runner.send_message(DIVIDE, {"run": job.run, "leaves": False})

    def _hear_division(self, environment: Environment, msg: Any, **_: Any) -> None:
        if self.here.engine is not None and msg.data["run"] == self.here.run:
            self.here.engine.divide(division_from(msg.data), float(msg.data["elapsed"]))

    def _asking(self, run: str) -> Asking:
        runner = self.here.runner
        send = partial(runner.send_message, MESSAGE)
        return Asking(run, send, lambda: runner.target_user_classes_count)

    def _hear_numbers(self, environment: Environment, msg: Any, **_: Any) -> None:
        """The master gives numbers to users, and takes those of a worker that it thought lost."""
        engine, told = self.here.engine, msg.data
        if engine is not None and told["run"] == self.here.run:
            engine.revoke(told.get("revoke", {}))
            engine.admit(told.get("give", {}))
            engine.open(told.get("open", {}))

    def park(self, owner: Described) -> Parked | None:
        """A driver's user for Locust's; None where the test was not started, as was told."""
        if self.here.engine is None:
            return None
        return self.here.engine.start(type(owner).__name__, owner)

    def test_stopping(self) -> None:
        self.here.stopping_since = time.monotonic()
        self.settling.settle()

    def test_stop(self) -> None:
        self.here.stopping_since = None
        if self.here.is_master:
            gevent.spawn(self._say_stopped)
        self.figures.flush()
        self.here.close_engine()
        if self.here.is_worker:
            return
        if self.here.tally is not None and self.here.tally.ended is None:
            tally = self.here.tally
            tally.ended = time.monotonic()
            tally.interrupted = self.interrupted
            if self.here.preparation is not None:
                self.here.preparation.note_targets(tally.began)
            verdict = tally.verdict()
            logger.info("%s: %s", verdict.code.name, verdict.reason)
        self.ready.discard()
        self.here.end_targets()

    def _say_stopped(self) -> None:
        """Locust's master waits for the state of a lost worker, too, before it says so."""
        runner = self.here.runner
        while runner.state == STATE_STOPPING:
            if all(one.state in (STATE_INIT, STATE_MISSING) for one in runner.clients.all):
                runner.update_state(STATE_STOPPED)
            gevent.sleep(0.2)

    def stop_if_running(self) -> None:
        """The program is told to end in the middle of a test: what was measured is kept."""
        if self.here.is_worker:
            self.settling.leave()
        elif self.here.runner is not None and self.here.runner.state not in (
            STATE_INIT,
            STATE_STOPPED,
        ):
            self.interrupted = self.here.running
            self.here.runner.stop()

    def conclude(self) -> None:
        """The exit code, unless somebody else has set one or plain users failed."""
        self.ready.discard()
        self.here.end_targets()
        self.here.close_engine()
        environment = self.here.environment
        if environment.process_exit_code is not None or not self.here.classes():
            return
        if self.here.is_worker:
            environment.process_exit_code = 0
        elif self.failure is not None:
            environment.process_exit_code = self.code_of(self.failure)
        elif self.here.tally is None:
            if self.here.options.get("headless"):
                environment.process_exit_code = ExitCode.INCONCLUSIVE
        else:
            report = self.here.tally.report()
            # Standard output is spoken for where Locust prints its figures as JSON.
            console = Console(highlight=False, stderr=bool(self.here.options.get("json")))
            environment.events.quit.add_listener(lambda **_: terminal.render(report, console))
            code = report.verdict.code
            if not self.reporting.write(report) and code is ExitCode.PASS:
                code = ExitCode.INCONCLUSIVE
            if code is ExitCode.FAIL:
                environment.process_exit_code = self.here.options.get("exit_code_on_error", code)
            elif code is not ExitCode.PASS or not self._others_failed():
                environment.process_exit_code = code

    def _others_failed(self) -> bool:
        """Whether plain Locust users that ran beside ours met errors, or code raised."""
        ours = {tables.explained(kind) for kind in tables.MEANINGS}
        errors = self.here.runner.stats.errors.values()
        return bool(self.here.runner.exceptions) or any(one.error not in ours for one in errors)

    def explain_cpu(self) -> None:
        if self.here.engine is not None and not self._explained:
            self._explained = True
            logger.info(
                "loadmux fills a core when the target is fast enough, by design; its own clock"
                " stays true. More load: more workers (--processes)"
            )
