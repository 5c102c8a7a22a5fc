"""One user's long step: others have their turn meanwhile, or it is told who held them up."""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from driving import POLLERS, Driven, Server, answering, drive
from pausing import Puppet
from transports import Authority, TlsServer

pollers = pytest.mark.parametrize("poller", POLLERS)
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="what is queued is asked of Linux")

MIB = 1 << 20
SIP = 20_000


class Order:
    """What the connections of a server got, in order: who has got how much when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.got: list[str] = []

    def note(self, what: str) -> None:
        with self._lock:
            self.got.append(what)


# --- sending ------------------------------------------------------------------------------------


@pollers
def test_a_message_in_many_pieces_leaves_the_others_their_turn(poller: str) -> None:
    """The reader is faster than the sender, so that no full buffer makes this one wait."""
    order = Order()

    def handler(connection: socket.socket, number: int) -> None:
        first = connection.recv(4)
        if first == b"ping":
            while first:
                order.note("ping")
                connection.sendall(first)
                first = connection.recv(4)
            return
        missing = MIB - len(first)
        while missing:
            missing -= len(connection.recv(MIB))
        order.note("all")
        connection.sendall(b"done")

    text = """
    sockets: [bulk, quick]
    steps:
      - together:
          - [{on: bulk, name: bulk, send: {repeat: "xxxxxxxx", times: 131072}, pieces: 51,
              expect: "done"}]
          - [{repeat: 30, do: [{on: quick, name: quick, send: "ping", expect: "ping"}]}]
    load: {users: 1, iterations: 1}
    timeout: 30s
    """
    with Server(handler) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert order.got.index("all") >= 10


@pollers
def test_what_comes_while_many_pieces_are_sent_is_not_copied_for_each(poller: str) -> None:
    """An echo of 8 MiB comes back meanwhile: joined anew at each piece it would take minutes."""
    text = """
    steps: [{name: talk, send: {random: 8MiB}, pieces: 500, expect: reply}]
    load: {users: 1, iterations: 1}
    timeout: 30s
    """
    with Server(answering(bytes)) as server:
        driven = drive(text, server.url, poller, "echo")
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 1


def sipping(connection: socket.socket, number: int) -> None:
    """Takes 20 KB every 50 ms for five seconds, without a pause, then all the rest."""
    for _ in range(100):
        if not connection.recv(SIP):
            return
        time.sleep(0.05)
    while connection.recv(MIB):
        pass


def put(server: Server, options: str = "") -> Driven:
    text = f"""
    sockets: {{main: {{{options}}}}}
    steps: [{{name: put, send: {{repeat: "x", times: 20000000}}}}, {{half_close: main}}]
    load: {{users: 1, iterations: 1}}
    timeout: 1s
    """
    return drive(text, server.url, "epoll")


@needs_linux
def test_a_slow_reader_has_not_stopped() -> None:
    """The send buffer holds megabytes by then, and is writable when a third of it is free."""
    with Server(sipping) as server:
        driven = put(server)
    assert driven.kinds == {}
    assert driven.stats.steps["put"].right == 1


@needs_linux
def test_a_slow_reader_has_not_stopped_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with TlsServer(sipping, authority.server()) as server:
        driven = put(server, f"tls: {{ca: {authority.path}}}")
    assert driven.kinds == {}


@pytest.mark.parametrize("secured", [False, True])
def test_a_reader_that_stopped_has(secured: bool, tmp_path: Path) -> None:
    over = threading.Event()

    def stop_reading(connection: socket.socket, number: int) -> None:
        for _ in range(5):
            connection.recv(SIP)
        over.wait()

    authority = Authority(tmp_path)
    tls = TlsServer(stop_reading, authority.server())
    with tls if secured else Server(stop_reading) as server:
        driven = put(server, f"tls: {{ca: {authority.path}}}" if secured else "")
        over.set()
    assert driven.kinds == {"send_stalled": 1}
    assert driven.faults[0].message.endswith("then none for 1 s")


# --- receiving ----------------------------------------------------------------------------------


@pollers
def test_a_large_reply_leaves_the_others_their_turn(poller: str) -> None:
    order = Order()

    def handler(connection: socket.socket, number: int) -> None:
        first = connection.recv(4)
        if first == b"bulk":
            connection.sendall(bytes(64 * MIB))
            order.note("all")
            connection.recv(4)
            return
        while first:
            order.note("ping")
            connection.sendall(first)
            first = connection.recv(4)

    text = """
    sockets: [bulk, quick]
    steps:
      - together:
          - [{on: bulk, send: "bulk", expect: {length: 64MiB}}]
          - [{repeat: 20, do: [{on: quick, send: "ping", expect: "ping"}]}]
    load: {users: 1, iterations: 1}
    timeout: 30s
    """
    with Server(handler) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert order.got.index("all") >= 5


@pollers
def test_many_replies_in_one_piece_are_not_copied_for_each(poller: str) -> None:
    replies = 20_000

    def flood(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(b"line\n" * replies)
        connection.recv(65536)

    text = f"""
    steps:
      - {{send: "go"}}
      - {{repeat: {replies}, do: [{{name: line, expect: "line\\n"}}]}}
    load: {{users: 1, iterations: 1}}
    timeout: 30s
    """
    with Server(flood) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert sum(row.right for row in driven.stats.steps.values()) == 1 + replies


@pollers
def test_a_flood_without_end_is_a_fault_within_its_time(poller: str) -> None:
    over = threading.Event()

    def flood(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        while not over.is_set():
            connection.sendall(bytes(MIB))

    text = """
    steps: [{name: line, send: "go", expect: {until: "\\n"}, within: 1s}]
    load: {users: 1, iterations: 1}
    """
    with Server(flood) as server:
        driven = drive(text, server.url, poller)
        over.set()
    assert sum(driven.kinds.values()) == 1
    assert driven.faults[0].step == "line"


# --- steps that hold the loop -------------------------------------------------------------------

HELD = """
import time
from loadmux.scripting import User, scenario

