"""`loadmux shrink`, on servers that it starts."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from commands import begun, loadmux
from driving import Server

from loadmux.language.loading import load
from loadmux.language.meaning.stepvalues import Exchange

STEPS = """\
sockets: [a, b]
steps:
  - {on: a, send: "one\\n", expect: reply}
  - {on: b, send: "two\\n", expect: reply, pieces: [1], gap: 2ms}
  - {on: a, send: "three\\n", expect: reply}
  - {on: a, send: "four, which is cut\\n", expect: reply, pieces: [3, 4, 2], gap: 30ms}
  - {on: b, send: "five\\n", expect: reply}
load: {users: 3, iterations: 1}
"""


def garbling(connection: socket.socket, number: int) -> None:
    """Sends back lines; garbles the second one of a connection if it comes in several reads."""
    count, data = 0, b""
    while chunk := connection.recv(65536):
        whole, data = not data, data + chunk
        if data.endswith(b"\n"):
            count += 1
            connection.sendall(data if whole or count < 2 else b"?" + data[1:])
            data = b""
    connection.shutdown(socket.SHUT_WR)


def exchanges(path: Path) -> list[Exchange]:
    return [step for step in load(path).steps if isinstance(step, Exchange)]


def test_two_requests_and_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    with Server(garbling) as server:
        path.write_text(f"target: {{url: {server.url}, reply: echo}}\n{STEPS}")
        done = loadmux("shrink", path, "--tries", "2", "--budget", "30s")
        assert done.code == 0, done.err
        small = tmp_path / "many-shrunk.yaml"
        assert done.out == small.read_text() + f"\n{small} is written; now: loadmux run {small}\n"
        # The server reads both pieces at once where it is busy.
        assert any(loadmux("run", small, "--quiet").code == 1 for _ in range(20))
    found = load(small)
    assert (found.load.users, len(found.sockets)) == (1, 1)
    first, second = (step.send for step in exchanges(small))
    assert first is not None
    assert second is not None
    assert (len(first.pieces), len(second.pieces)) == (0, 2)
    assert "users: 3 to 1" in done.err


def test_a_scenario_that_passes(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text("target: {bundled: select, reply: echo}\nsteps: [{send: x, expect: reply}]\n")
    done = loadmux("shrink", path, "--tries", "1")
    assert (done.code, done.out) == (3, f"{path} passed 3 of 3 times: there is nothing to shrink\n")
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    path.write_text("target: tcp://127.0.0.1:1\nsteps: [{send: x, expect: x}]\n")
    (tmp_path / "many-shrunk.yaml").write_text("mine\n")
    done = loadmux("shrink", path)
    assert done.code == 2
    assert "many-shrunk.yaml is there already; say where with --output FILE" in done.err


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "away.yaml"
    path.write_text("target: tcp://127.0.0.1:1\nsteps: [{send: x, expect: x}]\n")
    assert loadmux("shrink", path).code == 4


def test_an_interrupt_writes_the_smallest_so_far(tmp_path: Path) -> None:
    """The server is a bundled one, that lies: a fresh one for each run."""
    path = tmp_path / "many.yaml"
    path.write_text(f"target: {{bundled: select, reply: echo, fault: 'flip:1'}}\n{STEPS}")
    with begun("shrink", path, "--tries", "1", "--budget", "50s") as process:
        assert "users: 3 to 1" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "more time may find more" in out
    assert load(tmp_path / "many-shrunk.yaml").load.users == 1
