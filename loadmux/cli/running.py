"""`loadmux run`: scenarios to a verdict, shown while they run, and put out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from rich.console import Console

from loadmux.cli.delivery import Wanted, put_aside, put_out
from loadmux.cli.printing import STREAM
from loadmux.cli.sources import scenarios_of, sources_of
from loadmux.errors import TargetFailed, UsageError
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report.aside import Aside
from loadmux.report.live import live_view
from loadmux.report.model import Report
from loadmux.report.reporters import chosen, listeners
from loadmux.report.writing import check_writable
from loadmux.running.cores import workers
from loadmux.running.generators.nursery import Nursery
from loadmux.running.run import run
from loadmux.running.servers.starting import lying
from loadmux.running.settings import Settings
from loadmux.running.unstarted import unstarted

if TYPE_CHECKING:
    from loadmux.cli.comparing import Comparing


def repeat_command(seed: int) -> str:
    """The command line of this run, with the seed that was drawn."""
    words = ["loadmux", *sys.argv[1:]]
    if not any(word == "--seed" or word.startswith("--seed=") for word in words):
        words += ["--seed", str(seed)]
    return shlex.join(words)


def run_files(
    files: Sequence[str],
    overrides: Overrides,
    fault: str | None,
    ways: tuple[str, str | None, bool],
    puts: tuple[bool, Path | None, Sequence[str]],
    compared: tuple[int, Path | None, Path | None, Sequence[str]],
    nursery: Nursery,
) -> ExitCode:
    """Run what the command line names; the exit code. Raises LoadmuxError before it has begun.

    `ways`: how many generator processes (or `auto`), which poller, whether to watch any server.
    `puts`: whether quiet, the file of the JSON, and reports.
    `compared`: how many runs, where to save their baseline, what to compare them with, and limits.
    """
    scenarios = scenarios_of(sources_of(files), overrides)
    if fault is not None:
        scenarios = lying(scenarios, fault)
    quiet, json_file, reports = puts
    extra = chosen(reports)
    if json_file == STREAM and any(one.prints for one in extra):
        raise UsageError(
            "--json-file -: a --report is printed there, too; write --report NAME=FILE"
        )
    if json_file is not None and json_file != STREAM:
        check_writable(json_file)
    wanted_workers, poller, watch = ways
    settings = Settings(
        workers(wanted_workers, scenarios),
        poller,
        repeat_command,
        nursery.interrupts,
        watch,
        listeners(extra),
        nursery=nursery,
    )
    wanted = Wanted(quiet, json_file, extra)
    if not any((compared[0] > 1, *compared[1:])):
        return perform(scenarios, settings, wanted)
    from loadmux.cli.comparing import comparing

    if compared[0] > 1 and settings.listeners:
        raise UsageError("--repeat: csv, ndjson and otel are of one run; use them without it")
    return perform(scenarios, settings, wanted, comparing(*compared))


def perform(
    scenarios: Sequence[Scenario],
    settings: Settings,
    wanted: Wanted,
    asked: Comparing | None = None,
) -> ExitCode:
    """Run, show, report; the exit code."""
    once = partial(run_once, scenarios, settings, wanted.quiet)
    try:
        report = once() if asked is None else asked.run(once, lambda: settings.interrupts.count > 0)
    except TargetFailed as error:
        put_aside(unstarted(scenarios, settings, error), wanted)
        raise
    settings.interrupts.delivering(report.verdict.code)
    code = put_out(report, wanted)
    return code if asked is None else asked.save(report) or code


def run_once(scenarios: Sequence[Scenario], settings: Settings, quiet: bool) -> Report:
    """One run, shown while it goes on."""
    servers = [one for scenario in scenarios for one in scenario.servers.values()]
    targets = ", ".join(dict.fromkeys(one.called for one in servers))
    names = ", ".join(scenario.name for scenario in scenarios)
    with Aside(sys.stderr) as aside:
        console = Console(file=cast(IO[str], aside), highlight=False)
        view = live_view(console, quiet, names, targets)
        with settings.interrupts.undone_by(lambda: view.__exit__(None, None, None)), view:
            return run(scenarios, settings, view.update)
