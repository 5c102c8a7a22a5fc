"""Transactions: a row for several steps, in no total; and closes of clients that do not wait."""

from __future__ import annotations

import socket
import threading

import pytest
from driving import POLLERS, Driven, Server, answering, drive, how_it_ends, scenario_for

from loadmux.errors import ScenarioErrors
from loadmux.measuring.verdict import Outcome, judge

pollers = pytest.mark.parametrize("poller", POLLERS)

LOGIN = """
steps:
  - transaction: log in
    do:
      - {name: who, send: me, expect: me}
      - {wait: 300ms}
      - {name: secret, send: mine, expect: mine}
  - {name: ask, send: how, expect: how}
load: {users: 2, iterations: 2}
timeout: 500ms
"""


def rows(driven: Driven) -> dict[str, tuple[str, int, int]]:
    driven.stats.fold()
    found = driven.stats.steps.values()
    return {row.name: (row.kind, row.right, row.errors) for row in found}


@pollers
def test_a_transaction_has_a_row_before_those_of_its_steps(poller: str) -> None:
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(LOGIN, server.url, poller)
    assert list(rows(driven).items()) == [
        ("log in", ("transaction", 4, 0)),
        ("who", ("exchange", 4, 0)),
        ("secret", ("exchange", 4, 0)),
        ("ask", ("exchange", 4, 0)),
    ]
    assert driven.stats.total.right == 12
    assert driven.stats.steps["log in"].histogram.high < 0.3, "the wait is not counted"


def test_waits_of_branches_are_not_counted_where_no_branch_works() -> None:
    text = """
    sockets: [a, b]
    steps:
      - transaction: both
        do:
          - together:
            - [{on: a, send: x, expect: x}, {wait: 200ms}, {on: a, send: x, expect: x}]
            - [{wait: 250ms}]
          - repeat: 2
            do: [{on: b, send: x, expect: x}, {wait: {uniform: [50ms, 60ms]}}]
    """
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url)
    assert rows(driven)["both"] == ("transaction", 1, 0)
    assert driven.stats.steps["both"].histogram.high < 0.2


@pollers
def test_a_fault_is_told_at_its_step_and_counts_in_the_transaction(poller: str) -> None:
    with Server(answering(lambda chunk: b"yours" if chunk == b"mine" else chunk)) as server:
        driven = drive(LOGIN, server.url, poller)
    assert driven.stats.errors == 4
    assert {one.step for one in driven.faults} == {"secret"}
    assert rows(driven)["log in"] == ("transaction", 0, 4)
    assert rows(driven)["secret"] == ("exchange", 0, 4)


@pytest.mark.parametrize(
    ("threshold", "measured"), [("errors < 3", 4), ("error_rate < 1%", 1.0), ("p(50) < 1s", None)]
)
def test_thresholds_may_name_it(threshold: str, measured: float | None) -> None:
    text = f"{LOGIN}thresholds: [\"'log in': {threshold}\"]\n"
    scenario = scenario_for(text, "tcp://127.0.0.1:1")
    with Server(answering(lambda chunk: b"yours" if chunk == b"mine" else chunk)) as server:
        driven = drive(text, server.url)
    driven.stats.fold()
    results = judge(driven.stats, scenario.thresholds, Outcome(1.0)).thresholds
    result = next(one for one in results if one.threshold.step == "log in")
    assert (result.measured, result.met) == (measured, False)


def test_transactions_may_be_nested_and_stand_in_branches() -> None:
    text = """
    sockets: [a, b]
    before: [{transaction: begin, do: [{on: a, send: x, expect: x}]}]
    steps:
      - transaction: outer
        do:
          - transaction: inner
            do: [{on: a, send: x, expect: x}]
      - together:
        - [{transaction: one, do: [{on: a, send: x, expect: x}]}]
        - [{transaction: two, do: [{on: b, send: x, expect: x}]}]
    load: {iterations: 3}
    """
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url)
    kinds = {name: row[:2] for name, row in rows(driven).items() if row[0] == "transaction"}
    assert kinds == {
        "begin": ("transaction", 1),
        **dict.fromkeys(("outer", "inner", "one", "two"), ("transaction", 3)),
    }


