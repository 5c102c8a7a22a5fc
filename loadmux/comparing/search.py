"""Searches the highest load under which a server keeps its objectives; no clock, no I/O.

`Search.next` says which trial to make, `Search.tell` takes how it went. The reasoning is that of
MLRsearch (draft-ietf-bmwg-mlrsearch): short trials find the place, by doubling and bisecting, and
decide nothing; then a load counts as carried only after long trials, repeated, and so does one that
is not. Other than there the outcome of a trial is a number, how far the worst objective was from
its limit, so that few repetitions tell a clear case and many are spent on a close one.

A load is *carried* if the mean of those numbers is below the limit with 97.5% confidence; it is not
if it is above with the same, or nothing was shown after `MOST` of them. What is carried is tried
once more at the end: a server that gets slower with time is found by that, and the search goes on
downwards. So the lower end of the answer is never one that was good only by luck, or only once.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

LEAST, MOST = 4, 16
"""Long trials before a load can count as carried; before nothing is shown."""
HICCUP = 9
"""Long trials of which one may break."""
CLEARLY = 0.1
"""A margin (a tenth over the limit) that two long trials in a row need not be repeated for."""
COARSE = 4
"""The short trials end where the interval is so many times as wide as the answer is to be."""
WIDEST = 1.0
STUDENT = {
    **{3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262},
    **{11: 2.228, 12: 2.201, 13: 2.179, 14: 2.160, 15: 2.145, 16: 2.131},
}
"""Student's t for a mean of so many values, one-sided: `scipy.stats.t.ppf(.975, n - 1)`."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Offer this load for so many seconds; `long`: its outcome decides."""

    load: float
    seconds: float
    long: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial went. `margin`: the logarithm of measured/limit of the worst objective, within
    -1 and 1; below 0 is better than the limit. `limit` says what broke it, "" where it held.
    """

    margin: float
    limit: str = ""

    @property
    def held(self) -> bool:
        return not self.limit


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to begin, between which loads to look, how narrow the answer shall be (0.03: 3%).

    `whole`: loads are whole numbers. `short` and `long` are the seconds of a trial.
    """

    first: float
    lowest: float
    highest: float
    width: float = 0.03
    short: float = 1.0
    long: float = 3.0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Between `low`, which is carried, and `high`, which is not; None: there is no such load.

    `held`: how many of the long trials at `low` held, of how many; none where it was not confirmed.
    `broke` is the same at `high`, `limit` says what was broken there. `slowed`: a load that had
    been carried was not later on.
    """

    low: float | None
    high: float | None
    held: tuple[int, int] = (0, 0)
    broke: tuple[int, int] = (0, 0)
    limit: str = ""
    slowed: bool = False


class Judged(Enum):
    OPEN = auto()
    CARRIED = auto()
    NOT = auto()


@dataclass
class Load:
    """What long trials at one load have told; `final`: it was tried again at the end and held."""

    outcomes: list[Outcome] = field(default_factory=list)
    final: bool = False

    @property
    def held(self) -> int:
        return sum(one.held for one in self.outcomes)

    @property
    def limit(self) -> str:
        """What broke most of them."""
        return statistics.mode(limits) if (limits := self.limits) else ""

    @property
    def limits(self) -> list[str]:
        return [one.limit for one in self.outcomes if one.limit]

    @property
    def judged(self) -> Judged:
        count, held = len(self.outcomes), self.held
        if held < count and self._clearly_not():
            return Judged.NOT
        if count >= LEAST and (bound(self.outcomes) < 0 or self._but_one()):
            return Judged.CARRIED
        return Judged.NOT if count >= MOST else Judged.OPEN

    def _clearly_not(self) -> bool:
        broken = [one for one in self.outcomes if not one.held]
        count, by_far = len(self.outcomes), all(one.margin > CLEARLY for one in self.outcomes)
        if count >= 2 and len(broken) == count and by_far:
            return True
        return count >= LEAST - 1 and len(broken) > count / 2 and bound(self.outcomes, -1) > 0

    def _but_one(self) -> bool:
        """A single hiccup in so many trials is the machine's, if all others are clear."""
        others = [one for one in self.outcomes if one.held]
        count = len(self.outcomes)
        return count >= HICCUP and len(others) == count - 1 and bound(others) < 0


def bound(outcomes: Sequence[Outcome], side: int = 1) -> float:
    """What the mean margin is at most, or at least (`side` -1), with 97.5% confidence."""
    margins = [one.margin for one in outcomes[-MOST:]]
    error = statistics.stdev(margins) / math.sqrt(len(margins))
    return statistics.fmean(margins) + side * STUDENT[len(margins)] * error


