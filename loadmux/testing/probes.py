"""What the mark `loadmux_probe` asks for: one battery for each case, on a server of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from loadmux.errors import UsageError
from loadmux.language.grammar.options import checked_command
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing.battery import Settings, probe, selected
from loadmux.probing.outcome import CaseResult
from loadmux.probing.rendering import said
from loadmux.running.catalog import models

FAILURES = Path("probe-failures")


def scenario_of(
    file: str | Path | None,
    url: str | None,
    command: str | Sequence[str] | None,
    send: str | bytes | None,
    expect: str | bytes | None,
) -> Scenario:
    """The scenario with the known exchange. Raises LoadmuxError."""
    words = None if command is None else words_of(command)
    if file is not None:
        scenario = load(Path(file), Overrides(target=url), models=models())
        if words is None:
            return scenario
        found = load("probe.py.yaml", text=json.dumps(keys({"command": words}, "a", "a")))
        return scenario.with_servers({"": found.servers[""]})
    target: object = url
    if words is not None:
        target = {"command": words} if url is None else {"command": words, "url": url}
    if target is None or send is None or expect is None:
        raise UsageError("loadmux_probe needs file=, or command= or url= with send= and expect=")
    return load("probe.yaml", text=json.dumps(keys(target, send, expect)))


def words_of(command: str | Sequence[str]) -> list[str]:
    return list(checked_command(command).words) if isinstance(command, str) else list(command)


def keys(target: object, send: str | bytes, expect: str | bytes) -> dict[str, object]:
    """What the scenario's file would say."""
    step = {"send": payload(send), "expect": payload(expect)}
    return {"target": target, "steps": [step]}


def payload(data: str | bytes) -> object:
    """Exactly these bytes."""
    return {"hex": (data.encode() if isinstance(data, str) else data).hex()}


def wanted_cases(
    cases: Sequence[str] = (), skip: Sequence[str] = (), **others: object
) -> list[str]:
    """The ids of the cases, for a mark. Raises UsageError."""
    return [case.id for case, _ in selected(Settings(cases=cases, skip=skip))]


def case_of(
    case: str,
    *,
    file: str | Path | None = None,
    url: str | None = None,
    command: str | Sequence[str] | None = None,
    send: str | bytes | None = None,
    expect: str | bytes | None = None,
    cases: Sequence[str] = (),
    skip: Sequence[str] = (),
    strict: bool = False,
    pipelining: bool = True,
    seed: int | None = None,
    failures: str | Path | None = FAILURES,
) -> tuple[CaseResult, str]:
    """Probe by one case; its result, and what to say of it. Raises LoadmuxError."""
    settings = Settings(
        cases=(case,),
        strict=strict,
        pipelining=pipelining,
        seed=seed,
        failures=None if failures is None else Path(failures),
    )
    report = probe(scenario_of(file, url, command, send, expect), settings)
    result = report.cases[-1]
    if report.code in (ExitCode.INCONCLUSIVE, ExitCode.UNREACHABLE):
        raise UsageError(report.reason)
    again = [f"again: loadmux run {result.file}"] if result.file else []
    return result, "\n".join([f"{result.id}: {said(result)}", *again, *result.evidence])
