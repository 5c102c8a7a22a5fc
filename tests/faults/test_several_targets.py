"""One user, several servers: each socket is judged by its own server's rule, and blames the right
one.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from driving import POLLERS, Driven, Handler, Server, answering, drive

pollers = pytest.mark.parametrize("poller", POLLERS)

# The URLs are put in by `--target`; port 9 is never asked.
HEAD = """
target:
  api: {url: 'tcp://127.0.0.1:9', reply: echo}
  shout: {url: 'tcp://127.0.0.1:9', reply: upper}
sockets: {first: {to: api}, second: {to: shout}}
load: {users: 2, iterations: 3}
timeout: 300ms
"""
IN_TURN = """
steps:
  - {name: ask, on: first, send: 'hello', expect: reply}
  - {name: yell, on: second, send: 'hello', expect: reply}
"""
AT_ONCE = "steps: [{name: both, on: all, send: 'hello ${iteration}', expect: reply}]\n"
LATER = """
steps:
  - {name: say, on: all, send: 'hello', pieces: [2, 3]}
  - {name: again, on: all, send: ' world'}
  - {name: hear, on: [second, first], expect: reply}
"""


def honest(chunk: bytes) -> bytes:
    return chunk


def flipped(chunk: bytes) -> bytes:
    return bytes([chunk[0] ^ 1]) + chunk[1:]


@contextlib.contextmanager
def served(api: Handler, shout: Handler) -> Iterator[tuple[str, str]]:
    with Server(api) as first, Server(shout) as second:
        yield f"api={first.url}", f"shout={second.url}"


def talk(steps: str, api: Handler, shout: Handler, poller: str) -> tuple[Driven, tuple[str, str]]:
    with served(api, shout) as urls:
        return drive(HEAD + steps, urls, poller), urls


@pollers
@pytest.mark.parametrize("steps", [IN_TURN, AT_ONCE, LATER], ids=["in_turn", "at_once", "later"])
def test_each_socket_has_the_rule_of_its_own_target(steps: str, poller: str) -> None:
    driven, _ = talk(steps, answering(honest), answering(bytes.upper), poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 6


@pytest.mark.parametrize("steps", [IN_TURN, AT_ONCE, LATER], ids=["in_turn", "at_once", "later"])
def test_servers_that_are_mixed_up_are_wrong_at_every_socket(steps: str) -> None:
    driven, _ = talk(steps, answering(bytes.upper), answering(honest), "epoll")
    assert driven.stats.iterations == 0
    assert set(driven.kinds) <= {"corrupt", "mismatch"}, "one server never saw the other's clients"
    assert sum(driven.kinds.values()) == 6


@pollers
def test_the_server_that_lies_is_named(poller: str) -> None:
    driven, urls = talk(
        IN_TURN, answering(honest), answering(lambda chunk: flipped(chunk.upper())), poller
    )
    assert driven.kinds == {"corrupt": 6}
    fault = driven.faults[0]
    assert (fault.step, fault.socket, fault.offset) == ("yell", "second", 0)
    assert f"shout={fault.target}" == urls[1]


@pytest.mark.parametrize("order", ["[first, second]", "[second, first]"])
def test_a_target_that_nobody_ever_reached_is_told_though_the_other_was(order: str) -> None:
    steps = f"steps: [{{on: {order}, send: hello, expect: reply}}]\n"
    with socket.create_server(("127.0.0.1", 0)) as unused:
        gone = f"shout=tcp://127.0.0.1:{unused.getsockname()[1]}"
    with Server(answering(honest)) as api:
        driven = drive(HEAD + steps, (f"api={api.url}", gone))
    assert driven.unreachable is not None
    assert gone.removeprefix("shout=") in driven.unreachable


def test_what_only_the_second_socket_of_a_step_reads_is_owed_to_it_alone() -> None:
    """The first is sent to and never read: what comes there is too much."""
    steps = "steps: [{name: say, on: all, send: hello}, {on: second, expect: reply}]\n"
    driven, _ = talk(steps.replace("load", ""), answering(honest), answering(bytes.upper), "epoll")
    assert set(driven.kinds) == {"surplus"}
    assert {fault.socket for fault in driven.faults} == {"first"}
