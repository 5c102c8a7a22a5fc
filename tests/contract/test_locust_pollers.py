"""What another scheduler may rely on: a poller's own descriptor, and its loop in steps."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from time import perf_counter

import kqueue_emulation
import pytest
from driving import Server, answering, scenario_for

from loadmux.driver.control import Control
from loadmux.driver.loop import IDLE_WAIT, Loop, Task, sleep_until
from loadmux.driver.poller import POLLERS, Poller
from loadmux.driver.user import VirtualUser
from loadmux.language.meaning.servers import Url
from loadmux.measuring.stats import Stats
from loadmux.running.compiling.script import compile_scenario

BUSY = 'steps: [{name: ask, send: "x", expect: "x"}]\nload: {run_time: 1h}\n'


@pytest.fixture(params=list(POLLERS))
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    native = hasattr(select, "kqueue")
    if request.param == "kqueue" and not native:
        kqueue_emulation.install()
    made = POLLERS[request.param]()
    yield made
    made.close()
    if request.param == "kqueue" and not native:
        kqueue_emulation.uninstall()


@pytest.fixture
def loop(poller: Poller) -> Iterator[Loop]:
    made = Loop(poller)
    yield made
    for connection in list(made.connections.values()):
        connection.abandon()


def readable(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def test_the_descriptor_is_readable_when_an_event_is_pending(poller: Poller) -> None:
    descriptor = poller.fileno()
    if descriptor is None:
        assert poller.level
        return
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        poller.add(ours.fileno())
        while poller.wait(0):
            pass
        assert not readable(descriptor, 0)
        theirs.sendall(b"x")
        assert readable(descriptor, 5)
        assert poller.wait(0)
        assert not readable(descriptor, 0)
        theirs.close()
        assert readable(descriptor, 5)
        poller.remove(ours.fileno())


def test_every_edge_triggered_poller_has_one(poller: Poller) -> None:
    assert (poller.fileno() is None) == poller.level


async def sleeper(task: Task, when: float, done: list[float]) -> None:
    await sleep_until(task, when)
    done.append(perf_counter())


def test_without_tasks_it_returns_at_once(loop: Loop) -> None:
    assert loop.run(perf_counter() + 3600, 0.0) == IDLE_WAIT


def test_without_patience_it_returns_when_idle_and_says_until_when(loop: Loop) -> None:
    done: list[float] = []
    task, due = Task(loop), perf_counter() + 0.05
    loop.spawn(task, sleeper(task, due, done))
    leisure = loop.run(perf_counter() + 3600, 0.0)
    assert perf_counter() < due + 3600
    assert not done
    assert 0 <= leisure <= 0.05
    steps = 0
    while not task.done:
        loop.run(perf_counter() + 3600, 0.0)
        steps += 1
    assert steps > 1
    assert done[0] >= due


def test_a_deadline_that_is_due_fires_without_patience(loop: Loop) -> None:
    done: list[float] = []
    tasks = [Task(loop) for _ in range(20)]
    due = perf_counter() + 0.01
    for task in tasks:
        loop.spawn(task, sleeper(task, due, done))
    loop.run(perf_counter() + 3600, 0.0)
    while perf_counter() <= due:
        pass
    loop.run(perf_counter() + 3600, 0.0)
    assert len(done) == 20


def test_leisure_is_never_longer_than_the_idle_wait(loop: Loop) -> None:
    task = Task(loop)
    loop.spawn(task, sleeper(task, perf_counter() + 3600, []))
    assert loop.run(perf_counter() + 3600, 0.0) == IDLE_WAIT


def users_of(loop: Loop, url: str, stats: Stats, count: int) -> list[VirtualUser]:
    host, _, port = url.removeprefix("tcp://").partition(":")
    target = Url("tcp", host, int(port))
    script = compile_scenario(scenario_for(BUSY, url), {"": target}, 1, stats)
    control = Control(stats, None, None, persistent=True)
    users = [VirtualUser(loop, control, script, number) for number in range(count)]
    for user in users:
        control.active += 1
        loop.spawn(user, user.run())
    return users


def test_under_load_it_ends_at_its_time_and_goes_on_where_it_was(loop: Loop) -> None:
    stats = Stats()
    with Server(answering(lambda chunk: chunk)) as server:
        users = users_of(loop, server.url, stats, 10)
        counts = [0]
        while counts[-1] < 2000:
            loop.run(perf_counter() + 0.005, 0.0)
            counts.append(stats.iterations)
        assert len(counts) > 2
        for user in users:
            user.leaving = True
        while not all(user.done for user in users):
            loop.run(perf_counter() + 0.005, 0.0)
    stats.fold()
    assert stats.errors == 0
    assert stats.iterations == stats.row("ask").count


def test_what_was_worked_off_does_not_count_as_waited(loop: Loop) -> None:
    """The time that the stepping side waits is its own to add."""
    stats = Stats()
    with Server(answering(lambda chunk: chunk)) as server:
        users = users_of(loop, server.url, stats, 10)
        for _ in range(50):
            loop.run(perf_counter() + 0.005, 0.0)
        assert loop.waited == 0.0
        for user in users:
            user.leaving = True
        while not all(user.done for user in users):
            loop.run(perf_counter() + 0.005, 0.0)
