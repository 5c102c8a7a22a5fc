"""The shipped scenario of PostgreSQL: against the real one, and against servers that lie."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import ROOT, loadmux, run
from driving import Server
from real_servers import postgres

from loadmux.running.catalog import bundled

CERTIFICATE = "localhost-testing.pem"
SCENARIO = ROOT / "scenarios" / "postgres.yaml"


def certificate() -> Path:
    return Path(str(bundled("targets") / CERTIFICATE))


def test_it_passes(tmp_path: Path) -> None:
    with postgres(certificate()) as url:
        done = run("postgres", "--target", url, "-t", "1s", "--workers", "2", folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert done.told["faults"] == []
    rows = {row["name"]: row["count"] for row in done.told["steps"]}
    assert rows["query"] >= 100
    assert rows["query"] - rows["rows"] in range(11)
    assert rows["log in"] == rows["handshake"] == 10


def test_another_answer_is_found(tmp_path: Path) -> None:
    text = SCENARIO.read_text().replace("SELECT n * ${user}", "SELECT n + ${user}")
    (tmp_path / "s.yaml").write_text(text.replace("run_time: 10s", "iterations: 1"))
    with postgres(certificate()) as url:
        done = run(tmp_path / "s.yaml", "--target", url, folder=tmp_path)
    assert done.code == 1
    assert {fault["step"] for fault in done.told["faults"]} == {"rows"}


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


READY = message(b"Z", b"I")
NUMBER = bytes.fromhex("00 00000000 0000 00000017 0004 ffffffff 0000")
TEXT = bytes.fromhex("00 00000000 0000 00000019 ffff ffffffff 0000")


def row(*values: bytes) -> bytes:
    sized = [len(one).to_bytes(4, "big") + one for one in values]
    return message(b"D", len(values).to_bytes(2, "big") + b"".join(sized))


def answers(user: int, iteration: int) -> dict[bytes, bytes]:
    """What is right for the two queries, by how they begin."""
    next_one = message(b"T", b"\0\2next" + NUMBER + b"word" + TEXT)
    next_one += row(b"%d" % (iteration + 1), b"hello") + message(b"C", b"SELECT 1\0") + READY
    three = message(b"T", b"\0\1n" + NUMBER)
    three += b"".join(row(b"%d" % (n * user)) for n in (1, 2, 3))
    return {b"SELECT 0": next_one, b"SELECT n": three + message(b"C", b"SELECT 3\0") + READY}


Lie = Callable[[bytes], bytes]


def speaking(lie: Lie, behind: bytes = b"") -> Server:
    """One user's PostgreSQL: `behind` is said in plain text behind the agreement on TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())

    def handler(connection: socket.socket, number: int) -> None:
        assert connection.recv(8) == bytes.fromhex("00000008 04d2162f")
        connection.sendall(b"S" + behind)
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(4096)
            secured.sendall(message(b"R", bytes(4)) + message(b"S", b"TimeZone\0UTC\0") + READY)
            while (query := secured.recv(4096)) and query[:1] == b"Q":
                secured.sendall(lie(answers(0, 0)[query[5:13]]))
            secured.unwrap()

    return Server(handler)


@pytest.mark.parametrize(
    ("lie", "behind", "kinds"),
    [
        (lambda reply: reply, b"", set()),
        (lambda reply: reply.replace(b"hello", b"hullo"), b"", {"corrupt"}),
        (lambda reply: reply.replace(READY, b""), b"", {"truncated"}),
        (lambda reply: reply + row(b"1"), b"", {"surplus"}),
        (lambda reply: reply, READY, {"surplus"}),
    ],
)
def test_a_lying_server(lie: Lie, behind: bytes, kinds: set[str], tmp_path: Path) -> None:
    text = SCENARIO.read_text().replace("users: 10, run_time: 10s", "users: 1, iterations: 1")
    (tmp_path / "s.yaml").write_text(text + "timeout: 1s\n")
    with speaking(lie, behind) as server:
        done = run(tmp_path / "s.yaml", "--target", server.url, folder=tmp_path)
    assert {fault["kind"] for fault in done.told["faults"]} == kinds, done.out
    assert done.code == bool(kinds)


def test_it_has_a_target_of_its_own() -> None:
    done = loadmux("check", SCENARIO)
    assert (done.code, done.err) == (0, "")
