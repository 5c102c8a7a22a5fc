"""`dump` against the loader: load, dump, load again is the identity, places in the file aside."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from loader_cases import plain
from scenario_values import scenarios

from loadmux.errors import Position, ScenarioErrors
from loadmux.language.describing.printing import dump
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.text import yamltext, yamltree

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = Position("", 1, 1)


def placeless(value: Any) -> Any:
    """The same values without their places."""
    if isinstance(value, Position):
        return NOWHERE
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return (type(value).__name__, {name: placeless(one) for name, one in fields.items()})
    if isinstance(value, dict):
        return {key: placeless(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [placeless(one) for one in value]
    return value


def check(scenario: Scenario) -> str:
    """What is dumped loads to the same scenario, and is then dumped the same."""
    text = dump(scenario)
    again = load(scenario.path, text=text)
    assert placeless(again) == placeless(scenario)
    assert dump(again) == text
    return text


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_scenarios(path: Path) -> None:
    check(load(path))


@settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios())
def test_load_dump_load_is_the_identity(values: dict[str, Any]) -> None:
    try:
        scenario = load("s.yaml", text=json.dumps(values))
    except ScenarioErrors:
        assume(False)
    else:
        check(scenario)


WHOLE = """\
description: "two\\nlines \\u0085"
target:
  here: {bundled: epoll, reply: {rule: upper, read_size: 1KiB}, workers: 4, tls: true}
  there: {url: "tcp://[::1]:7", reply: {rule: ok, read_size: 200}}
variables: {v: 1.50, w: '$${x}', listed: [a, 010, '${'$'}{v']}
sockets: {one: {to: here, tls: {verify: false}}, g: {to: there, count: 2, framing: line}}
steps:
  - {name: on, on: [one, 'g[1]'], send: "${v} $${v} $$${v}"}
  - {on: g, send: {frame: {hex: 00 ff}}, expect: {frame: {regex: '(?P<id>.)'}}}
  - {on: g, expect: {regex: '(?P<id>.)'}}
  - {on: one, expect: {text: reply}, save: kept}
  - {on: g, expect: {frame: {text: closed}}}
  - {for: {x: '${listed}'}, do: [{on: all, send: '${x}', pieces: each_byte, gap: 1us}]}
  - {wait: {uniform: [0.1ms, 0.1h]}}
load: {users: 3, spawn_rate: 10/m, run_time: 1.5h}
thresholds: ["'on': p(99) < 1s"]
"""


def test_every_corner_comes_back() -> None:
    text = check(load("s.yaml", text=WHOLE.replace("'${'$'}{v'", "'$${v'")))
    assert "expect: {text: reply}" in text
    assert "reply: {rule: ok, read_size: 200}" in text
    assert "read-size: 1024" in text.replace('"', "")
    assert "spawn_rate: 10/m" in text
    assert "uniform: [100us, 6m]" in text
    assert text.endswith("\n# and 'errors == 0', for no threshold counts the errors of the run\n")


def test_what_is_dumped_reads_well() -> None:
    text = "target: {bundled: epoll}\nsteps: [{send: a, expect: reply}]\n"
    assert dump(load("s.yaml", text=text)) == (
        "target: {bundled: epoll, reply: echo}\n"
        "sockets:\n"
        "  main: {nodelay: true, idle_close: fault}\n"
        "steps:\n"
        '  - name: "exchange main #1"\n'
        "    on: main\n"
        "    send: a\n"
        "    expect: reply\n"
        "load: {users: 1, iterations: 1, graceful_stop: 5s}\n"
        "timeout: 5s\n"
        "on_error: reconnect\n"
        "# and 'errors == 0', for no threshold counts the errors of the run\n"
    )


def test_files_come_back_as_what_they_held(tmp_path: Path) -> None:
    (tmp_path / "body.bin").write_bytes(bytes(range(256)))
    (tmp_path / "people.csv").write_text("name\nann\n")
    path = tmp_path / "s.yaml"
    path.write_text(
        "target: tcp://h:1\nvariables: {people: {csv: people.csv, pick: random}}\n"
        "steps: [{send: {file: body.bin}}, {send: '${people.name}'}]\n"
    )
    text = check(load(path))
    assert "csv: people.csv" in text
    assert "base64" in text


SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"))


@given(
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    st.booleans(),
)
def test_any_value_is_read_as_it_was_written(value: object, deep: bool) -> None:
    lines = yamltext.block({"a": value}, frozenset({"a"} if deep else ()))
    tree, errors = yamltree.parse("s.yaml", "\n".join(lines))
    assert isinstance(tree, yamltree.MappingNode)
    if not errors:
        assert plain(tree) == {"a": value}
    assert all("merge keys" in error.message for error in errors)
