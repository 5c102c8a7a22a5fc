"""Open load and phases against real servers: what begins, what waits, what is dropped.

No speed is asserted. Counts follow from the schedule alone, or from what a server does: one that
holds its replies back keeps exactly as many iterations under way as there are users.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from textwrap import dedent
from time import sleep

import pytest
from commands import ENOUGH, ROOT, begun, loadmux, run, started, target
from driving import POLLERS, Server, answering, drive
from locusting import LOCUST, locustfile

from loadmux.measuring.histogram import Histogram, edges

STALLING = ROOT / "tests" / "support" / "stalling_server.py"
RATE, STALL, USERS = 1000, 1.0, 3


def above(histogram: Histogram, seconds: float) -> int:
    """How many samples are in buckets that begin above `seconds`."""
    return sum(n for bucket, n in histogram.counts.items() if edges(bucket)[0] > seconds)


def silent(connection: socket.socket, number: int) -> None:
    """Reads and never answers."""
    while connection.recv(65536):
        pass


@contextmanager
def recording() -> Iterator[tuple[Server, Counter[bytes]]]:
    """A server that echoes, and how often it got each message (they end in a semicolon)."""
    seen: Counter[bytes] = Counter()
    lock = threading.Lock()

    def handler(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            with lock:
                seen.update(chunk.split(b";")[:-1])
            connection.sendall(chunk)

    with Server(handler) as server:
        yield server, seen


TALK = 'steps: [{name: talk, send: "${user} ${iteration};", expect: "${sent}"}]\n'


def test_a_stall_shows_in_the_response_times_of_all_that_it_held_up() -> None:
    """The closed formula: what is due at d within a stall from t to u is answered after u.

    So its response time is at least u - d, which for starts at an even rate r is spread evenly from
    0 to s = u - t: more than x in at least r(s - x) - 1 cases. Each user has at most one request
    under way in the stall, so at most as many service times hold any of it.
    """
    text = f"""
    steps:
      - {{name: ask, send: "hello", expect: "hello"}}
      - {{name: again, send: "hello", expect: "hello"}}
    load: {{rate: {RATE}/s, max_users: {USERS}, run_time: 4s}}
    """
    with started([sys.executable, STALLING, str(RATE), str(STALL)]) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        driven = drive(text, url)
        word, began, ended = process.stdout.readline().split()
    assert word == "stalled"
    lasted = float(ended) - float(began)
    stats, ask, again = driven.stats, driven.stats.steps["ask"], driven.stats.steps["again"]
    assert driven.faults == []
    lost = stats.dropped + stats.missed  # the latter while loadmux had no core
    assert stats.begun + lost == 4 * RATE
    for part in (0.25, 0.5, 0.75, 0.9):
        due = ceil(RATE * lasted * (1 - part)) - 1
        assert above(ask.histogram, lasted * part * 0.99) >= due - lost
    assert ask.service is not None
    assert above(ask.service, lasted / 2) + above(again.histogram, lasted / 2) <= USERS
    assert ask.histogram.percentile(0.999) > lasted / 2 > ask.service.percentile(0.999)
    assert stats.waited >= RATE * lasted / 2 - lost
    assert again.service is not None
    assert again.service.counts == again.histogram.counts


@pytest.mark.parametrize("poller", POLLERS)
def test_every_start_of_the_schedule_is_made_once(poller: str) -> None:
    with recording() as (server, seen):
        load = "load: {rate: 100/s..300/s, max_users: 50, run_time: 500ms}\n"
        driven = drive(TALK + load, server.url, poller)
    assert driven.faults == []
    assert driven.stats.begun == driven.stats.iterations == seen.total() == 100
    assert driven.stats.dropped == driven.stats.interrupted == 0
    assert set(seen.values()) == {1}


def test_every_start_of_a_high_rate_is_accounted_for() -> None:
    """How many are made in time is a matter of the machine: tests/bench/schedule.py."""
    text = """
    steps: [{name: talk, send: hello, expect: hello}]
    load: {rate: 5000/s, max_users: 500, run_time: 2s}
    """
    with target("epoll") as (_, url):
        driven = drive(text, url)
    stats = driven.stats
    assert driven.faults == []
    assert stats.begun + stats.dropped + stats.missed == 10_000
    assert stats.starts.histogram.count == stats.begun - stats.waited


@pytest.mark.parametrize("most", [40, 2])
def test_workers_share_a_schedule(most: int, tmp_path: Path) -> None:
    """Also one with fewer users than workers."""
    scenario = tmp_path / "open.yaml"
    scenario.write_text(
        TALK + f"load: {{rate: 200/s, max_users: {most}, run_time: 1s}}\nthresholds: [errors == 0]"
    )
    with recording() as (server, seen):
        done = run(scenario, "--target", server.url, "--workers", "3", folder=tmp_path)
    schedule = done.told["schedule"]
    assert schedule["begun"] + schedule["dropped"] == 200
    assert schedule["begun"] == seen.total() == done.told["iterations"]
    assert set(seen.values()) == {1}
    assert {int(message.split()[0]) for message in seen} <= set(range(most))
    assert done.told["exchanges"]["errors"] == 0


def test_what_finds_no_free_user_until_the_end_is_dropped() -> None:
    text = "load: {rate: 100/s, max_users: 2, run_time: 500ms, graceful_stop: 0s}\n"
    with Server(silent) as server:
        driven = drive(TALK + text, server.url)
    assert (driven.stats.begun, driven.stats.dropped) == (2, 48)
    assert driven.stats.interrupted == driven.stats.started == 2
    assert driven.stats.overrun == 0


def test_a_threshold_on_dropped_is_crossed_by_a_slow_server(tmp_path: Path) -> None:
    def one_answer(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536))
        silent(connection, number)

    scenario = tmp_path / "slow.yaml"
    scenario.write_text(
        TALK + "load: {rate: 50/s, max_users: 2, run_time: 1s, graceful_stop: 0s}\n"
        "thresholds: [dropped == 0]\n"
    )
    with Server(one_answer) as server:
        done = run(scenario, "--target", server.url, folder=tmp_path)
    assert done.code == 99, done.out
    assert done.told["dropped"] == done.told["schedule"]["dropped"] == 46
    assert done.told["schedule"]["overrun"] == 0
    assert "46 dropped" in done.out


def test_what_waited_longer_than_the_timeout_is_dropped_and_the_rest_goes_on() -> None:
    """Every start that is due in the first 0.5 s of a stall of 0.6 s has waited 0.1 s in vain."""

    def slow_once(connection: socket.socket, number: int) -> None:
        first = connection.recv(65536)
        sleep(0.6)
        connection.sendall(first)
        while chunk := connection.recv(65536):
            connection.sendall(chunk)

    text = (
        'steps: [{send: "${iteration}", expect: "${sent}", within: 10s}]\n'
        "load: {rate: 50/s, max_users: 1, run_time: 2s}\ntimeout: 100ms\n"
    )
    with Server(slow_once) as server:
        stats = drive(text, server.url).stats
    assert stats.begun + stats.dropped == 100
    assert stats.dropped >= 24
    assert stats.begun == stats.iterations > 1


def test_pacing_holds_for_a_pool() -> None:
    load = "load: {rate: 100/s, max_users: 3, run_time: 300ms, pacing: 1h}\n"
    with recording() as (server, seen):
        driven = drive(TALK + load, server.url)
    assert set(seen) == {b"0 0", b"1 0", b"2 0"}
    assert (driven.stats.begun, driven.stats.dropped) == (3, 27)


def test_a_pool_grows_no_faster_than_the_spawn_rate() -> None:
    load = "load: {rate: 100/s, max_users: 9, run_time: 500ms, spawn_rate: 1/m, graceful_stop: 0s}"
    with Server(silent) as server:
        driven = drive(TALK + load, server.url)
    assert (driven.stats.started, driven.stats.begun, driven.stats.dropped) == (1, 1, 49)


def test_the_steps_before_count_in_the_first_response_time() -> None:
    text = """
    before: [{wait: 300ms}]
    steps: [{wait: 300ms}, {name: talk, send: a, expect: a}]
    load: {rate: 2/s, max_users: 1, run_time: 500ms}
    """
    with Server(answering(bytes)) as server:
        row = drive(text, server.url).stats.steps["talk"]
    assert row.service is not None
    assert row.histogram.low - row.service.low >= 0.3
    assert row.histogram.count == row.service.count == 1


# --- phases -------------------------------------------------------------------------------------


@pytest.mark.parametrize("poller", POLLERS)
def test_users_that_were_sent_home_come_back_as_the_same_users(poller: str) -> None:
    load = dedent("""
    load: {phases: [{users: 3, run_time: 200ms}, {users: 0, run_time: 200ms},
                    {users: 2, run_time: 200ms}], pacing: 10ms}
    """)
    opened = 0

    def counting(connection: socket.socket, number: int) -> None:
        nonlocal opened
        opened = max(opened, number + 1)
        while chunk := connection.recv(65536):
            connection.sendall(chunk)

    with Server(counting) as server:
        driven = drive(TALK + load, server.url, poller)
    assert driven.faults == []
    assert driven.stats.started == 3
    assert opened == 5
    assert driven.stats.begun == driven.stats.dropped == 0


def test_open_and_closed_phases_follow_each_other() -> None:
    load = dedent("""
    load:
      pacing: 5ms
      phases:
        - {rate: 100/s, max_users: 20, run_time: 200ms}
        - {rate: 50/s..150/s, max_users: 10, run_time: 200ms}
        - {users: 1..6, run_time: 200ms}
        - {users: 6..0, run_time: 200ms}
        - {rate: 100/s, max_users: 15, run_time: 200ms}
        - {users: 4, run_time: 200ms}
    """)
    with recording() as (server, seen):
        driven = drive(TALK + load, server.url)
    assert driven.faults == []
    assert driven.stats.begun + driven.stats.dropped == 20 + 20 + 20
    assert seen.total() == driven.stats.iterations
    assert set(seen.values()) == {1}
    assert driven.stats.interrupted == 0


def test_a_backlog_goes_on_into_the_next_open_phase() -> None:
    def slow_once(connection: socket.socket, number: int) -> None:
        first = connection.recv(65536)
        sleep(0.5)
        connection.sendall(first)
        while chunk := connection.recv(65536):
            connection.sendall(chunk)

    load = dedent("""
    load:
      phases:
        - {rate: 50/s, max_users: 1, run_time: 200ms}
        - {rate: 1/s, max_users: 1, run_time: 1s}
    """)
    with Server(slow_once) as server:
        driven = drive(TALK + load, server.url)
    assert (driven.stats.begun, driven.stats.dropped) == (11, 0)
    assert driven.stats.waited == 10


def test_the_report_has_a_row_for_each_phase(tmp_path: Path) -> None:
    scenario = tmp_path / "phases.yaml"
    scenario.write_text(
        TALK + "load:\n  phases:\n"
        "    - {name: calm, users: 2, run_time: 300ms}\n"
        "    - {name: crowd, rate: 100/s..300/s, max_users: 30, run_time: 500ms}\n"
        "    - {users: 0..5, run_time: 300ms}\n"
        "  pacing: 5ms\n"
        "thresholds: [errors == 0]\n"
    )
    with recording() as (server, seen):
        done = run(scenario, "--target", server.url, "--workers", "2", folder=tmp_path)
    assert done.told["verdict"] in ("pass", "inconclusive"), done.out
    phases = done.told["phases"]
    assert [phase["name"] for phase in phases] == ["calm", "crowd", "phase 3"]
    assert [phase["load"] for phase in phases] == ["2 users", "100/s..300/s", "0..5 users"]
    assert sum(phase["count"] for phase in phases) == done.told["exchanges"]["count"]
    assert sum(phase["iterations"] for phase in phases) == done.told["iterations"] == seen.total()
    assert sum(phase["dropped"] for phase in phases) == done.told["dropped"]
    assert all(phase["count"] > 0 for phase in phases)
    for phase in phases:
        assert f"  {phase['name']}" in done.out


# --- beside other features ----------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "2"])
def test_each_of_several_scenarios_has_its_own_schedule_and_phases(
    workers: str, tmp_path: Path
) -> None:
    loads = {
        "open": "{rate: 60/s, max_users: 9, run_time: 500ms}",
        "closed": "{users: 3, iterations: 7}",
        "phased": "{phases: [{name: many, users: 4, run_time: 200ms},"
        " {name: paced, rate: 100/s, max_users: 5, run_time: 300ms}], pacing: 5ms}",
    }
    files = [tmp_path / f"{name}.yaml" for name in loads]
    with recording() as (server, seen):
        for file, load in zip(files, loads.values(), strict=True):
            file.write_text(f"target: {server.url}\n{TALK}load: {load}\n")
        done = run(*files, "--workers", workers, folder=tmp_path)
    assert done.told["exchanges"]["errors"] == 0, done.out
    assert set(seen.values()) == {1}, "users are numbered through, each start is made once"
    paced, closed, phased = done.told["scenarios"]
    assert sum(one["iterations"] for one in (paced, closed, phased)) == seen.total()
    schedules = [one["schedule"] for one in (paced, closed, phased)]
    assert schedules[1] is None
    assert [one and one["begun"] + one["dropped"] for one in schedules] == [30, None, 30]
    assert (closed["iterations"], closed["phases"]) == (21, [])
    assert [phase["name"] for phase in phased["phases"]] == ["many", "paced"]
    assert sum(phase["iterations"] for phase in phased["phases"]) == phased["iterations"]
    assert phased["phases"][1]["iterations"] >= 30 - schedules[2]["dropped"] - 4
    names = [phase["name"] for phase in done.told["phases"]]
    assert names == ["open", "phased: many", "phased: paced"]
    assert "schedule    open: " in done.out
    assert "  phased: many" in done.out


def test_a_rate_is_divided_among_scenarios(tmp_path: Path) -> None:
    text = f"{TALK}load: {{users: 2, run_time: 1m}}\n"
    files = [tmp_path / "first.yaml", tmp_path / "second.yaml"]
    with recording() as (server, seen):
        for file, weight in zip(files, ("weight: 3", ""), strict=True):
            file.write_text(f"target: {server.url}\n{text}{weight}\n")
        done = run(*files, "--rate", "80/s", "--run-time", "500ms", folder=tmp_path)
    starts = [
        one["schedule"]["begun"] + one["schedule"]["dropped"] for one in done.told["scenarios"]
    ]
    assert starts == [30, 10]
    assert seen.total() == done.told["iterations"]


@pytest.mark.parametrize("rest", ["", ", save: reply", ", within: 5s"])
def test_frames_start_on_schedule(rest: str) -> None:
    text = f"""
    sockets: {{main: {{framing: line}}}}
    steps: [{{name: ask, send: {{frame: hello}}, expect: {{frame: hello}}{rest}}}]
    load: {{rate: 100/s, max_users: 5, run_time: 300ms}}
    """
    with Server(answering(lambda chunk: chunk)) as server:
        stats = drive(text, server.url).stats
    ask = stats.steps["ask"]
    assert ask.service is not None
    assert stats.begun + stats.dropped == 30
    assert ask.count == ask.service.count == stats.iterations == stats.begun
    assert ask.histogram.total > ask.service.total


def test_datagrams_start_on_schedule() -> None:
    text = """
    steps: [{name: ask, send: "${user} ${iteration}", expect: "${sent}"}]
    load: {rate: 100/s, max_users: 5, run_time: 300ms}
    """
    with target("udp") as (_, url):
        driven = drive(text, url)
    ask = driven.stats.steps["ask"]
    assert driven.faults == []
    assert ask.service is not None
    assert driven.stats.begun + driven.stats.dropped == 30
    assert ask.count == ask.service.count == driven.stats.begun
    assert ask.histogram.total > ask.service.total


def test_locust_refuses_open_load_beside_other_users(tmp_path: Path) -> None:
    file = tmp_path / "paced.yaml"
    file.write_text(
        f"target: {{bundled: epoll, reply: echo}}\n{TALK}"
        "load: {phases: [{users: 2, run_time: 1s}, {rate: 9/s, run_time: 1s}]}\n"
    )
    more = "\nclass Other(ScenarioUser):\n    scenario = 'parts'\n"
    made = locustfile(tmp_path, file, more)
    with started([*LOCUST, "-f", made, "--headless"], cwd=ROOT) as process:
        assert process.stderr is not None
        told = next(line for line in process.stderr if "paced.yaml" in line)
        assert process.wait(ENOUGH) == 2
    assert "paced.yaml: open load ('rate') needs the test for itself" in told


def test_locust_says_how_many_users_there_are_in_place_of_phases(tmp_path: Path) -> None:
    file = tmp_path / "phased.yaml"
    file.write_text(
        f"target: {{bundled: epoll, reply: echo}}\n{TALK}"
        "load: {phases: [{users: 0..2, run_time: 10m}, {users: 1, run_time: 10m}], pacing: 10ms}\n"
    )
    done = loadmux("web", file, "--headless", "-u", "3", "-t", "2")
    assert done.code == 0, done.err
    assert done.err.count("its phases and ramps are not followed") == 1
    assert "3 users" in done.out


# --- ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "load",
    [
        "{rate: 100/s, max_users: 3, run_time: 10m}",
        "{users: 0..3, run_time: 1s}",
        "{phases: [{users: 3, run_time: 10m}, {rate: 9/s, max_users: 3, run_time: 10m}]}",
    ],
)
@pytest.mark.parametrize("on_error", ["stop_user", "abort"])
def test_a_run_without_users_ends(load: str, on_error: str) -> None:
    text = f"{TALK}load: {load}\non_error: {on_error}\n"
    with Server(answering(lambda chunk: b"?" * len(chunk))) as server:
        driven = drive(text, server.url)
    assert 1 <= sum(driven.kinds.values()) <= 103


def test_an_interrupt_ends_open_load(tmp_path: Path) -> None:
    scenario = tmp_path / "long.yaml"
    scenario.write_text(TALK + "load: {rate: 200/s, run_time: 1h}\n")
    words = ("run", scenario, "--workers", "2", "--target")
    with target("epoll") as (_, url), begun(*words, url) as process:
        assert "against" in process.stderr.readline()
        assert "exchanges" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "schedule" in out


def test_a_generator_without_a_pause_blames_itself(tmp_path: Path) -> None:
    scenario = tmp_path / "flood.yaml"
    scenario.write_text(
        "steps: [{send: x}]\nload: {rate: 5000000/s, max_users: 50, run_time: 1s}\n"
        "thresholds: [errors == 0, dropped == 0]\n"
    )
    with target("epoll", "--reply", "sink") as (_, url):
        done = run(scenario, "--target", url, "--reply", "sink", folder=tmp_path)
    assert done.code == 3, done.out
    assert done.told["schedule"]["overrun"] > 0
    assert "could not keep its schedule" in done.told["reason"]
