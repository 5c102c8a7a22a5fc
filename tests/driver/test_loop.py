"""The loop under another scheduler: when `run` gives way, and that nothing is lost by it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import pytest
from driving import POLLERS, Handler, Server, answering, emulated, scenario_for

from loadmux.driver.control import Control
from loadmux.driver.loop import Loop, Task, sleep_until
from loadmux.driver.poller import Events, Poller, make_poller
from loadmux.driver.user import VirtualUser
from loadmux.measuring.stats import Stats
from loadmux.running.compiling.script import compile_scenario

HOUR = 3600.0
SCENARIO = """
steps: [{send: ping, expect: pong}]
load: {iterations: 100}
timeout: 1h
"""


@contextmanager
def user_of(handler: Handler, poller: str) -> Iterator[tuple[Loop, VirtualUser, Stats]]:
    """A user that was put onto a loop, and has not begun."""
    with Server(handler) as server, emulated(poller):
        scenario = scenario_for(SCENARIO, server.url)
        assert scenario.target is not None
        assert scenario.target.url is not None
        loop, stats = Loop(make_poller(poller)), Stats()
        try:
            script = compile_scenario(scenario, {"": scenario.target.url}, 1, stats)
            user = VirtualUser(loop, Control(stats, scenario.load.iterations), script, 0)
            loop.spawn(user, user.run())
            yield loop, user, stats
        finally:
            loop.close()


@pytest.mark.parametrize("poller", POLLERS)
def test_gives_way_when_nothing_gets_ready_within_the_patience(poller: str) -> None:
    answer = threading.Event()

    def hesitant(connection: object, number: int) -> None:
        answer.wait()
        answering(lambda chunk: b"pong")(connection, number)  # type: ignore[arg-type]

    with user_of(hesitant, poller) as (loop, user, stats):
        try:
            leisure = loop.run(perf_counter() + HOUR, 0.001)
            assert leisure > 0
            assert not user.done
            assert stats.connects.samples
        finally:
            answer.set()
        while not user.done:
            loop.run(perf_counter() + HOUR, 0.001)
        stats.fold()
        assert stats.total.right == 100
        assert not stats.errors


@pytest.mark.parametrize("poller", POLLERS)
def test_awaits_a_reply_that_comes_within_the_patience(poller: str) -> None:
    with user_of(answering(lambda chunk: b"pong"), poller) as (loop, user, stats):
        loop.run(perf_counter() + HOUR, HOUR)
        assert user.done
        stats.fold()
        assert stats.total.right == 100


def test_gives_way_at_its_limit_although_there_is_more_to_do() -> None:
    with user_of(answering(lambda chunk: b"pong"), "epoll") as (loop, user, _):
        assert loop.run(perf_counter(), HOUR) == 0
        assert not user.started
        while not user.done:
            loop.run(perf_counter() + 0.001, 0.001)


class Noting:
    """A poller that notes for how long it was to wait."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self.waits: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def wait(self, timeout: float) -> Events:
        self.waits.append(timeout)
        return self._poller.wait(timeout)


def test_a_task_that_stops_it_is_the_last_thing_it_does() -> None:
    poller: Any = Noting(make_poller(None))
    loop = Loop(poller)
    sleeper, stopper = Task(loop), Task(loop)

    async def sleep() -> None:
        await sleep_until(sleeper, perf_counter() + HOUR)

    async def stop() -> None:
        loop.stop()

    loop.spawn(sleeper, sleep())
    loop.spawn(stopper, stop())
    loop.run()
    assert poller.waits == []
    assert not sleeper.done
    loop.close()
