"""Right but awkward servers are never blamed, and a fault in hand is never lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from driving import POLLERS, Server, answering, drive, reset

pollers = pytest.mark.parametrize("poller", POLLERS)


@pollers
def test_a_wrong_reply_in_hand_when_the_run_ends_is_a_fault(poller: str) -> None:
    done = threading.Event()

    def wrong_then_slow(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(b"?")
        while not done.wait(0.05):
            connection.sendall(b"x")

    text = """
    steps: [{name: talk, send: {random: 4KiB}, expect: reply}]
    load: {users: 1, run_time: 300ms, graceful_stop: 0s}
    timeout: 10s
    """
    with Server(wrong_then_slow) as server:
        driven = drive(text, server.url, poller, "echo")
        done.set()
    assert sum(driven.kinds.values()) == 1
    assert driven.faults[0].offset == 0
    assert driven.stats.interrupted == 0


@pollers
def test_ends_on_several_sockets_are_awaited_at_once(poller: str) -> None:
    """The server closes both connections once both have spoken."""
    spoken = threading.Barrier(2)

    def close_together(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        spoken.wait(10)
        connection.close()

    text = """
    sockets: [a, b]
    steps: [{name: bye, on: all, send: "bye", expect: closed}]
    load: {users: 1, iterations: 3}
    timeout: 5s
    """
    with Server(close_together) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.steps["bye"].right == 6


@pollers
def test_a_reset_that_is_expected(poller: str) -> None:
    def reset_it(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        reset(connection)

    text = """
    steps: [{name: hit, send: "x", expect: {reset: true}}]
    load: {users: 1, iterations: 3}
    """
    with Server(reset_it) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.steps["hit"].right == 3


@pollers
def test_within_bounds_the_whole_wait(poller: str) -> None:
    done = threading.Event()

    def drip_without_end(connection: socket.socket, number: int) -> None:
        while not done.wait(0.02):
            connection.sendall(b"x")

    text = """
    steps: [{name: line, expect: {until: "\\n"}, within: 300ms}]
    load: {users: 1, iterations: 1}
    timeout: 10s
    """
    with Server(drip_without_end) as server:
        driven = drive(text, server.url, poller)
        done.set()
    assert driven.kinds == {"timeout": 1}


@pollers
def test_a_banner_that_comes_with_the_connection_is_not_missed(poller: str) -> None:
    def greet(connection: socket.socket, number: int) -> None:
        connection.sendall(b"220 ready\r\n")
        answering(bytes)(connection, number)

    text = """
    steps:
      - {expect: "220 ready\\r\\n"}
      - {send: "hello", expect: "hello"}
      - {close: main}
    load: {users: 4, iterations: 20}
    timeout: 3s
    """
    with Server(greet) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 80


@pollers
def test_replies_that_arrive_before_the_request_is_complete(poller: str) -> None:
    text = """
    steps:
      - {name: one, send: {random: 300KiB}}
      - {name: two, send: {random: 300KiB}}
      - {name: both, expect: reply}
    load: {users: 2, iterations: 3}
    timeout: 5s
    """
    with Server(answering(bytes)) as server:
        driven = drive(text, server.url, poller, "echo")
    assert driven.kinds == {}
    assert driven.stats.steps["both"].right == 6


@pollers
@pytest.mark.parametrize("rule", ["received", "upper_sb", "echo"])
@pytest.mark.parametrize("size", [1, 3, 16])
def test_a_server_that_reads_little_at_a_time(poller: str, rule: str, size: int) -> None:
    def received(chunk: bytes) -> bytes:
        return b"Server received " + repr(chunk).encode()

    replies: dict[str, Callable[[bytes], bytes]] = {
        "received": received,
        "upper_sb": lambda chunk: chunk.upper() + b"_SB",
        "echo": lambda chunk: chunk,
    }

    def nibble(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(size):
            connection.sendall(replies[rule](chunk))

    text = """
    steps: [{name: talk, send: "it's \\"said\\" that a_sb ends in _SB, \\\\ too", expect: reply}]
    load: {users: 2, iterations: 5}
    timeout: 3s
    """
    with Server(nibble) as server:
        driven = drive(text, server.url, poller, rule)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 10


@pollers
@pytest.mark.parametrize("word", ["ok", "hello"])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("size", [1, 200, 201, 251, 1024, 100_000])
def test_a_server_that_counts_and_reads_little(
    poller: str, word: str, told: bool, size: int
) -> None:
    """Whether or not the scenario knows; the messages come in lockstep and pipelined."""
    reply = {"ok": b"ok", "hello": b"Hello Client!"}[word]

    def nibble(connection: socket.socket, number: int) -> None:
        while connection.recv(200):
            connection.sendall(reply)

    target = f"target: {{url: tcp://h:1, reply: {{rule: {word}, read_size: 200}}}}"
    text = f"""
    {target if told else ""}
    steps:
      - {{name: talk, send: {{random: {size}}}, expect: reply}}
      - {{send: {{random: {size}}}}}
      - {{send: {{random: 7}}}}
      - {{name: both, expect: reply}}
    load: {{users: 2, iterations: 5}}
    timeout: 3s
    """
    with Server(nibble) as server:
        driven = drive(text, server.url, poller, word)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == driven.stats.steps["both"].right == 10


@pytest.mark.parametrize(
    "told",
    [
        "reply: ok, read-size: 16",
        "reply: hello, read_size: 16",
        "reply: {rule: upper_sb, read_size: 16}",
    ],
)
def test_a_bundled_target_that_was_told_to_read_little(told: str, tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        f"target: {{bundled: epoll, {told}}}\n"
        "steps: [{send: 'hello world, this is more than sixteen', expect: reply}]\n"
        "load: {users: 2, iterations: 20}\n"
    )
    done = run(scenario, folder=tmp_path)
    assert done.code == 0, done.out


@pollers
def test_a_user_that_never_waits_leaves_the_others_their_turn(poller: str) -> None:
    def sink(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            pass

    text = """
    steps: [{name: pour, send: "drop", expect: reply}]
    load: {users: 3, run_time: 300ms}
    """
    with Server(sink) as server:
        driven = drive(text, server.url, poller, "sink")
    assert driven.kinds == {}
    assert driven.stats.served == 3


def test_the_last_fault_of_a_run_names_the_iteration_that_was(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text("steps: [{send: x, expect: x}]\nload: {users: 1, iterations: 1}\n")
    with Server(answering(lambda chunk: chunk + b"!")) as server:
        done = run(scenario, "--target", server.url, folder=tmp_path)
    assert done.code == 1
    assert done.told["exchanges"]["count"] == 1
    assert done.told["exchanges"]["errors"] == 1
    assert done.told["faults"][0]["examples"][0]["iteration"] == 0


def test_abort_ends_all_workers_at_once(tmp_path: Path) -> None:
    replies = 0
    lock = threading.Lock()

    def wrong_once(chunk: bytes) -> bytes:
        nonlocal replies
        with lock:
            replies += 1
            return b"!" if replies == 10 else chunk

    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "on_error: abort\n"
        "steps: [{send: x, expect: x}, {wait: 20ms}]\n"
        "load: {users: 4, run_time: 50s}\n"
    )
    with Server(answering(wrong_once)) as server:
        done = run(scenario, "--target", server.url, "--workers", "2", folder=tmp_path)
    assert done.code == 1
    assert done.told["duration"] < 40
    assert sum(group["count"] for group in done.told["faults"]) == 1
