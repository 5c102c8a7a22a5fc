"""One suite for every poller; kqueue runs on Linux through the emulation of tests/support."""

from __future__ import annotations

import os
import resource
import select
import socket
from collections.abc import Iterator

import kqueue_emulation
import pytest

from loadmux.driver.poller import (
    GONE,
    HANGUP,
    POLLERS,
    READ,
    READABLE,
    WRITABLE,
    WRITE,
    Poller,
    available,
    make_poller,
)
from loadmux.errors import DriverFault, UsageError


@pytest.fixture(params=list(POLLERS))
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    native = hasattr(select, "kqueue")
    if request.param == "kqueue" and not native:
        kqueue_emulation.install()
    made = POLLERS[request.param]()
    yield made
    made.close()
    if request.param == "kqueue" and not native:
        kqueue_emulation.uninstall()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    listener.close()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


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


def test_a_fresh_descriptor_reports_no_input(poller: Poller, pair: Pair) -> None:
    added(poller, pair[0])
    assert poller.wait(0) == []


def test_input_is_reported(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    pair[1].sendall(b"x")
    assert bits(poller, fd) & READ


def test_each_arrival_is_reported_anew_after_a_drain(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    for byte in (b"a", b"b", b"c"):
        pair[1].sendall(byte)
        assert bits(poller, fd) & READ
        assert pair[0].recv(10) == byte
    assert poller.wait(0) == []


def test_an_arrival_after_a_short_read_is_reported(poller: Poller, pair: Pair) -> None:
    """What the driver relies on when it skips the read that would only say EAGAIN."""
    fd = added(poller, pair[0])
    pair[1].sendall(b"abc")
    assert bits(poller, fd) & READ
    assert pair[0].recv(10) == b"abc"
    pair[1].shutdown(socket.SHUT_WR)
    assert bits(poller, fd) & READABLE
    assert pair[0].recv(10) == b""


def test_the_peers_end_is_reported_as_readable(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    pair[1].close()
    assert bits(poller, fd) & READABLE


def test_a_reset_is_reported_as_readable(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    pair[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pair[1].close()
    assert bits(poller, fd) & READABLE
    with pytest.raises(ConnectionResetError):
        pair[0].recv(1)


def fill(sock: socket.socket) -> int:
    sent = 0
    while True:
        try:
            sent += sock.send(bytes(65536))
        except BlockingIOError:
            return sent


def test_room_to_write_is_reported_after_a_full_buffer(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    left = fill(pair[0])
    poller.arm(fd, READ | WRITE)
    assert not bits(poller, fd, 0) & WRITE
    while left:
        left -= len(pair[1].recv(1 << 20))
    assert bits(poller, fd) & WRITABLE


def test_a_connect_that_is_refused_is_reported_as_writable(poller: Poller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(address)
        poller.add(sock.fileno())
        poller.arm(sock.fileno(), WRITE)
        assert bits(poller, sock.fileno()) & (WRITABLE | HANGUP)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or sock.connect_ex(address)


def test_a_level_poller_is_silent_when_disarmed_even_at_the_end(poller: Poller, pair: Pair) -> None:
    if not poller.level:
        pytest.skip("edge-triggered: there is nothing to disarm")
    fd = added(poller, pair[0])
    pair[1].sendall(b"x")
    pair[1].close()
    assert bits(poller, fd) & READ
    poller.arm(fd, 0)
    assert poller.wait(0) == []
    poller.arm(fd, READ)
    assert bits(poller, fd) & READ


def test_an_edge_poller_reports_a_change_once(poller: Poller, pair: Pair) -> None:
    if poller.level:
        pytest.skip("level-triggered: unread input is reported each time")
    fd = added(poller, pair[0])
    pair[1].sendall(b"x")
    assert bits(poller, fd) & READ
    assert poller.wait(0) == []


def test_a_removed_and_closed_descriptor_is_forgotten(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    pair[1].sendall(b"x")
    poller.remove(fd)
    pair[0].close()
    assert poller.wait(0) == []


def test_a_number_can_be_used_again(poller: Poller, pair: Pair) -> None:
    fd = added(poller, pair[0])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        poller.remove(fd)
        os.dup2(ours.fileno(), fd)  # closes what had the number, and gives it to the new socket
        added(poller, pair[0])
        theirs.sendall(b"x")
        assert bits(poller, fd) & READ


def test_waiting_ends_by_itself(poller: Poller) -> None:
    assert poller.wait(0.01) == []


def test_many_are_reported_each(poller: Poller) -> None:
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


def test_select_refuses_descriptors_past_its_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1100:
        pytest.skip("this machine allows fewer than 1,100 descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1100), hard))
    poller = make_poller("select")
    socks: list[socket.socket] = []
    try:
        while not socks or socks[-1].fileno() < 1024:
            socks.append(socket.socket())
        with pytest.raises(DriverFault, match=r"FD_SETSIZE \(1024\).*--poller epoll"):
            poller.add(socks[-1].fileno())
        assert poller.wait(0) == []
    finally:
        for sock in socks:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_best_poller_is_the_default() -> None:
    poller = make_poller()
    assert poller.name == available()[0] == ("epoll" if hasattr(select, "epoll") else "kqueue")
    poller.close()


def test_an_unknown_poller_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'devpoll' is no poller; here: "):
        make_poller("devpoll")


def test_a_poller_of_another_platform_is_a_usage_error() -> None:
    missing = sorted(set(POLLERS) - set(available()))
    if not missing:
        pytest.skip("this platform has them all")
    with pytest.raises(UsageError, match="not available on this platform"):
        make_poller(missing[0])


def test_gone_is_always_worth_a_try() -> None:
    assert READABLE & GONE == GONE
