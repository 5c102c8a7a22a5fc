"""What `cork` holds back reaches the server at once, with the end of the sending side, too."""

from __future__ import annotations

import select
import socket
import sys
from pathlib import Path

import pytest
from driving import Server, drive
from transports import UnixServer

linux = pytest.mark.skipif(sys.platform != "linux", reason="EPOLLRDHUP is Linux's")


def first_read(connection: socket.socket, number: int) -> None:
    """Sends back what the first recv() brought, and then what each of the others did."""
    while chunk := connection.recv(65536):
        connection.sendall(chunk + b".")
    connection.shutdown(socket.SHUT_WR)


def first_event(connection: socket.socket, number: int) -> None:
    """Says whether its first event told both that there is something to read and the end."""
    with select.epoll() as epoll:
        epoll.register(connection, select.EPOLLIN | select.EPOLLRDHUP)
        ((_, event),) = epoll.poll()
    connection.sendall(b"both" if event & select.EPOLLRDHUP else b"only data")
    connection.shutdown(socket.SHUT_WR)


def test_two_sends_come_at_once() -> None:
    steps = "[{cork: main}, {send: one}, {send: ' two'}, {uncork: main}, {expect: one two.}]"
    with Server(first_read) as server:
        driven = drive(f"steps: {steps}\nload: {{users: 1, iterations: 20}}", server.url)
    assert driven.kinds == {}
    assert driven.stats.steps["expect main #5"].right == 20


@linux
def test_an_end_comes_with_what_was_sent() -> None:
    steps = "[{cork: main}, {send: one}, {half_close: main}, {expect: both}, {expect: closed}]"
    with Server(first_event) as server:
        driven = drive(f"steps: {steps}\nload: {{users: 1, iterations: 20}}", server.url)
    assert driven.kinds == {}


@linux
def test_a_branch_that_only_sends_holds_back() -> None:
    steps = """
      - {connect: main}
      - together:
          - [{cork: main}, {send: one}, {half_close: main}]
          - [{expect: both}]
      - {expect: closed}
    """
    with Server(first_event) as server:
        driven = drive(f"steps: {steps}\nload: {{users: 1, iterations: 20}}", server.url)
    assert driven.kinds == {}


def test_a_socket_without_segments_passes_it_over(tmp_path: Path) -> None:
    steps = "[{cork: main}, {send: one, expect: one.}, {uncork: main}, {send: two, expect: two.}]"
    with UnixServer(first_read, tmp_path / "socket") as server:
        driven = drive(f"steps: {steps}\nload: {{users: 1, iterations: 1}}", server.url)
    assert driven.kinds == {}
