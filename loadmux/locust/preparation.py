"""From what was chosen (class, command line, start form) to scenarios with running targets.

Done where the test is started, on the master or in a process that is alone, and only there: this is
where scenario files are read, mistakes told, and targets started, once for all workers.
"""

from __future__ import annotations

import inspect
import logging
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from loadmux.driver.poller import check_poller
from loadmux.errors import LoadmuxError, UsageError
from loadmux.language.loading import load
from loadmux.language.meaning.feeders import shortage
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.urls import parse_url
from loadmux.locust import wire
from loadmux.locust.carrying import gathered
from loadmux.locust.described import Described
from loadmux.locust.job import Job, Share
from loadmux.running.catalog import find, models
from loadmux.running.limits import check_limits, check_source
from loadmux.running.seeds import draw_seed
from loadmux.running.servers.starting import fitted, lying, servers_of
from loadmux.running.settings import Settings
from loadmux.running.state import Part
from loadmux.running.targets import look_at, note_death, urls_of, watch

logger = logging.getLogger("loadmux")

OWN = "as the scenario says"
BEST = "best"
NONE = "none"
ENDLESS = "24h"


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for a test; None leaves the scenario's own word. `users` may be unknown."""

    scenario: str | None = None
    target: str | None = None
    reply: str | None = None
    fault: str | None = None
    poller: str | None = None
    seed: int | None = None
    host: str | None = None
    users: int | None = None
    variables: tuple[str, ...] = ()
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """A scenario's phases are carried out; `users` of the command line change them, as they do in
    `loadmux run`."""

    users: int | None = None


def choice_from(options: Mapping[str, Any], host: str | None) -> Choice:
    """The choice that Locust's options (or the start form's fields) make."""

    def said(name: str) -> str | None:
        value = options.get(name)
        return None if value in (None, "", OWN, BEST, NONE) else str(value)

    seed, users = said("seed"), said("num_users")
    if seed is not None and not seed.isdecimal():
        raise UsageError(f"--seed: {seed!r} is no whole number")
    return Choice(
        said("scenario"),
        said("target"),
        said("reply"),
        said("fault"),
        said("poller"),
        None if seed is None else int(seed),
        host or None,
        int(users) if users is not None and users.isdecimal() else None,
        tuple(options.get("var") or ()),
        said("command"),
    )


def located(name: str, of: type[Described]) -> Path:
    """A scenario's file: from the current folder, that of the class's file, or a bundled one."""
    if not Path(name).exists():
        try:
            beside = Path(inspect.getfile(of)).parent / name
        except (OSError, TypeError):
            beside = Path(name)
        if beside.is_file():
            return beside
    return find(name)


def url_from(host: str | None) -> str | None:
    """Locust's host where it is the URL of a socket server, else None."""
    if host is None:
        return None
    try:
        parse_url(host)
    except ValueError:
        return None
    return host


def loaded(of: type[Described], choice: Choice, followed: Followed | None = None) -> Scenario:
    """The scenario of a class as it will be run. Raises LoadmuxError for every mistake."""
    name = choice.scenario or of.scenario
    if name is None:
        raise UsageError(f"class {of.__name__} names no scenario: write scenario = 'FILE.yaml'")
    host = url_from(choice.host)
    if choice.target is not None and host is not None:
        raise UsageError(f"choose a target ({choice.target}) or a host ({host}), not both")
    if choice.command is not None and (choice.target or host) is not None:
        raise UsageError("choose a command or another target, not both")
    own = None if choice.command else url_from(of.own_host) or of.target
    overrides = Overrides(
        target=choice.target or host or own,
        command=choice.command,
        reply=choice.reply or of.reply,
        seed=choice.seed,
        run_time=ENDLESS,
        variables=choice.variables,
    )
    path = located(name, of)
    scenario = None
    if followed is not None:
        scenario = load_own(path, replace(overrides, run_time=None, users=followed.users))
    if scenario is None or not scenario.load.phases:
        check_load(path, overrides)
        scenario = load(path, replace(overrides, users=choice.users), models=models())
        scenario = replace(scenario, load=replace(scenario.load, phases=()))
    assert scenario.target is not None
    if choice.fault is not None:
        (scenario,) = lying([scenario], choice.fault)
    return replace(scenario, seed=draw_seed() if scenario.seed is None else scenario.seed)


def load_own(path: Path, overrides: Overrides) -> Scenario | None:
    """The file as it stands; None where it has mistakes, which are left to whoever loads it."""
    try:
        scenario = load(path, overrides, models=models())
    except LoadmuxError:
        return None
    for notice in scenario.notices:
        tell_once(str(notice))
    return scenario


