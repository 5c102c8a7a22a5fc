"""What every poller must do (`loadmux.driver.poller`): one suite, run for each of them.

The checks use real sockets. Each takes a poller of its own and a connected pair of TCP sockets, of
which the first does not block; `check_poller` runs them all.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from loadmux.driver.poller import HANGUP, READ, READABLE, WRITABLE, WRITE, Poller

Pair = tuple[socket.socket, socket.socket]
Check = Callable[[Poller, Pair], None]


def check_poller(make: Callable[[], Poller]) -> None:
    """Run every check on a poller of its own. Raises AssertionError, in the check that failed."""
    for check in POLLER_CHECKS:
        poller = make()
        try:
            with connected() as pair:
                check(poller, pair)
        finally:
            poller.close()


@contextmanager
def connected() -> Iterator[Pair]:
    """Two ends of a TCP connection; the first does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def added(poller: Poller, sock: socket.socket) -> int:
    """Register a socket and take what an edge-triggered poller says at once (it can be written)."""
    poller.add(sock.fileno())
    while poller.wait(0):
        pass
    return sock.fileno()


def bits(poller: Poller, fd: int, seconds: float = 5.0) -> int:
    """All that one wait says of a descriptor (kqueue tells read and write apart)."""
    found = 0
    for which, events in poller.wait(seconds):
        assert which == fd
        found |= events
    return found


def a_withdrawn_descriptor_is_silent_while_its_socket_lives(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    with ours.dup() as other:
        fd = added(poller, ours)
        poller.add(other.fileno())
        poller.arm(other.fileno(), READ | WRITE)
        seen = dict(poller.wait(5.0))
        assert other.fileno() in seen
        poller.withdraw(other.fileno())
    theirs.sendall(b"x")
    found = poller.wait(5.0)
    assert {which for which, _ in found} == {fd}


def a_fresh_descriptor_reports_no_input(poller: Poller, pair: Pair) -> None:
    added(poller, pair[0])
    assert poller.wait(0) == []


def input_is_reported(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    pair[1].sendall(b"x")
    assert bits(poller, fd) & READ


def each_arrival_is_reported_anew_after_a_drain(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    for byte in (b"a", b"b", b"c"):
        pair[1].sendall(byte)
        assert bits(poller, fd) & READ
        assert pair[0].recv(10) == byte
    assert poller.wait(0) == []


def an_arrival_after_a_short_read_is_reported(poller: Poller, pair: Pair) -> None:
    """What the driver relies on when it skips the read that would only say EAGAIN."""
    fd = added(poller, pair[0])
    pair[1].sendall(b"abc")
    assert bits(poller, fd) & READ
    assert pair[0].recv(10) == b"abc"
    pair[1].shutdown(socket.SHUT_WR)
    assert bits(poller, fd) & READABLE
    assert pair[0].recv(10) == b""


def the_peers_end_is_reported_as_readable(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    pair[1].close()
    assert bits(poller, fd) & READABLE


def a_reset_is_reported_as_readable(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    pair[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pair[1].close()
    assert bits(poller, fd) & READABLE
    try:
        pair[0].recv(1)
    except ConnectionResetError:
        return
    raise AssertionError("no ConnectionResetError after a reset")


def fill(sock: socket.socket) -> int:
    sent = 0
    while True:
        try:
            sent += sock.send(bytes(65536))
        except BlockingIOError:
            return sent


def room_to_write_is_reported_after_a_full_buffer(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    left = fill(pair[0])
    poller.arm(fd, READ | WRITE)
    assert not bits(poller, fd, 0) & WRITE
    while left:
        left -= len(pair[1].recv(1 << 20))
    assert bits(poller, fd) & WRITABLE


def a_connect_that_is_refused_is_reported_as_writable(poller: Poller, pair: Pair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(address)
        poller.add(sock.fileno())
        poller.arm(sock.fileno(), WRITE)
        assert bits(poller, sock.fileno()) & (WRITABLE | HANGUP)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or sock.connect_ex(address)


def a_level_poller_is_silent_when_disarmed_even_at_the_end(poller: Poller, pair: Pair) -> None:
    if not poller.level:
        return
    fd = added(poller, pair[0])
    pair[1].sendall(b"x")
    pair[1].close()
    assert bits(poller, fd) & READ
    poller.arm(fd, 0)
    assert poller.wait(0) == []
    poller.arm(fd, READ)
    assert bits(poller, fd) & READ


def an_edge_poller_reports_a_change_once(poller: Poller, pair: Pair) -> None:
    if poller.level:
        return
    fd = added(poller, pair[0])
    pair[1].sendall(b"x")
    assert bits(poller, fd) & READ
    assert poller.wait(0) == []


def a_removed_and_closed_descriptor_is_forgotten(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    pair[1].sendall(b"x")
    poller.remove(fd)
    pair[0].close()
    assert poller.wait(0) == []


def a_number_can_be_used_again(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        poller.remove(fd)
        os.dup2(ours.fileno(), fd)  # closes what had the number, and gives it to the new socket
        added(poller, pair[0])
        theirs.sendall(b"x")
        assert bits(poller, fd) & READ


def waiting_ends_by_itself(poller: Poller, pair: Pair) -> None:
    assert poller.wait(0.01) == []


def many_are_reported_each(poller: Poller, pair: Pair) -> None:
    pairs = [socket.socketpair() for _ in range(50)]
    try:
        for ours, _ in pairs:
            added(poller, ours)
        for _, theirs in pairs[::2]:
            theirs.sendall(b"x")
        ready = {fd for fd, events in poller.wait(5) if events & READ}
        assert ready == {ours.fileno() for ours, _ in pairs[::2]}
    finally:
        for ours, theirs in pairs:
            ours.close()
            theirs.close()


POLLER_CHECKS: tuple[Check, ...] = (
    a_fresh_descriptor_reports_no_input,
    input_is_reported,
    each_arrival_is_reported_anew_after_a_drain,
    an_arrival_after_a_short_read_is_reported,
    the_peers_end_is_reported_as_readable,
    a_reset_is_reported_as_readable,
    room_to_write_is_reported_after_a_full_buffer,
    a_connect_that_is_refused_is_reported_as_writable,
    a_level_poller_is_silent_when_disarmed_even_at_the_end,
    an_edge_poller_reports_a_change_once,
    a_removed_and_closed_descriptor_is_forgotten,
    a_withdrawn_descriptor_is_silent_while_its_socket_lives,
    a_number_can_be_used_again,
    waiting_ends_by_itself,
    many_are_reported_each,
)
