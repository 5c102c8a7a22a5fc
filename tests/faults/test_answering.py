"""Bare `expect`s: which send each answers, in what row it is counted, and what its faults say."""

from __future__ import annotations

import socket

import pytest
from driving import POLLERS, Driven, Server, answering, drive
from transports import UdpServer

from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.verdict import Outcome, judge

pollers = pytest.mark.parametrize("poller", POLLERS)
LOAD = "load: {users: 2, iterations: 3}\ntimeout: 300ms\n"


def rows(driven: Driven) -> dict[str, tuple[str, int]]:
    """Kind and count of each row of an expect, or of an exchange."""
    others = ("send", "connect", "other")
    steps = driven.stats.steps
    return {name: (row.kind, row.count) for name, row in steps.items() if row.kind not in others}


def greeting(connection: socket.socket, number: int) -> None:
    connection.sendall(b"220 hello\n")
    answering(bytes)(connection, number)


@pollers
def test_a_greeting_is_a_receive(poller: str) -> None:
    text = f"""
before: [{{name: greeting, expect: "220 hello\\n"}}]
steps: [{{name: ask, send: x, expect: x}}]
{LOAD}"""
    with Server(greeting) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert rows(driven) == {"greeting": ("receive", 2), "ask": ("exchange", 6)}
    assert driven.stats.total.count == 6


def pushing(connection: socket.socket, number: int) -> None:
    """An echo that says more once it is told of the end."""
    while data := connection.recv(4096):
        connection.sendall(b"bye" if data == b"end" else data)


@pollers
@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ("[{send: one}, {send: two}, {name: both, expect: onetwo}]", "both"),
        ("[{repeat: 3, do: [{send: one}, {send: two}, {name: both, expect: onetwo}]}]", "both"),
    ],
)
def test_what_an_iteration_leaves_open_ends_with_it(poller: str, steps: str, name: str) -> None:
    """Else each would be timed from an ever older send, and the push after them as well."""
    text = f"""
steps: {steps}
after:
  - {{send: end, oneway: true}}
  - {{name: push, expect: bye}}
{LOAD}"""
    with Server(pushing) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    count = 18 if "repeat" in steps else 6
    assert rows(driven) == {name: ("exchange", count), "push": ("receive", 2)}


@pollers
def test_an_answer_is_timed_from_its_send(poller: str) -> None:
    """The reply has long come when the wait for it begins."""
    text = f"""
steps:
  - {{send: one}}
  - {{send: two}}
  - {{wait: 20ms}}
  - {{name: first, expect: one}}
  - {{wait: 20ms}}
  - {{name: second, expect: two}}
  - {{name: parts, send: hello, expect: he}}
  - {{name: rest, expect: llo}}
{LOAD}"""
    with Server(answering(bytes)) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert rows(driven) == {
        "first": ("exchange", 6),
        "second": ("exchange", 6),
        "parts": ("exchange", 6),
        "rest": ("receive", 6),
    }
    steps = driven.stats.steps
    assert steps["first"].histogram.low >= 0.02
    assert steps["second"].histogram.low >= 0.04
    assert driven.stats.total.count == 18


@pollers
def test_a_rule_answers_all_that_is_open(poller: str) -> None:
    text = f"""
steps:
  - repeat: 3
    do: [{{send: {{random: 8}}}}]
  - {{name: all, expect: reply}}
  - {{name: none, expect: {{silence: 1ms}}}}
{LOAD}"""
    with Server(answering(bytes)) as server:
        driven = drive(text, server.url, poller, "echo")
    assert driven.kinds == {}
    assert rows(driven) == {"all": ("exchange", 6), "none": ("receive", 6)}
    assert driven.stats.steps["none"].untimed == 6


@pollers
def test_one_step_that_is_now_the_one_and_now_the_other(poller: str) -> None:
    text = f"""
steps:
  - {{send: abcdef}}
  - repeat: 3
    do: [{{name: part, expect: {{length: 2}}}}]
{LOAD}thresholds: ["'part': errors == 0", "'part': p(99) > 1ms"]
"""
    with Server(answering(bytes)) as server:
        driven = drive(text.replace("- repeat", "- {wait: 1ms}\n  - repeat"), server.url, poller)
    assert driven.kinds == {}
    assert rows(driven) == {"part": ("exchange", 6), "part (receive)": ("receive", 12)}
    scenario = load("s.yaml", Overrides(target=server.url), text=text)
    verdict = judge(driven.stats, scenario.thresholds, Outcome(duration=1.0))
    assert verdict.code is ExitCode.PASS, verdict


