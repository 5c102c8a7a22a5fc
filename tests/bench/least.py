"""The least that a loop in plain Python costs for each exchange, open or closed: what is possible.

    python tests/bench/least.py [--rounds 3] [--seconds 1]

Sends a constant text on one of 50 connections whenever a start is due and compares the reply, with
nothing else: no statistics but two clocks, no users, no time-outs. `closed` keeps ten connections
busy. The ways of waiting: `select`, as loadmux does (select(2) in microseconds on epoll's
descriptor, then epoll_wait(2)); `timer`, a timerfd_create(2) that the kernel fires at each start,
so that one epoll_wait(2) tells of starts and replies alike; `spin`, which never sleeps. CPU by
process_time, the server on another core where there is one.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import socket
import struct
from collections.abc import Callable
from functools import partial
from itertools import product
from statistics import median
from time import perf_counter, process_time

from peers import pinned
from servers import bundled

TEXT = b"hello there"
OPEN, CLOSED = 50, 10
RATES = (5_000, 20_000, 30_000)
WAYS = ("select", "timer", "spin")
NONBLOCK = os.O_NONBLOCK
MONOTONIC = 1


def connected(url: str, count: int) -> tuple[dict[int, socket.socket], select.epoll]:
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    poller, found = select.epoll(), {}
    for _ in range(count):
        one = socket.create_connection((host, int(port)))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setblocking(False)
        poller.register(one.fileno(), select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        found[one.fileno()] = one
    return found, poller


def closed(url: str, seconds: float) -> float:
    """Microseconds of CPU an exchange with CLOSED connections that are always busy."""
    socks, poller = connected(url, CLOSED)
    talks = {fd: (one.send, one.recv) for fd, one in socks.items()}
    count, size, samples, clock = 0, len(TEXT) + 1, list[float](), perf_counter
    began = dict.fromkeys(talks, clock())
    for send, _ in talks.values():
        send(TEXT)
    cpu, end = process_time(), clock() + seconds
    while clock() < end:
        for fd, _ in poller.poll(1):
            send, recv = talks[fd]
            assert recv(size) == TEXT
            now = clock()
            samples.append(now - began[fd])
            count += 1
            began[fd] = clock()
            send(TEXT)
    return (process_time() - cpu) / count * 1e6


class Timer:
    """A timer that is readable at each start of a schedule; `socket` tells of it by epoll."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(MONOTONIC, NONBLOCK)

    def every(self, seconds: float) -> None:
        """Fires so often from now on."""
        nanoseconds = round(seconds * 1e9)
        both = struct.pack("=qqqq", 0, nanoseconds, 0, nanoseconds)
        self._libc.timerfd_settime(self.fd, 0, both, None)


def opened(url: str, seconds: float, rate: int, way: str) -> float:
    """The same, with `rate` starts a second on connections that are free."""
    socks, poller = connected(url, OPEN)
    talks = {fd: (one.send, one.recv) for fd, one in socks.items()}
    free, gap, size = list(talks), 1 / rate, len(TEXT) + 1
    began, samples, clock = dict[int, float](), list[float](), perf_counter
    own, count, poll, wait = (poller.fileno(),), 0, poller.poll, select.select
    with open("/proc/self/timerslack_ns", "w") as slack:
        slack.write("1")
    timer = Timer()
    if way == "timer":
        poller.register(timer.fd, select.EPOLLIN | select.EPOLLET)
        timer.every(gap)
    cpu, due = process_time(), clock()
    end = due + seconds
    while (now := clock()) < end:
        while due <= now and free:
            fd = free.pop()
            began[fd] = due
            talks[fd][0](TEXT)
            due += gap
        if way == "timer":
            events = poll(0.1)
        elif way == "spin":
            events = poll(0)
        else:
            ahead = due - clock()
            events = poll(0) if ahead <= 0 or wait(own, (), (), ahead)[0] else []
        for fd, _ in events:
            if fd in talks:
                assert talks[fd][1](size) == TEXT
                samples.append(clock() - began[fd])
                free.append(fd)
                count += 1
            else:
                os.read(fd, 8)  # only then the kernel sets it anew
    os.close(timer.fd)
    return (process_time() - cpu) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    asked = parser.parse_args()
    pinned(1)()
    cases: dict[str, Callable[[str], float]] = {
        "closed": lambda url: closed(url, asked.seconds),
    }
    for rate, way in product(RATES, WAYS):
        cases[f"open {rate} {way}"] = partial(opened, seconds=asked.seconds, rate=rate, way=way)
    costs: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(asked.rounds):
        for name, measure in cases.items():
            with bundled("epoll") as url:
                costs[name].append(measure(url))
    print("CPU of a minimal Python loop for each exchange")
    for name, every in costs.items():
        ratio = median(every) / median(costs["closed"])
        print(f"{name:<20} {median(every):6.1f} us  {ratio:5.2f} times")


if __name__ == "__main__":
    main()
