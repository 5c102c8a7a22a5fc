"""Branches at once within a user: honest servers, servers that lie in one branch, and run ends."""

from __future__ import annotations

import socket
import threading

import pytest
from driving import POLLERS, Server, answering, drive, reset

pollers = pytest.mark.parametrize("poller", POLLERS)

TWO = """
sockets: [left, right]
steps:
  - together:
    - [{name: l, on: left, send: "to the left", expect: "to the left"}]
    - [{name: r, on: right, send: "to the right", expect: "to the right"}]
load: {users: 1, iterations: 3}
timeout: 500ms
"""


def echo_but(wrong: bytes, lie: bytes) -> Server:
    return Server(answering(lambda chunk: lie if chunk == wrong else chunk))


@pollers
def test_both_branches_are_checked_in_every_iteration(poller: str) -> None:
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(TWO, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 3
    assert {name: row.right for name, row in driven.stats.steps.items()} == {"l": 3, "r": 3}


@pollers
def test_the_branches_run_at_once(poller: str) -> None:
    """The server answers nobody until both have spoken: one after the other would time out."""
    both = threading.Barrier(2)

    def together_only(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            both.wait()
            connection.sendall(chunk)

    with Server(together_only) as server:
        driven = drive(TWO, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 3


@pollers
@pytest.mark.parametrize(("name", "side"), [("l", "left"), ("r", "right")])
def test_a_fault_in_one_branch_is_one_fault_with_its_step(
    poller: str, name: str, side: str
) -> None:
    sent = f"to the {side}".encode()
    with echo_but(sent, sent[:-1] + b"!") as server:
        driven = drive(TWO, server.url, poller)
    assert driven.kinds == {"corrupt": 3}
    assert driven.stats.iterations == 0
    assert driven.stats.interrupted == 0
    for fault in driven.faults:
        assert (fault.step, fault.socket, fault.offset) == (name, side, len(sent) - 1)
    assert driven.faults[0].received is not None
    assert driven.faults[0].received.endswith(b"!")


@pollers
def test_the_other_branch_is_cancelled_in_mid_wait_and_not_blamed(poller: str) -> None:
    """`right` is never answered; the fault on `left` must come at once and alone."""

    def one_side(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            if b"left" in chunk:
                reset(connection)
                return

    text = TWO.replace("timeout: 500ms", "timeout: 60s")
    with Server(one_side) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {"reset": 3}
    assert {fault.step for fault in driven.faults} == {"l"}


@pollers
def test_deadlines_are_the_branches_own(poller: str) -> None:
    """One branch is never answered and has a short time; the other's is long."""
    text = TWO.replace('expect: "to the right"', 'expect: "to the right", within: 200ms').replace(
        "500ms", "60s"
    )
    silent = Server(answering(lambda chunk: b"" if b"right" in chunk else chunk))
    with silent as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {"timeout": 3}
    assert {fault.step for fault in driven.faults} == {"r"}
    assert driven.stats.steps["l"].right == 3


def test_two_branches_at_fault_are_one_fault_an_iteration() -> None:
    with Server(answering(lambda chunk: chunk.upper())) as server:
        driven = drive(TWO, server.url)
    assert sum(driven.kinds.values()) == 3


NESTED = """
sockets: [a, b, c, d]
variables: {words: [one, two]}
before:
  - together:
    - [{connect: a}, {connect: b}]
    - [{connect: [c, d]}]
steps:
  - repeat: 2
    do:
      - for: {word: "${words}"}
        do:
          - together:
            - - {name: outer, on: a, send: "${word}", expect: "${word}", save: first}
            - - together:
                - [{name: in b, on: b, send: "b ${word}", expect: "b ${word}"}, {wait: 1ms}]
                - [{name: in c, on: c, send: "c ${word}", expect: "c ${word}", save: second}]
              - {name: after, on: b, send: "b, c ${second}", expect: "${sent}"}
  - {name: last, on: [a, d], send: "${first} ${second}", expect: "two c two"}
after:
  - together: [[{close: a}], [{close: [b, c, d]}]]
load: {users: 3, iterations: 4}
timeout: 1s
"""


@pollers
def test_nested_in_loops_before_and_after(poller: str) -> None:
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(NESTED, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 12
    rows = {name: row.right for name, row in driven.stats.steps.items() if row.kind == "exchange"}
    assert rows == {"outer": 48, "in b": 48, "in c": 48, "after": 48, "last": 24}
    assert driven.stats.connects.right == 12


def test_a_fault_deep_inside_ends_all_branches_and_the_sockets_reconnect() -> None:
    lies = iter([b"x two"])

    def once(chunk: bytes) -> bytes:
        return next(lies, chunk) if chunk == b"c two" else chunk

    with Server(answering(once)) as server:
        driven = drive(NESTED.replace("users: 3", "users: 1"), server.url)
    assert driven.kinds == {"corrupt": 1}
    assert driven.faults[0].step == "in c"
    assert driven.stats.iterations == 3
    assert driven.stats.connects.right == 8


@pytest.mark.parametrize(("on_error", "iterations"), [("stop_user", 0), ("abort", 0)])
def test_on_error_with_branches_in_flight(on_error: str, iterations: int) -> None:
    text = TWO.replace("timeout: 500ms", f"timeout: 60s\non_error: {on_error}")
    quiet = Server(answering(lambda chunk: b"?" if b"left" in chunk else b""))
    with quiet as server:
        driven = drive(text, server.url)
    assert sum(driven.kinds.values()) == 1
    assert driven.faults[0].step == "l"
    assert driven.stats.iterations == iterations


@pollers
def test_the_run_ends_with_branches_in_flight(poller: str) -> None:
    text = TWO.replace("iterations: 3", "run_time: 200ms, graceful_stop: 100ms").replace(
        "timeout: 500ms", "timeout: 60s"
    )
    with Server(answering(lambda chunk: b"")) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert (driven.stats.iterations, driven.stats.interrupted) == (0, 1)


def test_a_fault_in_hand_in_a_branch_survives_the_end_of_the_run() -> None:
    """The wrong byte has come, the rest of the reply is being gathered when time is up."""
    seen = threading.Event()

    def drip(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            if b"left" in chunk:
                connection.sendall(b"x")
                while not seen.wait(0.02):
                    connection.sendall(b"y")

    text = TWO.replace("to the left", "left " + "l" * 4000).replace(
        "iterations: 3", "run_time: 150ms, graceful_stop: 0s"
    )
    with Server(drip) as server:
        driven = drive(text, server.url)
        seen.set()
    assert sum(driven.kinds.values()) == 1
    assert driven.faults[0].step == "l"


def test_a_connection_that_is_refused_in_a_branch() -> None:
    with Server(answering(lambda chunk: chunk)) as server:
        url = server.url
    driven = drive(TWO, url)
    assert driven.unreachable is not None


PUBLISH = """
sockets: [subscriber, publisher]
before:
  - {on: subscriber, send: "SUB ${user}\\n", expect: "+SUB\\n"}
steps:
  - together:
    - [{name: heard, on: subscriber, expect: "${user} said ${iteration}\\n"}]
    - [{name: said, on: publisher, send: "PUB ${user} said ${iteration}\\n", expect: "+PUB\\n"}]
load: {users: 5, iterations: 20}
timeout: 2s
"""


class Hub:
    """What is published for a user goes out on that user's subscribed connection."""

    def __init__(self, lose: bytes = b"none") -> None:
        self._subscribers: dict[bytes, socket.socket] = {}
        self._lose = lose

    def serve(self, connection: socket.socket, number: int) -> None:
        for line in connection.makefile("rb"):
            word, rest = line.split(b" ", 1)
            if word == b"SUB":
                self._subscribers[rest.strip()] = connection
            elif not rest.startswith(self._lose):
                self._subscribers[rest.split(b" ")[0]].sendall(rest)
            connection.sendall(b"+" + word + b"\n")


@pollers
def test_a_subscriber_hears_what_its_publisher_says(poller: str) -> None:
    with Server(Hub().serve) as server:
        driven = drive(PUBLISH, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.steps["heard"].right == driven.stats.steps["said"].right == 100


def test_a_lost_message_is_missed_by_the_subscriber() -> None:
    text = PUBLISH.replace("timeout: 2s", "timeout: 200ms\non_error: stop_user")
    with Server(Hub(lose=b"3 said 1").serve) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {"timeout": 1}
    (fault,) = driven.faults
    assert (fault.step, fault.user, fault.iteration, fault.socket) == ("heard", 3, 1, "subscriber")


def test_replies_that_a_broken_off_iteration_would_have_taken_are_nobodys_fault() -> None:
    """Three messages in one send; the first reply is wrong on one of the sockets."""
    text = """
    sockets: {a: {framing: line}, b: {framing: line}}
    before: [{connect: a}, {connect: b}]
    steps:
      - {on: all, send: {join: [{frame: x}, {frame: y}, {frame: z}]}}
      - {on: all, expect: {frame: x}}
      - {on: all, expect: {frame: y}}
      - {on: all, expect: {frame: z}}
    load: {users: 1, iterations: 2}
    timeout: 500ms
    """

    def serve(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            connection.sendall(chunk.replace(b"x", b"X") if number == 0 else chunk)

    with Server(serve) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {"corrupt": 1}
