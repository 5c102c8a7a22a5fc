"""Rows of the report: batches until they are folded, and latencies that a standstill spoilt."""

from __future__ import annotations

from loadmux.measuring.histogram import Histogram
from loadmux.measuring.rows import StepStats


def test_folding_empties_the_list_that_the_hot_path_holds() -> None:
    row = StepStats("ask", "exchange")
    record = row.samples.append
    record(0.5)
    row.fold()
    record(0.25)
    row.fold()
    assert (row.samples, row.count, row.histogram.total) == ([], 2, 0.75)


def test_under_open_load_a_response_is_spoilt_and_its_service_time_is_not() -> None:
    row = StepStats("ask", "exchange", service=Histogram())
    row.record_delayed(float("nan"), 0.25)
    row.fold()
    assert row.right == 1
    assert row.histogram.count == 0
    assert row.service is not None
    assert row.service.count == 1
