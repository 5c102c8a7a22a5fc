"""What is written wrongly of a socket's new connections: each mistake's place, and a remedy."""

from __future__ import annotations

import pytest

from loadmux.errors import ScenarioErrors
from loadmux.language.loading import load
from loadmux.language.scenario import OnSockets, Scenario

ALONE = "the steps of 'on_connect' are for the socket 'main' alone"
GOES_ON = "'on_connect' prepares a connection that goes on;"


def read(options: str, rest: str = "") -> Scenario:
    text = f"target: {{url: 'tcp://127.0.0.1:9', reply: echo}}\nsockets:\n  main: {{{options}}}\n"
    return load("s.yaml", text=f"{text}  other:\nsteps: [{{send: a}}]\n{rest}")


def mistakes_of(options: str) -> list[str]:
    with pytest.raises(ScenarioErrors) as caught:
        read(options)
    return [str(error).removeprefix("s.yaml:") for error in caught.value.errors]


@pytest.mark.parametrize(
    ("steps", "mistake"),
    [
        ("[{on: main, send: a}]", f"3:24: {ALONE}; leave 'on' out"),
        ("[{stop_reading: other}]", f"3:38: {ALONE}, not 'other'"),
        ("[{close: main}]", f"3:24: {GOES_ON} 'close' cannot stand in it"),
        ("[{reset: main}]", f"3:24: {GOES_ON} 'reset' cannot stand in it"),
        ("[{connect: main}]", f"3:24: {GOES_ON} 'connect' cannot stand in it"),
        ("[{send: a, expect: closed}]", f"3:33: {GOES_ON} an end cannot be expected in it"),
        ("[{barrier: all}]", f"3:33: {GOES_ON} a 'barrier' cannot stand in it"),
        ("[{send: '${nothing}'}]", "3:30: unknown name '${nothing}'; known are user, iteration,"),
        ("[{send: {frame: a}}]", "3:31: 'frame' needs to know where a frame ends: write"),
        ("{send: a}", "3:22: 'on_connect' must be a list"),
        ("[{send: a, expct: b}]", "3:33: unknown key 'expct' in a step; did you mean 'expect'?"),
    ],
)
def test_on_connect(steps: str, mistake: str) -> None:
    (found,) = mistakes_of(f"on_connect: {steps}")
    assert found.startswith(mistake), found


def test_its_steps_are_numbered_for_themselves() -> None:
    found = read("on_connect: [{send: a, expect: a}, {send: b}]")
    assert [one.name for one in found.sockets[0].on_connect] == [
        "on_connect exchange main #1",
        "on_connect send main #2",
    ]
    assert found.steps[0].name == "send main #1"


def test_a_group_has_them_for_each_of_its_sockets() -> None:
    found = read("count: 2, on_connect: [{repeat: 1, do: [{stop_reading: main}]}]")
    inner = [step for step in found.every_step if isinstance(step, OnSockets)]
    assert [step.sockets for step in inner] == [(0,), (1,)]


def test_a_threshold_may_name_them() -> None:
    found = read("on_connect: [{name: login, send: a}]", "thresholds: ['login: p(99) < 1s']\n")
    assert found.thresholds[-1].step == "login"
