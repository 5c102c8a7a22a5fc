"""The story of a user in front of Locust's page, in a real browser.

With LOADMUX_SCREENSHOT=FILE.png in the environment the test takes README's picture on its way.
"""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import needs
from locusting import WEB, Page, eventually, free_port, process

if TYPE_CHECKING:
    from browser import Browser


def test_start_watch_edit_stop_and_look_at_what_went_wrong(tmp_path: Path) -> None:
    needs.package("selenium")
    from browser import browsing

    port = free_port()
    here, loads = tmp_path / "here", tmp_path / "loads"
    here.mkdir()
    loads.mkdir()
    with process([*WEB, "--web-port", str(port)], here) as main:
        page = Page(port).up(workers=1)
        with browsing(page.url, loads) as browser:
            start(browser)
            watch(browser)
            raise_to(browser, 200)
            look_at_the_verdict_so_far(browser)
            browser.click("Stop")
            browser.until(lambda: "STOPPED" in browser.text.upper(), "it does not stop")
            assert main.targets == []
            look_at_the_verdict(browser)
            look_at_failures(browser)
            look_at_evidence(browser)
            download(browser, loads)
            look_at_the_verdict_in_the_dark(browser, page)
            assert browser.complaints() == []
        assert "Traceback" not in main.text, main.text


def start(browser: Browser) -> None:
    """The scenario is asked for first, and says how many users there are and for how long."""
    assert "host attribute" not in browser.text
    assert browser.until(lambda: first_field(browser), "no field") == "scenario"
    browser.choose("scenario", "spike")
    browser.until(lambda: filled(browser) == ["100", ""], "it does not follow the scenario")
    browser.until(lambda: "says: epoll" in browser.one("#target").text, "no word of the target")
    assert browser.one("[name=userCount]").get_attribute("readonly")
    browser.choose("scenario", "parts")
    browser.until(lambda: filled(browser) == ["50", "10s"], "it does not follow the scenario")
    browser.choose("target", "epoll")
    browser.choose("fault", "flip:20")
    browser.write("userCount", "50")
    browser.write("spawnRate", "1000")
    browser.click("Advanced options")
    browser.write("runTime", "5m")
    browser.click("Start")


def first_field(browser: Browser) -> str | None:
    """The name of the uppermost field that can be seen."""
    script = """
        const shown = [...document.querySelectorAll('form input, form select')]
            .filter(one => one.name && one.getBoundingClientRect().height > 20);
        const top = one => one.getBoundingClientRect().top;
        return shown.sort((one, other) => top(one) - top(other))[0]?.name;
    """
    found: str | None = browser.driver.execute_script(script)
    return found


def filled(browser: Browser) -> list[str | None]:
    """Users and run time in the form."""
    return [
        browser.one(f"[name={name}]").get_attribute("value") for name in ("userCount", "runTime")
    ]


def counted(browser: Browser, step: str) -> int:
    """Requests in a step's row of the statistics."""
    return next((int(row[2]) for row in browser.rows() if row[1:2] == [step]), 0)


def watch(browser: Browser) -> None:
    """Rows fill, and the chart draws."""
    first = browser.until(lambda: counted(browser, "exchange first #1"), "no row")
    browser.until(lambda: counted(browser, "exchange first #1") > first, "the row stands still")
    names = {row[1] for row in browser.rows()}
    assert {"connect", "exchange second #4", "Aggregated"} <= names
    browser.until(lambda: "50" in browser.text, "not 50 users")
    browser.click("Charts")
    browser.until(lambda: browser.coloured() > 500, "nothing is drawn")


def raise_to(browser: Browser, users: int) -> None:
    browser.click("Edit")
    browser.write("userCount", str(users))
    browser.click("Update")
    browser.click("Statistics")
    browser.until(lambda: f"USERS\n{users}" in browser.text.upper(), f"not {users} users")
    if picture := os.environ.get("LOADMUX_SCREENSHOT"):
        browser.driver.save_screenshot(picture)


VERDICT = "return document.querySelector('#loadmux-verdict')"
SHOWN = f"{VERDICT}.shadowRoot.querySelector('.page')"


def verdict(browser: Browser) -> str:
    """The text of the tab Verdict, "" where it is not what is seen."""
    found: str = browser.driver.execute_script(
        f"{VERDICT}?.hidden === false ? {SHOWN[7:]}?.innerText : ''"
    )
    return found or ""


def look_at_the_verdict_so_far(browser: Browser) -> None:
    browser.click("Verdict")
    browser.until(lambda: "FAIL so far" in verdict(browser), "no verdict so far")
    host = browser.until(
        lambda: re.search(r"HOST\n(tcp://\S+)", browser.text.upper(), re.I), "no host"
    )
    assert host[1].lower() in verdict(browser)
    browser.click("Statistics")
    assert browser.until(lambda: not verdict(browser), "it does not go away")


def look_at_the_verdict(browser: Browser) -> None:
    """Nobody has to look for it: it is what is seen after a stop, with what led to it."""
    browser.until(lambda: "FAIL\n" in verdict(browser), "no verdict")
    for words in (
        "parts",
        "bundled epoll",
        "errors == 0",
        "✗ crossed",
        "corrupt at step",
        "Generator",
    ):
        assert words in verdict(browser), words
    assert "one bit differs" in verdict(browser)
    assert browser.rows() == []


def look_at_the_verdict_in_the_dark(browser: Browser, page: Page) -> None:
    """Of a page that is opened later, in Locust's other theme; and on Locust's report."""
    colour = f"{SHOWN} && getComputedStyle({SHOWN[7:]}).color"
    bright = browser.driver.execute_script(colour)
    browser.driver.execute_script("localStorage.theme = 'dark'")
    browser.driver.get(page.url)
    browser.until(lambda: "FAIL\n" in verdict(browser), "no verdict")
    assert browser.driver.execute_script(colour) != bright
    browser.driver.get(f"{page.url}/stats/report?theme=dark")
    browser.until(lambda: "one bit differs" in verdict(browser), "no verdict in the report")
    assert browser.driver.execute_script(colour) != bright


def look_at_failures(browser: Browser) -> None:
    """One row for a kind and a step, however many there were."""
    browser.click("Failures")
    rows = browser.until(lambda: [row for row in browser.rows() if "corrupt" in row[3]], "none")
    assert len({row[2] for row in rows}) == len(rows) <= 4
    assert sum(int(row[0]) for row in rows) >= len(rows)


def look_at_evidence(browser: Browser) -> None:
    browser.click("Evidence")
    rows = browser.until(lambda: [row for row in browser.rows() if row[1:2] == ["corrupt"]], "none")
    step, _, count, who, offset, expected, received, _, message, transcript = rows[0]
    assert step.startswith("exchange ")
    assert int(count) >= 1
    assert int(offset) >= 0
    assert expected != received
    assert "one bit differs" in message
    assert "received" in transcript
    assert who.endswith(("first", "second"))


def download(browser: Browser, loads: Path) -> None:
    browser.click("Download Data")
    for words, has in (
        ("Download requests CSV", "exchange first #1"),
        ("Download failures CSV", "corrupt: bytes of the reply were changed"),
        ("Download evidence CSV", "one bit differs"),
    ):
        browser.click(words)
        (path,) = eventually(lambda: list(loads.glob("*.csv")), words)
        with path.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert any(has in cell for cell in cells), words
        path.unlink()
