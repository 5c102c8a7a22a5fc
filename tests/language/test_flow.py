"""Mistakes in the order of steps."""

from __future__ import annotations

import pytest

from loadmux.errors import ScenarioErrors
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario

HEAD = "target: tcp://127.0.0.1:1\nsockets: [a, b]\nsteps:\n"
MISTAKE = "this sends on a socket that was half-closed before"


def read(*steps: str, load_line: str = "") -> Scenario:
    lines = "".join(f"  - {{{step}}}\n" for step in steps)
    return load("s.yaml", text=HEAD + lines + load_line)


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (["half_close: a", "on: a, send: x"], 5),
        (["half_close: all", "on: b, send: x, expect: x"], 5),
        (["half_close: a", "on: [a, b], send: x"], 5),
        (["half_close: a", "on: a, expect: x", "on: a, send: x"], 6),
        (["repeat: 2, do: [{on: a, send: x}, {half_close: a}]"], 4),
    ],
)
def test_a_send_after_a_half_close(steps: list[str], line: int) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        read(*steps)
    (error,) = caught.value.errors
    assert error.message.startswith(MISTAKE)
    assert error.where.line == line


def test_the_next_iteration_sends_on_the_same_socket() -> None:
    steps = ["on: a, send: x", "half_close: a"]
    read(*steps)
    with pytest.raises(ScenarioErrors, match=MISTAKE):
        read(*steps, load_line="load: {iterations: 2}\n")


@pytest.mark.parametrize(
    "end", ["close: a", "reset: a", "on: a, expect: closed", "on: a, expect: [x, closed]"]
)
def test_a_socket_that_has_ended_connects_anew(end: str) -> None:
    read("on: a, send: x", "half_close: a", end, load_line="load: {iterations: 2}\n")


def test_a_step_that_cannot_be_read_hides_no_unknown_name() -> None:
    with pytest.raises(ScenarioErrors) as caught:
        read("on: a, sned: x", "on: a, send: 'x ${nope}', expect: x")
    lines = [error.where.line for error in caught.value.errors]
    assert lines == [4, 5]
    assert "'${nope}'" in caught.value.errors[1].message


def test_a_step_that_may_have_meant_to_define_a_name_excuses_its_use() -> None:
    with pytest.raises(ScenarioErrors) as caught:
        read("on: a, sned: x, expect: x, savee: nope", "on: a, send: 'x ${nope}', expect: x")
    assert {error.where.line for error in caught.value.errors} == {4}


FRAME = "on: a, expect: {frame: x}"


def framed(*steps: str) -> Scenario:
    lines = "".join(f"  - {{{step}}}\n" for step in steps)
    sockets = "sockets: {a: {framing: until_close}, b: {framing: line}}"
    head = HEAD.replace("sockets: [a, b]", sockets)
    return load("s.yaml", text=head + lines + "load: {iterations: 2}\n")


@pytest.mark.parametrize("reply", ["{frame: x}", "{regex: x}", "{one_of: [{frame: x}, any]}"])
def test_a_frame_until_close_lets_a_half_closed_socket_connect_anew(reply: str) -> None:
    framed("on: a, send: x", "half_close: a", f"on: a, expect: {reply}")


def test_an_end_that_a_frame_until_close_has_taken_already() -> None:
    with pytest.raises(ScenarioErrors) as caught:
        framed("on: a, send: x", FRAME, "on: [a, b], expect: closed")
    (error,) = caught.value.errors
    assert error.message.startswith("the connection has ended already, with the frame before this")
    assert error.where.line == 6


@pytest.mark.parametrize(
    "steps",
    [
        [FRAME, "on: a, send: x, expect: closed"],
        [FRAME, "on: b, expect: closed"],
        [FRAME, "connect: a", "on: a, expect: closed"],
        ["on: b, expect: {frame: x}", "on: b, expect: closed"],
        [FRAME, FRAME],
        ["half_close: a", FRAME, "on: a, send: x"],
    ],
)
def test_ends_that_are_still_to_come(steps: list[str]) -> None:
    assert framed(*steps).steps