def check_load(path: Path, overrides: Overrides) -> None:
    """Refuse open load (UsageError), warn of phases: beside other classes, or with a shape of the
    locustfile's own, Locust alone decides how many users there are.

    Looks at the file's own load, which `--users` would replace.
    """
    scenario = load_own(path, overrides)
    if scenario is None:
        return
    if scenario.load.open:
        raise UsageError(
            f"{path}: open load ('rate') needs the test for itself: run it without other user"
            " classes, their picker, and without a LoadTestShape of your own"
        )
    if scenario.load.phases:
        tell_once(
            f"{path}: its phases and ramps are not followed: --users, other user classes, their"
            " picker or a LoadTestShape of your own decides how many users there are"
        )


@cache
def tell_once(warning: str) -> None:
    logger.warning("%s", warning)


def load_all(
    classes: Iterable[type[Described]], choice: Choice, followed: Followed | None = None
) -> dict[str, Scenario]:
    """The scenarios by class name. Raises LoadmuxError. For `followed` see `loaded`."""
    check_poller(choice.poller)
    if choice.host is not None and url_from(choice.host) is None:
        raise UsageError(
            f"host {choice.host!r} is no URL of a socket server: write one such as"
            " tcp://127.0.0.1:7000 or unix:///run/server.sock"
        )
    scenarios = {of.__name__: loaded(of, choice, followed) for of in classes}
    for scenario in scenarios.values():
        for one in scenario.sockets:
            if one.source is not None:
                check_source(one.source)
    return scenarios


def with_users(scenario: Scenario, users: int) -> Scenario:
    """The scenario for so many users. Raises UsageError where no process could open so much."""
    wanted = replace(scenario, load=replace(scenario.load, users=users))
    if any(one.bundled is not None for one in scenario.servers.values()):
        check_limits([wanted], Settings())
    return wanted


class Preparation:
    """Scenarios that are ready to run: `parts` by class name, their targets up.

    `choice` is what they were made of, `phased` the load that a shape has to follow, if there is
    one; `close` ends the bundled targets.

    Raises TargetFailed where one does not start, or a host has no address; UsageError where a
    target cannot serve so many users.
    """

    def __init__(
        self, scenarios: Mapping[str, Scenario], pollers: Mapping[str, str | None], choice: Choice
    ) -> None:
        several = len(scenarios) > 1
        self.choice = choice
        phased = [one.load for one in scenarios.values() if one.load.phases]
        self.phased = phased[0] if phased else None
        users = self.phased.users if self.phased is not None else choice.users
        self._fit = users or 0
        self.parts = {
            name: Part(scenario, name if several else "", 0) for name, scenario in scenarios.items()
        }
        self.poller = choice.poller or next(filter(None, pollers.values()), None)
        self._stack = ExitStack()
        try:
            for part in self.parts.values():
                self._start_targets(part, users)
        except BaseException:
            self.close()
            raise

    def _start_targets(self, part: Part, users: int | None) -> None:
        scenario = part.scenario
        wanted = with_users(scenario, users or scenario.load.users)
        for name, process in servers_of(wanted):
            part.processes[name] = self._stack.enter_context(process)
        part.urls = urls_of(part)
        watch(replace(part, scenario=wanted), always=False)

    def check_users(self, users: int) -> None:
        """Raises UsageError where there are not rows, or room at a target, for so many users."""
        for part in self.parts.values():
            wanted = with_users(part.scenario, users)
            for feeder in wanted.feeders.values():
                if (problem := shortage(feeder, users)) is not None:
                    raise UsageError(f"{feeder.where}: {problem}")
            for name, target in wanted.servers.items():
                if target.bundled is not None and users > self._fit:
                    fitted(name, target, wanted)
        self._fit = max(users, self._fit)

    def job(self, workers: Sequence[str], run: str = "") -> Job:
        """What workers with these client ids are told."""
        shares = {
            name: Share(
                wire.pack(part.scenario, part.scenario.path),
                {target: str(url) for target, url in part.urls.items()},
                part.scenario.seed or 0,
                gathered(part.scenario) if workers else {},
            )
            for name, part in self.parts.items()
        }
        slots = {client: slot for slot, client in enumerate(sorted(workers))}
        return Job(shares, self.poller, slots, max(1, len(slots)), run)

    def elsewhere(self, workers: Iterable[str]) -> list[str]:
        """Workers that cannot reach a target of ours, which listens on this machine only.

        Locust's client ids begin with the name of the machine.
        """
        here = socket.gethostname()
        bundled = any(part.processes for part in self.parts.values())
        return [one for one in workers if bundled and one.rpartition("_")[0] != here]

    def note_targets(self, began: float) -> None:
        """Write down how targets of ours ended on their own, or what they do without clients."""
        for part in self.parts.values():
            note_death(part)
            if not part.died:
                look_at(part, began, lambda: False)

    def close(self) -> None:
        self._stack.close()