class Search:
    """Ask `next` for a trial and `tell` its outcome, until there is none; `answer` at any time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loads: dict[float, Load] = {}
        self.slowed = False
        self._glimpsed: list[float] = []
        self._trials = self._all()
        self._told: Outcome | None = None
        self._coarse: tuple[float | None, float | None, str] = (None, None, "")

    def next(self) -> Trial | None:
        """The next trial; None where the answer is as good as asked for."""
        try:
            return next(self._trials)
        except StopIteration:
            return None

    def tell(self, outcome: Outcome) -> None:
        """How the trial went that `next` gave."""
        self._told = outcome

    @property
    def answer(self) -> Answer:
        low, high = self._low(), self._high()
        _, above, limit = self._coarse
        if high is None:
            high = above if above is not None and (low is None or above > low) else None
            broke = (0, 0)
        else:
            one = self.loads[high]
            limit, broke = one.limit, (len(one.outcomes) - one.held, len(one.outcomes))
        held = (0, 0)
        if low is not None:
            held = self.loads[low].held, len(self.loads[low].outcomes)
        else:
            low = max((at for at in self._glimpsed if high is None or at < high), default=None)
        return Answer(low, high, held, broke, limit if high is not None else "", self.slowed)

    # --- which trials -----------------------------------------------------------------------------

    def _all(self) -> Iterator[Trial]:
        yield from self._double()
        yield from self._narrow()
        if self._coarse[0] is not None:
            yield from self._decide(self._coarse[0])

    def _short(self, load: float) -> Iterator[Trial]:
        """A short trial; one that fails is made again, and the best of three counts."""
        held = 0
        for count in range(1, 4):
            outcome = yield from self._make(load, self.plan.short)
            held += outcome.held
            if held == count or (held, count) in ((0, 2), (2, 3)) or count == 3:
                break
        below, above, limit = self._coarse
        if held * 2 > count:
            self._glimpsed.append(load)
            self._coarse = max(load, below or 0.0), above, limit
        else:
            self._coarse = below, load, outcome.limit or limit

    def _double(self) -> Iterator[Trial]:
        """Up from the first load until one breaks; down where the first one does."""
        load = self._on_grid(self.plan.first)
        while True:
            yield from self._short(load)
            below, above, _ = self._coarse
            if below is not None and above is None and load < self.plan.highest:
                load = self._on_grid(load * 2)
            elif below is None and load > self.plan.lowest:
                load = self._on_grid(load / 2)
            else:
                return

    def _narrow(self) -> Iterator[Trial]:
        while True:
            below, above, _ = self._coarse
            if below is None or above is None or self._is_near(below, above, COARSE):
                return
            yield from self._short(self._between(below, above))

    def _decide(self, load: float) -> Iterator[Trial]:
        """Long trials from there: up or down in growing steps, then between, and once more."""
        step = self.plan.width
        while True:
            yield from self._long(load)
            low, high = self._low(), self._high()
            if low is None:
                if load <= self.plan.lowest:
                    return
                load = min(self._on_grid(load / (1 + step)), self._below(load))
                step = min(step * 2, WIDEST)
            elif high is None and low < self.plan.highest:
                load = max(self._on_grid(low * (1 + step)), self._above(low))
                step = min(step * 2, WIDEST)
            elif high is not None and not self._is_near(low, high, 1):
                load = self._between(low, high)
            elif high is not None and not self.loads[high].final:
                yield from self._once_more(high)
                load = high
            elif self.loads[low].final:
                return
            else:
                yield from self._again(low)
                load, step = (low, self.plan.width)

    def _long(self, load: float) -> Iterator[Trial]:
        """Until it is known whether this load is carried."""
        known = self.loads.setdefault(load, Load())
        while known.judged is Judged.OPEN:
            known.outcomes.append((yield from self._make(load, self.plan.long)))

    def _once_more(self, load: float) -> Iterator[Trial]:
        """What was not carried: two hiccups of the machine may have been taken for that."""
        known = self.loads[load]
        outcome = yield from self._make(load, self.plan.long)
        known.final = True
        known.outcomes = [outcome] if outcome.held else [*known.outcomes, outcome]

    def _again(self, load: float) -> Iterator[Trial]:
        """What was carried, after all the others; if it breaks now all is tried anew."""
        known = self.loads[load]
        for _ in range(2):
            outcome = yield from self._make(load, self.plan.long)
            if outcome.held:
                known.outcomes = [*known.outcomes, outcome][-MOST:]
                known.final = True
                return
        self.slowed = True
        for one in self.loads.values():
            if one.judged is Judged.CARRIED:
                one.outcomes = []
        known.outcomes = [outcome, outcome]

    def _make(self, load: float, seconds: float) -> Generator[Trial, None, Outcome]:
        """One trial; what was told of it."""
        yield Trial(load, seconds, seconds == self.plan.long)
        assert self._told is not None
        return self._told

    # --- what is known ----------------------------------------------------------------------------

    def _low(self) -> float | None:
        """The highest load that is carried, below all that are not."""
        high = self._high() or math.inf
        carried = [at for at, one in self.loads.items() if one.judged is Judged.CARRIED]
        return max((at for at in carried if at < high), default=None)

    def _high(self) -> float | None:
        return min((at for at, one in self.loads.items() if one.judged is Judged.NOT), default=None)

    def _is_near(self, low: float, high: float, times: int) -> bool:
        near = high / low <= 1 + times * self.plan.width + 1e-9
        return near or (self.plan.whole and high - low <= 1)

    def _between(self, low: float, high: float) -> float:
        return (
            self._on_grid(math.sqrt(low * high))
            if not self.plan.whole
            else (min(max(round(math.sqrt(low * high)), low + 1), high - 1))
        )

    def _on_grid(self, load: float) -> float:
        """A load that may be tried: within the bounds, three digits, whole where it must be."""
        load = min(max(load, self.plan.lowest), self.plan.highest)
        return float(round(load)) if self.plan.whole else float(f"{load:.4g}")

    def _below(self, load: float) -> float:
        return max(load - 1, self.plan.lowest) if self.plan.whole else math.inf

    def _above(self, load: float) -> float:
        return min(load + 1, self.plan.highest) if self.plan.whole else 0.0
