"""The search for the smallest scenario that still fails, as a state machine without any I/O.

    hunt = Hunt(tree, tries=3, valid=..., until=...)
    for trial in hunt: hunt.told(run(trial))

First the scenario itself is tried, to know its fault and how often it shows. A candidate is kept
where it failed `tries` times, in no more tries than that takes by the rate of the scenario itself.
On the way one try less will do, and what is reached at its end gets the last one; where that does
not fail, the way is gone again with all of them. The first round of ways is quick: of what always
failed each candidate must always fail. Those that follow try again what passed once: a server on a
busy machine does not always meet what it was sent. A fault is the same where it is of a like kind.

Control. Where the scenario passes as a gentle client would carry it out (one user, nothing cut), so
must each candidate that is kept: else it is the candidate that is wrong, and not the server. Where
it does not, a fault must stand at a step at which it was seen before: what leaving something out
has made wrong stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from loadmux.errors import Kind
from loadmux.language.text import yamltext
from loadmux.probing.reducing import Known, Way, gentle, prepared, ways
from loadmux.probing.trees import Tree, tidy

ALWAYS = 0.95
LEEWAY = 1.3
BASELINE = 3
"""A scenario that passes so many times `tries` tries is none that fails."""
CONFIRMED = 10
ROUNDS = 5
SINKING = 0.6
"""What fails less often than this share of the time that it was thought to is given up."""

ALIKE = (
    {Kind.CORRUPT, Kind.DUPLICATE, Kind.REORDERED, Kind.CROSSTALK, Kind.MISMATCH},
    {Kind.TIMEOUT, Kind.TRUNCATED},
    {Kind.CLOSED, Kind.RESET},
)
State = Literal["looking", "passes", "searching", "smallest"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run showed: the kinds of its faults and their steps, the first one first."""

    faults: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """A scenario to run, and why (`baseline`, `control`, the name of a way, `confirming`)."""

    tree: Tree
    why: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A step of the way: what made the scenario smaller, after so many runs."""

    way: str
    tree: Tree
    runs: int


def alike(kind: str, other: str) -> bool:
    """Whether one fault may show as both: which wrong bytes come hangs on what is sent."""
    return kind == other or any({kind, other} <= one for one in ALIKE)


def decided(failed: int, passed: int, tries: int, rate: float, quick: bool) -> bool | None:
    """Whether a candidate that failed so often is kept; None while that is open."""
    limit = tries if quick and rate >= ALWAYS else ceil(LEEWAY * tries / rate)
    if failed >= tries:
        return True
    return False if passed > limit - tries else None


Runs = Generator[Trial, Seen, None]
Asked = Generator[Trial, Seen, bool]


@dataclass
class Hunt:
    """See the module. `best` is the smallest so far, whenever somebody looks.

    `kind` is the fault's, "" until it was seen; `failed` of `baseline` runs of the scenario itself
    showed it; `confirmed` is the same of `best` at the end. `over` is asked before each run of the
    search: where it is true, what was found until then is confirmed. `valid` says whether a tree is
    a scenario at all.
    """

    original: Tree
    tries: int
    valid: Callable[[Tree], bool]
    over: Callable[[], bool] = lambda: False
    best: Tree = field(init=False)
    kind: str = ""
    places: set[str] = field(default_factory=set)
    failed: int = 0
    baseline: int = 0
    confirmed: tuple[int, int] = (0, 0)
    controlled: bool = False
    state: State = "looking"
    runs: int = 0
    candidates: int = 0
    kept: list[Kept] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.best = tidy(prepared(self.original))
        if not self.valid(self.best):
            self.best = self.original
        self._known: dict[str, bool] = {}
        self._quick = True
        self._all = self._hunt()
        self._next: Trial | None = next(self._all)

    def __iter__(self) -> Iterator[Trial]:
        while self._next is not None:
            yield self._next

    def told(self, seen: Seen) -> None:
        """What the run of the last trial showed."""
        self.runs += 1
        try:
            self._next = self._all.send(seen)
        except StopIteration:
            self._next = None

    @property
    def rate(self) -> float:
        """The share of its runs in which the scenario itself failed so."""
        return self.failed / self.baseline if self.baseline else 0.0

    # --- what is done ---------------------------------------------------------------------------

    def _hunt(self) -> Runs:
        yield from self._look()
        if not self.failed:
            self.state = "passes"
            return
        self.state = "searching"
        yield from self._see_control()
        self.kept = [Kept("", self.best, self.runs)]
        yield from self._search()
        yield from self._confirm()

    def _look(self) -> Runs:
        """How the scenario itself fails, and how often."""
        while self.failed < self.tries and self.baseline < BASELINE * self.tries:
            if self.failed and self.over():
                return
            seen = yield Trial(self.best, "baseline")
            self.baseline += 1
            if seen.faults and not self.kind:
                self.kind = seen.faults[0][0]
            self.places |= {step for kind, step in seen.faults if alike(kind, self.kind)}
            self.failed += self._fails(seen)

    def _see_control(self) -> Runs:
        calm = gentle(self.best)
        if not self.valid(calm):
            return
        for _ in range(self.tries):
            if (yield Trial(calm, "control")).faults:
                return
        self.controlled = True

    def _fails(self, seen: Seen) -> bool:
        anywhere = self.controlled
        return any(
            alike(kind, self.kind) and (anywhere or step in self.places)
            for kind, step in seen.faults
        )

    def _search(self) -> Runs:
        for number in range(ROUNDS):
            before, self._quick = self.best, not number
            for name, way in ways(Known(self.places, self.controlled)).items():
                yield from self._go(name, way)
                if self.over():
                    return
            if self.best == before and number:
                self.state = "smallest"
                return
            self._known = {text: fails for text, fails in self._known.items() if fails}

    def _go(self, name: str, way: Way) -> Runs:
        """A way to its end: quickly where that holds, else with all tries of each candidate."""
        begun, known, count = self.best, dict(self._known), len(self.kept)
        for needed in dict.fromkeys((max(1, self.tries - 1), self.tries)):
            yield from self._walk(name, way, needed)
            if self.best == begun or (yield from self._holds(name, self.tries - needed)):
                return
            self.best, self._known = begun, dict(known)
            del self.kept[count:]

    def _walk(self, name: str, way: Way, needed: int) -> Runs:
        moves, strict = way(self.best), needed == self.tries
        fails = None
        while not self.over():
            try:
                candidate = moves.send(fails) if fails is not None else next(moves)
            except StopIteration:
                return
            fails = yield from self._judged(candidate, name, needed, strict)
            if fails:
                self.best = candidate
                self.kept.append(Kept(name, candidate, self.runs))

    def _holds(self, name: str, more: int) -> Asked:
        """Whether what a way came to fails in the tries that are left, and a gentle client passes.

        Where there is no time to see, it does: it is confirmed at the end.
        """
        if not more or self.over():
            return True
        if not (yield from self._tried(self.best, name, more)):
            return self.over()
        return (yield from self._fair(self.best))

    def _judged(self, candidate: Tree, name: str, needed: int, strict: bool) -> Asked:
        """Whether a candidate is a scenario that still fails."""
        text = yamltext.flow(candidate)
        if text not in self._known:
            same = self.controlled and gentle(candidate) == candidate
            fails = candidate != self.best and not same and self.valid(candidate)
            self.candidates += fails
            fails = fails and (yield from self._tried(candidate, name, needed))
            self._known[text] = fails and (not strict or (yield from self._fair(candidate)))
        return self._known[text]

    def _tried(self, candidate: Tree, name: str, needed: int) -> Asked:
        failed = passed = 0
        while (verdict := decided(failed, passed, needed, self.rate, self._quick)) is None:
            if self.over():
                return False
            fails = self._fails((yield Trial(candidate, name)))
            failed, passed = failed + fails, passed + (not fails)
        return verdict

    def _fair(self, candidate: Tree) -> Asked:
        """Whether a gentle client passes, where that can be told."""
        return not (self.controlled and (yield Trial(gentle(candidate), "control")).faults)

    def _confirm(self) -> Runs:
        """How often the smallest fails; back to the one before where that is too seldom."""
        while True:
            failed = 0
            for count in range(1, CONFIRMED + 1):
                failed += self._fails((yield Trial(self.best, "confirming")))
                self.confirmed = failed, count
            if failed >= SINKING * self.rate * CONFIRMED or len(self.kept) <= 1:
                return
            self.kept.pop()
            self.best, self.state = self.kept[-1].tree, "searching"
