"""The search for a capacity, against simulated servers, noise and all, whose truth is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from loadmux.comparing.search import Answer, Outcome, Plan, Search, Trial

LIMIT = 0.005
RUNS = 100
Serve = Callable[[random.Random, float, float, float], float]
"""The p99 (seconds) that a trial of a load (a second) measures, of so many seconds, at a time."""


@dataclass(frozen=True)
class Server:
    """`truth`: what it carries for good, when a search ends at a time."""

    name: str
    serve: Serve
    truth: Callable[[float], float]

    def __str__(self) -> str:
        return self.name


def queue(rate: float) -> Server:
    """M/M/1: its p99 follows from its load; what a trial sees of it varies as the queue does."""

    def serve(rng: random.Random, load: float, seconds: float, at: float) -> float:
        if load >= rate:
            return 1.0
        relaxing = 1 / (math.sqrt(rate) - math.sqrt(load)) ** 2
        spread = min(0.5, math.sqrt(2 * relaxing / seconds))
        return math.log(100) / (rate - load) * math.exp(rng.gauss(0, spread))

    return Server(f"queue of {rate:g}/s", serve, lambda at: rate - math.log(100) / LIMIT)


def cliff(edge: float, hiccups: float = 0.0) -> Server:
    """Fast up to an edge, lost beyond; hiccups are the machine's."""

    def serve(rng: random.Random, load: float, seconds: float, at: float) -> float:
        fine = load <= edge and rng.random() >= hiccups
        return 0.0005 * math.exp(rng.gauss(0, 0.2)) if fine else 1.0

    return Server(f"cliff at {edge:g}/s, hiccups {hiccups:g}", serve, lambda at: edge)


def noisy(edge: float, noise: float) -> Server:
    """Gets slower with the fourth power of its load, and no two trials are alike."""

    def serve(rng: random.Random, load: float, seconds: float, at: float) -> float:
        spread = noise / math.sqrt(seconds)
        return LIMIT * (load / edge) ** 4 * math.exp(rng.gauss(0, spread))

    return Server(f"noise of {noise:.0%}", serve, lambda at: edge)


def slowing(edge: float, a_second: float) -> Server:
    """A cliff that comes nearer all the time."""

    def truth(at: float) -> float:
        return edge * math.exp(-a_second * at)

    def serve(rng: random.Random, load: float, seconds: float, at: float) -> float:
        return 0.0005 if load <= truth(at + seconds) else 1.0

    return Server(f"slower by {a_second:.2%} a second", serve, truth)


SERVERS = (
    queue(10_000),
    cliff(7321),
    cliff(7321, hiccups=0.03),
    noisy(5000, 0.2),
    slowing(5000, 0.0005),
    slowing(5000, 0.002),
)


def outcome(p99: float) -> Outcome:
    margin = max(-1.0, min(1.0, math.log(p99 / LIMIT)))
    return Outcome(margin, "" if margin < 0 else "p(99) < 5ms")


def searched(server: Server, seed: int, plan: Plan) -> tuple[Search, float]:
    """A search to its end, and how long its trials took."""
    rng, search, at = random.Random(seed), Search(plan), 0.0
    while (trial := search.next()) is not None:
        search.tell(outcome(server.serve(rng, trial.load, trial.seconds, at)))
        at += trial.seconds
    return search, at


@pytest.mark.parametrize("server", SERVERS, ids=str)
def test_it_is_near_the_truth_and_never_above_it(server: Server) -> None:
    near = 0
    for seed in range(RUNS):
        search, at = searched(server, seed, Plan(50, 0.1, 1e6))
        low, truth = search.answer.low, server.truth(at)
        assert low is not None
        assert low <= truth, (seed, search.answer)
        near += low >= 0.95 * truth
    assert near >= 0.95 * RUNS


def test_what_gets_slower_is_told() -> None:
    assert searched(slowing(5000, 0.002), 1, Plan(50, 0.1, 1e6))[0].answer.slowed
    assert not searched(cliff(5000), 1, Plan(50, 0.1, 1e6))[0].answer.slowed


def test_users_are_whole_numbers_and_the_interval_is_one_user_wide() -> None:
    for edge in (1.5, 2.2, 7.0, 23.9):
        answer = searched(cliff(edge), 1, Plan(1, 1, 1000, whole=True))[0].answer
        assert answer.low is not None
        assert answer.high is not None
        assert (answer.low, answer.high) == (math.floor(edge), math.floor(edge) + 1)


def test_the_first_load_may_be_too_much() -> None:
    answer = searched(cliff(3.7), 1, Plan(50, 0.1, 1e6))[0].answer
    assert answer.low is not None
    assert 3.5 < answer.low <= 3.7
    assert answer.held[0] == answer.held[1]


def test_no_load_is_carried() -> None:
    answer = searched(cliff(0.01), 1, Plan(50, 0.1, 1e6))[0].answer
    assert answer == Answer(None, 0.1, limit="p(99) < 5ms")


def test_the_highest_load_to_be_tried_is_carried() -> None:
    answer = searched(cliff(5000), 1, Plan(50, 0.1, 777))[0].answer
    assert (answer.low, answer.high, answer.limit) == (777, None, "")


def test_an_answer_before_anything_was_decided_is_not_confirmed() -> None:
    search = Search(Plan(50, 0.1, 1e6))
    for load in (50, 100):
        assert search.next() == Trial(load, 1.0)
        search.tell(outcome(0.001))
    for _ in range(2):
        assert search.next() == Trial(200, 1.0)
        assert search.answer == Answer(100, None)
        search.tell(outcome(1.0))
    search.next()
    assert search.answer == Answer(100, 200, limit="p(99) < 5ms")
