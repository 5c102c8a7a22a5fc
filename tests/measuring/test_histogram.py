"""The spread of latencies: percentiles against sorted lists, and that merging loses nothing."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil, fsum

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from samples import filled

from loadmux.measuring.histogram import Histogram

LATENCIES = st.floats(min_value=1e-9, max_value=1e5)
SAMPLES = st.lists(LATENCIES, min_size=1, max_size=300)
HUNDREDTHS = st.integers(min_value=0, max_value=10_000)
HALF_BUCKET = 1 / 256
SINGLE_PRECISION = 1e-7


def nearest_rank(samples: list[float], hundredths: int) -> float:
    """The definition, in exact arithmetic, on the whole list."""
    rank = max(1, ceil(Fraction(hundredths, 10_000) * len(samples)))
    return sorted(samples)[rank - 1]


@given(SAMPLES, HUNDREDTHS)
@example([float(number) for number in range(1, 101)], 700)
@example([float(number) for number in range(1, 101)], 5500)
def test_percentiles_are_within_half_a_bucket(samples: list[float], hundredths: int) -> None:
    exact = nearest_rank(samples, hundredths)
    told = filled(samples).percentile(hundredths / 10_000)
    assert abs(told - exact) <= exact * (HALF_BUCKET + SINGLE_PRECISION)
    assert min(samples) <= told <= max(samples)


@given(SAMPLES)
def test_what_is_kept_exactly(samples: list[float]) -> None:
    histogram = filled(samples)
    assert (histogram.low, histogram.high) == (min(samples), max(samples))
    assert histogram.count == histogram.counts.total() == len(samples)
    assert histogram.mean == pytest.approx(fsum(samples) / len(samples))
    assert histogram.percentile(1.0) == max(samples)


@given(SAMPLES)
def test_percentiles_never_fall(samples: list[float]) -> None:
    histogram = filled(samples)
    told = [histogram.percentile(step / 20) for step in range(21)]
    assert all(low <= high for low, high in pairwise(told))


@given(st.lists(st.lists(LATENCIES, max_size=50), max_size=6))
def test_merged_parts_are_the_whole(parts: list[list[float]]) -> None:
    merged = Histogram()
    for part in parts:
        merged.merge(filled(part))
    whole = filled([sample for part in parts for sample in part])
    assert merged.counts == whole.counts
    assert (merged.count, merged.low, merged.high) == (whole.count, whole.low, whole.high)
    assert merged.total == pytest.approx(whole.total)


def test_nothing_measured_is_zero_and_a_time_of_zero_is_a_sample() -> None:
    assert (Histogram().percentile(0.99), Histogram().mean, Histogram().count) == (0.0, 0.0, 0)
    zero = filled([0.0, 0.0])
    assert (zero.percentile(0.5), zero.low, zero.high, zero.count) == (0.0, 0.0, 0.0, 2)


def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    samples = [10 ** (exponent / 1000) for exponent in range(-5000, 2000)]
    histogram = filled(samples)
    buckets = len(histogram.counts)
    for _ in range(10):
        histogram.add(samples)
    assert len(histogram.counts) == buckets <= 7 * 128 * 3.33 + 2


@given(SAMPLES, st.floats(0, 1))
def test_the_fastest_share_is_that_of_the_sorted_list(samples: list[float], share: float) -> None:
    fastest = filled(samples).fastest(share)
    kept = sorted(samples)[: round(len(samples) * share)]
    assert fastest.count == len(kept)
    if kept:
        assert fastest.low == min(samples)
        assert fastest.high == pytest.approx(kept[-1], rel=2 * HALF_BUCKET + SINGLE_PRECISION)
        assert fastest.mean == pytest.approx(fsum(kept) / len(kept), rel=2 * HALF_BUCKET)
