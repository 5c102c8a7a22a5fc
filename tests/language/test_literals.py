"""`${name}` where nothing is replaced: told at its place, never taken as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadmux.errors import ScenarioErrors
from loadmux.language.describing.printing import dump
from loadmux.language.loading import load

HEAD = "target: tcp://127.0.0.1:9\nvariables: {x: a}\n"
STEPS = "steps: [{send: a}]\n"
REMEDY = "which is no template; write it without '${}', or $${ for a literal '${'"
PLACES = "; '${...}' is replaced in payloads, replies and 'set' only"


def mistakes_of(text: str) -> list[str]:
    with pytest.raises(ScenarioErrors) as caught:
        load("s.yaml", text=text)
    return [line.removeprefix("s.yaml:") for line in str(caught.value).split("\n")]


@pytest.mark.parametrize(
    ("rest", "place", "what"),
    [
        ('name: "ping ${x}"\n' + STEPS, "3:7", "'name'"),
        ('steps: [{name: "ping ${x}", send: a}]\n', "3:16", "'name'"),
        ('steps: [{barrier: "b${x}"}, {send: a}]\n', "3:19", "'barrier'"),
        ('steps: [{on: "${x}", send: a}]\n', "3:14", "'on'"),
        ('steps: [{close: "${x}"}]\n', "3:17", "'close'"),
        ('sockets: ["${x}"]\n' + STEPS, "3:11", "a socket's name"),
        ('sockets: {main: {source: "${x}"}}\n' + STEPS, "3:26", "'source'"),
        ('sockets: {main: {framing: "${x}"}}\n' + STEPS, "3:27", "'framing'"),
        ('sockets: {main: {tls: {server_name: "${x}"}}}\n' + STEPS, "3:37", "'server_name'"),
        ('sockets: {main: {tls: {ca: "${x}"}}}\n' + STEPS, "3:28", "'ca'"),
        ('steps: [{send: {file: "${x}"}}]\n', "3:23", "'file'"),
        ('steps: [{send: {hex: "${x}"}}]\n', "3:22", "'hex'"),
        ('steps: [{send: {base64: "${x}"}}]\n', "3:25", "'base64'"),
        ('steps: [{call: "${x}"}]\n', "3:16", "'call'"),
        ('steps: [{send: a, expect: {rule: "${x}"}}]\n', "3:34", "rule"),
        ('steps: [{send: a, expect: b, save: "${x}"}]\n', "3:36", "'save'"),
        (STEPS + 'thresholds: ["ping ${x}: p(99) < 5ms"]\n', "4:14", "a threshold"),
        (
            "load: {phases: [{name: '${x}', users: 1, run_time: 1s}]}\n" + STEPS,
            "3:24",
            "'name'",
        ),
    ],
)
def test_a_name_in_a_literal_place_is_a_mistake(rest: str, place: str, what: str) -> None:
    assert mistakes_of(HEAD + rest) == [f"{place}: '${{x}}' is not replaced in {what}, {REMEDY}"]


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("target: 'tcp://${x}:9'\n" + STEPS, "1:9", "'url'"),
        ("target: {url: 'tcp://${x}:9'}\n" + STEPS, "1:15", "'url'"),
        ("target: {bundled: '${x}'}\n" + STEPS, "1:19", "'bundled'"),
        (
            "target: {bundled: epoll, workers: '${x}'}\n" + STEPS,
            "1:35",
            "the target's option 'workers'",
        ),
    ],
)
def test_a_name_in_a_target_is_a_mistake(text: str, place: str, what: str) -> None:
    assert mistakes_of(text) == [f"{place}: '${{x}}' is not replaced in {what}, {REMEDY}"]


@pytest.mark.parametrize(
    ("rest", "beginning"),
    [
        ("steps: [{wait: '${x}'}]\n", "3:16: '${x}' is not a duration; "),
        ("steps: [{expect: {length: '${x}'}}]\n", "3:27: '${x}' is not a size; "),
        (
            "steps: [{repeat: '${x}', do: [{send: a}]}]\n",
            "3:18: 'repeat' must be a whole number, not the text '${x}'",
        ),
        ("timeout: ${x}\n" + STEPS, "3:10: '${x}' is not a duration; "),
    ],
)
def test_a_name_where_a_number_belongs_is_told_where_names_are_replaced(
    rest: str, beginning: str
) -> None:
    (line,) = mistakes_of(HEAD + rest)
    assert line.startswith(beginning)
    assert line.endswith(PLACES)


def test_the_escape_is_a_literal_in_every_name(tmp_path: Path) -> None:
    (tmp_path / "${f}.bin").write_bytes(b"data")
    text = (
        'name: "n $${x}"\ndescription: "about ${x}"\ntarget: tcp://127.0.0.1:9\n'
        'steps: [{name: "ping $${x}", send: {file: "$${f}.bin"}}, {barrier: "b$${"}]\n'
        "thresholds: ['ping $${x}: p(99) < 5ms']\n"
    )
    scenario = load(tmp_path / "s.yaml", text=text)
    assert scenario.name == "n ${x}"
    assert scenario.description == "about ${x}"
    assert [step.name for step in scenario.steps] == ["ping ${x}", "barrier #2"]
    assert scenario.thresholds[-1].step == "ping ${x}"
    again = load(tmp_path / "s.yaml", text=dump(scenario))
    assert (again.name, again.thresholds) == (scenario.name, scenario.thresholds)
    assert [step.name for step in again.steps] == [step.name for step in scenario.steps]
