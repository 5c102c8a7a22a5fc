"""What the report for a person is printed as, into a file and on a terminal."""

from __future__ import annotations

import io

from rich.console import Console
from samples import (
    measured,
    report,
)

from loadmux.errors import Evidence
from loadmux.report.model import Report
from loadmux.report.terminal import render


def printed(
    made: Report, encoding: str = "utf-8", width: int | None = None, quiet: bool = False
) -> str:
    """What arrives in a file of this encoding; with a width, on a terminal so wide."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding, errors="strict")
    console = Console(file=file, force_terminal=width is not None, width=width, color_system=None)
    render(made, console, quiet)
    file.flush()
    return raw.getvalue().decode(encoding)


def lines(made: Report, encoding: str = "utf-8", width: int | None = None) -> list[str]:
    return [line.rstrip() for line in printed(made, encoding, width).splitlines()]


def faulty(*evidence: Evidence) -> Report:
    stats = measured({"ask": [0.010, 0.020]}, connects=[0.001])
    for one in evidence:
        stats.record_fault(one)
    return report(stats)
