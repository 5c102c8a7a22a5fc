"""Comparisons as files: written, read back, merged, and drawn."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import needs
import pytest
from contests import contest, steady
from markdown_it import MarkdownIt

from loadmux.comparing import contest_forms, contest_page, results
from loadmux.comparing.contest import Contest, Out, Point
from loadmux.comparing.standings import standings
from loadmux.errors import UsageError
from loadmux.measuring.histogram import Histogram

SWEEP = (Point(1, 1), Point(10, 10), Point(100, 100))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def found() -> Contest:
    needs.package("scipy")
    drawn = {"epoll": steady(10_000), "<poll>": steady(5_000)}
    swept = contest(drawn, SWEEP)
    swept.out[1, 2] = Out("1 error (1 corrupt)", wrong=True)
    return swept


def test_a_comparison_is_read_as_it_was_written(found: Contest, tmp_path: Path) -> None:
    path = tmp_path / "told.json"
    found.latencies[0, 0] = Histogram()
    found.latencies[0, 0].add([0.001, 0.002])
    path.write_text(results.text(results.of_contest(found)))
    read = results.read_contest(path)
    assert read.taken == found.taken
    assert read.latencies == found.latencies
    assert read.blocks == found.blocks
    assert [standings(read, place) for place in range(3)] == [
        standings(found, place) for place in range(3)
    ]


def test_files_are_merged_and_each_round_is_compared_with_itself(found: Contest) -> None:
    other = contest({"epoll": steady(1_000), "select": steady(500)}, SWEEP, seed=2)
    both = results.merged([found, other])
    assert [one.name for one in both.entrants] == ["epoll", "<poll>", "select"]
    assert both.rounds == found.rounds + other.rounds
    assert both.ratio(1, 2, 0, "rate") is None
    beside = both.ratio(2, 0, 0, "rate")
    assert beside is not None
    assert beside.rounds == other.rounds
    assert beside.value == pytest.approx(0.5, rel=0.1)


def test_what_was_measured_otherwise_is_not_merged(found: Contest) -> None:
    other = contest({"epoll": steady(1_000)}, SWEEP)
    other.seconds = 5.0
    with pytest.raises(UsageError, match="cannot be merged: another seconds"):
        results.merged([found, other])


def test_a_file_that_is_no_comparison(tmp_path: Path) -> None:
    path = tmp_path / "told.json"
    for text in ("", "[]", json.dumps({"loadmux_comparison": 1}), "{}"):
        path.write_text(text)
        with pytest.raises(UsageError, match="is no comparison"):
            results.read_contest(path)


def test_the_page_and_the_picture_hold_every_server_and_load_nothing(found: Contest) -> None:
    for entrant, place in found.taken:
        found.latencies[entrant, place] = Histogram()
        found.latencies[entrant, place].add([0.001 * (n + 1) for n in range(50)])
    page = contest_page.html(found)
    # four over the sweep, one by percentile where two were right, two heat maps
    assert page.count("<figure") == page.count("</figure>") == 4 + 2 + 2
    assert "&lt;poll&gt;" in page
    assert "<poll>" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    picture = ElementTree.fromstring(contest_page.svg(found))
    marks = [one for one in picture.iter(f"{SVG}path") if one.get("class") == "dot"]
    assert len(marks) == 4 * (3 + 2 + 2)  # over the sweep, and in the legend
    assert len(list(picture.iter(f"{SVG}title"))) == 4 * (3 + 2) + 2 * (3 + 2)
    texts = {one.text for one in picture.iter(f"{SVG}text")}
    assert {"epoll", "<poll>", "1", "100", "exchanges a second over users", "wrong"} <= texts


def test_servers_at_a_single_point_have_a_row_each() -> None:
    needs.package("scipy")
    found = contest({"epoll": steady(10_000), "a very long name that has no room": steady(5_000)})
    picture = ElementTree.fromstring(contest_page.svg(found))
    texts = [one.text for one in picture.iter(f"{SVG}text")]
    assert texts.count("epoll") == 4
    assert any(one and one.startswith("a very long name") and one[-1] == "…" for one in texts)
    told = [one.text or "" for one in picture.iter(f"{SVG}title")]
    assert len([one for one in told if one.startswith("a very long name that has no room, ")]) == 4


def test_rows_and_markdown_have_every_turn_and_every_server(found: Contest) -> None:
    written = list(csv.DictReader(io.StringIO(contest_forms.as_csv(found))))
    told = [json.loads(line) for line in contest_forms.as_ndjson(found).splitlines()]
    assert len(written) == len(told) == sum(map(len, found.taken.values()))
    assert written[0]["server"] == told[0]["server"] == "epoll"
    assert float(written[0]["rate"]) == told[0]["rate"]
    assert (written[0]["limited"], written[0]["offered"]) == ("false", "")
    page = MarkdownIt("js-default").enable("table").render(contest_forms.markdown(found))
    assert page.count("<table>") == 3
    assert "&lt;poll&gt;" in page
