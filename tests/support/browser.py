"""Debian's Chromium without a window, driven by selenium, with a profile of its own.

Without the two programs a test fails in CI, and is skipped elsewhere, as with every program that
the tests drive. Nothing is downloaded: the driver is the one that is installed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from commands import program
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE = 40.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,860",
)
IN_MOTION = (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)

Found = TypeVar("Found")


class Browser:
    """One window; every call waits until the page is as it needs it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def until(self, holds: Callable[[], Found | None], what: str) -> Found:
        """Wait until a call returns something true, whatever moves on the page meanwhile."""
        wait = WebDriverWait(self.driver, PATIENCE, 0.1, IN_MOTION)
        found = wait.until(lambda _: holds(), f"{what}; the page says:\n{self.text}")
        assert found is not None
        return found

    @property
    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def one(self, css: str) -> WebElement:
        return self.until(lambda: self.driver.find_element(By.CSS_SELECTOR, css), css)

    def click(self, words: str) -> None:
        """Click the button, tab or link with these words."""
        path = (
            f"//*[self::button or self::a or @role='tab']"
            f"[translate(normalize-space(.), '{UPPER}', '{UPPER.lower()}')='{words.lower()}']"
        )

        def clicked() -> bool:
            shown = [one for one in self.driver.find_elements(By.XPATH, path) if one.is_displayed()]
            if shown:
                shown[-1].click()
            return bool(shown)

        self.until(clicked, f"nothing to click says {words!r}")

    def choose(self, field: str, value: str) -> None:
        """Choose from a list of the form."""

        def chosen() -> bool:
            Select(self.driver.find_element(By.ID, field)).select_by_value(value)
            return True

        self.until(chosen, f"cannot choose {value} as {field}")

    def write(self, field: str, value: str) -> None:
        """Put a text into a field of the form, in place of what is there."""

        def written() -> bool:
            fields = self.driver.find_elements(By.NAME, field)
            one = next(found for found in reversed(fields) if found.is_displayed())
            one.send_keys(Keys.CONTROL, "a")
            one.send_keys(value)
            return one.get_attribute("value") == value

        self.until(written, f"cannot write {value} as {field}")

    def complaints(self) -> list[str]:
        """What stands in the page's console."""
        driver: Any = self.driver
        return [one["message"] for one in driver.get_log("browser")]

    def emulate(self, width: int, scheme: str = "light", network: bool = True) -> None:
        """A screen that is so wide, with a colour scheme, and perhaps without a network."""
        schemes = [{"name": "prefers-color-scheme", "value": scheme}]
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        speed = {"offline": not network, "latency": 0, "downloadThroughput": -1}
        told: dict[str, dict[str, Any]] = {
            "Emulation.setEmulatedMedia": {"features": schemes},
            "Emulation.setDeviceMetricsOverride": size,
            "Network.emulateNetworkConditions": {**speed, "uploadThroughput": -1},
        }
        for command, values in told.items():
            self.driver.execute_cdp_cmd(command, values)

    def rows(self) -> list[list[str]]:
        """The texts of the table that is shown, row by row."""
        script = (
            "return [...document.querySelectorAll('tbody tr')].filter(r => r.offsetParent)"
            ".map(r => [...r.cells].map(c => c.innerText.trim()))"
        )
        found: list[list[str]] = self.driver.execute_script(script)
        return found

    def coloured(self) -> int:
        """How many pixels of the charts that are shown are neither grey, black nor white."""
        script = """
            let count = 0;
            for (const one of document.querySelectorAll('canvas')) {
                if (!one.offsetParent || !one.width) continue;
                const data = one.getContext('2d').getImageData(0, 0, one.width, one.height).data;
                for (let i = 0; i < data.length; i += 4) {
                    const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
                    count += data[i + 3] > 99 && Math.max(r, g, b) - Math.min(r, g, b) > 80;
                }
            }
            return count;
        """
        found: int = self.driver.execute_script(script)
        return found


UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@contextlib.contextmanager
def browsing(url: str, folder: Path) -> Iterator[Browser]:
    """A browser at a page, for the `with` block; downloads land in `folder`."""
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    driver = webdriver.Chrome(options, Service(program("chromedriver")))
    try:
        driver.get(url)
        yield Browser(driver)
    finally:
        driver.quit()
