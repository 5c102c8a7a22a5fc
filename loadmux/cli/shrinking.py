"""`loadmux shrink`: from a scenario that fails to the smallest that fails in the same way."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any

from loadmux import units
from loadmux.cli.printing import STREAM, deliver
from loadmux.cli.sources import scenarios_of, sources_of
from loadmux.errors import ScenarioErrors, TargetFailed, UsageError
from loadmux.language.loading import load
from loadmux.language.printing import values
from loadmux.language.scenario import Overrides, Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing.rehearsing import Rehearsal
from loadmux.probing.shrinking import Hunt, Seen, Trial
from loadmux.probing.trees import Tree, plain
from loadmux.probing.written import FIRST_WORDS, changes, file_of, text_of
from loadmux.running.catalog import models
from loadmux.running.interrupts import Interrupts
from loadmux.running.run import lying
from loadmux.running.script import draw_seed

SEARCHING = 0.8
"""The share of the time after which nothing smaller is looked for: the rest confirms it."""
LATELY = 8
"""So many of the last texts are not read again: each is looked at, and then run several times."""
PASSES = "there is nothing to shrink"
RANDOM = ("random", "pick", "uuid", "uniform", "exponential", "normal")


@dataclass
class Shrinking:
    """One search, with what it needs of this machine; `say` is told how it goes."""

    scenario: Scenario
    budget: float
    tries: int
    interrupts: Interrupts
    say: Callable[[str], None]
    began: float = field(default_factory=monotonic)

    def __post_init__(self) -> None:
        seed = self.scenario.seed
        self.seed = draw_seed() if seed is None else seed
        tree: Tree = plain(values(self.scenario))
        if seed is None and any(word in text_of(tree) for word in RANDOM):
            tree = {**tree, "seed": self.seed}
        self._loaded = lru_cache(LATELY)(self._load)
        self.hunt = Hunt(tree, self.tries, self.valid, self.over)

    @property
    def seconds(self) -> float:
        return monotonic() - self.began

    def over(self) -> bool:
        return self.interrupts.count > 0 or self.seconds > SEARCHING * self.budget

    def late(self) -> bool:
        return self.interrupts.count > 0 or self.seconds > self.budget

    def _load(self, text: str) -> Scenario | None:
        """The scenario in a text, if it is one."""
        try:
            return load(self.scenario.path, text=text, models=models())
        except (ScenarioErrors, UsageError):
            return None

    def valid(self, tree: Tree) -> bool:
        return self._loaded(text_of(tree)) is not None

    def meaning(self, text: str) -> Any:
        found = self._loaded(text)
        return None if found is None else values(found)

    def search(self) -> None:
        """Until nothing smaller is found, the time is up, or a signal came."""
        with Rehearsal(self.seed, self.late, self.interrupts) as rehearsal:
            for trial in self.hunt:
                try:
                    seen = rehearsal.run(self._scenario(trial))
                except TargetFailed as error:
                    if self.hunt.state == "looking":
                        raise
                    self.say(f"the search ends here: {error}")
                    return
                if self.late():
                    return
                self._told(seen)

    def _told(self, seen: Seen) -> None:
        """What a run showed; what that makes of the scenario is said."""
        before = self.hunt.best
        self.hunt.told(seen)
        best, kept = self.hunt.best, self.hunt.kept
        if best is not before and kept and changes(self.hunt, before):
            self.say(f"{self.seconds:5.1f} s  {changes(self.hunt, before)}")

    def _scenario(self, trial: Trial) -> Scenario:
        found = self._loaded(text_of(trial.tree))
        assert found is not None
        return found

    def text(self) -> str:
        """The file."""
        return file_of(
            self.hunt, self.hunt.best, self.meaning, Path(self.scenario.path).name, self.seconds
        )


def shrink_file(
    name: str,
    overrides: Overrides,
    fault: str | None,
    how: tuple[str, int, Path | None],
    interrupts: Interrupts,
) -> ExitCode:
    """Shrink what the command line names; the exit code. Raises LoadmuxError before it begins.

    `how`: the longest time, how often each candidate is tried, where to write.
    """
    scenarios = scenarios_of(sources_of([name]), overrides)
    scenario = (lying(scenarios, fault) if fault is not None else scenarios)[0]
    budget, tries, output = how
    path = output or default_output(name, scenario)
    check_free(path, asked=output is not None)
    shrinking = Shrinking(scenario, seconds_of(budget), tries, interrupts, complain)
    interrupts.measuring()
    shrinking.search()
    return finish(shrinking, path)


def complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def seconds_of(text: str) -> float:
    try:
        found = units.plain_duration(text)
    except ValueError as error:
        raise UsageError(f"--budget: {error}") from None
    if not found:
        raise UsageError("--budget: must be more than zero")
    return found


def default_output(name: str, scenario: Scenario) -> Path:
    """Beside the file, whose own files it may name; of a bundled one here."""
    folder = Path(name).parent if Path(name).is_file() else Path()
    stem = "scenario" if name == str(STREAM) else Path(scenario.path).stem
    return folder / f"{stem}-shrunk.yaml"


def check_free(path: Path, asked: bool) -> None:
    """Raises UsageError where something else than an earlier result is there."""
    if path == STREAM or not path.exists():
        return
    try:
        ours = path.read_text("utf-8").startswith(FIRST_WORDS)
    except (OSError, ValueError):
        ours = False
    if not ours:
        remedy = "name another file" if asked else "say where with --output FILE"
        raise UsageError(f"shrink: {path} is there already; {remedy}")


def finish(shrinking: Shrinking, path: Path) -> ExitCode:
    """Write the smallest, and say how small it is; the exit code."""
    hunt, interrupted = shrinking.hunt, shrinking.interrupts.count > 0
    code = ExitCode.INTERRUPTED if interrupted else ExitCode.PASS
    shrinking.interrupts.delivering(code)
    name = shrinking.scenario.path
    if not hunt.failed:
        if interrupted:
            complain("loadmux: interrupted before the scenario had failed")
            return code
        times = f"{hunt.baseline} of {hunt.baseline} times"
        print(f"{name} passed {times}: {PASSES}" if hunt.baseline else f"{name}: {LATE}")
        return ExitCode.INCONCLUSIVE
    text = shrinking.text()
    lost = deliver(lambda: put(path, text))
    return lost or code


LATE = "its first run was not over in the time of --budget; give it more"


def put(path: Path, text: str) -> None:
    """Write the file and show it."""
    if path != STREAM:
        path.write_text(text, encoding="utf-8")
    print(text, end="")
    if path != STREAM:
        print(f"\n{path} is written; now: loadmux run {shlex.quote(str(path))}")
