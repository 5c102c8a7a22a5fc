"""Locust's master through random events over HTTP, with redis's own counters as the truth.

Starts, edits up and down, stops, RESET, another scenario; workers that join, are killed, or stand
still for a while; against redis, and against a proxy to it that lies now and then. After each event
there are as many users as were asked for; after each test its totals are what redis counted, the
verdict is right, and nothing is left behind.

`LOADMUX_EVENTS=200 LOADMUX_SEED=7 pytest tests/e2e/test_locust_events.py` is the long form.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from counting import commands_of, info, redis
from driving import Server
from locusting import WEB, Page, Process, bound, eventually, free_port, joining, on, process, rows

__all__ = ["redis"]

EVENTS = int(os.environ.get("LOADMUX_EVENTS", "5"))
SEED = int(os.environ.get("LOADMUX_SEED", "1"))
PATIENCE = 60.0
PAUSE = 5.0
MOST_WORKERS, MOST_USERS = 4, 24
SCENARIO = """
target: {{url: tcp://127.0.0.1:{port}}}
steps:
  - {{name: {name}, send: "{send}\\r\\n", expect: "{reply}\\r\\n"}}
  - {{wait: 10ms}}
timeout: 20s
"""
SCENARIOS = {
    "ping.yaml": ("ping", "PING", "+PONG"),
    "set.yaml": ("set", "SET u${user} ${iteration}", "+OK"),
}
VERDICT = re.compile(r"loadmux: ([A-Z_]+): ")


class Liar:
    """A proxy to redis that changes one reply in so many (0: none); `lies` counts them."""

    def __init__(self, port: int, every: int) -> None:
        self.port, self.every = port, every
        self.lies = self._replies = 0
        self._lock = threading.Lock()

    def __call__(self, connection: socket.socket, number: int) -> None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port)) as redis,
        ):
            while request := connection.recv(65536):
                redis.sendall(request)
                reply = redis.recv(65536)
                connection.sendall(self._said(reply))

    def _said(self, reply: bytes) -> bytes:
        with self._lock:
            self._replies += 1
            lie = self.every and self._replies % self.every == 0
            self.lies += bool(lie)
        return b"-" + reply[1:] if lie else reply


class Story:
    """The events, and what has to hold after each of them."""

    def __init__(self, page: Page, main: Process, redis: str, liar: Liar, worker: Any) -> None:
        self.chance = random.Random(SEED)
        self.page, self.main, self.redis, self.liar, self.worker = page, main, redis, liar, worker
        self.workers: list[Process] = []
        self.told: list[str] = []
        self.users: int | None = None
        self.scenario = "ping.yaml"
        self.tests = 0
        self.lost = self.paused = self.reset_once = False
        self.most = 0
        self.before: dict[str, int] = {}
        self.lies = 0

    def go(self, events: int) -> None:
        self.join()
        self.join()
        for _ in range(events):
            while not (event := self.chance.choice(EVERY))(self):
                pass
            self.told.append(event.__name__)
            self.holds()
        if self.users is not None:
            self.stop()

    def say(self, text: str) -> None:
        self.told.append(text)

    # --- events: whether they can happen now -----------------------------------------------------

    def start(self) -> bool:
        if self.users is not None or not self.workers:
            return False
        self.scenario = self.chance.choice(list(SCENARIOS))
        self.users = self.chance.randint(1, MOST_USERS)
        self.before, self.lies, self.most = commands_of(self.redis), self.liar.lies, self.users
        self.lost = self.paused = self.reset_once = False
        told = self.page.swarm(self.users, scenario=self.scenario)
        assert told["success"], (told, self.told)
        self.say(f"start {self.scenario} with {self.users}")
        return True

    def edit(self) -> bool:
        if self.users is None:
            return False
        self.users = self.chance.randint(1, MOST_USERS)
        self.most = max(self.most, self.users)
        told = self.page.swarm(self.users)
        assert told["success"], (told, self.told)
        self.say(f"edit to {self.users}")
        return True

    def another(self) -> bool:
        if self.users is None:
            return False
        (other,) = {*SCENARIOS} - {self.scenario}
        told = self.page.swarm(MOST_USERS + 1, scenario=other)
        assert not told["success"], self.told
        assert "a test is running" in told["message"]
        return True

    def reset(self) -> bool:
        if self.users is None:
            return False
        self.page.post("/stats/reset", {})
        self.reset_once = True
        return True

    def stop(self) -> bool:
        if self.users is None:
            return False
        self.page.post("/stop", {})
        now = self.page.until(
            lambda now: now["state"] == "stopped" and now["user_count"] == 0,
            f"stopped after {self.told}",
            PATIENCE,
        )
        self.tests += 1
        self.judge(now)
        self.users = None
        return True

    def join(self) -> bool:
        if len(self.workers) == MOST_WORKERS:
            return False
        self.workers.append(self.worker())
        return True

    def kill(self) -> bool:
        if len(self.workers) < 2:
            return False
        gone = self.workers.pop(self.chance.randrange(len(self.workers)))
        gone.popen.kill()
        gone.popen.wait()
        self.lost = self.lost or self.users is not None
        return True

    def pause(self) -> bool:
        if len(self.workers) < 2:
            return False
        held = self.chance.choice(self.workers)
        os.kill(held.pid, signal.SIGSTOP)
        time.sleep(PAUSE)
        os.kill(held.pid, signal.SIGCONT)
        self.paused = self.paused or self.users is not None
        return True

    # --- what holds ------------------------------------------------------------------------------

    def holds(self) -> None:
        """As many users as asked for, on as many workers as there are."""
        began = time.monotonic()
        wanted = self.users or 0
        self.page.until(
            lambda now: (now["worker_count"], now["user_count"]) == (len(self.workers), wanted),
            f"{wanted} users on {len(self.workers)} workers after {self.told}",
            PATIENCE,
        )
        eventually(
            lambda: self.clients() == wanted, f"{wanted} clients after {self.told}", PATIENCE
        )
        self.told[-1] += f" ({time.monotonic() - began:.1f} s)"

    def clients(self) -> int:
        """Those that redis has, beside ours that asks."""
        text = info(self.redis, "clients")
        return int(text.partition("connected_clients:")[2].split()[0]) - 1

    def judge(self, now: dict[str, Any]) -> None:
        """The totals of a test that has ended, and its verdict."""
        eventually(lambda: self.clients() == 0, f"sockets left after {self.told}", PATIENCE)
        name = SCENARIOS[self.scenario][0]
        calls = commands_of(self.redis).get(name, 0) - self.before.get(name, 0)
        counted, lies = rows(now).get(name, 0), self.liar.lies - self.lies
        wrong = sum(one["occurrences"] for one in now["errors"])
        facts = f"redis {calls}, counted {counted}, {lies} lies, {wrong} wrong: {self.told}"
        assert counted <= calls, facts
        assert wrong <= lies, facts
        if not (self.lost or self.reset_once):
            # What was under way when its user was taken away counts nowhere.
            away = self.most * (1 + sum(word.startswith("edit") for word in self.told))
            assert calls - counted <= away + MOST_USERS * 4, facts
            assert lies - wrong <= calls - counted, facts
        verdict = self.verdict()
        if wrong:
            assert verdict == "FAIL", facts
        elif self.lost or self.paused or not counted:
            assert verdict in ("PASS", "INCONCLUSIVE"), f"{verdict}: {facts}"
        else:
            assert verdict == "PASS", f"{verdict}: {facts}"
        self.told = [f"test {self.tests}: {verdict}"]

    def verdict(self) -> str:
        def said() -> list[str]:
            found = VERDICT.findall(self.main.err)
            return found if len(found) >= self.tests else []

        found: list[str] = eventually(said, f"no verdict {self.tests}: {self.told}", PATIENCE)
        assert len(found) == self.tests, (found, self.told)
        return found[-1]


EVERY = [
    *(Story.start, Story.start, Story.edit, Story.edit, Story.edit, Story.another, Story.reset),
    *(Story.stop, Story.join, Story.kill, Story.pause),
]


@pytest.mark.timeout(120 + 30 * EVENTS)
@pytest.mark.parametrize("every", [0, 50], ids=["right", "lying"])
def test_random_events(every: int, redis: str, tmp_path: Path) -> None:
    folder, empty = tmp_path / "here", tmp_path / "empty"
    folder.mkdir()
    empty.mkdir()
    port, rpc, liar = free_port(), str(free_port()), Liar(int(redis), every)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(liar))
        target = server.url.rpartition(":")[2] if every else redis
        for file, (name, send, reply) in SCENARIOS.items():
            text = SCENARIO.format(port=target, name=name, send=send, reply=reply)
            (folder / file).write_text(text)
        words = [*WEB, *SCENARIOS, "--master", "--enable-rebalancing", *on(port), *bound(rpc)]
        main = stack.enter_context(process(words, folder))
        count = 0

        def worker() -> Process:
            nonlocal count
            count += 1
            words = [*WEB, "--worker", *joining(rpc)]
            return stack.enter_context(process(words, empty, f"worker{count}"))

        story = Story(Page(port).up(), main, redis, liar, worker)
        story.go(EVENTS)
        assert "Traceback" not in main.text, main.text
        main.popen.terminate()
        main.wait()
        for one in story.workers:
            one.wait()
            assert "Traceback" not in one.text, one.text
