"""The timeline keeps its bound however long a run is, and sums up to its totals."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from loadmux.errors import Evidence, Kind
from loadmux.measuring.histogram import Histogram
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import Stats
from loadmux.measuring.timeline import INTERVAL, MOST, Timeline


def kind_of(row: StepStats) -> str:
    return row.kind


def told(latencies: list[float], errors: int = 0, started: int = 0) -> Stats:
    """What a worker measured since the last time."""
    stats = Stats(started=started)
    row = stats.row("ask")
    row.kind = "exchange"
    row.samples.extend(latencies)
    for _ in range(errors):
        stats.record_fault(Evidence(Kind.CORRUPT, "wrong", step="ask"))
    stats.fold()
    return stats


def test_an_hour_of_three_workers_keeps_its_bound_and_sums_to_the_totals() -> None:
    """The clock is simulated: each worker tells every half second; one is restarted meanwhile."""
    timeline, whole, random = Timeline(), Stats(), Random(1)
    for tick in range(1, 2 * 3600 + 1):
        for worker in range(3):
            bad = 900 <= tick / 2 < 905
            latencies = [random.uniform(0.5, 1.0) if bad else 0.001] * random.randrange(4)
            stats = told(latencies, errors=int(bad), started=10 if tick == 1 else 0)
            elapsed = tick / 2 + worker / 1000
            timeline.add(worker, elapsed, stats, 10, kind_of)
            whole.merge(stats)
    points = list(timeline.of("exchange"))
    assert len(points) <= MOST
    assert timeline.interval == 4 * INTERVAL
    assert sum(measured.count for _, _, measured in points) == whole.total.count
    assert sum(point.errors for _, point, _ in points) == whole.errors == 30
    assert all(point.users == 30 for _, point, _ in points[:-1])
    merged = Histogram()
    for _, _, measured in points:
        merged.merge(measured.histogram)
    assert merged.counts == whole.total.histogram.counts
    slow = [at for at, _, measured in points if measured.histogram.percentile(0.99) > 0.1]
    assert 900 - 2 <= min(slow) <= max(slow) <= 905
    assert all(len(one.buckets) < 100 for _, _, one in points)


def test_what_is_told_in_portions_belongs_to_one_time() -> None:
    timeline = Timeline()
    for elapsed in (0.500, 0.503, 0.510, 1.001, 1.020, 1.100):
        timeline.add(0, elapsed, told([0.001]), 1, kind_of)
    assert [measured.count for _, _, measured in timeline.of("exchange")] == [3, 3]


def test_a_run_that_is_told_at_its_end_only_had_users() -> None:
    timeline = Timeline()
    timeline.add(0, 0.2, told([0.001], started=7), 0, kind_of)
    ((at, point, measured),) = timeline.of("exchange")
    assert (at, point.users, measured.count) == (0.0, 7, 1)


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 5000), st.integers(0, 3)), max_size=40))
def test_whoever_tells_when_nothing_is_lost(said: list[tuple[int, float, int]]) -> None:
    timeline = Timeline()
    for worker, elapsed, count in said:
        timeline.add(worker, elapsed, told([0.001] * count, errors=count), 1, kind_of)
    points = list(timeline.of("exchange"))
    assert len(points) <= MOST
    assert sum(measured.count for _, _, measured in points) == sum(2 * n for _, _, n in said)
    assert sum(point.errors for _, point, _ in points) == sum(count for _, _, count in said)
    assert all(later - at == timeline.interval for (at, _, _), (later, _, _) in pairwise(points))
