"""Whether two series of the same rounds differ: a paired ratio with its interval.

The interval is a bootstrap of the median ratio. By itself it is too narrow for few rounds, and
looking again and again finds a difference where there is none (simulated: in 9 to 21 of 100
comparisons of equals); so a difference counts only where a test agrees (Wilcoxon's signed ranks),
and it is looked for only after so many rounds as `LOOKS` has. The statistics are scipy's.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadmux.errors import UsageError

LOOKS = (5, 10, 20, 40, 80)
ENOUGH = 10
"""Rounds for a rank test; with fewer only what is glaring counts: a t-test that is very sure."""
CONFIDENCE = 0.99
SURE, VERY_SURE = 0.005, 0.001
ALIKE = 0.025
"""An interval within so much of 1 is as good as equal: more rounds would tell nothing of use."""
RESAMPLES = 2000
LEAST = 3


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median of the ratios of `rounds` rounds, and its interval; `differs`: the two are not equal.

    `alike`: if they differ, then by less than ALIKE.
    """

    value: float
    low: float
    high: float
    rounds: int
    differs: bool = False
    alike: bool = False


def ready() -> None:
    """Raises UsageError where the statistics are not installed."""
    try:
        import scipy.stats  # noqa: F401
    except ImportError:
        raise UsageError("compare: it needs scipy: pip install 'loadmux[compare]'") from None


def ratio(ours: Mapping[int, float], other: Mapping[int, float]) -> Ratio | None:
    """Of two series by their rounds; None where they have too few in common."""
    import numpy as np
    from scipy import stats

    both = [one for one in ours if one in other and ours[one] > 0 and other[one] > 0]
    if len(both) < LEAST:
        return None
    logs = np.array([math.log(ours[one] / other[one]) for one in both])
    value = float(np.exp(np.median(logs)))
    if not logs.std():
        return Ratio(value, value, value, len(both), bool(logs[0]), not logs[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (logs,),
            np.median,
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            method="percentile",
            random_state=np.random.default_rng(len(both)),
        ).confidence_interval
        sure = _sure(logs)
    low, high = float(np.exp(found.low)), float(np.exp(found.high))
    differs = sure and not low <= 1 <= high
    alike = len(both) >= ENOUGH and low >= 1 - ALIKE and high <= 1 + ALIKE
    return Ratio(value, low, high, len(both), differs, alike)


def _sure(logs: Any) -> bool:
    """Whether a test agrees that the median of these logarithms is not 0."""
    from scipy import stats

    if len(logs) >= ENOUGH:
        return bool(stats.wilcoxon(logs).pvalue < SURE)
    one_side = (logs > 0).all() or (logs < 0).all()
    return bool(
        len(logs) >= LOOKS[0] and one_side and stats.ttest_1samp(logs, 0).pvalue < VERY_SURE
    )
