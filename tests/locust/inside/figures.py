"""Bulk statistics against Locust's own, user numbers, the job, the engine, and what gevent patched.

Run by `tests/locust/test_inside.py`.
"""

from __future__ import annotations

import random
import select
import socket
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.monkey
import pytest
from driving import Server, answering, scenario_for
from locust.rpc import Message
from locust.stats import RequestStats, StatsEntry
from samples import fault, measured

from loadmux.driver.poller import Epoll, available, make_poller
from loadmux.driver.system import original
from loadmux.errors import Kind, UsageError
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Url
from loadmux.locust import tables, wire
from loadmux.locust.engine import Engine
from loadmux.locust.exporting import requests
from loadmux.locust.job import Job, Share, job_from
from loadmux.locust.numbering import Ledger
from loadmux.locust.tally import Health, Tally
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.stats import Stats
from loadmux.running.state import Part

TALK = """
steps: [{name: ask, send: "x", expect: "x"}, {wait: 5ms}]
load: {run_time: 1h}
"""

# --- tables -------------------------------------------------------------------------------------


def logged(latencies: dict[str, list[float]], wrong: dict[str, int]) -> RequestStats:
    """What Locust makes of the same, request by request."""
    stats = RequestStats()
    log: Any = stats.log_request  # annotated for whole milliseconds
    for name, seconds in latencies.items():
        for one in seconds:
            log("exchange", name, one * 1000, 0)
    for name, count in wrong.items():
        for _ in range(count):
            log("exchange", name, None, 0)
            stats.log_error("exchange", name, tables.explained(Kind.CORRUPT))
    return stats


def poured(stats: Stats) -> RequestStats:
    into = RequestStats()
    tables.pour(stats, into)
    return into


def test_the_chart_has_response_times_of_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    into, begin = RequestStats(), 1_000_000.2
    for second in range(40):
        monkeypatch.setattr("time.time", lambda second=second: begin + second)
        tables.pour(measured({"ask": [0.001 * (second + 1)]}), into)
    seconds = list(into.total.response_times_cache or ())
    assert seconds[-10:] == list(range(1_000_030, 1_000_040))
    assert into.total.get_current_response_time_percentile(0.5)


def drawn(count: int) -> list[float]:
    chance = random.Random(count)
    return [chance.lognormvariate(-7, 1.5) for _ in range(count)]


def test_poured_in_bulk_is_as_logged_one_by_one() -> None:
    latencies, wrong = {"ask": drawn(500), "tell": drawn(77)}, {"ask": 5, "hear": 3}
    stats = measured(latencies)
    for name, count in wrong.items():
        stats.row(name).kind = "exchange"
        fault(name, times=count, stats=stats)
    ours, theirs = poured(stats), logged(latencies, wrong)
    assert set(ours.entries) == set(theirs.entries)
    for key, entry in theirs.entries.items():
        compare(ours.entries[key], entry)
    compare(ours.total, theirs.total)
    assert {key: one.occurrences for key, one in ours.errors.items()} == {
        key: one.occurrences for key, one in theirs.errors.items()
    }


def compare(ours: StatsEntry, theirs: StatsEntry) -> None:
    assert ours.num_requests == theirs.num_requests
    assert ours.num_none_requests == theirs.num_none_requests
    assert ours.num_failures == theirs.num_failures
    assert ours.fail_ratio == theirs.fail_ratio
    assert sum(ours.num_reqs_per_sec.values()) == theirs.num_requests
    assert sum(ours.num_fail_per_sec.values()) == theirs.num_failures
    assert sum(ours.response_times.values()) == sum(theirs.response_times.values())
    assert ours.avg_response_time == pytest.approx(theirs.avg_response_time)
    if theirs.num_requests == theirs.num_none_requests:
        return
    assert ours.min_response_time == pytest.approx(theirs.min_response_time, rel=0.006)
    assert ours.max_response_time == pytest.approx(theirs.max_response_time, rel=0.006)
    # Locust rounds to whole milliseconds, ours are 0.8% wide.
    here, there = (one.get_response_time_percentile(0.95) for one in (ours, theirs))
    assert here == pytest.approx(there, rel=0.02, abs=0.51)


