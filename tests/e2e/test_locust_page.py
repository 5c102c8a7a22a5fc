"""Locust's page over HTTP: start, edit, stop, start again; alone, forked, and with other machines'
workers, whose folders are empty."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from counting import commands_of, redis
from driving import Server, answering
from locusting import (
    LOCUST,
    WEB,
    Page,
    Swarm,
    alone,
    bound,
    eventually,
    evidence,
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

__all__ = ["redis"]

TALK = """
steps:
  - {name: ask, send: "${user}\\n", expect: "${sent}"}
  - {wait: 20ms}
timeout: 2s
"""


WAYS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Swarm]]] = {
    "alone": alone,
    "forked": with_forks,
    "others": with_others,
}


@pytest.fixture(params=list(WAYS))
def swarm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Swarm]:
    folder = tmp_path / "here"
    folder.mkdir()
    with WAYS[request.param](folder) as made:
        yield made


class Told:
    """A server that echoes and remembers which users it met.

    While there are `lies` left, what an odd user asks comes back with a bit flipped, and what an
    even one asks comes twice.
    """

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.lies = {0: 0, 1: 0}
        self._lock = threading.Lock()

    def __call__(self, chunk: bytes) -> bytes:
        number = int(chunk)
        with self._lock:
            self.numbers.add(number)
            self.lies[number % 2] -= 1
            right = self.lies[number % 2] < 0
        if right:
            return chunk
        return bytes([chunk[0] ^ 1]) + chunk[1:] if number % 2 else chunk * 2


def test_start_edit_stop_and_start_another(swarm: Swarm) -> None:
    page, told = swarm.page, Told()
    talk = swarm.folder / "talk.yaml"
    talk.write_text(TALK)
    before = swarm.holds()
    with Server(answering(told)) as server:
        assert page.swarm(6, scenario=talk, host=server.url)["success"]
        eventually(lambda: told.numbers == set(range(6)), "numbers 0 to 5, each once")
        assert page.swarm(10)["success"]
        eventually(lambda: told.numbers == set(range(10)), "numbers 0 to 9, each once")
        told.lies = {0: 20, 1: 20}
        page.until(
            lambda now: now["user_count"] == 10 and len(failures(now)) == 2, "both sorts of failure"
        )
        assert page.swarm(4)["success"]
        page.until(lambda now: now["user_count"] == 4, "four users")
        page.stop()
        last = page.until(lambda now: now["user_count"] == 0, "nobody")
    kinds = {row["kind"]: int(row["who"].split(",")[0]) % 2 for row in evidence(last)}
    assert kinds == {"corrupt": 1, "duplicate": 0}
    assert set(failures(last)) == {("ask", "corrupt"), ("ask", "duplicate")}
    assert {row["name"] for row in last["stats"][:-1]} == {"connect", "ask"}
    assert swarm.holds_no_more_than(before)

    form = {"scenario": "parts", "host": "", "target": "epoll", "fault": "flip:50"}
    assert page.swarm(4, **form)["success"]
    assert len(eventually(lambda: swarm.main.targets, "a target")) == 1
    page.until(lambda now: "ask" not in rows(now) and failures(now), "failures of the second test")
    page.stop()
    assert swarm.main.targets == []
    assert swarm.holds_no_more_than(before)
    assert "Traceback" not in swarm.main.text, swarm.main.text


WRONG = """
steps: [{name: ask, send: x, expect: right}]
"""
STEPS_DOWN = """
from locust import LoadTestShape
class Down(LoadTestShape):
    def tick(self):
        return (30, 100) if self.get_run_time() < 6 else (3, 100)
"""


@pytest.mark.parametrize("way", ["alone", "forked"])
def test_users_are_taken_away_while_the_server_answers_wrongly(way: str, tmp_path: Path) -> None:
    """A user that gathers what the server has to say of a wrong byte must not stay for good."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "talk.yaml").write_text(WRONG)
    with Server(answering(lambda chunk: b"wrong" * 3)) as server, WAYS[way](folder) as swarm:
        page = swarm.page
        assert page.swarm(50, scenario="talk.yaml", host=server.url)["success"]
        page.until(lambda now: now["user_count"] == 50 and failures(now), "fifty that fail")
        assert page.swarm(5)["success"]
        page.until(lambda now: now["user_count"] == 5, "five users")
        assert page.swarm(20)["success"]
        page.until(lambda now: now["user_count"] == 20, "twenty users")
        page.stop()
        page.until(lambda now: now["user_count"] == 0, "nobody")


