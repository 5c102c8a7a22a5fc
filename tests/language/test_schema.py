"""The JSON Schema against the loader: what loads it takes, and what it cannot refuse is listed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import needs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from loader_cases import mistakes, module, plain, values
from scenario_values import scenarios

from loadmux import units
from loadmux.errors import ScenarioErrors
from loadmux.language.describing.schema import LEFT, schema
from loadmux.language.grammar.contract import Schemas
from loadmux.language.grammar.types import SpawnRate
from loadmux.language.keys.thresholds import OneThreshold
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides
from loadmux.language.text import yamltree
from loadmux.measuring import thresholds
from loadmux.running.catalog import models

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("select", "poll", "epoll", "selectors", "threads")
SCHEMA = schema(MODELS)
NOTHING = Schemas((), (), (), ())

# What the loader refuses and the schema takes, by what the loader says of it. Each is needed.
BEYOND = {
    "names that refer to each other": (
        r"unknown name '\$\{",
        r"has no value yet here|has a value only inside the 'do'|has a value only in the 'expect'",
        r"is a list; go through it|is a list in 'variables' already|is no feeder",
        r"'for' goes through a list, and",
        r"unknown socket|no socket is called 'main'|has only g\[0\] to|is one socket, not a group",
        r"names the socket .* twice",
        r"unknown target|with several targets each socket|does not say which target|'to' chooses",
        r"unknown step|is not timed; a threshold needs",
        r"the group 'user' is built in",
        r"is set in another branch|two branches use the socket|two phases are called",
    ),
    "a name whose only flaw is that another one was probably meant": (
        r"unknown key 'ulr'",
        r"unknown key 'replly'",
    ),
    "what the command line may still give": (
        r"no target; write",
        r"'reply' needs to know",
        r"needs a 'run_time'",
    ),
    "words and places of a command": (
        r"is not told its port|'port' and the port in 'url'|is no command: no closing|is no regex:",
    ),
    "files": (
        r"cannot read|is not a regular file|is not the name of a file",
        r"is not an 'async def' function",
    ),
    "what only the target in force knows": (
        r"'tls' needs a target that speaks it",
        r"UDP has no connection|a datagram has at most",
    ),
    "frames: the framing stands elsewhere in the file": (
        r"needs to know where a frame ends",
        r"this body cannot be framed|is no fixed bytes|'header': |answers the body of a frame",
        r"this reply can never come|a server's frames are not like ours",
        r"answers the frame that the same step sends",
    ),
    "bounds of what has a unit, and sums": (
        r"'max' .*must be at (least|most)",
        r"'send_buffer' must be at most",
        r"is too (long|high); at most",
        r"too large: more than",
        r"'uniform' goes from the shorter",
        r"the length ends at byte|no frame is possible|says what 'adjust' would",
        r"matches no line|is the same for all frames",
    ),
    "forms too deep for a pattern": (
        r"is not an IPv4 address|is not a block of IP|is one address within a block",
        r"is not the name of a host",
        r"is no regex",
    ),
    "what is around it, however far away": (r"cannot stand in a branch of 'together'",),
    "replies that contradict each other": (
        r"put it last|cannot stand in (a list|'one_of'|'any_order')|one reply of a list",
        r"is no part of this 'join'|have an open length|is whole before it|this is not one frame",
        r"'skip' passes frames over|a connection brings one frame|'any' can only be true",
        r"'any_order' holds no reply|'until_close' a connection",
    ),
    "payloads that come to nothing": (r"there is nothing to send",),
    "the values of plugins": (
        r"is answered in the step that sends it",
        r"is sent by itself, and answered before the next one",
        r"is spoken on a socket with 'framing: websocket'",
        r"a status is 200 to 599|'status' must be",
        r"unknown key '\w+' in '(http|resp|websocket)'",
        r"is no method that can be sent|Illegal target|is not the name of a header",
        r"a command (is a list|has at least one word)|'any' can only be true",
        r"is no code to close with|a text is UTF-8",
        r"'http' has no options",
    ),
    "YAML itself": (r"merge keys|duplicate key",),
}


@cache
def whole() -> Draft202012Validator:
    return needs.validator(SCHEMA)


def accepts(text: str) -> bool:
    tree, _ = yamltree.parse("s.yaml", text)
    return whole().is_valid(plain(tree))


def test_it_is_a_schema() -> None:
    needs.validator(SCHEMA)
    needs.validator(schema())
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert all(reason in SCHEMA["description"] for reason in LEFT)


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_scenarios(path: Path) -> None:
    assert not list(needs.validator(schema(models())).iter_errors(values(path)))


PAGES = [ROOT / "README.md", *sorted((ROOT / "loadmux/manual").glob("*.md"))]
SHOWN = [
    text
    for page in PAGES
    if page.stem != "language"  # made of the reference's examples, which have a test of their own
    for text in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.M | re.S)
]


OF_OTHERS = ("# yaml-lang", "# compose.yaml")
"""How files begin that are no scenarios."""


@pytest.mark.parametrize("text", [text for text in SHOWN if not text.startswith(OF_OTHERS)])
def test_examples_of_the_readme(text: str) -> None:
    assert accepts(text)


def test_what_the_loader_refuses_is_refused_unless_no_schema_can() -> None:
    found = {text: lines for text, lines in mistakes().items() if has_a_tree(text)}
    assert len(found) > 300
    every = [one for patterns in BEYOND.values() for one in patterns]
    needed = set[str]()
    for text, lines in found.items():
        if accepts(text):
            reasons = {one for one in every for line in lines if re.search(one, line)}
            assert reasons, f"the schema takes what the loader refuses:\n{text}\n{lines}"
            needed |= reasons
    assert needed == set(every)


def has_a_tree(text: str) -> bool:
    try:
        tree, _ = yamltree.parse("s.yaml", text)
    except ScenarioErrors:
        return False
    return tree is not None


def check(text: str, overrides: Overrides = Overrides()) -> None:  # noqa: B008 (frozen)
    """What loads is accepted."""
    try:
        load("s.yaml", overrides, text=text, models=MODELS)
    except ScenarioErrors:
        return
    tree, _ = yamltree.parse("s.yaml", text)
    assert not [error.message for error in whole().iter_errors(plain(tree))]


QUICK = settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(scenarios())
def test_generated_scenarios_that_load_are_accepted(tree: dict[str, Any]) -> None:
    check(json.dumps(tree))


PROPERTIES = module("test_loading_properties")


@QUICK
@given(PROPERTIES.SCENARIOS | PROPERTIES.FRAMED)
def test_any_scenario_that_loads_is_accepted(tree: object) -> None:
    check(json.dumps(tree))


def test_a_scenario_may_leave_its_target_to_the_command_line() -> None:
    check("steps: [{send: a, expect: reply}]\n", Overrides(target="epoll"))


# --- for editors --------------------------------------------------------------------------------


def nodes(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(one, dict | list):
            yield from nodes(one, f"{path}/{key}")


def test_every_key_has_words_for_a_reader() -> None:
    for path, node in nodes(SCHEMA):
        for key, value in node.get("properties", {}).items():
            if not re.search("/not|/dependentSchemas", path):
                assert value.get("description"), f"{path}/{key}"


def test_defaults_are_right_values() -> None:
    for path, node in nodes(SCHEMA):
        if "default" in node and not path.endswith("/properties"):
            one = whole().evolve(schema={**node, "$defs": SCHEMA["$defs"]})
            assert one.is_valid(node["default"]), path


def test_patterns_mean_the_same_in_ecma_262() -> None:
    """Only escapes and groups that both `re` and a RegExp with the flag `u` have."""
    found = [node["pattern"] for _, node in nodes(SCHEMA) if isinstance(node.get("pattern"), str)]
    assert len(found) > 20
    for pattern in found:
        assert not re.search(r"\(\?(?![:=!])", pattern), pattern
        assert not re.search(r"\\(?![sS$.(){}\[\]\\]|u[0-9a-f]{4})", pattern), pattern


@pytest.mark.parametrize(
    "text",
    [
        "variables: {größe: 1}\nsteps: [{send: '$${ ${größe} ${user}'}]",
        "steps: [{send: {hex: 00}, pieces: 5, gap: 0s}]",
        "steps: [{send: {base64: 'aGVs bG8='}}]",
        "load: {spawn_rate: 0.5}\nsteps: [{wait: 0.05ms}]",
        "timeout: 0.0s\nsteps: [{send: a}]",
        "sockets: {g: {count: 2}}\nsteps: [{on: 'g[0]', send: a}, {connect: [g]}]",
    ],
)
def test_odd_forms(text: str) -> None:
    """The schema says what the loader says."""
    try:
        load("s.yaml", Overrides(target="tcp://h:1"), text=text)
        right = True
    except ScenarioErrors:
        right = False
    assert accepts(text) is right


# --- units and thresholds -----------------------------------------------------------------------


def reads(read: Callable[[str], object], text: str) -> bool:
    """Whether the loader reads a text; what it finds too much is beyond a pattern."""
    try:
        return bool(read(text))
    except ValueError as error:
        assume("too long" not in str(error) and "whole number" not in str(error))
        assume("too large" not in str(error) and "too high" not in str(error))
        return False


NUMBERS = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3})?", fullmatch=True)
UNITS = st.sampled_from(
    ["us", "ms", "s", "m", "h", "", "B", "KiB", "MB", "/s", "/m", "%", " s", "d"]
)


@QUICK
@given(NUMBERS, UNITS)
def test_units_are_read_as_the_schema_says(number: str, unit: str) -> None:
    text = number + unit
    for name, read in (("positive_duration", units.duration), ("size", units.size)):
        one = needs.validator(SCHEMA["$defs"][name])
        assert one.is_valid(text) is reads(read, text), (name, text)
    assert needs.validator(SpawnRate().schema(NOTHING)).is_valid(text) is reads(
        units.plain_rate, text
    )


METRIC = st.sampled_from([*thresholds.METRICS, "p(99)", "p( 0.5)", "p(0)", "p(101)", "p()", "q"])
OPERATOR = st.sampled_from([*thresholds.OPERATORS, "=", "=<"])
SCOPE = st.sampled_from(["", "a:", "'a b':", ":", "'':", "connect ", "connect: ", "a: connect "])
SPACE = st.sampled_from(["", " ", "  "])


@QUICK
@given(st.tuples(SPACE, SCOPE, SPACE, METRIC, SPACE, OPERATOR, SPACE, NUMBERS, UNITS).map("".join))
def test_thresholds_are_read_as_the_schema_says(text: str) -> None:
    one = needs.validator(OneThreshold().schema(NOTHING))
    assert one.is_valid(text) is reads(thresholds.parse, text)
