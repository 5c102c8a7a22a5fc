"""A capacity on a page and in a terminal, from trials made by hand."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from samples import measured, report

from loadmux.comparing import capacity_page, capacity_text
from loadmux.comparing.capacity import Axis, Capacity, Point
from loadmux.comparing.objectives import GENERATOR, PORTS
from loadmux.comparing.scaling import Law
from loadmux.comparing.search import Answer
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.thresholds import parse


def point(load: float, p99: float, limit: str = "", long: bool = True) -> Point:
    return Point(load, 3.0, long, load * 0.99, p99 / 4, p99, 3e-5, -0.5, limit)


def found(axis: Axis) -> Capacity:
    scenario = report(measured({"ask": [0.01]})).scenario
    slo = parse("p(99) < 5ms")
    made = Capacity(axis, [slo], scenario, Answer(400, 420, (4, 4), (2, 2), slo.text), seconds=60)
    made.points = [point(100, 0.001, long=False), point(400, 0.003), point(400, 0.004)]
    made.points.append(point(420, 0.009, slo.text))
    return made


def test_the_terminal_has_the_curve_and_what_limited_it() -> None:
    told = list(capacity_text.lines(found("rate")))
    assert "limited by  the server: p(99) < 5ms" in told
    assert "carried     400/s: held in 4 of 4 long trials" in told
    assert [line.split()[:2] for line in told if "/s" in line][-3:] == [
        ["100/s", "99.0/s"],
        ["400/s", "396/s"],
        ["420/s", "416/s"],
    ]


class Figures(HTMLParser):
    """The titles of the charts, and how many marks they have."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.titles: list[str] = []
        self.marks = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "svg":
            self.titles.append(dict(attrs)["aria-label"] or "")
        self.marks += dict(attrs).get("class") == "dot" and tag == "path"


def test_latency_over_throughput() -> None:
    page = capacity_page.html(found("rate"))
    drawn = Figures(page)
    assert drawn.titles == ["latency over throughput"]
    assert drawn.marks == 2 * 3 + 2  # those of the legend
    assert "400/s .. 420/s: p(99) &lt; 5ms" in page
    assert "the load that is carried" in page


def test_users_have_their_throughput_and_the_law() -> None:
    made = found("users")
    made.law = Law((100.0, 1.0), (0.05, 0.01), (0.0005, 0.0001), 0.01)
    page = capacity_page.html(made)
    assert Figures(page).titles == ["latency over throughput", "throughput over users"]
    assert "coherency   0.0005 ± 0.0001" in page


@pytest.mark.parametrize("limit", [GENERATOR, PORTS])
def test_no_server_is_blamed_for_what_the_generator_could_not_offer(limit: str) -> None:
    made = found("rate")
    made.answer = Answer(None, 0.1, limit=limit)
    assert made.code is ExitCode.INCONCLUSIVE
    assert "not the server" in capacity_text.headline(made)
    other = found("rate")
    other.answer = Answer(None, 0.1, limit="p(99) < 5ms")
    assert other.code is ExitCode.THRESHOLD
    assert capacity_text.headline(other) == "not even 0.10/s keep p(99) < 5ms"
