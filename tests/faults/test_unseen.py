"""Bytes that nobody asked for, where nobody looks: each is told, once, at its step.

And the other way round: what is legitimately under way when a user is cut off is no fault.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import POLLERS, Driven, Handler, Server, answering, drive, drive_scenario, reset
from transports import UdpServer, server_of

from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides

pollers = pytest.mark.parametrize("poller", POLLERS)
everywhere = pytest.mark.parametrize(
    ("scheme", "poller"),
    [
        *(("tcp", poller) for poller in POLLERS),
        ("unix", "epoll"),
        ("tls", "epoll"),
        ("tls", "poll"),
    ],
)

ASK = "{name: ask, send: hello, expect: hello}"
GARBAGE = b" and 20 bytes of it!"
CUT = "users: 3, run_time: 700ms, graceful_stop: 0s"


def scenario(steps: str, load: str, sockets: str = "[main]", timeout: str = "5s") -> str:
    return f"sockets: {sockets}\nsteps: {steps}\nload: {{{load}}}\ntimeout: {timeout}\n"


def talk(
    handler: Handler, poller: str, steps: str, load: str = CUT, rule: str | None = None
) -> Driven:
    with Server(handler) as server:
        return drive(scenario(steps, load), server.url, poller, rule)


def garbage(connection: socket.socket, number: int) -> None:
    while chunk := connection.recv(65536):
        connection.sendall(chunk + GARBAGE)


def silent(connection: socket.socket, number: int) -> None:
    while connection.recv(65536):
        pass


def is_garbage(driven: Driven, count: int, step: str = "ask") -> None:
    assert driven.kinds == {"surplus": count}
    first = driven.faults[0]
    assert (first.step, first.offset, first.iteration, first.socket) == (step, 0, 0, "main")
    assert first.received == GARBAGE


# --- users that are cut off -----------------------------------------------------------------------


@everywhere
def test_in_a_wait(scheme: str, poller: str, tmp_path: Path) -> None:
    server, options = server_of(scheme, garbage, tmp_path)
    text = scenario(f"[{ASK}, {{wait: 30s}}]", CUT, f"{{main: {options}}}")
    with server:
        driven = drive(text, server.url, poller)
    is_garbage(driven, 3)
    assert driven.stats.interrupted == 3
    assert driven.stats.steps["ask"].right == 3
    assert driven.stats.steps["ask"].count == 3


@pollers
def test_at_a_barrier(poller: str) -> None:
    def one_is_silent(connection: socket.socket, number: int) -> None:
        (silent if number == 2 else garbage)(connection, number)

    driven = talk(one_is_silent, poller, f"[{ASK}, {{barrier: all}}]")
    is_garbage(driven, 2)


@pollers
def test_while_another_socket_is_awaited(poller: str) -> None:
    def handler(connection: socket.socket, number: int) -> None:
        asked = connection.recv(65536)
        connection.sendall(asked + GARBAGE if asked == b"hello" else b"")
        silent(connection, number)

    steps = f"[{{on: main, {ASK[1:]}, {{on: other, send: slow, expect: slow}}]"
    with Server(handler) as server:
        driven = drive(scenario(steps, CUT, "[main, other]"), server.url, poller)
    is_garbage(driven, 3)


@pollers
def test_in_a_branch(poller: str) -> None:
    steps = f"[{{together: [[{ASK}, {{wait: 30s}}], [{{wait: 30s}}]]}}]"
    is_garbage(talk(garbage, poller, steps), 3)


@pollers
def test_in_code(poller: str, tmp_path: Path) -> None:
    (tmp_path / f"talks_on_{poller}.py").write_text(
        "async def talk(user):\n"
        "    await user['main'].exchange('hello', 'hello', name='ask')\n"
        "    await user.sleep(30)\n"
    )
    text = scenario(f'[{{call: "talks_on_{poller}:talk"}}]', CUT.replace("700ms", "2s"))
    with Server(garbage) as server:
        loaded = load(tmp_path / "it.yaml", Overrides(target=server.url), text=text)
        urls = {name: one.url for name, one in loaded.servers.items() if one.url is not None}
        driven = drive_scenario(loaded, urls, poller)
    is_garbage(driven, 3)


def test_what_code_has_not_come_to_is_no_surplus_beside_a_fault(tmp_path: Path) -> None:
    """Which steps code would have taken nobody knows before it has been through one iteration."""
    (tmp_path / "takes_parts.py").write_text(
        "async def talk(user):\n"
        "    both = user['main', 'other']\n"
        "    await both.exchange('hello', 'he')\n"
        "    await both.expect('llo')\n"
    )

    def one_is_silent(connection: socket.socket, number: int) -> None:
        while asked := connection.recv(65536):
            connection.sendall(asked if number else b"")

    text = scenario('[{call: "takes_parts:talk"}]', "iterations: 1", "[main, other]", "300ms")
    with Server(one_is_silent) as server:
        loaded = load(tmp_path / "it.yaml", Overrides(target=server.url), text=text)
        urls = {name: one.url for name, one in loaded.servers.items() if one.url is not None}
        driven = drive_scenario(loaded, urls)
    assert driven.kinds == {"timeout": 1}


@pollers
def test_between_iterations(poller: str) -> None:
    load = f"{CUT}, pacing: 10s"
    driven = talk(garbage, poller, f"[{ASK}]", load)
    is_garbage(driven, 3)
    assert driven.stats.interrupted == 0


@pollers
def test_waiting_for_an_iteration_of_open_load(poller: str) -> None:
    load = "rate: 2/s, max_users: 1, run_time: 300ms, graceful_stop: 0s"
    driven = talk(garbage, poller, f"[{ASK}]", load)
    is_garbage(driven, 1)
    assert driven.stats.begun == 1


@pollers
def test_behind_a_stopped_reading(poller: str) -> None:
    def late(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536))
        threading.Event().wait(0.05)
        connection.sendall(GARBAGE)
        silent(connection, number)

    is_garbage(talk(late, poller, f"[{ASK}, {{stop_reading: main}}, {{wait: 30s}}]"), 3)


@pollers
def test_in_what_a_rule_owes(poller: str) -> None:
    """The reply that is to be checked later is wrong already."""

    def flip(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536))
        connection.sendall(b"say_" + connection.recv(65536)[4:])
        silent(connection, number)

    steps = (
        "[{send: hello, expect: reply}, {stop_reading: main}, {send: say it again},"
        " {wait: 30s}, {resume_reading: main}, {name: check, expect: reply}]"
    )
    driven = talk(flip, poller, steps, rule="echo")
    assert driven.kinds == {"corrupt": 3}
    assert driven.faults[0].offset == 3
    assert driven.faults[0].step == "check"


@pollers
def test_in_a_flood(poller: str) -> None:
    """The fault is not lost while what follows it is still coming."""

    def flood(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536))
        connection.recv(65536)
        reading = threading.Thread(target=silent, args=(connection, number))
        reading.start()
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"?" * 65536)
        reading.join()

    steps = (
        "[{send: hello, expect: reply}, {stop_reading: main}, {send: {repeat: x, times: 20000000}},"
        " {wait: 30s}, {resume_reading: main}, {name: check, expect: reply}]"
    )
    driven = talk(flood, poller, steps, "users: 1, run_time: 1s, graceful_stop: 0s", "echo")
    assert sum(driven.kinds.values()) == 1
    assert driven.faults[0].offset == 0


@pollers
def test_over_udp(poller: str) -> None:
    def twice(datagram: bytes, number: int) -> list[bytes]:
        return [datagram, GARBAGE]

    with UdpServer(twice) as server:
        driven = drive(scenario(f"[{ASK}, {{wait: 30s}}]", CUT), server.url, poller)
    is_garbage(driven, 3)


@pollers
def test_over_udp_behind_a_stopped_reading(poller: str) -> None:
    def twice(datagram: bytes, number: int) -> list[bytes]:
        return [datagram, GARBAGE] if number else [datagram]

    steps = (
        "[{send: hello, expect: reply}, {stop_reading: main}, {send: hello}, {wait: 30s},"
        " {resume_reading: main}, {name: ask, expect: reply}]"
    )
    with UdpServer(twice) as server:
        driven = drive(scenario(steps, CUT), server.url, poller, "echo")
    is_garbage(driven, 3)


# --- other ends -----------------------------------------------------------------------------------


@pollers
@pytest.mark.parametrize("last", ["", ", {close: main}", ", {reset: main}"])
def test_before_an_end(poller: str, last: str) -> None:
    steps = f"[{ASK}, {{wait: 50ms}}{last}]"
    driven = talk(garbage, poller, steps, "users: 2, iterations: 1")
    assert driven.kinds == {"surplus": 2}
    assert driven.faults[0].received == GARBAGE


@pollers
@pytest.mark.parametrize("last", ["", ", {close: main}"])
def test_behind_a_stopped_reading_before_an_end(poller: str, last: str) -> None:
    steps = f"[{{stop_reading: main}}, {{name: ask, send: hello}}, {{wait: 50ms}}{last}]"
    driven = talk(garbage, poller, steps, "users: 2, iterations: 1")
    assert driven.kinds == {"surplus": 2}
    assert driven.faults[0].received == b"hello" + GARBAGE


@pollers
def test_a_reset_in_the_middle_of_a_reply_blames_nobody(poller: str) -> None:
    steps = "[{send: hello}, {wait: 20ms}, {reset: main}]"
    driven = talk(answering(bytes), poller, steps, "users: 2, iterations: 5")
    assert driven.kinds == {}


@everywhere
def test_after_a_reply_that_ends_the_connection(scheme: str, poller: str, tmp_path: Path) -> None:
    again = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain"

    def late_second_response(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        threading.Event().wait(0.01)
        connection.sendall(again)
        silent(connection, number)
        connection.close()

    server, options = server_of(scheme, late_second_response, tmp_path)
    text = scenario(
        "[{name: get, send: {http: /}, expect: {http: 200}}]",
        "users: 2, iterations: 3",
        f"{{main: {options}}}",
    )
    with server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {"surplus": 6}
    assert driven.faults[0].received == again
    assert driven.faults[0].step == "get"
    assert driven.stats.steps["get"].count == 6


# --- beside a fault -------------------------------------------------------------------------------

TWO = f"[{{on: main, {ASK[1:]}, {{on: other, name: fails, send: no, expect: never}}]"


@pollers
def test_on_the_other_sockets_of_a_fault(poller: str) -> None:
    def handler(connection: socket.socket, number: int) -> None:
        asked = connection.recv(65536)
        connection.sendall(asked + GARBAGE if asked == b"hello" else b"known")
        silent(connection, number)

    with Server(handler) as server:
        text = scenario(TWO, "users: 2, iterations: 1", "[main, other]")
        driven = drive(text, server.url, poller)
    assert driven.kinds == {"surplus": 2, "mismatch": 2}
    found = {one.kind.value: one for one in driven.faults}
    assert [found[kind].step for kind in ("surplus", "mismatch")] == ["ask", "fails"]
    assert {one.iteration for one in driven.faults} == {0}


@pollers
def test_a_reply_on_the_wrong_socket_is_told_once(poller: str) -> None:
    idle: dict[int, socket.socket] = {}
    there = threading.Event()

    def astray(connection: socket.socket, number: int) -> None:
        asked = connection.recv(65536)
        if asked == b"hello":
            connection.sendall(asked)
            idle[0] = connection
            there.set()
        else:
            there.wait(5)
            idle[0].sendall(b"never")
        silent(connection, number)

    with Server(astray) as server:
        text = scenario(TWO, "users: 1, iterations: 1", "[main, other]", "300ms")
        driven = drive(text, server.url, poller)
    assert driven.kinds == {"crosstalk": 1}
    assert driven.faults[0].step == "fails"


@pollers
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_the_death_of_a_server_is_one_fault(poller: str, how: str) -> None:
    both: list[socket.socket] = []

    def die(connection: socket.socket, number: int) -> None:
        asked = connection.recv(65536)
        both.append(connection)
        if asked == b"hello":
            connection.sendall(asked)
            return
        for one in both:
            reset(one) if how == "rst" else one.shutdown(socket.SHUT_WR)

    with Server(die) as server:
        text = scenario(TWO, "users: 1, iterations: 1", "[main, other]")
        driven = drive(text, server.url, poller)
    assert driven.kinds == {"reset" if how == "rst" else "closed": 1}
    assert driven.faults[0].step == "fails"


# --- what is legitimately under way ---------------------------------------------------------------


@pollers
def test_half_a_reply_is_none_of_it(poller: str) -> None:
    def half(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536)[:3])
        silent(connection, number)

    driven = talk(half, poller, f"[{ASK}]")
    assert driven.kinds == {}
    assert driven.stats.interrupted == 3


@pollers
def test_nor_are_replies_that_a_later_step_would_have_read(poller: str) -> None:
    steps = "[{send: one}, {send: two}, {wait: 30s}, {expect: onetwo}]"
    driven = talk(answering(bytes), poller, steps)
    assert driven.kinds == {}
    assert driven.stats.interrupted == 3


@pollers
@pytest.mark.parametrize("rule", ["echo", "upper", "ok", "received", "upper_sb", "hello"])
def test_nor_what_a_rule_explains(poller: str, rule: str) -> None:
    replies: dict[str, Callable[[bytes], bytes]] = {
        "echo": bytes,
        "upper": bytes.upper,
        "ok": lambda chunk: b"ok",
        "received": lambda chunk: b"Server received " + repr(chunk).encode(),
        "upper_sb": lambda chunk: chunk.upper() + b"_SB",
        "hello": lambda chunk: b"Hello Client!",
    }
    steps = (
        "[{send: hello, expect: reply}, {stop_reading: main}, {send: {random: 20KB}},"
        " {send: more}, {wait: 30s}, {resume_reading: main}, {expect: reply}]"
    )
    driven = talk(answering(replies[rule]), poller, steps, rule=rule)
    assert driven.kinds == {}
    assert driven.stats.interrupted == 3
