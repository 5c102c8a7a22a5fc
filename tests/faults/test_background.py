"""Branches in the background: they go on as long as the others do, and no longer."""

from __future__ import annotations

import socket
import threading

import needs
import pytest
from driving import POLLERS, Server, answering, drive, scenario_for

from loadmux.errors import ScenarioErrors

pollers = pytest.mark.parametrize("poller", POLLERS)

BEAT = """
sockets: [main, beat]
steps:
  - together:
    - [{send: one, expect: one}, {wait: 60ms}, {send: two, expect: two}]
    - background:
      - {name: beat, on: beat, send: ping, expect: ping}
      - {wait: 5ms}
load: {users: 2, iterations: 3}
timeout: 500ms
"""


@pollers
def test_it_repeats_until_the_others_have_ended(poller: str) -> None:
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(BEAT, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 6
    assert driven.stats.interrupted == 0
    assert driven.stats.steps["beat"].right >= 6


@pollers
def test_a_wait_in_hand_ends_at_once(poller: str) -> None:
    text = BEAT.replace("wait: 5ms", "repeat: 3, do: [{wait: 1h}]")
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url, poller)
    assert driven.stats.iterations == 6
    assert driven.stats.steps["beat"].right == 6


def test_an_exchange_in_hand_is_ended() -> None:
    """The heart is slower than all the rest: its answer is awaited, and no other beat follows."""
    gate = threading.Event()

    def slow(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            if chunk == b"ping":
                gate.wait(0.2)
            connection.sendall(chunk)

    text = BEAT.replace("{wait: 60ms}", "{wait: 1ms}").replace("users: 2", "users: 1")
    with Server(slow) as server:
        driven = drive(text.replace("      - {wait: 5ms}\n", ""), server.url)
    assert driven.kinds == {}
    assert driven.stats.iterations == driven.stats.steps["beat"].right == 3


@pollers
def test_a_fault_in_it_is_one_of_the_iteration(poller: str) -> None:
    with Server(answering(lambda chunk: b"pong" if chunk == b"ping" else chunk)) as server:
        driven = drive(BEAT, server.url, poller)
    assert driven.kinds == {"corrupt": 6}
    assert {one.step for one in driven.faults} == {"beat"}


def test_a_fault_elsewhere_ends_it_unblamed() -> None:
    with Server(answering(lambda chunk: b"???" if chunk == b"two" else chunk)) as server:
        driven = drive(BEAT, server.url)
    assert sum(driven.kinds.values()) == 6
    assert "beat" not in {one.step for one in driven.faults}


def test_it_may_send_what_another_branch_hears() -> None:
    text = """
    steps:
      - together:
        - background: [{send: tick}, {wait: 5ms}]
        - [{repeat: 5, do: [{name: tock, expect: tick}]}]
      - {close: main, pending: drop}
    load: {users: 2, iterations: 3}
    """
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert driven.stats.steps["tock"].right == 30


@pollers
def test_one_that_hears_does_not_wait_for_what_nobody_asked_for(poller: str) -> None:
    text = """
    steps:
      - together:
        - [{repeat: 5, do: [{send: "m\\n"}, {wait: 5ms}]}, {wait: 50ms}]
        - background: [{name: heard, expect: {until: "\\n"}}]
      - {send: "last\\n", expect: "last\\n"}
    load: {users: 2, iterations: 3}
    timeout: 20s
    """
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.hanging == {}
    assert driven.stats.steps["heard"].right == 30


TALK = """
sockets: [main, beat]
steps:
  - together:
    - [{{send: one, expect: one}}, {{wait: 3ms}}]
    - background: {steps}
  - {{on: beat, send: after, expect: after}}
load: {{users: 2, iterations: 5}}
timeout: 20s
"""


@pytest.mark.parametrize(
    ("steps", "heard"),
    [
        ("[{on: beat, send: x}, {wait: 1h}, {on: beat, name: heard, expect: x}]", 10),
        (
            "[{on: beat, send: x}, {on: beat, send: y}, {wait: 1h}, "
            "{on: beat, name: heard, expect: [x, y]}]",
            10,
        ),
        (
            "[{transaction: both, do: [{on: beat, send: x}, {wait: 1h}, "
            "{repeat: 1, do: [{on: beat, name: heard, expect: x}]}]}]",
            10,
        ),
        (
            "[{repeat: 3, do: [{on: beat, send: x}]}, {wait: 1h}, "
            "{repeat: 3, do: [{on: beat, name: heard, expect: x}]}]",
            30,
        ),
    ],
    ids=["send-expect", "two-sends", "in-a-transaction", "repeated"],
)
@pollers
def test_what_it_has_sent_is_answered_before_it_ends(poller: str, steps: str, heard: int) -> None:
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(TALK.format(steps=steps), server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 10
    assert driven.stats.steps["heard"].right == heard


@pollers
def test_all_that_one_send_asks_for_is_taken_before_it_ends(poller: str) -> None:
    """The requests of one send, as frames and as HTTP; the others have ended by then."""
    needs.package("h11")
    sent = r"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    text = f"""
    sockets: {{main: {{}}, frames: {{framing: line}}}}
    steps:
      - together:
        - [{{wait: 1ms}}]
        - background:
          - {{on: frames, send: {{join: [{{frame: a}}, "b\\n", {{frame: c}}]}}}}
          - {{on: frames, expect: {{frame: a}}}}
          - {{on: frames, expect: {{frame: b}}}}
          - {{on: frames, expect: {{frame: c}}}}
        - background:
          - {{on: main, send: "{sent}{sent}{sent}"}}
          - {{on: main, expect: {{http: 200}}}}
          - {{on: main, expect: [{{http: 200}}, {{http: 200}}]}}
    load: {{users: 2, iterations: 5}}
    timeout: 500ms
    """
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def serve(connection: socket.socket, number: int) -> None:
        heard = b""
        while chunk := connection.recv(65536):
            heard += chunk
            said = chunk if b"a\n" in chunk else heard.count(b"GET") * reply
            heard = b""
            for at in range(0, len(said), 20):
                connection.sendall(said[at : at + 20])

    with Server(serve) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 10


def test_it_does_not_stay_for_a_push_behind_its_reply() -> None:
    steps = "[{on: beat, send: x}, {wait: 1h}, {on: beat, expect: x}, {on: beat, expect: push}]"
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(TALK.format(steps=steps), server.url)
    assert driven.kinds == {}
    assert driven.stats.iterations == 10


def test_with_branches_and_transactions_of_its_own_in_open_load() -> None:
    text = """
    sockets: [a, b, c]
    steps:
      - transaction: all
        do:
          - together:
            - [{on: a, send: x, expect: x}, {wait: 30ms}]
            - background:
              - transaction: beats
                do:
                  - together:
                    - [{on: b, send: x, expect: x}, {wait: 1h}]
                    - [{on: c, send: x, expect: x}]
    load: {rate: 50/s, max_users: 4, run_time: 300ms}
    """
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert driven.stats.iterations >= 4
    assert driven.stats.steps["all"].right == driven.stats.iterations


@pytest.mark.parametrize(
    ("branches", "told"),
    [
        ("{background: [{send: a}]}", "one branch at least must end by itself"),
        ("[{send: a}], {background: []}", "needs at least one step"),
        ("[{send: a}], {background: {send: b}}", "must be a list"),
        ("[{send: a}], {backgruond: [{send: a}]}", "or {background: [steps]}"),
        ("[{send: a, expect: a}], {background: [{expect: a}]}", "two branches use the socket"),
    ],
)
def test_what_is_wrong_is_told_when_the_file_is_read(branches: str, told: str) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        scenario_for(f"steps: [{{together: [{branches}]}}]\n", "tcp://127.0.0.1:1")
    assert any(told in error.message for error in caught.value.errors), caught.value


def test_an_exchange_in_hand_is_awaited_also_where_its_reply_is_late_to_be_read() -> None:
    """A slow reader has read for the step before: the reply is there, and not yet to be read."""
    text = """
sockets: {main: {read: {size: 1KiB, gap: 3ms}}, other: }
steps:
  - {on: main, send: {random: 4KiB}, expect: reply}
  - together:
      - [{on: other, send: ask, expect: ask}]
      - background: [{on: main, send: beat, expect: beat}]
load: {users: 2, iterations: 15}
"""

    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url, rule="echo")
    assert driven.kinds == {}
    assert driven.stats.iterations == 30


@pytest.mark.parametrize("late", [0.0, 0.03])
def test_what_comes_first_on_a_connection_is_carried_out_before_the_background_ends(
    late: float,
) -> None:
    """The other branch has ended before the greeting comes: it is no surplus of a later step."""

    def greet(connection: socket.socket, number: int) -> None:
        threading.Event().wait(late * (number % 2))
        connection.sendall(b"WELCOME\n")
        while data := connection.recv(1000):
            connection.sendall(data)

    text = """
sockets:
  main: {framing: line, on_connect: [{expect: {frame: WELCOME}}]}
  other: {framing: line, on_connect: [{expect: {frame: WELCOME}}]}
steps:
  - {on: main, send: {frame: first}, expect: {frame: first}}
  - together:
      - [{on: main, send: {frame: ask}, expect: {frame: ask}}]
      - background: [{on: other, send: {frame: beat}, expect: {frame: beat}}, {wait: 1ms}]
  - {on: other, send: {frame: last}, expect: {frame: last}}
  - {close: [main, other]}
load: {users: 1, iterations: 8}
"""
    with Server(greet) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert driven.stats.iterations == 8
