"""A run that is stopped and continued by the server that it talks to, at moments of its choosing.

The time that passes in between is the point of it, so that here a test sleeps.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

from commands import Begun, Done, begun

TIMEOUT = 1.0
LONGER = 1.6
"""A pause that is longer than the scenarios' time-out."""


class Puppet:
    """`loadmux run` in a group of its own."""

    def __init__(self) -> None:
        self._process: Begun
        self._there = threading.Event()

    def run(self, text: str, folder: Path, *words: str | Path) -> Done:
        """The scenario in `text`, to its end."""
        scenario = folder / "paused.yaml"
        scenario.write_text(text)
        return self.run_file(scenario, folder, *words)

    def run_file(self, scenario: Path, folder: Path, *words: str | Path) -> Done:
        told = folder / "told.json"
        with begun("run", scenario, *words, "--json-file", told) as self._process:
            self._there.set()
            out, err = self._process.communicate()
        found = json.loads(told.read_text()) if told.exists() else {}
        assert "Traceback" not in err, err
        return Done(self._process.wait(), out, err, found)

    def stop(self) -> None:
        """Stop all its processes; returns when they are."""
        self._there.wait()
        os.killpg(self._process.pid, signal.SIGSTOP)
        for pid in self.pids():
            while state(pid) not in "TZ":
                time.sleep(0.001)

    def go_on(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def pause(self, seconds: float = LONGER) -> None:
        self.stop()
        time.sleep(seconds)
        self.go_on()

    def pids(self) -> list[int]:
        """The process that shows the run, then its workers."""
        self._there.wait()
        return [self._process.pid, *self._process.children]


def pause(pid: int, seconds: float = LONGER) -> None:
    """Stop one process, for so long."""
    os.kill(pid, signal.SIGSTOP)
    while state(pid) != "T":
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


def state(pid: int) -> str:
    """One letter, as proc(5) has it."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
