"""Fits the Universal Scalability Law to throughput over users.

X(N) = a·N / (1 + s·(N - 1) + k·N·(N - 1)): `a` is what one user gets, `s` the share of the work
that only one can do at a time (contention), `k` what each costs each other (coherency). See
N. Gunther, Guerrilla Capacity Planning. The fit and its errors are scipy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LEAST = 5
"""Numbers of users: three coefficients, and something left to judge them by."""
WELL = 0.15
"""By so much of themselves the points lie beside a fit that is told, at most.

Not the share of the variation that it explains: where one user keeps a server busy already, there
is nothing to vary, and hardly a fit would explain it.
"""
INSTALL = "needs scipy: pip install 'loadmux[compare]'"


@dataclass(frozen=True, slots=True)
class Law:
    """Each coefficient with its standard error. `peak`: the users beyond which it gets less.

    `off` is how far the points lie beside it, as a part of themselves: the standard error of the
    regression, whose weights are relative, too.
    """

    single: tuple[float, float]
    contention: tuple[float, float]
    coherency: tuple[float, float]
    off: float

    @property
    def peak(self) -> float | None:
        contention, coherency = self.contention[0], self.coherency[0]
        if coherency <= 2 * self.coherency[1] or contention >= 1:
            return None
        return float(((1 - contention) / coherency) ** 0.5)


def law(users: float, single: float, contention: float, coherency: float) -> float:
    return single * users / (1 + contention * (users - 1) + coherency * users * (users - 1))


def fit(points: Sequence[tuple[float, float]]) -> Law | str:
    """The law for (users, throughput), or why there is none; of a number of users the median."""
    if len({users for users, _ in points}) < LEAST:
        return f"not fitted: it needs {LEAST} numbers of users"
    try:
        import numpy as np
        from scipy.optimize import curve_fit
    except ImportError:
        return INSTALL
    by_users: dict[float, list[float]] = {}
    for users, rate in points:
        by_users.setdefault(users, []).append(rate)
    x = np.array(list(by_users), dtype=float)
    y = np.array([median(rates) for rates in by_users.values()], dtype=float)
    if not y.all():
        return "does not fit"  # the law has no place where nothing is carried
    start = (max(y / x), 0.1, 0.001)
    try:
        found, spread = curve_fit(
            law, x, y, start, bounds=([0, 0, 0], [np.inf, 1, 1]), sigma=y, maxfev=20_000
        )
    except RuntimeError:
        return "does not fit"
    freedom = len(x) - len(found)
    off = float(np.sqrt((((y - law(x, *found)) / y) ** 2).sum() / freedom))
    if not np.isfinite(spread).all():
        return "does not fit"
    if off > WELL:
        return f"does not fit: the points lie {off:.0%} beside it"
    single, contention, coherency = (
        (float(value), float(error))
        for value, error in zip(found, np.sqrt(np.diag(spread)), strict=True)
    )
    return Law(single, contention, coherency, off)
