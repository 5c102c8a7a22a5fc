"""Runs scenarios from a program: a script, a notebook, a test, also in a thread.

    import loadmux

    report = loadmux.run("scenarios/parts.yaml", target="tcp://127.0.0.1:8000", users=50)
    report.assert_passed()

Nothing is printed and no signal handler is installed. Ctrl-C (KeyboardInterrupt) ends the run, its
processes included.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import yaml

from loadmux.errors import UsageError
from loadmux.language.loading import Bundle, load_all
from loadmux.language.meaning.scenario import Overrides
from loadmux.language.sources import usercode
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import terminal
from loadmux.report.model import Progress, Report
from loadmux.running import cores, repeating
from loadmux.running.catalog import find, models
from loadmux.running.generators.nursery import Nursery
from loadmux.running.run import run as run_all
from loadmux.running.servers.starting import lying
from loadmux.running.settings import Settings

ScenarioLike = str | PathLike[str] | Mapping[str, Any] | Callable[..., Any]
NAMELESS = "scenario"


@dataclass(frozen=True)
class RunReport(Report):
    """A finished run. `str()` is the report as the terminal shows it."""

    @property
    def passed(self) -> bool:
        """Whether every check held and every threshold was met."""
        return self.verdict.code is ExitCode.PASS

    def assert_passed(self) -> None:
        """Raise AssertionError with the report, evidence included, unless the run passed."""
        __tracebackhide__ = True  # pytest shows the test's own line
        if not self.passed:
            raise AssertionError(f"{self.verdict.reason}\n\n{self}")

    def __str__(self) -> str:
        return terminal.as_text(self)


def run(
    scenario: ScenarioLike | Sequence[ScenarioLike],
    *,
    target: str | Mapping[str, str] | None = None,
    command: str | Sequence[str] | None = None,
    reply: str | Mapping[str, str] | None = None,
    users: int | None = None,
    spawn_rate: str | float | None = None,
    run_time: str | float | None = None,
    iterations: int | None = None,
    rate: str | float | None = None,
    thresholds: Sequence[str] = (),
    seed: int | None = None,
    fault: str | None = None,
    workers: int | str = 1,
    watch: bool = False,
    poller: str | None = None,
    show: Callable[[Progress], None] | None = None,
    nursery: Nursery | None = None,
) -> RunReport:
    """Run one scenario, or several beside each other, to a verdict.

    A scenario is the path of a file (YAML or Python), the name of a bundled one, or a mapping with
    the keys of a file, or a function that `loadmux.scripting.scenario` has made one, at the top
    level of its file. `target` and `reply` are one word, or one for each name of a target.
    `command` starts a server of your own, with `{port}` where its port is to stand.
    `run_time` is in seconds, or a text such as "10s"; `rate` and `spawn_rate` are a number a
    second, or a text such as "50/s". `thresholds` are added to the scenario's. `fault` makes a
    bundled target lie. `workers` is the number of generator processes, "auto" one for each core.
    `watch`: look also at the processes of a server on this machine that is there already. `show` is
    called a few times a second with how the run goes. `nursery` makes the generator processes of
    many runs, which saves each of them a start of Python.

    A server that is wrong, unreachable or slow does not raise: the report's verdict says it. Raises
    loadmux.errors.LoadmuxError where nothing can be run: ScenarioErrors for mistakes in a scenario,
    UsageError for arguments, TargetFailed for a bundled target that does not start.
    """
    every: list[ScenarioLike]
    if isinstance(scenario, str | PathLike | Mapping) or callable(scenario):
        every = [scenario]
    else:
        every = list(scenario)
    overrides = Overrides(
        target=_words(target),
        reply=_words(reply),
        users=users,
        spawn_rate=_rate(spawn_rate),
        run_time=f"{run_time}s" if isinstance(run_time, int | float) else run_time,
        iterations=iterations,
        seed=seed,
        thresholds=tuple(thresholds),
        rate=_rate(rate),
        command=command if command is None or isinstance(command, str) else shlex.join(command),
    )
    loaded = load_all([_source(one) for one in every], overrides, models=models())
    if fault is not None:
        loaded = lying(loaded, fault)
    names = [one.path for one in loaded]
    given = {"--fault": fault, "--poller": poller, "--workers": None if workers == 1 else workers}
    more = [word for flag, one in given.items() if one is not None for word in (flag, str(one))]
    more += ["--watch"] if watch else []
    settings = Settings(
        cores.workers(workers, loaded),
        poller,
        lambda seed: repeating.command(names, overrides, more, seed),
        watch=watch,
        nursery=nursery,
    )
    report = run_all(loaded, settings, show or (lambda progress: None))
    return RunReport(**{one.name: getattr(report, one.name) for one in fields(Report)})


def _source(scenario: ScenarioLike) -> Path | Bundle:
    """What `load_all` reads. Raises UsageError where there is no such file."""
    if isinstance(scenario, Mapping):
        text = yaml.safe_dump(dict(scenario), sort_keys=False, allow_unicode=True)
        return Bundle(NAMELESS, text, None)
    if callable(scenario):
        return _decorated(scenario)
    return find(fspath(scenario))


def _decorated(function: Callable[..., Any]) -> Bundle:
    """A function that is a scenario; the generator processes import its file."""
    name = getattr(function, "__qualname__", "")
    code = getattr(function, "__code__", None)
    if not hasattr(function, usercode.MARK) or code is None:
        raise UsageError(f"{name or function!r} is no scenario: @scenario(...) makes it one")
    if "." in name:
        raise UsageError(f"{name} must stand at the top level of its file: processes import it")
    path = Path(code.co_filename)
    try:
        return Bundle(str(path), path.read_text("utf-8"), None, name)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: its file {path} cannot be read: {error}") from None


def _words(given: str | Mapping[str, str] | None) -> tuple[str, ...]:
    if isinstance(given, Mapping):
        return tuple(f"{name}={word}" for name, word in given.items())
    return () if given is None else (given,)


def _rate(given: str | float | None) -> str | None:
    return f"{given}/s" if isinstance(given, int | float) else given
