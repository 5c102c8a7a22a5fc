"""Bytes in and out are those that the server itself has read and written, whatever the step."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import Driven, Server, drive
from transports import Authority, TlsServer

from loadmux.measuring.recorder import Recorder
from loadmux.measuring.rows import SIZES, StepStats
from loadmux.measuring.volume import Volume

LOADS = ("users: 3, iterations: 20", "rate: 300/s, max_users: 4")
STEPS = {
    "constant": r'{send: "hello\n", expect: "hello\n"}',
    "templated": r'{send: "a${iteration}\n", expect: "${sent}"}',
    "by user": r'{send: "u${user}\n", expect: "u${user}\n"}',
    "learned": r"{send: {frame: hello}, expect: {regex: 'h(?P<x>el+)o'}}",
    "learned, varying": r'{send: "b${iteration}\n", expect: {until: "\n"}}',
    "swift": r'{send: "${iteration} ${user}\n", expect: {regex: "(?P<a>\\d+) ${user}"}}',
    "pieces": r'{send: "abcdef\n", pieces: [2], expect: "abcdef\n"}',
    "apart": r"{do: 1}",
    "large": r"{send: {random: 300KiB}, expect: {length: 300KiB}}",
    "rule": r'{send: "hi there\n", expect: reply}',
    "two sockets": r'{on: all, send: "hi\n", expect: "hi\n"}',
}
STEPS["apart"] = r'{send: "one\n", name: out}, {expect: "one\n", name: in}'


def counted(counts: Counter[str], wrong: bool = False) -> Callable[[socket.socket, int], None]:
    """Echoes, and counts what it has read and written; `wrong`: every tenth reply has one bit."""

    def handler(connection: socket.socket, number: int) -> None:
        replies = 0
        while chunk := connection.recv(65536):
            counts["read"] += len(chunk)
            replies += 1
            if wrong and not replies % 10:
                chunk = chunk[:1] + bytes([chunk[1] ^ 1]) + chunk[2:]
            connection.sendall(chunk)
            counts["written"] += len(chunk)

    return handler


def text(step: str, load: str) -> str:
    sockets = "[main, other]" if "on: all" in step else "{main: {framing: line}}"
    run_time = ", run_time: 150ms" if "rate" in load else ""
    return f"sockets: {sockets}\nload: {{{load}{run_time}}}\nsteps: [{step}]\n"


def compare(driven: Driven, counts: Counter[str]) -> None:
    assert driven.stats.volume == Volume(counts["read"], counts["written"])


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("step", STEPS)
def test_the_server_has_moved_as_many(step: str, load: str) -> None:
    counts: Counter[str] = Counter()
    with Server(counted(counts)) as server:
        driven = drive(text(STEPS[step], load), server.url, rule="echo")
    assert not driven.faults
    compare(driven, counts)


@pytest.mark.parametrize("step", ["constant", "templated", "learned, varying", "swift"])
def test_what_is_wrong_is_counted_too(step: str) -> None:
    counts: Counter[str] = Counter()
    with Server(counted(counts, wrong=True)) as server:
        driven = drive(text(STEPS[step], "users: 1, iterations: 40"), server.url)
    assert driven.faults or step == "learned, varying"
    compare(driven, counts)


def test_over_tls_the_messages_are_counted(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    authority = Authority(tmp_path)
    with TlsServer(counted(counts), authority.server()) as server:
        options = f"{{tls: {{ca: '{authority.path}'}}}}"
        steps = f"[{STEPS['constant']}, {STEPS['large']}]"
        body = f"sockets: {{main: {options}}}\nload: {{users: 2, iterations: 3}}\nsteps: {steps}\n"
        driven = drive(body, server.url)
    assert not driven.faults
    compare(driven, counts)


def test_what_cannot_be_answered_is_counted_as_sent() -> None:
    """The server reads and says nothing: the user is cut off in its wait."""
    counts: Counter[str] = Counter()

    def silent(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            counts["read"] += len(chunk)

    load = "users: 2, run_time: 100ms, graceful_stop: 0s"
    with Server(silent) as server:
        steps = "{send: hello, expect: hello}"
        driven = drive(f"load: {{{load}}}\nsteps: [{steps}]\n", server.url)
    compare(driven, counts)
    assert counts["read"] == 10


def test_each_row_has_its_own() -> None:
    counts: Counter[str] = Counter()
    with Server(counted(counts)) as server:
        driven = drive(text(STEPS["apart"], "users: 1, iterations: 5"), server.url)
    rows = {name: row.volume for name, row in driven.stats.steps.items()}
    assert rows == {"out": Volume(20, 0), "in": Volume(0, 20)}


def test_sizes_that_are_too_many_are_counted_all_the_same() -> None:
    row = StepStats("ask", "exchange")
    recorder = Recorder(row)
    for size in range(2 * SIZES):
        recorder.sized(size, 1)(0.001)
        Recorder(row, delay=0.5).sized(1, 0)(0.001)
    assert len(row.sizes) == SIZES
    assert not row.idle
    row.fold()
    assert row.count == 4 * SIZES
    assert row.volume == Volume(sum(range(2 * SIZES)) + 2 * SIZES, 2 * SIZES)