@scenario(users=5, iterations=40)
async def talk(user: User) -> None:
    await user["main"].exchange("hello", expect="hello")
    if user.number == 3 and user.iteration == 20:
        WORK
    await user.sleep(0.01)
"""
COMPUTING = """
        end = time.perf_counter() + 1.0
        while time.perf_counter() < end:
            pass
"""


@pytest.mark.parametrize("work", ["time.sleep(1.0)", COMPUTING.strip()])
def test_a_function_that_holds_the_loop_is_named(work: str, tmp_path: Path) -> None:
    path = tmp_path / "held.py"
    path.write_text(HELD.replace("WORK", work))
    with Server(answering(bytes)) as server:
        done = Puppet().run_file(path, tmp_path, "--target", server.url)
    held = [one for one in done.told["generator"]["standstills"] if one["user"] == 3]
    (one,) = [each for each in held if each["where"].startswith("held.py:")]
    assert (one["held"], one["step"]) == (True, "call #1")
    assert 9 <= int(one["where"].split(":")[1]) <= 11
    assert any(
        note.startswith("step 'call #1' of user 3 (held.py:") and "held the loop for" in note
        for note in done.told["notes"]
    )
    assert done.told["exchanges"]["count"] == 200
    assert done.code == 0, done.out


def test_a_slow_judge_is_named_by_its_step(tmp_path: Path) -> None:
    """A regular expression that backtracks: none of the scenario's own code runs."""
    text = """
    steps:
      - {name: quick, send: "hello", expect: "hello"}
      - {name: slow, send: "aaaaaaaaaaaaaaaaaaaaaaaaX", expect: {regex: "(a*)*b|a+X", until: "X"}}
    load: {users: 1, iterations: 1}
    """
    with Server(answering(bytes)) as server:
        done = Puppet().run(text, tmp_path, "--target", server.url)
    (one,) = [each for each in done.told["generator"]["standstills"] if each["held"]]
    assert (one["held"], one["step"], one["user"], one["where"]) == (True, "slow", 0, "")
    assert done.code == 0, done.out
