"""Bundled target servers as processes of a test, and what /proc says about them.

Nothing of a server is imported: tests see what a client sees, and what the kernel counts. The
expected replies are written down here once more, so that a mistake in the servers' rules shows.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import kqueue_emulation
import pytest

TARGETS = Path(__file__).resolve().parents[2] / "targets"
PATIENCE = 20.0
"""Seconds in which what must come has come, on any machine."""

EXPECTED: dict[str, Callable[[bytes], bytes]] = {
    "echo": lambda message: message,
    "upper": lambda message: message.upper(),
    "ok": lambda message: b"ok",
    "received": lambda message: f"Server received {message!r}".encode(),
    "upper_sb": lambda message: message.upper() + b"_SB",
    "hello": lambda message: b"Hello Client!",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A model and how it is started here. `at_once` is how many clients it serves at a time."""

    model: str
    options: tuple[str, ...] = ()
    emulated: bool = False
    at_once: int | None = None

    def __str__(self) -> str:
        words = [self.model, *self.options[1:2], *(["emulated"] if self.emulated else [])]
        return "-".join(words)

    @property
    def command(self) -> list[str]:
        """What starts it, without its arguments."""
        words = [sys.executable]
        if self.emulated and not hasattr(select, "kqueue"):
            words.append(str(kqueue_emulation.__file__))
        return [*words, str(TARGETS / f"{self.model}_server.py"), *self.options]


CASES = [
    Case("blocking", at_once=1),
    Case("threads"),
    Case("fork"),
    Case("thread_pool", ("--workers", "3"), at_once=3),
    Case("process_pool", ("--workers", "3"), at_once=3),
    Case("nonblocking"),
    Case("select"),
    Case("poll"),
    Case("epoll"),
    Case("epoll_et"),
    Case("epoll_oneshot"),
    Case("kqueue", emulated=True),
    Case("selectors"),
    Case("event_loop"),
    Case("signal"),
    Case("io_uring"),
    Case("asyncio"),
    Case("gevent"),
]
"""One for each model."""

VARIANTS = [
    Case("selectors", ("--selector", "select")),
    Case("selectors", ("--selector", "poll")),
    Case("selectors", ("--selector", "kqueue"), emulated=True),
    Case("event_loop", emulated=True),
    Case("nonblocking", ("--pause", "0.001")),
    Case("epoll_oneshot", ("--workers", "1")),
]
"""Other ways through the same files."""

OPTIONAL = ("gevent", "io_uring")
"""Models that may be missing: they need a package, or a kernel that allows them."""


class Holdings(NamedTuple):
    """What must not be left behind by clients that have gone."""

    processes: int
    threads: int
    descriptors: int


