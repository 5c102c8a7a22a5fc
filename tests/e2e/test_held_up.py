"""The process that shows the run is held up: the generators go on, and nothing measured is lost."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from commands import begun
from driving import Server, answering

STEPS = 400
MORE = 10_000
"""Exchanges after which any pipe would be full of updates about so many rows."""
STEP = '  - {name: "step NUMBER", send: "hello NUMBER", expect: "hello NUMBER"}\n'
STOPPED = "timeout: 2s\nload: {users: 4, iterations: 10, pacing: 800ms}\nsteps:\n" + "".join(
    STEP.replace("NUMBER", str(number)) for number in range(STEPS)
)


class Counting:
    """A handler that echoes, and counts; `after` waits until it has answered so many more."""

    def __init__(self) -> None:
        self.served = 0
        self._more = threading.Condition()

    def echo(self, chunk: bytes) -> bytes:
        with self._more:
            self.served += 1
            self._more.notify_all()
        return chunk

    def after(self, count: int, seconds: float) -> bool:
        with self._more:
            due = self.served + count
            return self._more.wait_for(lambda: self.served >= due, seconds)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_process_that_shows_the_run_is_stopped(workers: int, tmp_path: Path) -> None:
    scenario, told = tmp_path / "s.yaml", tmp_path / "told.json"
    scenario.write_text(STOPPED)
    counting = Counting()
    with Server(answering(counting.echo)) as server:
        words = ["run", str(scenario), "--target", server.url, "--workers", str(workers)]
        with begun(*words, "--json-file", told, "-q") as running:
            assert counting.after(STEPS, 60.0)
            os.kill(running.pid, signal.SIGSTOP)
            went_on = counting.after(MORE, 60.0)
            os.kill(running.pid, signal.SIGCONT)
            out, err = running.communicate(timeout=60)
    assert went_on
    assert (running.returncode, err) == (0, ""), out
    found = json.loads(told.read_text())
    assert found["exchanges"]["count"] == counting.served == 40 * STEPS
    assert {row["count"] for row in found["steps"]} == {40}
    assert [row["name"] for row in found["steps"]] == [f"step {n}" for n in range(STEPS)]
    assert found["users"] == {"started": 4, "served": 4}
    assert found["generator"]["workers"][0]["lost"] is None
