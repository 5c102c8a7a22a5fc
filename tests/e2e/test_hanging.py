"""A server that has stopped answering when the run ends: inconclusive, and told everywhere."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import begun, run
from driving import Server
from locusting import forked, headless, locustfile

TEXT = """
steps: [{name: ask, send: hello, expect: hello}]
load: {users: 6, run_time: 1s, graceful_stop: 800ms}
timeout: 20s
"""


class Hanging(Server):
    """`silent` is released for each connection that is owed a reply which never comes."""

    silent: threading.Semaphore


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    """The first three connections are served ten times each, then never again; the others never."""
    silent = threading.Semaphore(0)

    def handler(connection: socket.socket, number: int) -> None:
        replies = 0
        while chunk := connection.recv(65536):
            replies += 1
            if number < 3 and replies <= 10:
                connection.sendall(chunk)
            else:
                silent.release()

    server = Hanging(handler)
    server.silent = silent
    with server:
        yield server


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "hang.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_verdict_says_who_waits_for_what(
    hanging: Hanging, scenario: Path, workers: str, tmp_path: Path
) -> None:
    done = run(scenario, "--target", hanging.url, "--workers", workers, folder=tmp_path)
    assert done.code == 3, done.out
    assert done.told["verdict"] == "inconclusive"
    (told,) = done.told["hanging"]
    assert (told["step"], told["users"], told["unserved"]) == ("ask", 6, 3)
    assert told["owed"] == "5 of 5 bytes"
    assert told["waited"] > 1.0 > told["longest"]
    words = "6 users were kept waiting at step 'ask'"
    assert words in done.told["reason"]
    assert any(words in note for note in done.told["notes"])
    assert words in " ".join(done.out.split())


def test_a_run_that_is_interrupted_tells_it_too(
    hanging: Hanging, scenario: Path, tmp_path: Path
) -> None:
    report = tmp_path / "told.json"
    words = ["--target", hanging.url, "-t", "60s", "--json-file", str(report)]
    with begun("run", scenario, *words) as running:
        for _ in range(6):
            assert hanging.silent.acquire(timeout=30)
        threading.Event().wait(1.5)  # the wait that is to be told
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130, out + err
    told = json.loads(report.read_text())
    assert [one["users"] for one in told["hanging"]] == [6]
    assert any("6 users were kept waiting" in note for note in told["notes"])


@pytest.mark.parametrize("processes", ["alone", "forked"])
def test_under_locust(hanging: Hanging, scenario: Path, processes: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    locustfile(folder, scenario)
    workers = forked() if processes == "forked" else []
    words = ["-u", "6", "-r", "6", "-t", "4s", "--host", hanging.url, *workers]
    done = headless(folder, *words)
    if (
        "stood still" in done.text
    ):  # the generator had no core: what was waited before is not counted
        done = headless(folder, *words)
    assert done.code == 3, done.text
    assert "6 users were kept waiting at step 'ask'" in " ".join(done.out.split())


def test_a_slow_server_passes(scenario: Path, tmp_path: Path) -> None:
    def slow(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            done.wait(0.4)
            connection.sendall(chunk)

    done = threading.Event()
    words = ["-t", "1s", "--workers", "2"]
    with Server(slow) as server:
        ended = run(scenario, "--target", server.url, *words, folder=tmp_path)
    assert ended.code == 0, ended.out
    assert ended.told["hanging"] == []