def test_receives_are_in_no_total() -> None:
    stats = measured({"ask": [0.1]})
    stats.row_of("greeting", "receive").samples.append(0.001)
    stats.fold()
    poured_in = poured(stats)
    assert poured_in.entries["greeting", "receive"].num_requests == 1
    assert (poured_in.total.num_requests, poured_in.total.min_response_time) == (1, 100)


def test_poured_in_parts_is_poured_at_once() -> None:
    parts = [drawn(10), drawn(20), drawn(30)]
    into = RequestStats()
    for part in parts:
        tables.pour(measured({"ask": part}), into)
    whole = poured(measured({"ask": [*parts[0], *parts[1], *parts[2]]}))
    here, there = into.entries["ask", "exchange"], whole.entries["ask", "exchange"]
    assert here.num_requests == there.num_requests == 60
    assert here.total_response_time == pytest.approx(there.total_response_time)
    assert sum(here.response_times.values()) == sum(there.response_times.values())
    for quantile in (0.5, 0.9, 0.99):
        one, other = (entry.get_response_time_percentile(quantile) for entry in (here, there))
        assert one == pytest.approx(other, rel=0.01)
    assert here.min_response_time == there.min_response_time


def test_errors_are_told_apart_by_kind_and_step_only() -> None:
    stats = fault("ask", Kind.CORRUPT, 1000)
    fault("ask", Kind.TIMEOUT, 10, stats)
    fault("tell", Kind.CORRUPT, 1, stats)
    assert sorted(one.occurrences for one in poured(stats).errors.values()) == [1, 10, 1000]


def test_a_failed_connect_is_in_the_row_of_the_connects() -> None:
    entries = poured(fault("connect", Kind.REFUSED, 4)).entries
    assert [(key, entry.num_failures) for key, entry in entries.items()] == [
        (("connect", "connect"), 4)
    ]


def test_of_the_connects_only_those_that_fail_are_in_the_total() -> None:
    stats = fault("ask", times=7, stats=measured({}, connects=[0.1] * 5))
    total = poured(stats).total
    assert (total.num_requests, total.num_failures, total.fail_ratio) == (7, 7, 1)
    total = poured(fault("connect", Kind.REFUSED, 3)).total
    assert (total.num_requests, total.num_failures) == (3, 3)


def test_sizes_are_those_of_the_replies() -> None:
    stats = fault("ask", times=2, stats=measured({"ask": [0.1, 0.2]}))
    stats.row("ask").volume.received = 102
    assert poured(stats).entries["ask", "exchange"].avg_content_length == 25.5
    told = list(requests(stats, True))
    assert [event["response_length"] for event in told] == [26, 26, 25, 25]
    assert [event["exception"].kind for event in told if event["exception"]] == [Kind.CORRUPT] * 2


def test_the_prefix_is_in_rows_and_errors() -> None:
    into = RequestStats()
    tables.pour(fault("ask", stats=measured({"ask": [0.1]})), into, "Class: ")
    assert list(into.entries) == [("Class: ask", "exchange")]
    assert [error.name for error in into.errors.values()] == ["Class: ask"]


def test_every_kind_is_explained() -> None:
    assert set(tables.MEANINGS) == set(Kind)


def test_events_are_as_many_as_requests() -> None:
    stats = fault("ask", times=7, stats=measured({"ask": drawn(40)}, connects=[0.1]))
    assert [event["exception"] is None for event in requests(stats, False)] == [False] * 7
    everything = list(requests(stats, True))
    assert sum(event["exception"] is None for event in everything) == 41
    assert {event["name"] for event in everything} == {"ask", "connect"}


# --- numbers and jobs ---------------------------------------------------------------------------


def numbers(given: dict[str, list[tuple[int, int]]], who: str = "a") -> list[tuple[int, int]]:
    return given.get(who, [])


def test_numbers_come_again_the_lowest_first() -> None:
    ledger = Ledger()
    ledger.ask("a", 3)
    assert numbers(ledger.give()) == [(0, 0), (1, 0), (2, 0)]
    ledger.take_back("a", [2, 0])
    ledger.take_back("b", [1])
    ledger.ask("a", 3)
    assert numbers(ledger.give()) == [(0, 1), (2, 1), (3, 0)]


def test_who_asks_for_more_than_there_are_waits_for_one_that_is_given_back() -> None:
    ledger = Ledger(2)
    ledger.ask("a", 3)
    assert numbers(ledger.give()) == [(0, 0), (1, 0)]
    assert ledger.give() == {}
    ledger.take_back("a", [1])
    assert numbers(ledger.give()) == [(1, 1)]


def test_a_lost_worker_that_comes_back_keeps_what_nobody_has_got() -> None:
    ledger = Ledger(4)
    ledger.ask("a", 2)
    ledger.ask("b", 2)
    ledger.give()
    ledger.lose("b")
    ledger.ask("b", 1)
    ledger.ask("a", 1)
    assert ledger.give() == {"a": [(2, 1)]}
    assert ledger.find("b") == [2]
    ledger.take_back("a", [0])
    assert ledger.give() == {"b": [(0, 1)]}


def test_no_two_live_users_have_a_number_and_as_many_are_used_as_there_were_at_once() -> None:
    chance, ledger, most = random.Random(1), Ledger(), 0
    workers = ["a", "b", "c"]
    held: dict[str, set[int]] = {who: set() for who in workers}
    lost: set[str] = set()
    for _ in range(3000):
        who = chance.choice(workers)
        what = chance.random()
        if what < 0.03 and who not in lost:
            ledger.lose(who)
            lost.add(who)
        elif what < 0.1 and who in lost:
            held[who] -= {*ledger.find(who)}
            lost.remove(who)
        elif held[who] and what < 0.5 and who not in lost:
            number = chance.choice(sorted(held[who]))
            held[who].remove(number)
            ledger.take_back(who, [number])
        else:
            ledger.ask(who, 1)
        for whose, given in ledger.give().items():
            held[whose] |= {number for number, _ in given}
        there = [number for who in workers if who not in lost for number in held[who]]
        assert len(there) == len({*there})
        most = max(most, len(there))
        assert max(there, default=0) <= max(most, sum(map(len, held.values())))


def job_for(scenario: Scenario, url: str, poller: str | None = None) -> Job:
    share = Share(wire.pack(scenario, "it"), {"": url}, 7)
    return Job({"Talk": share}, poller, {"a": 0, "b": 1}, 2)


def test_a_job_arrives_as_it_was_sent() -> None:
    job = job_for(scenario_for(TALK, "tcp://127.0.0.1:9"), "tcp://127.0.0.1:9", "poll")
    sent = Message("spawn", job.message(), "a").serialize()
    arrived = job_from(Message.unserialize(sent).data)
    assert arrived == job
    assert arrived.shares["Talk"].scenario().steps


def test_another_version_is_refused() -> None:
    message = {**Job({}, None, {}, 1).message(), "version": "0.0.1"}
    with pytest.raises(UsageError, match="install the same version on both"):
        job_from(message)


# --- the verdict on all of it -------------------------------------------------------------------


def tally(**stats: Stats) -> Tally:
    scenario = scenario_for(TALK + 'thresholds: ["p(99) < 1s"]\n', "tcp://127.0.0.1:9")
    urls = {"": Url("tcp", "127.0.0.1", 9)}
    made = Tally({name: Part(scenario, name, 0, urls=urls) for name in stats}, "epoll")
    for name, one in stats.items():
        one.started = 1
        made.add(name, one)
    return made


