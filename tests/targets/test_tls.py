"""Bundled targets under TLS, by a client of the standard library; and those that refuse it."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import needs
import pytest
from target_process import CASES, PATIENCE, TARGETS, VARIANTS, Case, TargetProcess, receive

WITHOUT = ("asyncio", "io_uring", "gevent")
WITH_TLS = [case for case in CASES + VARIANTS if case.model not in WITHOUT]
SPEAKS = pytest.mark.parametrize("case", WITH_TLS, ids=str)
LARGE = bytes(range(256)) * 8192


def connect(target: TargetProcess, name: str = "localhost") -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=TARGETS / "localhost-testing-ca.pem")
    host, port = target.url.removeprefix("tls://").rsplit(":", 1)
    plain = socket.create_connection((host.strip("[]"), int(port)), PATIENCE)
    return context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False)


@SPEAKS
def test_replies_and_ends_in_order(case: Case) -> None:
    with TargetProcess(case, "--tls", "--reply", "upper") as target:
        assert target.url.startswith("tls://127.0.0.1:")
        for name in ("localhost", "127.0.0.1"):
            with connect(target, name) as sock:
                for message in (b"hello", b"and on"):
                    sock.sendall(message)
                    assert receive(sock, len(message)) == message.upper()
                sock.unwrap().close()  # waits for the server's close_notify
        assert target.stop() == 0
        assert target.stderr == ""


@SPEAKS
def test_a_message_larger_than_all_buffers(case: Case) -> None:
    with TargetProcess(case, "--tls") as target, connect(target) as sock:
        sock.setblocking(False)
        sent, got = 0, b""
        while len(got) < len(LARGE):
            with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
                sent += sock.send(LARGE[sent : sent + 65536]) if sent < len(LARGE) else 0
            with contextlib.suppress(ssl.SSLWantReadError):
                got += sock.recv(65536)
        assert got == LARGE


@SPEAKS
def test_it_waits_when_there_is_nothing_to_do(case: Case) -> None:
    with TargetProcess(case, "--tls") as target, connect(target) as sock:
        sock.sendall(b"hello")
        assert receive(sock, 5) == b"hello"
        target.assert_waits()


@SPEAKS
def test_a_client_that_does_not_speak_tls_harms_nobody(case: Case) -> None:
    with TargetProcess(case, "--tls") as target:
        host, port = target.url.removeprefix("tls://").split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as stranger:
            stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while stranger.recv(4096):
                pass
        with connect(target) as sock:
            sock.sendall(b"hello")
            assert receive(sock, 5) == b"hello"


def test_over_ipv6_and_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    needs.ipv6()
    pem = (TARGETS / "localhost-testing.pem").read_text()
    at = pem.index("-----BEGIN PRIVATE KEY-----")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_text(pem[:at])
    key.write_text(pem[at:])
    words = ["--host", "::1", "--tls", "--tls-cert", str(cert), "--tls-key", str(key)]
    with TargetProcess(Case("epoll"), *words) as target:
        assert target.url.startswith("tls://[::1]:")
        with connect(target, "::1") as sock:
            sock.sendall(b"hello")
            assert receive(sock, 5) == b"hello"


def finished(model: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TARGETS / f"{model}_server.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("model", [*WITHOUT, "udp"])
def test_models_that_do_not_speak_tls_say_so(model: str) -> None:
    done = finished(model, "--tls")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"argument --tls: the model {model} does not speak TLS\n")
    assert json.loads(finished(model, "--describe").stdout)["tls"] is False


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--tls-cert", "x"], "needs --tls"),
        (["--tls", "--tls-cert", "/nowhere"], "No such file or directory"),
        (["--tls", "--tls-cert", "/dev/null"], "no use of certificate and key"),
        (["--tls", "--unix", "/tmp/x"], "not over a Unix socket"),
        (["--tls", "--fault", "swap"], "swap crosses bytes below TLS"),
    ],
)
def test_bad_arguments_are_one_line(words: list[str], complaint: str) -> None:
    done = finished("epoll", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr
