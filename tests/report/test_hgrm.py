"""HdrHistogram's percentile text holds every percentile that the other reports tell."""

from __future__ import annotations

import io
import re
from typing import Any

import needs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import OUTCOMES, measured, on_schedule, report

from loadmux.measuring.histogram import Histogram
from loadmux.report import hgrm

LINE = re.compile(r" *(\d+\.\d{6}) ([01]\.\d{12}) +(\d+) +(\d+\.\d\d|inf)")
SHARES = (0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0)


def read_back(part: str) -> Any:
    """The package's own histogram of what a part tells, in nanoseconds."""
    histogram = needs.package("hdrh.histogram", "hdrhistogram").HdrHistogram(1, 10**12, 3)
    before = 0
    for line in part.splitlines():
        if match := LINE.fullmatch(line):
            value, _, upto, _ = match.groups()
            histogram.record_value(round(float(value) * 1e6), int(upto) - before)
            before = int(upto)
    return histogram


latencies = st.lists(st.floats(1e-6, 100), min_size=1, max_size=300)


@settings(deadline=None, max_examples=30)
@given(latencies)
def test_what_is_read_back_has_the_same_percentiles(samples: list[float]) -> None:
    made = report(measured({"ask": samples}))
    histogram = made.stats.steps["ask"].histogram
    back = read_back(hgrm.render(made))
    assert back.get_total_count() == len(samples)
    for share in SHARES:
        rank = back.get_target_count_at_percentile(share * 100)  # rounds to the nearest
        found = back.get_value_at_percentile(share * 100) / 1e9
        same = histogram.percentile(rank / len(samples))
        assert found == pytest.approx(same, rel=1e-3, abs=2e-9)


def test_it_is_written_as_the_package_writes_it() -> None:
    """The same columns and the same lines at the end, but for the digits."""
    made = hgrm.render(report(measured({"ask": [0.010, 0.020, 0.020]})))
    out = io.BytesIO()
    read_back(made).output_percentile_distribution(out, 1e6)
    form = re.compile(r"[-+]?[0-9.]+|inf")
    theirs = [form.sub("N", line).split() for line in out.getvalue().decode().splitlines()]
    ours = [form.sub("N", line).split() for line in made.splitlines()[1:]]
    assert ours[:3] == theirs[:3]
    assert [line[0] for line in ours[-3:]] == [line[0] for line in theirs[-3:]]


def test_open_load_has_response_and_service_times() -> None:
    made = hgrm.render(on_schedule())
    assert re.findall("(?m)^# .*", made) == [
        "# ask: response time in milliseconds",
        "# ask: service time in milliseconds",
    ]
    response, service = made.split("\n\n# ")
    assert read_back(service).get_max_value() / 1e9 == pytest.approx(0.030, rel=1e-3)
    assert read_back(response).get_max_value() / 1e9 == pytest.approx(1.030, rel=1e-3)


@pytest.mark.parametrize("name", OUTCOMES)
def test_every_outcome_has_its_rows(name: str) -> None:
    made = OUTCOMES[name]()
    parts = hgrm.render(made).split("\n\n# ")
    rows = [*made.stats.steps.values(), made.stats.connects]
    histograms: list[Histogram] = [row.histogram for row in rows if row.histogram.count]
    histograms += [row.service for row in rows if row.service is not None]
    assert len(parts) == max(1, len(histograms))
    counts = [read_back(part).get_total_count() for part in parts]
    assert sorted(counts) == sorted(one.count for one in histograms) or counts == [0]
