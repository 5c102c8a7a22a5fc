"""The page of a run: complete in one file, drawn by a real browser, safe with whatever it tells."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from commands import loadmux
from hypothesis import given
from hypothesis import strategies as st
from samples import OUTCOMES, measured, over_time, report, wrong

from loadmux.errors import Evidence, Kind
from loadmux.report import html, terminal
from loadmux.report.model import Report

RUNS: dict[str, Callable[[], Report]] = {**OUTCOMES, "over time": over_time}
VOID = {"meta"}
DRAWN = """
return [...document.querySelectorAll('svg')].map(svg => [
    svg.getAttribute('aria-label'),
    [...svg.querySelectorAll('.curve')].every(one => one.getTotalLength() > 5)
        && [...svg.querySelectorAll('.bars rect')].every(one => one.getBBox().height > 0),
    svg.querySelectorAll('.curve, .bars rect').length,
    getComputedStyle(svg.querySelector('.curve, .bars')).stroke,
    svg.getBoundingClientRect().width,
])
"""


class Page(HTMLParser):
    """The tags, balanced; the texts; whatever could load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [name for name, _ in attrs if name in ("src", "href", "action", "onclick")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("name", RUNS)
def test_every_outcome_makes_a_page_that_loads_nothing(name: str) -> None:
    made = RUNS[name]()
    text = html.render(made)
    page = Page(text)
    assert not page.links
    assert "script" not in page.tags
    assert "url(" not in text
    assert "@import" not in text
    assert terminal.WORDS[made.verdict.code][0] in page.texts
    assert made.verdict.reason in page.texts


@given(st.text(), st.text(), st.binary())
def test_no_text_of_files_and_servers_is_markup(step: str, message: str, data: bytes) -> None:
    stats = measured({step: [0.1]})
    stats.record_fault(Evidence(Kind.CORRUPT, message, 0, b"x", data, step=step))
    page = Page(html.render(report(stats, name=message or "talk")))
    assert page.tags <= Page(html.render(wrong())).tags


def test_a_fault_is_shown_with_its_evidence() -> None:
    texts = "".join(Page(html.render(wrong())).texts)
    assert "corrupt at step 'ask': 1 time, first 1.250 s after the start" in texts
    assert "[1b]" in texts
    assert "what happened on socket 'first'" in texts


def test_a_browser_draws_every_page_without_a_complaint(tmp_path: Path) -> None:
    from browser import browsing  # needs a package that not every machine has

    for name, make in RUNS.items():
        (tmp_path / f"{name}.html").write_text(html.render(make()), encoding="utf-8")
    with browsing("about:blank", tmp_path) as browser:
        for name in RUNS:
            browser.emulate(1280, network=False)
            browser.driver.get((tmp_path / f"{name}.html").as_uri())
            made = RUNS[name]()
            charts = browser.driver.execute_script(DRAWN)
            assert all(drawn for _, drawn, *_ in charts), (name, charts)
            assert bool(charts) == bool(made.stats.total.histogram.count), (name, charts)
            assert made.verdict.reason in browser.text
            browser.emulate(360, network=False)
            wide = "return document.scrollingElement.scrollWidth"
            assert browser.driver.execute_script(wide) <= 360, name
            assert browser.complaints() == [], name


def test_a_run_over_time_has_its_curves_in_both_colour_schemes(tmp_path: Path) -> None:
    from browser import browsing  # needs a package that not every machine has

    file = tmp_path / "made.html"
    file.write_text(html.render(over_time()), encoding="utf-8")
    with browsing(file.as_uri(), tmp_path) as browser:
        colours = []
        for scheme in ("light", "dark"):
            browser.emulate(1280, scheme)
            charts = browser.driver.execute_script(DRAWN)
            assert [name for name, *_ in charts] == [
                "exchanges a second",
                "latency over time",
                "users at work",
                "errors over time",
                "latency by percentile",
                "how many took how long",
            ]
            assert all(count and width > 300 for _, _, count, _, width in charts)
            page = "return getComputedStyle(document.body).backgroundColor"
            colours.append((browser.driver.execute_script(page), charts[0][3]))
        assert colours[0][0] != colours[1][0]
        assert colours[0][1] != colours[1][1]


SCENARIO = """
target: {bundled: epoll, reply: echo}
steps: [{name: ask, send: hello, expect: hello}]
load: {users: 2, run_time: 1s, pacing: 10ms}
thresholds: [p(99) < 10s]
"""


def test_a_run_is_written_as_a_page_with_its_curves_and_its_scenario(tmp_path: Path) -> None:
    file, made = tmp_path / "s.yaml", tmp_path / "made.html"
    file.write_text(SCENARIO)
    assert loadmux("run", file, "--report", f"html={made}", "--workers", "2").code == 0
    texts = Page(made.read_text("utf-8")).texts
    assert "exchanges a second" in texts
    assert any("run_time: 1s" in text for text in texts)
