"""Comparisons as files: written, read back, merged, and drawn."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import needs
import pytest
from contests import contest, steady

from loadmux.comparing import contest_page, results
from loadmux.comparing.contest import Contest, Out, Point
from loadmux.comparing.standings import standings
from loadmux.errors import UsageError

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
    results.write_contest(found, path)
    read = results.read_contest(path)
    assert read.taken == found.taken
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


def test_the_page_and_the_picture_hold_every_server_and_load_nothing(
    found: Contest, tmp_path: Path
) -> None:
    contest_page.write_html(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure") == page.count("</figure>") == 4
    assert "&lt;poll&gt;" in page
    assert "<poll>" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert '<td class="none">wrong</td>' in page
    contest_page.write_svg(found, tmp_path / "picture.svg")
    picture = ElementTree.parse(tmp_path / "picture.svg")
    assert len(list(picture.iter(f"{SVG}circle"))) == 4 * (3 + 2)
    texts = {one.text for one in picture.iter(f"{SVG}text")}
    assert {"epoll", "<poll>", "1 user", "100 users", "exchanges a second"} <= texts