def test_the_worst_verdict_counts() -> None:
    right, slow, wrong = measured({"ask": [0.1]}), measured({"ask": [2]}), fault("ask")
    assert tally(one=right, two=measured({"ask": [0.1]})).verdict().code is ExitCode.PASS
    assert tally(one=right, two=slow).verdict().code is ExitCode.THRESHOLD
    assert tally(one=slow, two=Stats()).verdict().code is ExitCode.INCONCLUSIVE
    assert tally(one=slow, two=wrong, three=Stats()).verdict().code is ExitCode.FAIL


def test_a_class_without_users_is_not_judged() -> None:
    made = tally(one=measured({"ask": [0.1]}), two=Stats())
    made.parts["two"].stats.started = 0
    assert made.verdict().code is ExitCode.PASS


def test_a_lost_worker_is_no_pass_but_a_fault_stays_one() -> None:
    made = tally(one=measured({"ask": [0.1]}))
    made.expect(["a", "b"])
    made.note("a", Health(users=5))
    made.note("a", Health(users=2))
    assert made.workers["a"].users == 5
    assert made.verdict().code is ExitCode.PASS
    made.lost = {"b"}
    assert made.verdict().code is ExitCode.INCONCLUSIVE
    made.add("one", fault("ask"))
    assert made.verdict().code is ExitCode.FAIL


# --- what gevent patched ------------------------------------------------------------------------


def test_originals_under_monkey_patching() -> None:
    assert gevent.monkey.is_module_patched("select")
    assert not hasattr(select, "epoll")
    assert original(select, "epoll").__module__ == "select"
    assert original(socket, "socket").__module__ == "socket"
    assert original(socket, "socket") is not socket.socket
    assert "epoll" in available()
    with pytest.raises(AttributeError):
        original(select, "no_such_thing")
    poller = make_poller()
    assert isinstance(poller, Epoll)
    poller.close()


# --- the engine ---------------------------------------------------------------------------------


@pytest.fixture(params=["epoll", "poll", "select"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine whose target echoes; it must not fail."""
    failed: list[BaseException] = []
    with Server(answering(lambda chunk: chunk)) as server:
        scenario = scenario_for(TALK, server.url)
        made = Engine(job_for(scenario, server.url, request.param), 0, failed.append)
        yield made
        made.close()
    assert failed == []


def until(holds: Callable[[], object]) -> None:
    with gevent.Timeout(20):
        while not holds():
            gevent.sleep(0.005)


def test_users_start_work_leave_and_are_gone(engine: Engine) -> None:
    users = [engine.start("Talk", object()) for _ in range(10)]
    assert sorted(user.number for user in users) == list(range(10))
    until(lambda: all(user.served for user in users))
    gone: list[object] = []
    for user in users[:5]:
        user.rawlink(gone.append)
        user.leave()
    gevent.joinall(users[:5], timeout=20)
    assert all(user.ready() and not user for user in users[:5])
    until(lambda: len(gone) == 5)
    assert len(engine.users()) == 5
    for user in users[5:]:
        user.kill()
        assert user.dead
    assert engine.users() == []
    assert engine.loop.connections == {}
    ((_, _, stats),) = engine.take()
    assert stats.started == stats.served == 10
    assert stats.errors == 0
    assert stats.iterations >= 10


def test_a_user_that_was_never_begun_can_be_ended(engine: Engine) -> None:
    user = engine.start("Talk", object())
    user.kill()
    assert user.dead
    ((_, _, stats),) = engine.take()
    assert stats.started == 0
    assert engine.start("Talk", object()).number == user.number


def test_a_full_stop_leaves_no_descriptor(engine: Engine) -> None:
    for _ in range(50):
        engine.start("Talk", object())
    until(lambda: len(engine.loop.connections) == 50)
    engine.empty(0.2)
    assert engine.loop.connections == {}
    assert engine.users() == []
