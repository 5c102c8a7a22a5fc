"""One socket, two branches: one sends at its own pace, the other takes the answers as they come."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import POLLERS, Driven, Handler, Server, answering, drive, reset, scenario_for
from transports import server_of

from loadmux.errors import ScenarioErrors
from loadmux.measuring.rows import StepStats

pollers = pytest.mark.parametrize("poller", POLLERS)

RATE = """
sockets: {main: {framing: line}}
steps:
  - together:
    - - repeat: 20
        do: [{send: {frame: "m ${user}"}}, {wait: 2ms}]
    - - repeat: 20
        do: [{name: ack, expect: {frame: "ack m ${user}"}, within: 1s}]
load: {users: 3, iterations: 2}
timeout: 500ms
"""


def acking(lose: int = 0, say: bytes = b"ack ", after: float = 0.02) -> Handler:
    """Acknowledges each line `after` seconds, in a thread of its own; never line number `lose`."""

    def handler(connection: socket.socket, number: int) -> None:
        lines: queue.Queue[tuple[float, bytes] | None] = queue.Queue()

        def reply() -> None:
            while (one := lines.get()) is not None:
                due, line = one
                time.sleep(max(0.0, due - time.perf_counter()))
                try:
                    connection.sendall(say + line)
                except OSError:
                    return

        replying = threading.Thread(target=reply)
        replying.start()
        try:
            for count, line in enumerate(connection.makefile("rb"), 1):
                if count != lose:
                    lines.put((time.perf_counter() + after, line))
        finally:
            lines.put(None)
            replying.join()

    return handler


def row(driven: Driven, name: str) -> StepStats:
    driven.stats.fold()
    return driven.stats.steps[name]


@pollers
def test_acks_are_taken_as_they_come_and_timed_from_their_sends(poller: str) -> None:
    with Server(acking()) as server:
        driven = drive(RATE, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 6
    acks = row(driven, "ack")
    assert (acks.kind, acks.right) == ("exchange", 120)
    assert acks.histogram.low >= 0.02
    assert driven.stats.connects.right == 3


@pytest.mark.parametrize("scheme", ["tls", "unix"])
def test_over_other_transports(scheme: str, tmp_path: Path) -> None:
    def taking(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            connection.sendall(b"".join(b"ack " + one for one in chunk.splitlines(True)))

    server, options = server_of(scheme, taking, tmp_path)
    more = options.strip("{").removesuffix("}")
    text = RATE.replace("framing: line", f"framing: line, {more}" if more else "framing: line")
    with server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert row(driven, "ack").right == 120


def test_the_branches_may_stand_in_any_order() -> None:
    text = """
    sockets: {main: {framing: line}}
    steps:
      - together:
        - [{repeat: 5, do: [{name: ack, expect: {frame: "ack m"}}]}]
        - [{wait: 50ms}, {repeat: 5, do: [{send: {frame: "m"}}]}]
    """
    with Server(acking()) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert {one.name: (one.kind, one.right) for one in driven.stats.steps.values()} == {
        "ack": ("exchange", 5),
        "send main #6": ("send", 5),
    }


@pollers
def test_a_lost_ack_is_missed(poller: str) -> None:
    with Server(acking(lose=7)) as server:
        driven = drive(RATE.replace("iterations: 2", "iterations: 1"), server.url, poller)
    assert driven.kinds == {"timeout": 3}
    assert {(one.step, one.socket) for one in driven.faults} == {("ack", "main")}


def test_a_wrong_ack_is_the_readers_fault_at_its_byte() -> None:
    with Server(acking(say=b"akk ")) as server:
        driven = drive(RATE, server.url)
    assert driven.kinds == {"corrupt": 6}
    assert {(one.step, one.offset) for one in driven.faults} == {("ack", 1)}


def test_one_ack_too_many_is_surplus() -> None:
    def twice(connection: socket.socket, number: int) -> None:
        for count, line in enumerate(connection.makefile("rb"), 1):
            connection.sendall(b"ack " + line)
            if count == 20:
                connection.sendall(b"ack again\n")

    text = RATE + "after: [{close: main}]\n"
    with Server(twice) as server:
        driven = drive(text.replace("iterations: 2", "iterations: 1"), server.url)
    assert set(driven.kinds) == {"surplus"}


@pollers
@pytest.mark.parametrize("end", ["closed", "reset"])
def test_who_reads_tells_the_end(poller: str, end: str) -> None:
    def ending(connection: socket.socket, number: int) -> None:
        lines = connection.makefile("rb")
        for _ in range(5):
            connection.sendall(b"ack " + lines.readline())
        if end == "reset":
            reset(connection)
        else:
            connection.shutdown(socket.SHUT_WR)
            connection.close()

    with Server(ending) as server:
        driven = drive(RATE.replace("iterations: 2", "iterations: 1"), server.url, poller)
    assert sum(driven.kinds.values()) == 3
    assert set(driven.kinds) <= {"closed", "reset"}


def test_what_the_server_says_before_it_closes_is_judged_first() -> None:
    """The next send fails; but the wrong reply before it is the fault."""

    def rude(connection: socket.socket, number: int) -> None:
        connection.makefile("rb").readline()
        connection.sendall(b"ERR go away\n")
        reset(connection)

    with Server(rude) as server:
        driven = drive(RATE.replace("iterations: 2", "iterations: 1"), server.url)
    assert set(driven.kinds) <= {"mismatch", "corrupt"}
    assert sum(driven.kinds.values()) == 3


LARGE = """
sockets: {main: {send_buffer: 16KiB, receive_buffer: 16KiB}}
variables: {big: abcdefgh}
steps:
  - together:
    - [{repeat: 3, do: [{name: told, send: {repeat: "${big}", times: 100000}}]}]
    - [{wait: 100ms}, {repeat: 3, do: [{name: heard, expect: {repeat: "${big}", times: 100000}}]}]
