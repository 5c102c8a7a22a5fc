"""The reporter `oneline`: `--report oneline`, or `--report oneline=FILE`."""

from __future__ import annotations

from loadmux.report.model import Report


def report(report: Report) -> str:
    if report.scenario.name == "bug":
        raise KeyError("a bug of the plugin")
    return f"{report.scenario.name}: {report.verdict.code.name}, {report.stats.total.right} right"
