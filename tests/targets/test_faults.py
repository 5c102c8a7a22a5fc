"""`--fault` makes any model lie, in exactly the way that the name says."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest
from target_process import (
    CASES,
    VARIANTS,
    Case,
    TargetProcess,
    receive,
    receive_all,
    send_until_blocked,
    served,
)

from loadmux.running.servers.proc import cpu_seconds, sockets, threads

EVERY_WAY = pytest.mark.parametrize("case", CASES + VARIANTS, ids=str)
ONE_OF_EACH_KIND = pytest.mark.parametrize(
    "case", [Case(m) for m in ("epoll", "threads", "fork", "io_uring", "asyncio")], ids=str
)
QUIET = 0.1
"""Seconds of silence that are enough to say that nothing comes."""


@contextlib.contextmanager
def lying(case: Case, fault: str) -> Iterator[tuple[TargetProcess, socket.socket]]:
    """A server with that fault, and a client of it."""
    with TargetProcess(case, "--fault", fault) as target, target.connect() as sock:
        yield target, sock


def ask(sock: socket.socket, message: bytes, size: int) -> bytes:
    """Send the message and receive so many bytes."""
    sock.sendall(message)
    return receive(sock, size)


def assert_silent(sock: socket.socket) -> None:
    """The connection is open and nothing comes."""
    patience = sock.gettimeout()
    sock.settimeout(QUIET)
    with pytest.raises(TimeoutError):
        sock.recv(1)
    sock.settimeout(patience)


@ONE_OF_EACH_KIND
def test_short_send_drops_the_second_half_of_every_reply(case: Case) -> None:
    with lying(case, "short_send") as (_, sock):
        assert ask(sock, b"0123456789", 5) == b"01234"
        assert_silent(sock)
        assert ask(sock, b"abcdef", 3) == b"abc"
        assert_silent(sock)


@ONE_OF_EACH_KIND
def test_lost_wakeup_answers_only_when_more_comes(case: Case) -> None:
    with lying(case, "lost_wakeup") as (_, sock):
        sock.sendall(b"first ")
        assert_silent(sock)
        assert ask(sock, b"second", 12) == b"first second"
        sock.sendall(b"third")
        assert_silent(sock)


@EVERY_WAY
def test_drip_is_right_but_byte_by_byte(case: Case) -> None:
    message = bytes(range(256)) * 20
    with lying(case, "drip") as (_, sock):
        assert ask(sock, message, len(message)) == message
        assert data_segments_in(sock) > 10
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""


@ONE_OF_EACH_KIND
def test_slow_is_right_and_costs_the_cpu_what_it_was_told(case: Case) -> None:
    with lying(case, "slow:20ms") as (target, sock):
        before = cpu_seconds([target.process.pid])
        for number in range(5):
            assert ask(sock, b"%d" % number, 1) == b"%d" % number
        sock.close()
        assert cpu_seconds([target.process.pid]) - before >= 0.08


def data_segments_in(sock: socket.socket) -> int:
    """`tcpi_data_segs_in` of struct tcp_info, linux/tcp.h."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    count: int = struct.unpack_from("I", info, 152)[0]
    return count


@EVERY_WAY
def test_flip_changes_one_byte_of_one_reply(case: Case) -> None:
    with lying(case, "flip:2") as (_, sock):
        assert ask(sock, b"first", 5) == b"first"
        assert ask(sock, b"second", 6) == b"secnnd"
        assert ask(sock, b"third", 5) == b"third"


@ONE_OF_EACH_KIND
def test_duplicate_sends_one_reply_twice(case: Case) -> None:
    with lying(case, "duplicate:2") as (_, sock):
        assert ask(sock, b"first", 5) == b"first"
        assert ask(sock, b"second", 12) == b"secondsecond"
        assert ask(sock, b"third", 5) == b"third"
        assert_silent(sock)


@ONE_OF_EACH_KIND
def test_extra_sends_bytes_that_nobody_asked_for(case: Case) -> None:
    with lying(case, "extra:2") as (_, sock):
        assert ask(sock, b"first", 5) == b"first"
        assert ask(sock, b"second", 13) == b"secondunasked"
        assert ask(sock, b"third", 5) == b"third"


@ONE_OF_EACH_KIND
def test_truncate_cuts_a_reply_and_then_says_nothing(case: Case) -> None:
    with lying(case, "truncate:2") as (_, sock):
        assert ask(sock, b"first", 5) == b"first"
        assert ask(sock, b"second", 3) == b"sec"
        assert_silent(sock)
        sock.sendall(b"third")
        assert_silent(sock)


@ONE_OF_EACH_KIND
def test_silence_sends_no_reply_any_more(case: Case) -> None:
    with lying(case, "silence") as (_, sock):
        sock.sendall(b"first")
        assert_silent(sock)
        sock.sendall(b"second")
        assert_silent(sock)


@EVERY_WAY
def test_early_close_ends_in_order_in_the_middle_of_a_reply(case: Case) -> None:
    with lying(case, "early_close:2") as (target, sock):
        assert ask(sock, b"first", 5) == b"first"
        assert ask(sock, b"second", 6) == b"sec"
        sock.sendall(b"into the void")  # would be answered by a reset if the server did not read
        assert sock.recv(1) == b""
        sock.close()
        with target.connect() as fresh:
            assert served(fresh)


@EVERY_WAY
def test_early_close_ends_even_a_client_that_goes_on_sending(case: Case) -> None:
    with lying(case, "early_close") as (_, sock):
        send_until_blocked(sock, bytes(1 << 20))
        received = receive_all(sock)
        assert 0 < len(received) < 1 << 17


@EVERY_WAY
def test_reset_comes_instead_of_a_reply(case: Case) -> None:
    with lying(case, "reset:2") as (target, sock):
        assert ask(sock, b"first", 5) == b"first"
        sock.sendall(b"second")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        with target.connect() as fresh:
            assert served(fresh)
        assert target.stderr == ""


@pytest.mark.parametrize("case", [c for c in CASES + VARIANTS if c.at_once != 1], ids=str)
def test_swap_crosses_the_replies_of_two_clients(case: Case) -> None:
    with lying(case, "swap:2") as (target, one), target.connect() as other:
        assert ask(one, b"first of one", 12) == b"first of one"
        assert ask(other, b"first of other", 14) == b"first of other"
        one.sendall(b"second of one")
        assert_silent(one)
        assert ask(other, b"second of other", 13) == b"second of one"
        assert receive(one, 15) == b"second of other"
        assert ask(one, b"third", 5) == b"third"
        assert ask(other, b"third", 5) == b"third"


@EVERY_WAY
def test_no_eof_sends_what_is_owed_and_does_not_close(case: Case) -> None:
    message = bytes(100_000)
    with lying(case, "no_eof") as (target, sock):
        sock.sendall(message)
        sock.shutdown(socket.SHUT_WR)
        assert receive(sock, len(message)) == message
        assert_silent(sock)
        target.assert_waits()
        assert target.stop() == 0
        assert sock.recv(1) == b""
        assert target.stderr == ""


@ONE_OF_EACH_KIND
def test_without_a_number_the_first_reply_is_struck(case: Case) -> None:
    with lying(case, "flip") as (_, sock):
        assert ask(sock, b"aaa", 3) == b"a`a"


def test_a_process_that_has_ended_has_neither_threads_nor_sockets() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert (threads(process.pid), sockets(process.pid)) == ([], set())
