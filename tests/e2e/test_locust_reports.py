"""`--report` under Locust without a page: the same reports, of one process and of several."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as Xml

import needs
import pytest
from collector import Collector, key
from locusting import WEB, forked, headless, locustfile, paced

SHORT = ("-u", "4", "-r", "4", "-t", "2s")


@pytest.fixture(params=["alone", "forked"])
def workers(request: pytest.FixtureRequest) -> list[str]:
    return forked() if request.param == "forked" else []


def test_reports_are_written_printed_and_sent(
    workers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locustfile(tmp_path, paced(tmp_path))
    if find_spec("opentelemetry") is None:
        _made(tmp_path, *workers)
        needs.missing("opentelemetry is not installed (pip install 'loadmux[otel]')")
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        made = _made(tmp_path, *workers, "--report", "otel")
    told = collector.points()
    received = sum(int(row["bytes_in"]) for row in csv.DictReader(made.open()))
    assert received
    way = ("network.io.direction", "receive")
    assert sum(point.as_int for (_, of), point in told.items() if way in of) == received
    assert told[key("loadmux.verdict", verdict="pass")].as_int == 0


def _made(folder: Path, *options: str) -> Path:
    """A run with these reports and others; the file of `csv`."""
    made = {name: folder / f"made.{name}" for name in ("junit", "html", "csv")}
    reports = [word for name in made for word in ("--report", f"{name}={made[name]}")]
    done = headless(folder, *SHORT, *reports, "--report", "markdown", *options)
    assert done.code == 0, done.text
    assert "### ✅ loadmux: PASS" in done.out
    (suite,) = Xml.parse(made["junit"]).getroot()
    assert suite.get("failures") == suite.get("errors") == "0"
    page = made["html"].read_text("utf-8")
    assert "exchanges a second" in page
    assert "users at work" in page
    rows = list(csv.DictReader(made["csv"].open()))
    assert sum(int(row["count"]) for row in rows if row["step"] == "connect") >= 4
    assert all(int(row["errors"]) == 0 for row in rows)
    return made["csv"]


def test_a_fault_is_in_the_report(tmp_path: Path) -> None:
    locustfile(tmp_path, paced(tmp_path))
    made = tmp_path / "made.xml"
    locusts = tmp_path / "new" / "locusts.html"
    reports = ("--report", f"junit={made}", "--html", locusts)
    done = headless(tmp_path, *SHORT, "--fault", "flip:20", *reports)
    assert done.code == 1, done.text
    assert 'type="corrupt"' in made.read_text()
    page = locusts.read_text()
    assert '<span class="badge fail">FAIL</span>' in page
    assert "corrupt at step" in page
    assert "one bit differs" in page
    assert '"host": "tcp://127.0.0.1:' in page
    assert page.index("corrupt at step") < page.rindex('<div id="root">')


@pytest.mark.parametrize(
    ("word", "told"),
    [("junti=x", "did you mean 'junit'?"), ("junit=no/where", "No such directory")],
)
def test_a_wrong_report_is_told_before_the_test(word: str, told: str, tmp_path: Path) -> None:
    done = headless(tmp_path, *SHORT, "--report", word, program=WEB)
    assert done.code == 2, done.text
    assert told in done.err
    assert "Ramping" not in done.err
