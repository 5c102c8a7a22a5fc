"""What Locust's users build on: shapes, listeners, time to stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from driving import Server, answering
from locusting import headless, locustfile

TALK = "target: {bundled: epoll}\nsteps: [{name: ask, send: x, expect: reply}, {wait: 10ms}]\n"

SHAPE = """
from locust import LoadTestShape
class Steps(LoadTestShape):
    stages = [(3, 100), (6, 100), None]
    def tick(self):
        return self.stages.pop(0)
"""

LISTENERS = """
    request_events = {events!r}

import json
from pathlib import Path
from locust import events
from loadmux.locust import batch

seen = {{"failures": 0, "requests": 0, "right": 0, "errors": 0, "names": []}}

@events.request.add_listener
def on_request(request_type, name, response_time, exception, **_):
    seen["failures" if exception else "requests"] += 1
    if name not in seen["names"]:
        seen["names"].append(name)

@batch.add_listener
def on_batch(environment, user_class, stats, **_):
    assert user_class == "Parts"
    for row in stats.steps.values():
        seen["right"] += row.right
        seen["errors"] += row.errors

@events.quit.add_listener
def on_quit(**_):
    Path("seen.json").write_text(json.dumps(seen))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "here"
    made.mkdir()
    (made / "talk.yaml").write_text(TALK)
    return made


def heard(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


def test_a_shape(folder: Path) -> None:
    locustfile(folder, "numbers.yaml", SHAPE)
    (folder / "numbers.yaml").write_text(
        'steps: [{name: ask, send: "${user}\\n", expect: "${sent}"}, {wait: 10ms}]\n'
    )
    numbers: set[int] = set()

    def note(chunk: bytes) -> bytes:
        numbers.update(map(int, chunk.split()))
        return chunk

    with Server(answering(note)) as server:
        done = headless(folder, "--host", server.url)
    assert done.code == 0, done.text
    assert numbers == set(range(6))
    assert done.row("connect") == (6, 0)


def test_listeners_get_the_failures(folder: Path) -> None:
    locustfile(folder, "talk.yaml", LISTENERS.format(events="failures"))
    done = headless(folder, "-u", "5", "-r", "5", "-t", "1s", "--fault", "flip:10")
    assert done.code == 1, done.text
    requests, failed = done.row("ask")
    assert failed > 0
    seen = heard(folder)
    assert (seen["failures"], seen["requests"]) == (failed, 0)
    assert (seen["right"], seen["errors"]) == (requests - failed, failed)


def test_listeners_get_all_on_request_and_nothing_is_counted_twice(folder: Path) -> None:
    locustfile(folder, "talk.yaml", LISTENERS.format(events="all"))
    done = headless(folder, "-u", "5", "-r", "5", "-t", "1s", "--fault", "flip:10")
    requests, failed = done.row("ask")
    connects, _ = done.row("connect")
    seen = heard(folder)
    assert seen["failures"] == failed > 0
    assert seen["requests"] == requests - failed + connects
    assert seen["right"] + seen["errors"] == requests


def test_a_slow_listener_does_not_stop_the_driver(folder: Path) -> None:
    slow = "    request_events = 'none'\nfrom loadmux.locust import batch\nimport time\n"
    slow += "batch.add_listener(lambda **_: time.sleep(60))\n"
    locustfile(folder, "talk.yaml", slow)
    done = headless(folder, "-u", "5", "-r", "5", "-t", "1s")
    assert done.code == 0, done.text
    assert done.row("ask")[0] > 50


@pytest.mark.parametrize(
    ("words", "graceful", "whole"),
    [(("-s", "20"), "0s", True), ((), "20s", True), ((), "0s", False)],
)
def test_time_to_stop(words: tuple[str, ...], graceful: str, whole: bool, folder: Path) -> None:
    """With it iterations end; without they are interrupted, which is no fault of the target."""
    steps = "[{name: one, send: x, expect: reply}, {wait: 3s}, {name: two, send: x, expect: reply}]"
    load = f"load: {{graceful_stop: {graceful}}}"
    (folder / "talk.yaml").write_text(f"target: {{bundled: epoll}}\nsteps: {steps}\n{load}\n")
    locustfile(folder, "talk.yaml")
    done = headless(folder, "-u", "4", "-r", "4", "-t", "1s", *words)
    assert done.code == 0, done.text
    assert done.row("one") == (4, 0)
    if whole:
        assert done.row("two") == (4, 0)
    else:
        assert " two " not in done.err
        assert "4 iterations" in done.out
