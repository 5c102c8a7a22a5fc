"""A login goes with its connection: `before` runs again wherever a fault dropped a user's sockets.

The server knows who has logged in by the connection alone, and answers everybody else NOAUTH, so a
`before` that is left out shows as a mismatch for each later exchange.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run
from driving import POLLERS, Driven, Server, drive
from guarded import Guarded
from locusting import headless, locustfile

TALK = """
before: [{name: login, send: "LOGIN\\n", expect: "OK\\n"}]
steps: [{name: ask, send: "ask ${iteration}\\n", expect: "told\\n"}]
after: [{name: bye, send: "BYE\\n", expect: "bye\\n"}]
timeout: 2s
"""
CLOSED = "load: {users: 2, iterations: 12}"
PHASES = (
    "load: {phases: [{users: 2, run_time: 300ms}, {rate: 100/s, max_users: 2, run_time: 300ms}]}"
)

pollers = pytest.mark.parametrize("poller", POLLERS)


def talk(server: Guarded, load: str, poller: str | None = None, text: str = TALK) -> Driven:
    with Server(server) as listening:
        return drive(text + load, listening.url, poller)


@pollers
@pytest.mark.parametrize("load", [CLOSED, PHASES])
def test_a_lost_connection_is_one_fault_and_the_login_is_said_again(poller: str, load: str) -> None:
    server = Guarded()
    driven = talk(server, load, poller)
    assert server.hung_up > 2
    told = server.hung_up - driven.stats.unjudged  # those while the generator stood still
    assert driven.kinds == {"closed": told}
    assert driven.stats.steps["login"].right == server.attempts
    assert driven.stats.steps["ask"].right == server.questions - server.hung_up


def test_under_locust(tmp_path: Path) -> None:
    server = Guarded()
    with Server(server) as listening:
        path = tmp_path / "talk.yaml"
        path.write_text(f"target: {listening.url}\n{TALK}{CLOSED}\n")
        locustfile(tmp_path, path)
        done = headless(tmp_path, "-u", "2", "-r", "2")
    assert done.code == 1, done.text
    assert server.hung_up > 2
    assert f"closed at step 'ask': {server.hung_up} times" in done.text
    assert "mismatch" not in done.text


def test_code_that_raised_has_dropped_the_login_too(tmp_path: Path) -> None:
    """The scenario's own mistake, and then the user is logged in for the next iteration."""
    (tmp_path / "talk.py").write_text(
        """
from loadmux.scripting import User, scenario

async def login(user: User) -> None:
    await user["main"].exchange("LOGIN\\n", "OK\\n", name="login")

@scenario(before=login, users=1, iterations=3)
async def talk(user: User) -> None:
    await user["main"].exchange("ask\\n", "told\\n", name="ask")
    if user.iteration == 0:
        raise RuntimeError("once")
"""
    )
    server = Guarded(every=1000)
    with Server(server) as listening:
        done = run(tmp_path / "talk.py", "--target", listening.url, folder=tmp_path)
    assert done.code == 3, done.out
    assert done.told["faults"] == []
    assert [one["count"] for one in done.told["script_errors"]] == [1]
    assert (done.told["iterations"], server.attempts) == (2, 2)


@pytest.mark.parametrize("load", ["load: {users: 1, run_time: 1s}", PHASES])
def test_a_login_that_fails_is_not_tried_in_a_hot_loop(load: str) -> None:
    """50, 100, 200, 400 ms: no more than five in a second, whatever the machine does."""
    server = Guarded(logins=0)
    driven = talk(server, load)
    users = 2 if load == PHASES else 1
    assert 1 < server.attempts <= 5 * users
    assert driven.kinds == {"mismatch": server.attempts}
    assert server.questions == server.byes == 0


def test_the_pause_grows_although_each_login_has_connected() -> None:
    server = Guarded(every=1, logins=1)
    driven = talk(server, "load: {users: 1, iterations: 4}")
    assert driven.kinds == {"closed": 1, "mismatch": 3}
    first, *later = sorted(one.at for one in driven.faults if one.kind == "mismatch")
    assert later[0] - first >= 0.05
    assert later[1] - later[0] >= 0.1


@pytest.mark.parametrize("iterations", [1, 5, 6])
def test_nobody_logs_out_who_is_not_logged_in(iterations: int) -> None:
    """A fault in the last iteration leaves no login to end; else `after` is said."""
    server = Guarded()
    driven = talk(server, f"load: {{users: 1, iterations: {iterations}}}")
    assert server.byes == (iterations != 5)
    assert not server.late_byes
    assert driven.kinds == ({"closed": 1} if iterations >= 5 else {})


def test_where_there_is_no_before_the_last_fault_leaves_after_to_be_done() -> None:
    text = 'steps: [{send: a, expect: b}]\nafter: [{name: bye, send: "BYE\\n", expect: "bye\\n"}]\n'
    server = Guarded()
    driven = talk(server, "timeout: 200ms", text=text)
    assert set(driven.kinds) == {"timeout"}
    assert server.byes == 1


def test_a_barrier_in_before_is_passed_once() -> None:
    """Nobody else comes to it again: a user that waited there once more would wait for good."""
    text = TALK.replace("before: [", "before: [{barrier: ready}, ") + CLOSED
    server = Guarded()
    driven = talk(server, "", None, text)
    assert driven.kinds == {"closed": server.hung_up}
    assert driven.stats.iterations == 24 - server.hung_up


def test_a_barrier_that_a_failed_before_has_not_come_to_is_waited_at() -> None:
    """The first login of each user fails: both meet at the barrier behind it, then they ask."""
    text = TALK.replace('expect: "OK\\n"}]', 'expect: "OK\\n"}, {barrier: ready}]')

    class Slow(Guarded):
        def _login(self) -> bool:
            return not super()._login()

    server = Slow(every=1000, logins=2)
    driven = talk(server, "load: {users: 2, iterations: 3}", None, text)
    assert driven.kinds == {"mismatch": 2}
    assert driven.stats.iterations == 4
