"""Barriers: nobody goes on before all running users are there, over processes and failures."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from commands import begun, run
from driving import Server, answering, drive

ROUNDS = """
steps:
  - {send: "${iteration} ${user}", expect: "${sent}"}
  - barrier: round
load: {users: 7, iterations: 6}
timeout: 5s
"""


class Seen:
    """What a server has read, in order; it echoes."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self._lock = threading.Lock()

    def note(self, chunk: bytes) -> bytes:
        with self._lock:
            self.chunks.append(chunk)
        return chunk

    @property
    def rounds(self) -> list[int]:
        return [int(chunk.split()[0]) for chunk in self.chunks]


def test_each_round_is_over_before_the_next_begins() -> None:
    seen = Seen()
    with Server(answering(seen.note)) as server:
        driven = drive(ROUNDS, server.url)
    assert driven.kinds == {}
    assert driven.stats.iterations == 42
    assert seen.rounds == sorted(seen.rounds)


@pytest.mark.parametrize("workers", [2, 3])
def test_rounds_over_workers(workers: int, tmp_path: Path) -> None:
    seen, scenario = Seen(), tmp_path / "rounds.yaml"
    scenario.write_text(ROUNDS)
    with Server(answering(seen.note)) as server:
        done = run(scenario, "--target", server.url, "--workers", str(workers), folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["iterations"] == 42
    assert seen.rounds == sorted(seen.rounds)
    assert len(seen.rounds) == 42


@pytest.mark.parametrize("words", [[], ["--workers", "2"]])
def test_who_stops_or_fails_is_not_waited_for(words: list[str], tmp_path: Path) -> None:
    """User 1 meets a fault in round 2 and stops; users who have done their iterations end."""
    scenario = tmp_path / "rounds.yaml"
    scenario.write_text(ROUNDS + "on_error: stop_user\n")
    lying = Server(answering(lambda chunk: b"2 9" if chunk == b"2 1" else chunk))
    with lying as server:
        done = run(scenario, "--target", server.url, *words, folder=tmp_path)
    assert done.code == 1, done.out
    assert done.told["exchanges"]["errors"] == 1
    assert done.told["iterations"] == 6 * 6 + 2
    assert done.told["interrupted"] == 0


TWO_BARRIERS = """
steps:
  - {send: "${iteration} ${user}", expect: "${sent}"}
  - barrier: first
  - {name: between, send: "${iteration} x ${user}", expect: "${sent}"}
  - barrier: second
load: {users: 4, iterations: 8}
"""


@pytest.mark.parametrize("words", [[], ["--workers", "2"]])
def test_who_lost_an_iteration_catches_up(words: list[str], tmp_path: Path) -> None:
    """User 1 fails between the barriers and begins anew, while the others wait at the second."""
    seen, scenario = Seen(), tmp_path / "two.yaml"
    scenario.write_text(TWO_BARRIERS)
    lying = Server(answering(lambda chunk: b"?" if chunk == b"2 x 1" else seen.note(chunk)))
    with lying as server:
        done = run(scenario, "--target", server.url, *words, folder=tmp_path)
    assert done.code == 1, done.out
    assert done.told["exchanges"]["errors"] == 1
    assert done.told["iterations"] == 4 * 8 - 1
    assert done.told["interrupted"] == 0


@pytest.mark.parametrize("words", [[], ["--workers", "2"]])
def test_users_still_to_be_spawned_are_not_waited_for(words: list[str], tmp_path: Path) -> None:
    """At two users a second the last of 4 would come after 1.5 s; the first do many rounds."""
    scenario = tmp_path / "ramp.yaml"
    scenario.write_text(TWO_BARRIERS.replace("iterations: 8", "spawn_rate: 2/s, run_time: 2s"))
    with Server(answering(lambda chunk: chunk)) as server:
        done = run(scenario, "--target", server.url, *words, folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["users"] == {"started": 4, "served": 4}
    assert done.told["iterations"] > 20


@pytest.mark.parametrize("words", [[], ["--workers", "2"]])
def test_the_end_of_the_run_releases_who_waits_for_one_that_hangs(
    words: list[str], tmp_path: Path
) -> None:
    """User 0 is never answered: the others wait until their time is up, and are interrupted."""
    scenario = tmp_path / "rounds.yaml"
    load = "load: {users: 4, run_time: 500ms, graceful_stop: 200ms}"
    text = ROUNDS.replace("load: {users: 7, iterations: 6}", load).replace("5s", "60s")
    scenario.write_text(text)
    silent = Server(answering(lambda chunk: b"" if chunk == b"0 0" else chunk))
    with silent as server:
        done = run(scenario, "--target", server.url, *words, folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["iterations"] == 0
    assert done.told["interrupted"] == 4


def test_users_that_wait_at_the_end_finish_in_the_graceful_stop() -> None:
    """The slow user ends its iteration after the run time; who waits for it then goes on."""
    running = threading.Event()

    def slow(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            if chunk.endswith(b"0"):
                running.wait(1.0)
            connection.sendall(chunk)

    text = ROUNDS.replace("iterations: 6", "run_time: 300ms, graceful_stop: 20s")
    with Server(slow) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert driven.stats.interrupted == 0
    assert driven.stats.iterations % 7 == 0
    assert driven.stats.iterations > 0


def test_a_dead_worker_does_not_hang_the_others(tmp_path: Path) -> None:
    """One generator process is killed while the other's users wait for its users."""
    scenario, spoke = tmp_path / "rounds.yaml", threading.Event()
    scenario.write_text(ROUNDS.replace("iterations: 6", "run_time: 60s").replace("5s", "60s"))

    def withhold(chunk: bytes) -> bytes:
        spoke.set()
        return b"" if chunk == b"0 1" else chunk

    with Server(answering(withhold)) as server:
        words = ("--target", server.url, "--workers", "2", "-q")
        with begun("run", scenario, *words) as process:
            assert spoke.wait(30)
            os.kill(process.children[1], signal.SIGKILL)
            out, _ = process.communicate(timeout=30)
    assert process.returncode == 3, out
    assert "was killed by SIGKILL" in out


def test_a_barrier_in_before_and_in_after() -> None:
    seen = Seen()
    text = (
        "before: [{send: '0 x', expect: '0 x'}, {barrier: go}]\n"
        "steps: [{send: '1 x', expect: '1 x'}]\n"
        "after: [{barrier: end}, {send: '2 x', expect: '2 x'}]\n"
        "load: {users: 5, iterations: 2}\n"
    )
    with Server(answering(seen.note)) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert seen.rounds == [0] * 5 + [1] * 10 + [2] * 5
