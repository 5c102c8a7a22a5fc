"""Steps on several sockets and messages in pieces: their short way hides no fault, and makes none.

Each is answered rightly many times, then once with something wrong, then rightly again.
"""

from __future__ import annotations

import itertools
import re
import socket
import time
from collections.abc import Callable

import pytest
from driving import POLLERS, Driven, Server, drive, reset

from loadmux.errors import Evidence

TIMES = 50
HELLO = b"hello there"
ALL = "on: all, send: hello there, expect: hello there"
PIECES = "send: hello there, pieces: [4], expect: hello there"
Says = Callable[[socket.socket, bytes], None]


def text(step: str, sockets: str = "[one, two, three]", iterations: int = 2 * TIMES) -> str:
    return (
        f"sockets: {sockets}\nsteps: [{{name: ask, {step}}}]\n"
        f"load: {{users: 1, iterations: {iterations}}}\ntimeout: 300ms\n"
    )


def serving(say: Says, which: int = 1, at: int = TIMES) -> Callable[[socket.socket, int], None]:
    """Echoes each HELLO whole; once, on connection `which`, `say` says what comes instead."""
    odd = iter([say])

    def handler(connection: socket.socket, number: int) -> None:
        got = b""
        for count in itertools.count():
            while len(got) < len(HELLO):
                data = connection.recv(4096)
                if not data:
                    return
                got += data
            message, got = got[: len(HELLO)], got[len(HELLO) :]
            if number == which and count == at and (what := next(odd, None)):
                what(connection, message)
            else:
                connection.sendall(message)

    return handler


def driven(handler: Callable[..., None], scenario: str, poller: str | None = None) -> Driven:
    with Server(handler) as listening:
        return drive(scenario, listening.url, poller)


def one(found: Driven) -> Evidence:
    (evidence,) = found.faults
    return evidence


def flipped(connection: socket.socket, message: bytes) -> None:
    connection.sendall(message[:-1] + bytes([message[-1] ^ 1]))


def late_flip(connection: socket.socket, message: bytes) -> None:
    connection.sendall(message[:5])
    time.sleep(0.02)
    flipped(connection, message[5:])


def more(connection: socket.socket, message: bytes) -> None:
    connection.sendall(message + b"!")


def part(connection: socket.socket, message: bytes) -> None:
    connection.sendall(message[:5])


def nothing(connection: socket.socket, message: bytes) -> None:
    pass


def part_and_end(connection: socket.socket, message: bytes) -> None:
    connection.sendall(message[:5])
    connection.shutdown(socket.SHUT_WR)


def part_and_reset(connection: socket.socket, message: bytes) -> None:
    connection.sendall(message[:5])
    time.sleep(0.02)
    reset(connection)


LIES: dict[Says, str] = {
    flipped: "corrupt",
    late_flip: "corrupt",
    more: "surplus",
    part: "truncated",
    nothing: "timeout",
    part_and_end: "closed",
    part_and_reset: "reset",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda one: one.__name__)
@pytest.mark.parametrize("step", [ALL, PIECES], ids=["all", "pieces"])
def test_one_lie_among_right_replies_is_one_fault(step: str, lie: Says) -> None:
    alone = step is PIECES
    handler = serving(lie, 0 if alone else 1)
    found = driven(handler, text(step, "[one]") if alone else text(step))
    assert found.kinds == {LIES[lie]: 1}, found.faults
    if not alone:
        assert one(found).socket in ("one", "two", "three")
    assert found.stats.iterations == 2 * TIMES - 1
    sent = len(HELLO) * 2 * TIMES * (1 if alone else 3)
    assert sent - 3 * len(HELLO) <= found.stats.steps["ask"].volume.sent <= sent


