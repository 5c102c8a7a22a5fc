"""What is written wrongly of a socket's new connections: each mistake's place, and a remedy."""

from __future__ import annotations

import pytest

from loadmux.errors import ScenarioErrors
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.stepvalues import OnSockets

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


FRAMED = "framing: line, "


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ("ignore: [a]", "3:19: 'ignore' needs to know where a frame ends; write 'framing: line'"),
        (
            "answer: [{to: a, send: b}]",
            "3:19: 'answer' needs to know where a frame ends; write 'framing: line'",
        ),
        (f"{FRAMED}ignore: a", "3:33: 'ignore' must be a list"),
        (f"{FRAMED}ignore: [reply]", "3:34: a rule in a 'frame' answers the frame that"),
        (f"{FRAMED}ignore: [closed]", "3:34: 'closed' is no body of a frame"),
        (f"{FRAMED}ignore: ['a\\n']", None),
        (f'{FRAMED}ignore: ["a\\n"]', "3:34: this body cannot be framed: the delimiter"),
        (f"{FRAMED}ignore: [{{regex: '('}}]", "3:42: '(' is no regex"),
        (f"{FRAMED}ignore: [{{frame: {{regx: a}}}}]", "3:43: unknown key 'regx'"),
        (f"{FRAMED}answer: [{{to: a}}]", "3:34: 'answer' needs 'send: PAYLOAD'"),
        (f"{FRAMED}answer: [{{send: a}}]", "3:34: 'answer' needs 'to: REPLY'"),
        (f"{FRAMED}answer: [{{to: a, send: '${{x}}'}}]", "3:48: unknown name '${x}'"),
        (f"{FRAMED}answer: [{{to: a, send: ''}}]", "3:48: there is nothing to send"),
        ("idle_close: yes", "3:22: unknown idle_close 'yes'; it is one of fault, allowed"),
        ("read: {size: 1KiB}", "3:16: 'read' needs 'gap: DURATION'"),
        ("read: {gap: 1ms}", "3:16: 'read' needs 'size: SIZE'"),
        ("read: {size: 1KiB, gap: 0s}", "3:34: 'gap' must be"),
        ("read: 1KiB", "3:16: 'read' must be a mapping"),
    ],
)
def test_what_may_come_at_any_time(options: str, mistake: str | None) -> None:
    if mistake is None:
        read(options)
        return
    (found,) = mistakes_of(options)
    assert found.startswith(mistake), found


def test_a_slow_reader_of_datagrams_is_refused() -> None:
    text = (
        "target: {url: 'udp://127.0.0.1:9', reply: echo}\n"
        "sockets: {main: {read: {size: 1KiB, gap: 1ms}, ignore: [tick]}}\nsteps: [{send: a}]\n"
    )
    with pytest.raises(ScenarioErrors) as caught:
        load("s.yaml", text=text)
    assert [str(error) for error in caught.value.errors] == [
        "s.yaml:2:24: 'read' is for streams: a datagram is read whole; leave it out"
    ]
