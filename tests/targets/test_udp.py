"""The bundled UDP target: a datagram for a datagram."""

from __future__ import annotations

import socket
import subprocess
import sys

import needs
import pytest
from target_process import EXPECTED, PATIENCE, TARGETS, Case, TargetProcess

UDP = Case("udp")


def client(target: TargetProcess) -> socket.socket:
    host, port = target.url.removeprefix("udp://").rsplit(":", 1)
    family = socket.AF_INET6 if "[" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    sock.connect((host.strip("[]"), int(port)))
    return sock


@pytest.mark.parametrize("rule", EXPECTED)
def test_each_datagram_has_its_reply(rule: str) -> None:
    with TargetProcess(UDP, "--reply", rule) as target, client(target) as sock:
        assert target.url.startswith("udp://127.0.0.1:")
        for message in (b"hello", b"", bytes(65507 if rule == "echo" else 9)):
            sock.send(message)
            assert sock.recv(65536) == EXPECTED[rule](message)
        target.assert_waits()
        assert target.stop() == 0
        assert target.stderr == ""


def test_sink_answers_nothing() -> None:
    with TargetProcess(UDP, "--reply", "sink") as target, client(target) as sock:
        sock.send(b"hello")
        assert target.stop() == 0
        sock.setblocking(False)
        with pytest.raises((BlockingIOError, ConnectionRefusedError)):
            sock.recv(65536)


def test_over_ipv6() -> None:
    needs.ipv6()
    with TargetProcess(UDP, "--host", "::1") as target, client(target) as sock:
        assert target.url.startswith("udp://[::1]:")
        sock.send(b"hello")
        assert sock.recv(65536) == b"hello"


@pytest.mark.parametrize(
    ("fault", "replies"),
    [
        ("flip:2", [b"one", b"tvo", b"three"]),
        ("duplicate:2", [b"one", b"two", b"two", b"three"]),
        ("swap:2", [b"one", b"three", b"two"]),
        ("truncate:2", [b"one", b"t", b"three"]),
        ("silence:2", [b"one", b"three"]),
        ("extra:2", [b"one", b"two", b"unasked", b"three"]),
    ],
)
def test_lies(fault: str, replies: list[bytes]) -> None:
    with TargetProcess(UDP, "--fault", fault) as target, client(target) as sock:
        for message in (b"one", b"two", b"three"):
            sock.send(message)
        assert [sock.recv(65536) for _ in replies] == replies


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--fault", "reset"], "argument --fault: there is no reset in udp"),
        (["--unix", "/tmp/x"], "argument --unix: datagrams are served by UDP only"),
    ],
)
def test_what_udp_does_not_have(words: list[str], complaint: str) -> None:
    command = [sys.executable, str(TARGETS / "udp_server.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