load: {users: 2, iterations: 2}
timeout: 2s
"""


@pollers
def test_more_than_all_buffers_hold_goes_both_ways(poller: str) -> None:
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(LARGE, server.url, poller)
    assert driven.kinds == {}
    assert row(driven, "heard").right == row(driven, "told").right == 12


def test_a_server_that_stops_reading_stalls_the_send(tmp_path: Path) -> None:
    done = threading.Event()

    def deaf(connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"abcdefgh")
        done.wait(20)

    text = """
    sockets: {main: {send_buffer: 16KiB}}
    steps:
      - together:
        - [{name: told, send: {random: 8MiB}, within: 300ms}]
        - [{expect: abcdefgh}, {name: never, expect: {length: 5}, within: 20s}]
    """
    with Server(deaf) as server:
        driven = drive(text, server.url)
        done.set()
    assert driven.kinds == {"send_stalled": 1}
    assert driven.faults[0].step == "told"


@pollers
def test_the_sender_may_half_close_and_the_reader_hears_the_end(poller: str) -> None:
    text = """
    steps:
      - together:
        - [{send: one}, {wait: 5ms}, {send: two}, {half_close: main}]
        - [{expect: onetwo}, {expect: closed}]
    load: {users: 2, iterations: 3}
    """
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url, poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 6


@pytest.mark.parametrize("rule", ["echo", "upper", "ok", "received", "upper_sb", "sink"])
def test_by_a_rule(rule: str) -> None:
    """`echo` and `upper` answer message by message; for the others the sum is judged."""
    replies: dict[str, Callable[[bytes], bytes]] = {
        "echo": bytes,
        "upper": bytes.upper,
        "ok": lambda chunk: b"ok",
        "received": lambda chunk: b"Server received " + repr(chunk).encode(),
        "upper_sb": lambda chunk: chunk.upper() + b"_SB",
        "sink": lambda chunk: b"",
    }
    text = """
    steps:
      - together:
        - [{repeat: 10, do: [{send: "hello ${user}"}, {wait: 3ms}]}]
        - [{repeat: 10, do: [{name: heard, expect: reply}]}]
      - {send: bye, expect: reply}
    load: {users: 3, iterations: 2}
    """
    with Server(answering(replies[rule])) as server:
        driven = drive(text, server.url, rule=rule)
    assert driven.kinds == {}
    assert driven.stats.iterations == 6
    if rule in ("echo", "upper"):
        assert row(driven, "heard").right == 60


def test_a_lost_echo_is_missed_by_the_rule() -> None:
    lost = iter([False] * 4 + [True])
    text = """
    steps:
      - together:
        - [{repeat: 10, do: [{send: "hello ${user}"}, {wait: 3ms}]}]
        - [{repeat: 10, do: [{name: heard, expect: reply}]}]
    timeout: 300ms
    """
    with Server(answering(lambda chunk: b"" if next(lost, False) else chunk)) as server:
        driven = drive(text, server.url, rule="echo")
    assert sum(driven.kinds.values()) == 1


def test_nobody_is_late_before_anything_was_sent() -> None:
    """The sender pauses for longer than the time-out: nothing is owed meanwhile."""
    text = """
    steps:
      - together:
        - [{wait: 500ms}, {send: one}, {wait: 500ms}, {send: two}]
        - [{name: a, expect: one}, {name: b, expect: two, within: 100ms}]
    timeout: 100ms
    """
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert row(driven, "b").kind == "exchange"


def test_but_a_push_that_nobody_will_ask_for_is_late_once_the_sender_has_ended() -> None:
    text = """
    steps:
      - together:
        - [{send: one}]
        - [{name: a, expect: one}, {name: b, expect: push}]
    timeout: 200ms
    """
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {"timeout": 1}
    assert driven.faults[0].step == "b (receive)"


def test_of_datagrams() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                data, who = server.recvfrom(65536)
                if data == b"end":
                    return
                server.sendto(data.upper(), who)

        serving = threading.Thread(target=serve)
        serving.start()
        text = """
        steps:
          - together:
            - [{repeat: 5, do: [{send: "m ${user}"}, {wait: 2ms}]}]
            - [{repeat: 5, do: [{name: ack, expect: "M ${user}"}]}]
          - together:
            - [{repeat: 5, do: [{send: "m ${user}"}, {wait: 2ms}]}]
            - [{repeat: 5, do: [{name: ruled, expect: reply}]}]
        load: {users: 2, iterations: 3}
        """
        url = f"udp://127.0.0.1:{server.getsockname()[1]}"
        driven = drive(text, url, rule="upper")
        server.sendto(b"end", server.getsockname())
        serving.join()
    assert driven.kinds == {}
    assert row(driven, "ack").right == row(driven, "ruled").right == 30


def test_in_nested_branches_and_before() -> None:
    text = """
    sockets: {a: {framing: line}, b: {framing: line}}
    before:
      - together:
        - [{on: a, send: {frame: x}}]
        - [{on: a, expect: {frame: ack x}}]
    steps:
      - together:
        - - together:
            - [{repeat: 3, do: [{on: a, send: {frame: "m"}}]}]
            - [{on: b, send: {frame: "m"}, expect: {frame: "ack m"}}]
        - - together:
            - [{for: {n: [1, 2, 3]}, do: [{name: ack, on: a, expect: {frame: "ack m"}}]}]
            - [{wait: 1ms}]
    load: {users: 2, iterations: 4}
    """
    with Server(acking(after=0.0)) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert row(driven, "ack").right == 24


def test_a_run_that_ends_meanwhile() -> None:
    text = RATE.replace("repeat: 20", "repeat: 100000").replace(
        "iterations: 2", "run_time: 200ms, graceful_stop: 100ms"
    )
    with Server(acking()) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert driven.stats.interrupted == 3
    assert row(driven, "ack").right > 0


@pytest.mark.parametrize(
    "branches",
    [
        "[{send: a, expect: a}], [{expect: b}]",
        "[{send: a}], [{send: b}]",
        "[{expect: a}], [{expect: b}]",
        "[{send: a}], [{expect: a}], [{send: b}]",
        "[{send: a}, {expect: a}], [{expect: b}]",
        "[{send: a}, {close: main}], [{expect: a}]",
        "[{send: a}], [{connect: main}, {expect: a}]",
        "[{repeat: 2, do: [{send: a}]}], [{together: [[{send: b}]]}]",
    ],
)
def test_what_both_sends_and_expects_shares_no_socket(branches: str) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        scenario_for(f"steps: [{{together: [{branches}]}}]\n", "tcp://127.0.0.1:1")
    (error,) = caught.value.errors
    assert error.message.startswith("two branches use the socket 'main' at once")
    assert error.message.endswith("or let one only send and the other only expect")
