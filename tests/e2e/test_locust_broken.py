"""Under Locust when something breaks: a worker, the master, the driver, the target."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
from pathlib import Path

import pytest
from driving import Server, answering
from locusting import (
    LOCUST,
    Page,
    alone,
    bound,
    eventually,
    failures,
    free_port,
    joining,
    locustfile,
    on,
    process,
    rows,
    settled,
    with_forks,
    with_others,
)

TALK = """
steps:
  - {name: ask, send: "x", expect: "x"}
  - {wait: 20ms}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "here"
    made.mkdir()
    (made / "talk.yaml").write_text(TALK)
    return made


def echo(chunk: bytes) -> bytes:
    return chunk


@pytest.mark.parametrize("rebalancing", [False, True])
def test_a_worker_is_killed(rebalancing: bool, folder: Path) -> None:
    more, served = ["--enable-rebalancing"] if rebalancing else [], Count()
    with Server(answering(served)) as server, with_forks(folder, *more) as swarm:
        page = swarm.page
        assert page.swarm(10, scenario="talk.yaml", host=server.url)["success"]
        eventually(lambda: served.count > 100, "no load")
        os.kill(swarm.drivers[0], signal.SIGKILL)
        left = 10 if rebalancing else 5
        page.until(
            lambda now: now["worker_count"] == 1 and now["user_count"] == left, "one is gone"
        )
        before = served.count
        eventually(lambda: served.count > before, "it does not go on")
        page.stop()
        assert failures(page.stats()) == {}
        swarm.main.says("1 of 2 workers were lost")
        swarm.main.popen.terminate()
        assert swarm.main.wait() == 3, swarm.main.text
        assert "Traceback" not in swarm.main.text, swarm.main.text


def test_a_test_after_a_loss_starts_while_the_lost_worker_is_still_in_the_list(
    folder: Path,
) -> None:
    """Locust's master keeps a lost worker for a minute."""
    with Server(answering(echo)) as server, with_forks(folder) as swarm:
        page, chosen = swarm.page, {"scenario": "talk.yaml", "host": server.url}
        assert page.swarm(4, **chosen)["success"]
        page.until(lambda now: now["user_count"] == 4 and rows(now).get("ask"), "four users")
        os.kill(swarm.drivers[0], signal.SIGKILL)
        page.stop()
        assert {one["state"] for one in page.stats()["workers"]} == {"ready", "missing"}
        assert page.swarm(3, **chosen)["success"]
        page.until(lambda now: now["user_count"] == 3 and rows(now).get("ask"), "three users")
        page.stop()
        swarm.main.says("PASS")


def test_a_worker_that_is_told_to_end_takes_nothing_along(folder: Path) -> None:
    served = Count()
    with Server(answering(served)) as server, with_others(folder) as swarm:
        page = swarm.page
        talk = folder / "talk.yaml"
        assert page.swarm(4, scenario=talk, host=server.url)["success"]
        page.until(lambda now: now["user_count"] == 4 and rows(now).get("ask"), "four users")
        os.kill(swarm.drivers[0], signal.SIGTERM)
        page.until(lambda now: now["worker_count"] == 1, "one has left")
        page.stop()
        counted = rows(page.stats())["ask"]
        assert 0 <= served.count - counted <= 4
        swarm.main.says("PASS")


class Count:
    """An echo that counts."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def __call__(self, chunk: bytes) -> bytes:
        with self._lock:
            self.count += 1
        return chunk


def test_the_master_is_killed(folder: Path) -> None:
    """The workers end within seconds; Locust's own patience is a minute."""
    served = Count()
    with Server(answering(served)) as server, with_others(folder) as swarm:
        talk = folder / "talk.yaml"
        assert swarm.page.swarm(4, scenario=talk, host=server.url)["success"]
        eventually(lambda: served.count > 20, "no load")
        swarm.main.popen.kill()
        eventually(
            lambda: all(map(ended, swarm.drivers)),
            "a worker goes on without a master",
        )


SLOW_TO_BEGIN = """
from threading import Event
from locust.runners import WorkerRunner

connect, handle, told = WorkerRunner.connect_to_master, WorkerRunner.handle_message, Event()
def connect_and_linger(self):
    connect(self)
    told.wait()
    Event().wait(0.5)
def handle_message(self, msg):
    if msg.type == "spawn":
        told.set()
    handle(self, msg)
WorkerRunner.handle_message = handle_message
WorkerRunner.connect_to_master = connect_and_linger
"""


def test_a_worker_that_is_told_to_start_before_its_runner_is_there(folder: Path) -> None:
    """It joins a running test: it is no master, its users work, and all that they do is counted."""
    port, rpc, served = free_port(), str(free_port()), Count()
    slow = folder.parent / "slow"
    slow.mkdir()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(answering(served)))
        words = [*LOCUST, "-f", str(locustfile(folder, "talk.yaml")), "--master", *on(port)]
        main = stack.enter_context(process([*words, *bound(rpc), "--host", server.url], folder))
        words = [*LOCUST, "-f", str(locustfile(folder, "talk.yaml")), "--worker", *joining(rpc)]
        stack.enter_context(process(words, folder, "first"))
        page = Page(port).up(workers=1)
        assert page.swarm(8, host=server.url)["success"]
        page.until(lambda now: now["user_count"] == 8 and rows(now).get("ask"), "eight users")
        words = [*LOCUST, "-f", str(locustfile(slow, "talk.yaml", SLOW_TO_BEGIN)), "--worker"]
        late = stack.enter_context(process([*words, *joining(rpc)], slow, "late"))
        page.until(
            lambda now: [one["user_count"] for one in now["workers"]] == [4, 4], "four on each"
        )
        page.stop()
        counted = rows(page.stats())["ask"]
        assert 0 <= served.count - counted <= 8
        main.says("PASS")
        assert "Traceback" not in late.text + main.text, late.text + main.text
        assert "PASS" not in late.text


def ended(pid: int) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def test_the_driver_dies_and_the_next_test_begins_afresh(folder: Path) -> None:
    with (
        Server(answering(echo)) as server,
        alone(folder, preexec_fn=few_descriptors) as swarm,
    ):
        form = {"scenario": "talk.yaml", "host": server.url}
        before = settled(swarm.main.pid)
        assert swarm.page.swarm(100, **form)["success"]
        now = swarm.page.until(lambda now: now["state"] == "stopped", "it goes on")
        assert now["user_count"] == 0
        assert "the load generator failed: cannot open a socket" in swarm.main.err
        assert settled(swarm.main.pid) == before
        assert swarm.page.swarm(5, **form)["success"]
        swarm.page.until(lambda now: now["user_count"] == 5 and rows(now).get("ask"), "five")
        swarm.page.stop()
        swarm.main.says("PASS")


def test_a_target_that_hangs(folder: Path) -> None:
    """Time-outs show as failures, and the rate falls to nothing."""
    (folder / "talk.yaml").write_text(TALK + "timeout: 1s\non_error: stop_user\n")
    hangs = threading.Event()

    def reply(chunk: bytes) -> bytes:
        return b"" if hangs.is_set() else chunk

    with Server(answering(reply)) as server, alone(folder) as swarm:
        assert swarm.page.swarm(5, scenario="talk.yaml", host=server.url)["success"]
        swarm.page.until(lambda now: now["current_rps"] > 0, "no rate")
        hangs.set()
        now = swarm.page.until(lambda now: now["current_rps"] == 0, "the rate is frozen")
        assert failures(now) == {("ask", "timeout"): 5}
        assert now["state"] == "running"
