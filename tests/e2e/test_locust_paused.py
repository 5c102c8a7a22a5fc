"""Under Locust: a worker that is stopped, or held by another greenlet, blames no server for it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from driving import Server, answering
from locusting import LOCUST, Process, forked, locustfile, process
from pausing import LONGER, TIMEOUT, state

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")

SCENARIO = f"""
target: URL
timeout: {TIMEOUT:g}s
steps: [{{name: ask, send: "hello", expect: "hello"}}, {{wait: 10ms}}]
"""
GREEDY = """
import time
import gevent
from locust import events

@events.test_start.add_listener
def start(environment, **_):
    def hold():
        gevent.sleep(1.5)
        until = time.perf_counter() + %g
        while time.perf_counter() < until:
            pass
    gevent.spawn(hold)
""" % (TIMEOUT * 1.5)
SHORT = ("--headless", "--only-summary", "-u", "4", "-r", "100", "-t", "5s")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "here"
    made.mkdir()
    return made


@pytest.mark.parametrize("workers", ["alone", "forked"])
def test_a_stopped_worker_blames_nobody(workers: str, folder: Path) -> None:
    running: list[Process] = []
    there, paused = threading.Event(), threading.Event()

    def echo(connection: socket.socket, number: int) -> None:
        for count in range(10**9):
            message = connection.recv(65536)
            if not message:
                return
            if count == 50 and not number:
                there.wait()
                group = running[0].pid
                os.killpg(group, signal.SIGSTOP)
                while state(group) not in "TZ":
                    time.sleep(0.001)
                time.sleep(LONGER)
                os.killpg(group, signal.SIGCONT)
                paused.set()
            connection.sendall(message)

    with Server(echo) as server:
        path = folder / "scenario.yaml"
        path.write_text(SCENARIO.replace("URL", server.url))
        locustfile(folder, path)
        words = [*LOCUST, *SHORT, *(forked() if workers == "forked" else [])]
        with process(words, folder) as locust:
            running.append(locust)
            there.set()
            code = locust.wait()
    assert paused.is_set()
    assert code == 0, locust.text
    assert "stood still for" in locust.out, locust.text


def test_another_greenlet_that_never_gives_way_is_the_generators_own(folder: Path) -> None:
    """Its users come to their turn too late, and no reply was."""

    def late(connection: socket.socket, number: int) -> None:
        while message := connection.recv(65536):
            connection.sendall(message)

    with Server(late) as server:
        path = folder / "scenario.yaml"
        path.write_text(SCENARIO.replace("URL", server.url))
        locustfile(folder, path, GREEDY)
        with process([*LOCUST, *SHORT], folder) as locust:
            code = locust.wait()
    assert code == 0, locust.text
    assert "the generator stood still for 1." in locust.out, locust.text


HELD = """
import time
from loadmux.scripting import User, scenario

@scenario(target="URL", timeout="1s")
async def talk(user: User) -> None:
    await user["main"].exchange("hello", expect="hello")
    if user.number == 3 and user.iteration == 50:
        until = time.perf_counter() + 1.5
        while time.perf_counter() < until:
            pass
    await user.sleep(0.01)
"""


def test_a_function_that_holds_the_loop_is_named(folder: Path) -> None:
    with Server(answering(bytes)) as server:
        path = folder / "held.py"
        path.write_text(HELD.replace("URL", server.url))
        locustfile(folder, path)
        with process([*LOCUST, *SHORT], folder) as locust:
            code = locust.wait()
    assert code == 0, locust.text
    assert "step 'call #1' of user 3 (held.py:" in locust.out, locust.text
