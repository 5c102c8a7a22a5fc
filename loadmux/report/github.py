"""The report as workflow commands, with which GitHub Actions annotates the scenario's lines.

`--report github`, printed on standard output: `::error file=…,line=…,col=…,title=…::message`, one
for each kind of fault at each step, at that step, with the first one's evidence; one for each
crossed threshold, and one for the verdict. A run that passed is a notice, what was seen of a
target's processes a warning. GitHub shows ten errors of a step of a job: what is more than that is
counted in the verdict. Files are told as from the root of the repository, where that is known
(GITHUB_WORKSPACE).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from loadmux.errors import Position
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.stats import FaultGroup
from loadmux.report import figures, terminal
from loadmux.report.faults import evidence_as_text
from loadmux.report.model import Report, ScenarioReport

PLAIN = figures.plain_for("utf-8")
WORKSPACE = "GITHUB_WORKSPACE"
SHOWN = 9
"""Errors beside the verdict."""
DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
PROPERTY = {**DATA, ":": "%3A", ",": "%2C"}


def render(report: Report) -> str:
    """Workflow commands, a line each."""
    found = [one for part in report.parts for one in _findings(part)]
    seen = [
        _command("warning", None, PLAIN(str(one.kind)), PLAIN(str(one))) for one in report.findings
    ]
    verdict = report.verdict
    title, reason = f"loadmux: {terminal.WORDS[verdict.code][0]}", PLAIN(verdict.reason)
    if verdict.code is ExitCode.PASS:
        return "\n".join([*seen, _command("notice", None, title, reason)]) + "\n"
    if len(found) > SHOWN:
        reason += f"\nand {len(found) - SHOWN} more errors, which are not shown here"
    scenario = Position(report.scenario.path, 1, 1)
    return "\n".join([*seen, *found[:SHOWN], _command("error", scenario, title, reason)]) + "\n"


def _findings(part: ScenarioReport) -> Iterator[str]:
    places = _places(part)
    for group in part.stats.faults_in_order:
        if part.stats.consequences.following((group.kind, group.step)) < group.count:
            yield _fault(group, places[group.step] if group.step in places else places[None])
    for result in part.verdict.thresholds:
        if not result.met and not result.threshold.implied:
            title = PLAIN(f"crossed: {result.threshold.text}")
            place = places.get(result.threshold.step, places[None])
            yield _command("error", place, title, PLAIN(terminal.measured(result)))


def _places(part: ScenarioReport) -> dict[str | None, Position]:
    """Where each step stands, by its name; None: the file."""
    places: dict[str | None, Position] = {None: Position(part.scenario.path, 1, 1)}
    for step in part.scenario.every_step:
        places.setdefault(step.name, step.where)
    return places


def _fault(group: FaultGroup, place: Position) -> str:
    title = PLAIN(f"{group.kind} at step '{group.step}': {figures.plural(group.count, 'time')}")
    evidence = group.examples[0] if group.examples else None
    lines = [title] if evidence is None else evidence_as_text(evidence)
    return _command("error", place, title, "\n".join(lines))


def _command(name: str, place: Position | None, title: str, message: str) -> str:
    properties = {"title": title}
    if place is not None and place.path != "-":
        line, column = str(place.line), str(place.column)
        properties = {"file": _within(place.path), "line": line, "col": column, **properties}
    told = ",".join(f"{key}={_escaped(value, PROPERTY)}" for key, value in properties.items())
    return f"::{name} {told}::{_escaped(message, DATA)}"


def _within(path: str) -> str:
    """A file as seen from the root of the repository."""
    root = os.environ.get(WORKSPACE)
    if root:
        with suppress(ValueError):
            return str(Path(path).resolve().relative_to(Path(root).resolve()))
    return path


def _escaped(text: str, characters: dict[str, str]) -> str:
    return "".join(characters.get(one, one) for one in text)
