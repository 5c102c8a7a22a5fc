"""What limited a run: named only where it was seen, never the one that was held up by others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import measured, report

from loadmux.measuring.cpu import Cpu
from loadmux.measuring.verdict import Outcome
from loadmux.report import html, markdown, terminal
from loadmux.report.jsonfile import as_json
from loadmux.report.limit import limit
from loadmux.report.model import Report, WorkerReport

IDLE, FULL = Cpu(0.1, 0.1, 0.0), Cpu(1.0, 0.97, 0.01)
STARVED, THREADS = Cpu(0.5, 0.4, 0.58), Cpu(1.0, 0.25, 0.05)


def made(
    busy: float, cpu: float, target: Cpu | None, generator: Cpu | None = None, seconds: float = 2.0
) -> Report:
    workers = (WorkerReport(0, 1, 0.1), WorkerReport(1, 1, busy, cpu=cpu))
    found = report(measured({"ask": [0.1] * 20}), outcome=Outcome(seconds), workers=workers)
    return replace(found, target_cpu=target, generator_cpu=generator)


@pytest.mark.parametrize(
    ("busy", "cpu", "target", "generator", "by"),
    [
        (0.99, 0.97, IDLE, None, "generator"),
        (0.99, 0.97, None, None, "generator"),
        (0.99, 0.97, STARVED, FULL, "machine"),
        (0.99, 0.5, IDLE, None, "machine"),
        (0.99, 0.0, None, None, "generator"),
        (0.4, 0.3, IDLE, STARVED, "machine"),
        (0.4, 0.3, FULL, IDLE, "target"),
        (0.4, 0.3, STARVED, IDLE, "machine"),
        (0.4, 0.3, THREADS, IDLE, "neither"),
        (0.4, 0.3, IDLE, IDLE, "neither"),
        (0.4, 0.3, None, IDLE, "unknown"),
        (0.99, 0.97, FULL, FULL, "both"),
    ],
)
def test_who_it_was(
    busy: float, cpu: float, target: Cpu | None, generator: Cpu | None, by: str
) -> None:
    whole = made(busy, cpu, target, generator)
    found = limit(whole)
    assert found is not None
    assert found.by == by
    assert found.text.endswith(("used", "cores", "known", "core", "of the time"))
    assert bool(found.remedy) == (by in ("generator", "machine"))
    told = as_json(whole)["generator"]
    assert told["limit"] == by
    assert told["target_cpu"] == (None if target is None else target.cores)
    for text in (terminal.as_text(whole), html.render(whole), markdown.render(whole)):
        assert found.text.partition(":")[0] in text


def test_a_short_run_tells_nothing() -> None:
    whole = made(0.99, 0.97, FULL, seconds=0.3)
    assert limit(whole) is None
    assert as_json(whole)["generator"]["limit"] is None
    assert "limit " not in terminal.as_text(whole)


def test_only_threads_that_work_are_looked_at() -> None:
    second = 10**9
    before = {1: (second, 0), 2: (5 * second, 0)}
    after = {1: (3 * second, second), 2: (5 * second, 0), 3: (second // 10, 0)}
    found = Cpu.between(before, after, 4.0, 2.2)
    assert (found.cores, found.ran, found.held_up) == (0.55, 0.5, 0.25)
    assert not found.full
    assert found.starved
