"""Phases and open load under Locust: the schedule is kept, whoever carries it out.

What matters is that every start is made or counted as dropped or missed; how many of each depends
on the machine, and so may the verdict: a generator that was held up says so (exit code 3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from commands import loadmux
from locusting import (
    WEB,
    Page,
    Process,
    bound,
    forked,
    free_port,
    headless,
    joining,
    locustfile,
    on,
    process,
)

TALK = """
target: {bundled: epoll, reply: echo}
steps:
  - {name: ask, send: "hello ${user} ${iteration}", expect: "${sent}"}
timeout: 8s
"""
SPIKE = (
    TALK
    + """
load:
  phases:
    - {name: warm up, users: 0..8, run_time: 1s}
    - {name: steady, rate: 100/s, max_users: 12, run_time: 1s}
    - {name: spike, rate: 100/s..500/s, max_users: 30, run_time: 1s}
thresholds: ["iterations > 100"]
"""
)
HELD_UP = (0, 3)


def made(text: str) -> int:
    """Starts that a report accounts for."""
    begun = re.search(r"([\d,]+) starts?, .*?([\d,]+) dropped", text.replace("\n", " "))
    assert begun is not None, text
    missed = re.search(r"missed ([\d,]+) starts?", text)
    counts = [*begun.groups(), *(missed.groups() if missed is not None else ())]
    return sum(int(one.replace(",", "")) for one in counts)


@pytest.mark.parametrize("workers", ["alone", "forked"])
def test_a_spike_is_the_same_under_locust(workers: str, tmp_path: Path) -> None:
    (tmp_path / "spike.yaml").write_text(SPIKE)
    locustfile(tmp_path, "spike.yaml")
    options = forked() if workers == "forked" else []
    done = headless(tmp_path, *options)
    assert done.code in HELD_UP, done.text
    assert made(done.out) == 400
    for phase in ("warm up", "steady", "spike"):
        assert re.search(rf"^  {phase} +[1-9]", done.out, re.MULTILINE), done.out
    assert "from the send" in done.out
    assert "are in no figures" not in done.out
    alone = loadmux("run", str(tmp_path / "spike.yaml"))
    assert made(alone.out) == 400
    if done.code == alone.code:
        assert alone.code == 0


@contextmanager
def spawned(folder: Path, count: int) -> Iterator[tuple[Process, list[Process]]]:
    """A master of open.yaml and so many workers of its own, once all users are there."""
    rpc = str(free_port())
    master = ["--headless", "--master", "--expect-workers", str(count), *bound(rpc)]
    with ExitStack() as stack:
        main = stack.enter_context(process([*WEB, "open.yaml", *master], folder))
        worker = [*WEB, "--worker", *joining(rpc)]
        workers = [
            stack.enter_context(process(worker, folder, f"worker{number}"))
            for number in range(count)
        ]
        main.says("All users spawned")
        yield main, workers


def test_a_worker_that_leaves_hands_its_starts_over(tmp_path: Path) -> None:
    """One of three is told to end: no start is lost with it."""
    (tmp_path / "open.yaml").write_text(TALK + "load: {rate: 300/s, run_time: 5s, max_users: 60}")
    with spawned(tmp_path, 3) as (main, workers):
        workers[1].popen.terminate()
        assert workers[1].wait() == 0, workers[1].text
        assert main.wait() in HELD_UP, main.text
        assert made(main.out) == 1500
        assert "are in no figures" not in main.out


def test_what_is_lost_with_a_worker_is_told(tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text(TALK + "load: {rate: 300/s, run_time: 6s, max_users: 60}")
    with spawned(tmp_path, 2) as (main, workers):
        workers[0].popen.kill()
        assert main.wait() == 3, main.text
        lost = re.search(r"(\d+) of 1800 starts of the schedule are in no figures", main.out)
        assert lost is not None, main.out
        assert made(main.out) + int(lost[1]) == 1800


def test_the_page_follows_the_phases(tmp_path: Path) -> None:
    """Started in the form: the users that it asks for are the scenario's business, and an edit of
    them is refused."""
    (tmp_path / "spike.yaml").write_text(SPIKE)
    port = free_port()
    with process([*WEB, "spike.yaml", *on(port)], tmp_path) as main:
        page = Page(port).up(workers=1)
        assert page.swarm(1)["success"], main.text
        refused = page.swarm(50)
        assert "follow the scenario's phases" in refused["message"]
        page.until(lambda told: told["state"] == "stopped", "stopped")
        panel = json.loads(page.get("/loadmux/verdict?panel"))["panel"]
        assert "<td>spike</td>" in panel
        assert "<h2>Phases</h2>" in panel
