"""Shrinks a scenario on this machine: the search (`shrinking`) with servers, time and a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any

from loadmux.errors import ScenarioErrors, TargetFailed, UsageError
from loadmux.language.describing.printing import values
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.probing.rehearsing import Rehearsal
from loadmux.probing.shrinking import Hunt, Seen, Trial
from loadmux.probing.trees import Tree, plain
from loadmux.probing.written import changes, file_of, text_of
from loadmux.running.catalog import models
from loadmux.running.interrupts import Interrupts
from loadmux.running.seeds import draw_seed

SEARCHING = 0.8
"""The share of the time after which nothing smaller is looked for: the rest confirms it."""
QUICK = 2
"""Tries of each candidate where the search is a part of something else."""
LATELY = 8
"""So many of the last texts are not read again: each is looked at, and then run several times."""
RANDOM = ("random", "pick", "uuid", "uniform", "exponential", "normal")


@dataclass
class Shrinking:
    """One search, with what it needs of this machine; `say` is told how it goes."""

    scenario: Scenario
    budget: float
    tries: int
    interrupts: Interrupts
    say: Callable[[str], None] = lambda line: None
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


def smallest(scenario: Scenario, budget: float, interrupts: Interrupts | None) -> str | None:
    """The file of the smallest scenario that fails alike, found in so many seconds; None where this
    one does not fail, or nothing can be left out.
    """
    shrinking = Shrinking(scenario, budget, QUICK, interrupts or Interrupts())
    try:
        shrinking.search()
    except (TargetFailed, UsageError):
        return None
    hunt = shrinking.hunt
    return shrinking.text() if len(hunt.kept) > 1 and changes(hunt) else None
