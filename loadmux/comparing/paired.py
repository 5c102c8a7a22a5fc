"""Whether two series of the same blocks differ: a paired ratio with its interval.

The ratio is the trimmed mean of the logarithms of the blocks' ratios (of the middle 60%: nearly as
sharp as a mean, and no outlier moves it), its interval a bootstrap. By itself that is too narrow
for few blocks, and whoever looks again and again finds a difference where there is none. So a
difference counts only where a test agrees, too: Wilcoxon's signed ranks, which need no more than
that twins differ either way with the same probability; see `contest` for why they do. It is looked
for only after so many blocks as `LOOKS` has, each time with a small share of what may go wrong in
all: two times `VERY_SURE` and eight times `SURE` (the last look is when the budget is spent) are
2.6%, whatever the looks have to do with each other (alpha spending: K. Lan, D. DeMets, Discrete
Sequential Boundaries for Clinical Trials, Biometrika 70, 1983). `tests/bench/twins.py` simulates
it. The statistics are scipy's.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from loadmux.errors import UsageError

LOOKS = (5, 7, 10, 14, 20, 28, 40, 56, 80)
ENOUGH = 10
"""Blocks for a rank test; with fewer only what is glaring counts: a t-test that is very sure."""
CONFIDENCE = 0.99
SURE, VERY_SURE = 0.003, 0.001
TRIMMED = 0.2
"""The share of the ratios that is left out at either end."""
ALIKE = 0.025
"""An interval within so much of 1 is as good as equal: more rounds would tell nothing of use."""
RESAMPLES = 2000
LEAST = 3


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of `rounds` blocks, with its interval; `differs`: the two are not equal."""

    value: float
    low: float
    high: float
    rounds: int
    differs: bool = False

    @property
    def alike(self) -> bool:
        """If they differ, then by less than ALIKE."""
        return self.within(ALIKE)

    def within(self, share: float) -> bool:
        """Whether they differ by less than that, if they do."""
        enough = self.rounds >= ENOUGH or self.low == self.high
        return enough and self.low >= 1 - share and self.high <= 1 + share


def ready() -> None:
    """Raises UsageError where the statistics are not installed."""
    if find_spec("scipy") is None:  # to import it takes longer than many a turn
        raise UsageError("compare: it needs scipy: pip install 'loadmux[compare]'")


def ratio(ours: Mapping[int, float], other: Mapping[int, float]) -> Ratio | None:
    """Of two series by their blocks; None where they have too few in common."""
    both = [one for one in ours if one in other and ours[one] > 0 and other[one] > 0]
    if len(both) < LEAST:
        return None
    return _ratio(tuple(math.log(ours[one] / other[one]) for one in both))


@cache  # each is asked for by the table, by every picture, and at the next look
def _ratio(of: tuple[float, ...]) -> Ratio:
    import numpy as np
    from scipy import stats

    logs = np.array(of)
    value = float(np.exp(stats.trim_mean(logs, TRIMMED)))
    if not logs.std():
        return Ratio(value, value, value, len(logs), bool(logs[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (logs,),
            lambda drawn, axis: stats.trim_mean(drawn, TRIMMED, axis=axis),
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            method="percentile",
            random_state=np.random.default_rng(len(logs)),
        ).confidence_interval
        sure = _sure(logs)
    low, high = float(np.exp(found.low)), float(np.exp(found.high))
    return Ratio(value, low, high, len(logs), sure and not low <= 1 <= high)


def _sure(logs: Any) -> bool:
    """Whether a test agrees that the median of these logarithms is not 0."""
    from scipy import stats

    if len(logs) >= ENOUGH:
        return bool(stats.wilcoxon(logs).pvalue < SURE)
    one_side = (logs > 0).all() or (logs < 0).all()
    return bool(
        len(logs) >= LOOKS[0] and one_side and stats.ttest_1samp(logs, 0).pvalue < VERY_SURE
    )