@pollers
def test_the_end_of_a_connection_answers_too(poller: str) -> None:
    def hang_up(connection: socket.socket, number: int) -> None:
        connection.recv(100)
        connection.close()

    text = f"""
steps:
  - {{send: bye}}
  - {{name: over, expect: closed}}
  - {{send: bye, expect: closed}}
  - {{connect: main}}
  - {{half_close: main}}
  - {{name: gone, expect: closed}}
{LOAD}"""
    with Server(hang_up) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    found = rows(driven)
    assert (found["over"], found["gone"]) == (("exchange", 6), ("receive", 6))


@pollers
def test_sockets_have_open_sends_of_their_own(poller: str) -> None:
    text = f"""
sockets: [a, b]
before: [{{connect: a}}, {{connect: b}}]
steps:
  - {{on: a, send: x}}
  - {{name: both, on: all, expect: {{length: 1}}}}
{LOAD.replace("3", "1")}"""

    def one_byte(connection: socket.socket, number: int) -> None:
        if number == 0:
            connection.recv(100)
        connection.sendall(b"x")
        while connection.recv(100):
            pass

    with Server(one_byte) as server:
        driven = drive(text.replace("users: 2", "users: 1"), server.url, poller)
    assert driven.kinds == {}
    assert rows(driven) == {"both": ("exchange", 1), "both (receive)": ("receive", 1)}


def test_what_was_open_is_forgotten_with_its_connection() -> None:
    def once(connection: socket.socket, number: int) -> None:
        connection.sendall(b"hello")
        if connection.recv(100):
            connection.close()

    text = f"""
on_error: reconnect
steps:
  - {{name: greeting, expect: hello}}
  - {{send: x}}
  - {{name: never, expect: x}}
{LOAD}"""
    with Server(once) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {"closed": 6}
    assert rows(driven) == {"greeting": ("receive", 6), "never": ("exchange", 6)}


def test_a_push_that_does_not_come_is_a_fault_of_the_receive() -> None:
    text = f"""
before: [{{name: login, send: x, expect: x}}]
steps:
  - {{name: push, expect: news}}
{LOAD}"""
    with Server(answering(bytes)) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {"timeout": 6}
    assert {fault.step for fault in driven.faults} == {"push"}
    assert rows(driven)["push"] == ("receive", 6)
    assert driven.stats.total.errors == 0


def test_a_fault_counts_in_the_row_that_the_wait_would_have_been_in() -> None:
    text = f"""
steps:
  - {{send: abc}}
  - repeat: 3
    do: [{{name: part, expect: {{length: 2}}}}]
{LOAD}"""
    with Server(answering(bytes)) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {"truncated": 6}
    assert {fault.step for fault in driven.faults} == {"part (receive)"}
    assert rows(driven) == {"part": ("exchange", 6), "part (receive)": ("receive", 6)}


def test_a_scenario_of_receives_alone_is_measured_by_them() -> None:
    text = f"steps: [{{name: greeting, expect: hello}}, {{close: main}}]\n{LOAD}"

    def hello(connection: socket.socket, number: int) -> None:
        connection.sendall(b"hello")
        connection.recv(1)

    with Server(hello) as server:
        driven = drive(text, server.url)
    verdict = judge(driven.stats, (), Outcome(duration=1.0))
    assert (verdict.code, verdict.reason) == (ExitCode.PASS, "6 receives, every check held")


def test_datagrams_are_answered_in_their_order() -> None:
    expects = "{name: one, expect: a}, {name: two, expect: b}"
    text = f"steps: [{{send: a}}, {{send: b}}, {expects}]\n{LOAD}"
    with UdpServer(lambda datagram, number: [datagram]) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert rows(driven) == {"one": ("exchange", 6), "two": ("exchange", 6)}


def test_a_start_that_came_late_counts_in_the_answer_to_its_send() -> None:
    """One user for two starts at once: the second waits for all of the first."""
    text = """
    steps: [{send: x}, {wait: 30ms}, {name: answer, expect: x}]
    load: {rate: 1000/s, max_users: 1, run_time: 200ms}
    """
    with Server(answering(bytes)) as server:
        driven = drive(text, server.url)
    row = driven.stats.steps["answer"]
    assert row.service is not None
    assert row.service.count == row.histogram.count
    assert row.service.low >= 0.03
    assert row.histogram.high >= row.service.low + 0.03


@pytest.mark.parametrize(("pending", "kinds"), [("", {"surplus": 2}), (", pending: drop", {})])
def test_the_rest_of_a_greeting_before_a_reset(pending: str, kinds: dict[str, int]) -> None:
    text = f"steps: [{{expect: '220 '}}, {{reset: main{pending}}}]\n{LOAD}"
    with Server(greeting) as server:
        driven = drive(text.replace("iterations: 3", "iterations: 1"), server.url)
    assert driven.kinds == kinds
