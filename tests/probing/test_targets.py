"""The bundled targets under probe: right ones pass, and each of their faults is found by a case."""

from __future__ import annotations

import pytest

from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing import ProbeReport, Settings, probe
from loadmux.running.catalog import models
from loadmux.running.servers.description import describe

EVERY = tuple(one for one in models() if one != "udp")
CASES = ("split", "coalesced/2", "abort/reset", "slow-writer", "half-close")
FOUND = {
    "short_send": "control",
    "lost_wakeup": "control",
    "flip:2": "reuse",
    "duplicate:2": "reuse",
    "swap:2": "interleave",
    "truncate:2": "reuse",
    "early_close:2": "reuse",
    "reset:2": "reuse",
    "silence:2": "reuse",
    "extra:2": "reuse",
    "no_eof": "half-close",
}
RIGHT = ("drip", "slow:100us")
PATIENCE = 0.5
"""Seconds: an answer takes less than a hundredth of it, and most faults are silent."""


def target(model: str, fault: str = "") -> Scenario:
    told = f", fault: '{fault}'" if fault else ""
    text = f"target: {{bundled: {model}, reply: echo{told}}}\n"
    return load("known.yaml", text=text + 'steps: [{send: "hello\\n", expect: reply}]\n')


def verdicts(report: ProbeReport) -> dict[str, str]:
    return {one.id: str(one.verdict) for one in report.cases}


@pytest.mark.parametrize("model", EVERY)
def test_each_model_passes(model: str) -> None:
    if (why := describe(model).reason) is not None:
        pytest.skip(f"{model} cannot run here: {why}")
    report = probe(target(model), Settings(CASES, strict=True))
    assert report.code is ExitCode.PASS, report.as_dict()
    unsupported = ["slow-writer"] if model == "blocking" else []
    assert [one.id for one in report.of("unsupported")] == unsupported


@pytest.mark.parametrize("fault", RIGHT)
def test_what_is_slow_but_right_passes(fault: str) -> None:
    report = probe(target("epoll", fault), Settings(("split", "reuse"), strict=True))
    assert report.code is ExitCode.PASS, report.as_dict()


@pytest.mark.parametrize(("fault", "case"), FOUND.items())
def test_each_fault_is_found_by_its_case(fault: str, case: str) -> None:
    report = probe(target("epoll", fault), Settings((case,), strict=True, patience=PATIENCE))
    assert verdicts(report)[case] == "fail", report.as_dict()