def test_a_shape_steps_down_while_the_server_answers_wrongly(tmp_path: Path) -> None:
    (tmp_path / "talk.yaml").write_text(WRONG)
    locustfile(tmp_path, "talk.yaml", STEPS_DOWN)
    port = free_port()
    with Server(answering(lambda chunk: b"wrong" * 3)) as server:
        words = [*LOCUST, "-f", str(tmp_path / "locustfile.py"), *on(port), "--host", server.url]
        with process(words, tmp_path) as main:
            page = Page(port).up()
            assert page.swarm(1)["success"]
            page.until(lambda now: now["user_count"] == 30, "thirty users")
            page.until(lambda now: now["user_count"] == 3, "three users")
            assert "Traceback" not in main.text, main.text


REFUSED = {
    "unknown scenario": ({"scenario": "no_such"}, "was not given at the start"),
    "no file": ({"scenario": "no/such.yaml"}, "no/such.yaml"),
    "bad host": ({"host": "http://127.0.0.1:80"}, "is no URL of a socket server"),
    "no name": ({"host": "tcp://no-such-host.invalid:80", "target": ""}, "no-such-host.invalid"),
    "bad target": ({"target": "epol"}, "did you mean"),
    "bad rule": ({"reply": "ecko"}, "did you mean"),
    "bad fault": ({"target": "epoll", "fault": "nonsense:3"}, "nonsense"),
    "fault of a stranger": (
        {"host": "tcp://127.0.0.1:9", "target": "", "fault": "flip:3"},
        "only a bundled",
    ),
    "cannot run here": ({"target": "kqueue"}, "cannot run here"),
    "too many": ({"target": "blocking"}, "serves 1 at once"),
    "bad poller": ({"poller": "epol"}, "is no poller"),
}


def test_a_bad_start_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with alone(tmp_path) as swarm:
        before = settled(swarm.main.pid)
        good = {"scenario": "parts", "host": "", "target": "epoll", "reply": "", "poller": "best"}
        for name, (form, reason) in REFUSED.items():
            answer = swarm.page.swarm(5, **{**good, **form})
            assert not answer["success"], name
            assert reason in answer["message"], name
            assert swarm.page.stats()["state"] == "ready", name
        assert swarm.main.children == []
        assert settled(swarm.main.pid) == before
        assert swarm.page.swarm(5, **good)["success"]
        swarm.page.until(rows, "rows")
        swarm.page.stop()
        assert "Traceback" not in swarm.main.text, swarm.main.text


def test_totals_are_what_the_target_counted(redis: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    scenario = folder / "redis.yaml"
    scenario.write_text(
        f"target: tcp://127.0.0.1:{redis}\n"
        "steps:\n"
        '  - {name: ping, send: "PING\\r\\n", expect: "+PONG\\r\\n"}\n'
        '  - {name: set, send: "SET u${user} ${iteration}\\r\\n", expect: "+OK\\r\\n"}\n'
    )
    with with_forks(folder) as swarm:
        assert swarm.page.swarm(20, scenario=scenario)["success"]
        swarm.page.until(lambda now: rows(now).get("set", 0) > 5000, "some exchanges")
        swarm.page.stop()
        counted = rows(swarm.page.stats())
        calls = commands_of(redis)
    for name in ("ping", "set"):
        assert 0 <= calls[name] - counted[name] <= 20, (calls, counted)


def test_what_locust_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    with alone(tmp_path) as swarm:
        for form in ({"user_count": "many"}, {"spawn_rate": 0}, {"run_time": "soon"}):
            assert not swarm.page.swarm(5, **form)["success"], form
            assert swarm.main.targets == [], form


def test_two_starts_at_once_are_one_test(tmp_path: Path) -> None:
    with alone(tmp_path) as swarm:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(swarm.page.swarm, [5] * 4))
        assert any(answer["success"] for answer in answers)
        now = swarm.page.until(lambda now: now["user_count"] == 5 and rows(now), "five users")
        assert now["state"] in ("running", "spawning")
        swarm.page.stop()
        assert swarm.main.targets == []
        assert "Traceback" not in swarm.main.text, swarm.main.text


def test_without_workers_a_start_is_refused(tmp_path: Path) -> None:
    port, rpc = free_port(), str(free_port())
    words = [*WEB, "--master", *on(port), *bound(rpc), *joining(rpc)]
    with process(words, tmp_path) as main:
        answer = Page(port).up().swarm(5, scenario="parts")
        assert not answer["success"]
        assert "no worker" in answer["message"]
        assert main.targets == []


PICKED = """
from loadmux.locust import ScenarioUser
class One(ScenarioUser):
    scenario = "parts"
class Two(ScenarioUser):
    scenario = "echo"
"""


def test_classes_are_picked_in_the_form(tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_text(PICKED)
    port = free_port()
    with process([*LOCUST, "--class-picker", *on(port)], tmp_path) as main:
        page = Page(port).up()
        assert page.swarm(2, user_classes="Two")["success"]
        assert len(main.targets) == 1
        page.until(lambda now: "64 bytes" in rows(now), "no row of the second class")
        page.stop()
        assert "Traceback" not in main.text, main.text