@pytest.mark.parametrize("poller", POLLERS)
@pytest.mark.parametrize("step", [ALL, PIECES], ids=["all", "pieces"])
def test_replies_that_come_byte_by_byte_are_right(step: str, poller: str) -> None:
    def handler(connection: socket.socket, number: int) -> None:
        for count in itertools.count():
            data = connection.recv(4096)
            if not data:
                return
            for byte in data if count % 3 == number % 3 else [data]:
                connection.sendall(bytes([byte]) if isinstance(byte, int) else byte)

    sockets = "[one, two, three]" if step is ALL else "[one]"
    found = driven(handler, text(step, sockets, iterations=30), poller)
    assert found.kinds == {}
    right = 90 if step is ALL else 30
    assert found.stats.total.right == right
    moved = found.stats.steps["ask"].volume
    assert (moved.sent, moved.received) == (right * len(HELLO), right * len(HELLO))


def test_a_slow_reply_has_the_time_out_anew_from_each_arrival() -> None:
    def slowly(connection: socket.socket, message: bytes) -> None:
        for byte in message[:4]:
            connection.sendall(bytes([byte]))
            time.sleep(0.12)
        connection.sendall(message[4:])

    found = driven(serving(slowly, at=3), text(ALL, iterations=10))
    assert found.kinds == {}
    assert found.stats.total.right == 30


def test_what_is_told_of_a_part_is_when_it_came_and_what_is_owed() -> None:
    evidence = one(driven(serving(part), text(ALL)))
    assert re.search(
        r"^5 bytes of the reply came, then nothing for [\d.]+ s; owed: 6 of 11 bytes",
        evidence.message,
    )
    assert (evidence.socket, evidence.offset) == ("two", 5)
    told = {moment.what: moment.at for moment in evidence.transcript}
    assert evidence.at - told["received"] > 0.25


def test_replies_of_two_sockets_that_are_swapped_are_crosstalk() -> None:
    """The one socket gets what the other is owed, and the other way round."""
    waiting: list[tuple[socket.socket, bytes]] = []

    def handler(connection: socket.socket, number: int) -> None:
        for count in itertools.count():
            message = connection.recv(4096)
            if not message:
                return
            if count == 20:
                waiting.append((connection, message))
                if len(waiting) == 2:
                    (left, said), (right, other) = waiting
                    left.sendall(other)
                    right.sendall(said)
            else:
                connection.sendall(message)

    step = "on: all, send: 'I am the socket ${socket}', expect: 'I am the socket ${socket}'"
    found = driven(handler, text(step, "[left, right]", iterations=40))
    assert "crosstalk" in found.kinds
    assert set(found.kinds) == {"crosstalk"}


def test_messages_that_the_kernel_takes_in_parts_are_answered() -> None:
    """Larger than the buffers of a server that reads slowly at first; all go the careful way."""

    def handler(connection: socket.socket, number: int) -> None:
        size = 3_000_000
        for _ in range(3):
            got = 0
            time.sleep(0.05 * number)
            while got < size:
                got += len(connection.recv(65536))
            connection.sendall(b"ok")
        connection.recv(1)

    step = "on: all, send: {repeat: x, times: 3000000}, expect: ok"
    found = driven(handler, text(step, "{main: {count: 3, send_buffer: 64KiB}}", iterations=3))
    assert found.kinds == {}
    moved = found.stats.steps["ask"].volume
    assert (moved.sent, moved.received) == (9 * 3_000_000, 9 * 2)


def test_a_form_on_several_sockets_is_learned_and_its_liar_found() -> None:
    scenario = text("on: all, send: hello there, expect: {length: 11}")
    found = driven(serving(part), scenario)
    assert found.kinds == {"truncated": 1}
    found = driven(serving(more), scenario)
    assert found.kinds == {"surplus": 1}


def test_pieces_leave_as_they_are_said() -> None:
    chunks: list[bytes] = []

    def handler(connection: socket.socket, number: int) -> None:
        while data := connection.recv(4):
            chunks.append(data)
            connection.sendall(data)

    found = driven(handler, text(PIECES, "[one]", iterations=20))
    assert found.kinds == {}
    assert b"".join(chunks) == HELLO * 20
