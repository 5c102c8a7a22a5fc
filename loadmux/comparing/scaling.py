"""Fits the Universal Scalability Law to throughput over users.

X(N) = a·N / (1 + s·(N - 1) + k·N·(N - 1)): `a` is what one user gets, `s` the share of the work
that only one can do at a time (contention), `k` what each costs each other (coherency). See
N. Gunther, Guerrilla Capacity Planning. The fit and its errors are scipy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 5
"""Numbers of users: three coefficients, and something left to judge them by."""
WELL = 0.95
"""The share of the variation that a fit explains, at least, to be told."""
INSTALL = "needs scipy: pip install 'loadmux[compare]'"


@dataclass(frozen=True, slots=True)
class Law:
    """Each coefficient with its standard error. `peak`: the users beyond which it gets less."""

    single: tuple[float, float]
    contention: tuple[float, float]
    coherency: tuple[float, float]
    explained: float

    @property
    def peak(self) -> float | None:
        contention, coherency = self.contention[0], self.coherency[0]
        if coherency <= 2 * self.coherency[1] or contention >= 1:
            return None
        return float(((1 - contention) / coherency) ** 0.5)


def law(users: float, single: float, contention: float, coherency: float) -> float:
    return single * users / (1 + contention * (users - 1) + coherency * users * (users - 1))


def fit(points: Sequence[tuple[float, float]]) -> Law | str:
    """The law for (users, throughput), or why there is none."""
    if len({users for users, _ in points}) < LEAST:
        return f"not fitted: it needs {LEAST} numbers of users"
    try:
        import numpy as np
        from scipy.optimize import curve_fit
    except ImportError:
        return INSTALL
    x, y = np.array(points, dtype=float).T
    start = (max(y / x), 0.1, 0.001)
    try:
        found, spread = curve_fit(
            law, x, y, start, bounds=([0, 0, 0], [np.inf, 1, 1]), sigma=y, maxfev=20_000
        )
    except RuntimeError:
        return "does not fit"
    left = float(((y - law(x, *found)) ** 2).sum())
    explained = 1 - left / float(((y - y.mean()) ** 2).sum() or 1.0)
    if explained < WELL or not np.isfinite(spread).all():
        return "does not fit"
    single, contention, coherency = (
        (float(value), float(error))
        for value, error in zip(found, np.sqrt(np.diag(spread)), strict=True)
    )
    return Law(single, contention, coherency, explained)
