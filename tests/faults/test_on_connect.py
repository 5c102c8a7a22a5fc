"""`on_connect`: each new connection is prepared before anything else is said on it.

The server knows who has logged in by the connection alone, and answers everybody else NOAUTH: a
login that is left out, or comes too late, shows as a mismatch.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from commands import run
from driving import POLLERS, Driven, Server, drive, scenario_for
from guarded import Guarded
from locusting import headless, locustfile

from loadmux.language.describing.printing import dump

LOGIN = r'on_connect: [{name: login, send: "LOGIN\n", expect: "OK\n"}]'
ASK = r'{name: ask, send: "ask ${iteration}\n", expect: "told\n"}'
TALK = f"sockets: {{main: {{{LOGIN}}}}}\nsteps: [{ASK}]\ntimeout: 2s\n"
CLOSED = "load: {users: 2, iterations: 12}"
OPEN = "load: {rate: 100/s, max_users: 2, run_time: 300ms}"

pollers = pytest.mark.parametrize("poller", POLLERS)


def talk(server: Guarded, text: str, poller: str | None = None) -> Driven:
    with Server(server) as listening:
        return drive(text, listening.url, poller)


@pollers
@pytest.mark.parametrize("load", [CLOSED, OPEN])
def test_a_lost_connection_is_one_fault_and_the_next_one_is_prepared(
    poller: str, load: str
) -> None:
    server = Guarded()
    driven = talk(server, TALK + load, poller)
    assert server.hung_up > 2
    told = server.hung_up - driven.stats.unjudged  # those while the generator stood still
    assert driven.kinds == {"closed": told}
    assert driven.stats.steps["login"].right == server.attempts
    assert driven.stats.steps["ask"].right == server.questions - server.hung_up


@pytest.mark.parametrize(
    "use",
    [
        f"[{ASK}, {{close: main}}]",
        f"[{ASK}, {{reset: main}}]",
        f"[{{connect: main}}, {ASK}, {{close: main}}]",
        f"[{{together: [[{ASK}]]}}, {{close: main}}]",
        rf'[{{send: "ask\n"}}, {{expect: "told\n"}}, {{close: main}}, {{repeat: 1, do: [{ASK}]}},'
        " {close: main}]",
    ],
)
def test_every_new_connection_is_prepared_whatever_opens_it(use: str) -> None:
    server = Guarded(every=1000)
    driven = talk(server, TALK.replace(f"[{ASK}]", use) + "load: {users: 3, iterations: 4}")
    assert driven.kinds == {}
    assert server.attempts == driven.stats.steps["login"].right
    assert server.attempts == (24 if "repeat" in use else 12)


def test_it_comes_ahead_of_before_and_again_for_after() -> None:
    text = TALK + f"before: [{ASK}]\nafter: [{{close: main}}, {ASK}]\n" + CLOSED
    server = Guarded(every=1000)
    driven = talk(server, text)
    assert driven.kinds == {}
    assert server.attempts == 4


def test_each_socket_of_a_group_is_prepared() -> None:
    ask = ASK.replace("{name", "{on: crowd, name")
    text = f"sockets: {{crowd: {{count: 5, {LOGIN}}}}}\nsteps: [{ask}]\n{CLOSED}"
    server = Guarded(every=1000)
    driven = talk(server, text)
    assert driven.kinds == {}
    assert (server.attempts, driven.stats.steps["login"].right) == (10, 10)


def test_a_fault_in_it_is_the_iterations_and_bears_its_row() -> None:
    server = Guarded(logins=0)
    driven = talk(server, TALK + "load: {users: 1, iterations: 3}")
    assert driven.kinds == {"mismatch": 3}
    assert {one.step for one in driven.faults} == {"login"}
    assert (driven.stats.iterations, server.questions) == (0, 0)


def test_a_login_that_fails_is_not_tried_in_a_hot_loop() -> None:
    """50, 100, 200, 400 ms: no more than five in a second, whatever the machine does."""
    server = Guarded(logins=0)
    driven = talk(server, TALK + "load: {users: 1, run_time: 1s}")
    assert 1 < server.attempts <= 5
    assert driven.kinds == {"mismatch": server.attempts}


def test_it_may_use_names_that_later_steps_define() -> None:
    said: list[bytes] = []

    def handler(connection: socket.socket, number: int) -> None:
        while data := connection.recv(100):
            said.append(data)
            connection.sendall(data)

    with Server(handler) as listening:
        driven = drive(
            "sockets: {main: , other: {on_connect: [{send: 'I am ${who};', expect: 'I am ${who};',"
            " save: told}]}}\n"
            "steps:\n"
            "  - {set: {who: 'number ${user}'}}\n"
            "  - {on: other, send: '${told}', expect: 'I am number 0;'}\n",
            listening.url,
        )
    assert driven.kinds == {}
    assert said == [b"I am number 0;"] * 2


def test_what_it_leaves_unread_is_surplus_at_the_next_step() -> None:
    text = r"""
sockets: {main: {on_connect: [{send: "LOGIN\n", expect: "O"}]}}
steps: [{name: ask, send: "ask\n", expect: "told\n"}]
"""
    driven = talk(Guarded(), text)
    assert driven.kinds == {"surplus": 1}
    assert driven.faults[0].step == "ask"


@pytest.mark.parametrize("target", ["tls: true", "unix: FOLDER/socket"])
def test_over_other_transports_and_by_several_workers(tmp_path: Path, target: str) -> None:
    options = target.replace("FOLDER", str(tmp_path))
    (tmp_path / "talk.yaml").write_text(
        f"target: {{bundled: epoll, {options}}}\n"
        "sockets: {main: {on_connect: [{name: login, send: a, expect: reply}]}}\n"
        "steps: [{send: hello, expect: reply}, {close: main}]\n"
        "load: {users: 4, iterations: 3}\n"
    )
    done = run(tmp_path / "talk.yaml", "--workers", "2", folder=tmp_path)
    assert done.code == 0, done.out
    rows = {one["name"]: one["count"] for one in done.told["steps"]}
    assert rows["login"] == 12


def test_in_a_python_scenario(tmp_path: Path) -> None:
    (tmp_path / "talk.py").write_text(
        r"""
from loadmux.scripting import User, scenario

async def login(user: User) -> None:
    await user["main"].exchange("LOGIN\n", "OK\n", name="login")

@scenario(sockets={"main": {"on_connect": [login]}}, users=2, iterations=3)
async def talk(user: User) -> None:
    await user["main"].exchange("ask\n", "told\n", name="ask")
    await user["main"].close()
"""
    )
    server = Guarded(every=1000)
    with Server(server) as listening:
        done = run(tmp_path / "talk.py", "--target", listening.url, folder=tmp_path)
    assert done.code == 0, done.out
    assert (server.attempts, server.questions) == (6, 6)


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


def test_what_is_printed_means_the_same() -> None:
    text = f"sockets: {{crowd: {{count: 2, {LOGIN}}}, other: {{{LOGIN}}}}}\nsteps: [{{wait: 1ms}}]"
    once = scenario_for(text, "tcp://127.0.0.1:9")
    again = scenario_for(dump(once), "tcp://127.0.0.1:9")
    assert dump(again) == dump(once)
    assert [len(one.on_connect) for one in again.sockets] == [1, 1, 1]
