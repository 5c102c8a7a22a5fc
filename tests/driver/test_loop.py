"""The loop under another scheduler: when `run` gives way, and that nothing is lost by it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import pytest
from driving import POLLERS, Handler, Server, answering, emulated, scenario_for

from loadmux.driver.control import Control
from loadmux.driver.loop import Loop
from loadmux.driver.poller import make_poller
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