class TargetProcess:
    """A running target server."""

    def __init__(self, case: Case, *arguments: str) -> None:
        """Start it and read its ready line. Skips the test if the model may be missing, and is."""
        self.case = case
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by kill()
        self.process = subprocess.Popen(
            [*case.command, *arguments],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline().rstrip("\n")
        if not self.ready_line:
            self.process.wait()
            told = self.stderr
            self.kill()
            if case.model in OPTIONAL and "cannot run here" in told:
                pytest.skip("target " + told.strip().replace(":", "", 1))
            pytest.fail(f"{case} said nothing: {told}")
        self.url = self.ready_line.removeprefix("listening ")

    def __enter__(self) -> TargetProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End it and all its children, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.errors.close()

    @property
    def stderr(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        """A new connection, with `PATIENCE` as its time-out."""
        if self.url.startswith("unix://"):
            sock, address = socket.socket(socket.AF_UNIX), self.url.removeprefix("unix://")
            sock.settimeout(PATIENCE)
            sock.connect(address)
            return sock
        host, port = self.url.removeprefix("tcp://").rsplit(":", 1)
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        sock = socket.socket(family)
        sock.settimeout(PATIENCE)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect((host.strip("[]"), int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    @property
    def pids(self) -> list[int]:
        """The server's process and those of its children that have not been reaped."""
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
                found += map(int, children.split())
        return found

    @property
    def holds(self) -> Holdings:
        """What the processes hold now."""
        while True:
            pids = self.pids
            with contextlib.suppress(FileNotFoundError):  # one has just ended: look again
                threads = sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)
                descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
                return Holdings(len(pids), threads, descriptors)

    def settle(self) -> Holdings:
        """Serve one client, and see what is held when it has gone and nothing changes any more."""
        with self.connect() as sock:
            assert served(sock)
        seen = [self.holds]
        while len(seen) < 10 or len(set(seen[-10:])) > 1:
            time.sleep(0.01)
            seen.append(self.holds)
        return seen[-1]

    def assert_holds(self, expected: Holdings) -> None:
        """Wait until the processes hold that and no more."""
        eventually(lambda: self.holds == expected, f"{expected} before, something is left behind")

    @property
    def cpu_seconds(self) -> float:
        """Time on a CPU until now, of all threads that exist."""
        spent = 0
        for pid in self.pids:
            with contextlib.suppress(FileNotFoundError):  # the process has just ended
                for task in Path(f"/proc/{pid}/task").iterdir():
                    with contextlib.suppress(OSError):
                        spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9

    @property
    def memory(self) -> int:
        """Bytes of memory of all processes; what they share is counted once."""
        total = 0
        for pid in self.pids:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total * 1024

    def cpu_share(self, seconds: float = 0.1) -> float:
        """The part of one CPU that it uses while it is watched."""
        before, began = self.cpu_seconds, time.monotonic()
        time.sleep(seconds)
        return (self.cpu_seconds - before) / (time.monotonic() - began)

    def assert_waits(self) -> None:
        """It comes to rest, using less than 1% of a CPU; unless its model is to poll."""
        if self.case.model != "nonblocking":
            eventually(lambda: self.cpu_share() < 0.01, "it does not come to rest")

    def limit_descriptors(self, count: int) -> int:
        """Set the soft limit of all processes; returns the one before."""
        old = 0
        for pid in self.pids:
            old, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, hard))
        return old

    @property
    def highest_descriptor(self) -> int:
        """The greatest number of a descriptor in any of the processes."""
        return max(int(fd) for pid in self.pids for fd in os.listdir(f"/proc/{pid}/fd"))


def eventually(happens: Callable[[], bool], what: str) -> None:
    """Wait until the kernel's view of a process is as it must become."""
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def receive(sock: socket.socket, size: int) -> bytes:
    """Exactly so many bytes, or fewer if the server ends."""
    data = bytearray()
    while len(data) < size and (chunk := sock.recv(min(size - len(data), 1 << 16))):
        data += chunk
    return bytes(data)


def receive_all(sock: socket.socket) -> bytes:
    """Everything up to the server's end."""
    data = bytearray()
    while chunk := sock.recv(1 << 16):
        data += chunk
    return bytes(data)


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def send_until_blocked(sock: socket.socket, data: bytes, quiet: float = 0.1) -> int:
    """Send without reading until nothing is taken for `quiet` seconds; how much was taken."""
    sock.setblocking(False)
    room = select.poll()
    room.register(sock, select.POLLOUT)
    sent = 0
    while sent < len(data) and room.poll(quiet * 1000):
        with contextlib.suppress(BlockingIOError):
            sent += sock.send(memoryview(data)[sent:])
    sock.settimeout(PATIENCE)
    return sent


def served(sock: socket.socket, message: bytes = b"are you there?") -> bool:
    """Whether the echo server answers this client."""
    sock.sendall(message)
    return receive(sock, len(message)) == message


@contextlib.contextmanager
def closing_all() -> Iterator[list[socket.socket]]:
    """A list of sockets that are closed after the block."""
    socks: list[socket.socket] = []
    try:
        yield socks
    finally:
        for sock in socks:
            sock.close()
