"""The Universal Scalability Law, fitted to points that follow it, and to others."""

from __future__ import annotations

import random

import needs
import pytest

from loadmux.comparing.scaling import Law, fit, law

USERS = (1, 2, 4, 8, 16, 32, 64)


def test_the_coefficients_are_found_within_their_errors() -> None:
    needs.package("scipy")
    rng = random.Random(3)
    points = [(n, law(n, 1000, 0.05, 0.0005) * rng.gauss(1, 0.01)) for n in USERS for _ in range(3)]
    found = fit(points)
    assert isinstance(found, Law)
    for (value, error), truth in zip(
        (found.single, found.contention, found.coherency), (1000, 0.05, 0.0005), strict=True
    ):
        assert abs(value - truth) < 3 * error
    assert found.peak == pytest.approx((0.95 / 0.0005) ** 0.5, rel=0.1)


def test_without_coherency_no_peak_is_told() -> None:
    needs.package("scipy")
    rng = random.Random(3)
    found = fit([(n, law(n, 1000, 0.1, 0) * rng.gauss(1, 0.01)) for n in USERS])
    assert isinstance(found, Law)
    assert found.peak is None


def test_what_follows_no_such_law_does_not_fit() -> None:
    needs.package("scipy")
    rates = (5, 900, 7, 300, 900, 11, 20)
    found = fit(list(zip(USERS, rates, strict=True)))
    assert isinstance(found, str)
    assert found.startswith("does not fit: the points lie ")


def test_a_server_that_one_user_keeps_busy_fits() -> None:
    """There is no variation to be explained but the noise."""
    needs.package("scipy")
    rng = random.Random(3)
    found = fit([(n, law(n, 1000, 1, 0) * rng.gauss(1, 0.05)) for n in USERS])
    assert isinstance(found, Law)
    assert found.contention[0] > 0.8
    assert found.peak is None


def test_of_a_number_of_users_the_median_counts() -> None:
    needs.package("scipy")
    right = [(n, law(n, 1000, 0.05, 0.0005)) for n in USERS]
    found = fit([*right, *right, (64, 1.0)])
    assert isinstance(found, Law)
    assert found.off < 0.001


def test_where_nothing_was_carried_there_is_no_law() -> None:
    needs.package("scipy")
    assert fit([(n, 0.0) for n in USERS]) == "does not fit"


def test_few_points_are_not_fitted() -> None:
    assert fit([(1, 10), (2, 20), (4, 30)]) == "not fitted: it needs 5 numbers of users"