def test_a_step_and_a_transaction_of_one_name_have_a_row_each() -> None:
    text = """
    steps: [{transaction: log in, do: [{name: log in, send: x, expect: x}]}]
    """
    with Server(answering(lambda chunk: chunk)) as server:
        driven = drive(text, server.url)
    assert rows(driven) == {
        "log in": ("transaction", 1, 0),
        "log in (exchange)": ("exchange", 1, 0),
    }


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("{transaction: x}", "'transaction' needs 'do: [steps]' beside it"),
        ("{transaction: '', do: [{send: x}]}", "must be one line of printable text"),
        ("{transaction: x, do: []}", "needs at least one step"),
        ("{transaction: x, within: 1s, do: [{send: x}]}", "'within' belongs to"),
        ("{half_close: main, pending: drop}", "'pending' belongs to a 'close' or a 'reset'"),
        ("{close: main, pending: dorp}", "did you mean 'drop'?"),
    ],
)
def test_what_is_wrong_is_told_when_the_file_is_read(step: str, told: str) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        scenario_for(f"steps:\n  - {step}\n", "tcp://127.0.0.1:1")
    assert told in caught.value.errors[0].message


# --- pending: drop ------------------------------------------------------------------------------

GONE = """
steps:
  - {send: ask}
  - {wait: 20ms}
  - {close: main, pending: drop}
load: {users: 2, iterations: 3}
timeout: 500ms
"""


@pollers
def test_what_came_unasked_is_no_fault_of_a_client_that_does_not_wait(poller: str) -> None:
    ends: list[str] = []
    done = threading.Semaphore(0)

    def pushing(connection: socket.socket, number: int) -> None:
        connection.sendall(b"hello, and much that nobody asked for")
        connection.recv(100)
        connection.sendall(b"an answer")
        ends.append(how_it_ends(connection))
        connection.close()
        done.release()

    with Server(pushing) as server:
        driven = drive(GONE, server.url, poller)
        for _ in range(6):
            assert done.acquire(timeout=20)
    assert driven.kinds == {}
    assert driven.stats.iterations == 6
    assert ends == ["fin"] * 6


def test_without_it_they_are() -> None:
    def pushing(connection: socket.socket, number: int) -> None:
        connection.sendall(b"hello")
        how_it_ends(connection)

    with Server(pushing) as server:
        text = GONE.replace("{send: ask}", "{connect: main}")
        assert drive(text, server.url).kinds == {}
        assert drive(text.replace(", pending: drop", ""), server.url).kinds == {"surplus": 6}


def test_a_reply_that_was_asked_for_is_judged_all_the_same() -> None:
    with Server(answering(lambda chunk: b"Ask")) as server:
        driven = drive(GONE.replace("{send: ask}", "{send: ask, expect: ask}"), server.url)
    assert driven.kinds == {"corrupt": 6}


def test_a_step_may_be_called_connect() -> None:
    """The row of all connects has that name already; a threshold that names the step means it."""
    text = """
steps:
  - {name: connect, send: hello, expect: hello}
  - {transaction: connect, do: [{send: hello, expect: hello}]}
thresholds: ["'connect': errors == 5", "connect errors == 0"]
"""
    with Server(answering(lambda chunk: chunk)) as server:
        scenario = scenario_for(text, server.url)
        driven = drive(text, server.url)
    assert [one.step for one in scenario.thresholds if not one.implied] == [
        "connect (step)",
        "connect",
    ]
    assert driven.kinds == {}
    assert driven.stats.connects.count == 1
    assert {name for name in driven.stats.steps if name.startswith("connect")} == {
        "connect (step)",
        "connect (step) (transaction)",
    }
