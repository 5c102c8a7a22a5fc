"""A user is interrupted in each of its waits, in the middle of a run: it parts, and does no more.

Nobody asks twice, and the run goes on: Locust takes users away like this. Where the user waits is
read off the chain of its coroutines, so that each case is known to test the wait that it names.
"""

from __future__ import annotations

import contextlib
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from driving import Handler, Server, scenario_for

from loadmux.driver.barrier import Barriers
from loadmux.driver.control import Control
from loadmux.driver.loop import Loop
from loadmux.driver.poller import make_poller
from loadmux.driver.user import VirtualUser
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.servers import Url
from loadmux.language.meaning.urls import parse_url
from loadmux.measuring.stats import Stats
from loadmux.running.compiling.script import compile_scenario

PATIENCE = 20.0


def silent(connection: socket.socket, number: int) -> None:
    while connection.recv(65536):
        pass


def hesitant(connection: socket.socket, number: int) -> None:
    """Says half of it."""
    connection.recv(65536)
    connection.sendall(b"hel")
    silent(connection, number)


def deaf(connection: socket.socket, number: int) -> None:
    """Reads nothing for as long as the client is there."""
    gone = select.poll()
    gone.register(connection, select.POLLRDHUP)
    gone.poll()


def wrong_for_ever(connection: socket.socket, number: int) -> None:
    """A wrong byte, and more behind it without an end."""
    connection.recv(65536)
    while True:
        connection.sendall(b"X" * 10)
        time.sleep(0.01)


def resetting(connection: socket.socket, number: int) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def unending(connection: socket.socket, number: int) -> None:
    """Says nothing, and does not end its side when the client has: until it is lost, or shut."""
    ends = select.poll()
    ends.register(connection, 0)
    ends.poll()


def echo(connection: socket.socket, number: int) -> None:
    while chunk := connection.recv(65536):
        connection.sendall(chunk)


@contextmanager
def queue_full(handler: Handler) -> Iterator[str]:
    """A listener whose queue has no place: SYNs are dropped, connect(2) goes on for long."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def unix_full(_: Handler) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(f"{folder}/s")
        listener.listen(0)
        stack.enter_context(socket.socket(socket.AF_UNIX)).connect(f"{folder}/s")
        yield f"unix://{folder}/s"


@contextmanager
def over_tcp(handler: Handler) -> Iterator[str]:
    with Server(handler) as server:
        yield server.url


@contextmanager
def over_tls(handler: Handler) -> Iterator[str]:
    """Nothing there speaks TLS."""
    with Server(handler) as server:
        yield server.url.replace("tcp:", "tls:")


@contextmanager
def over_udp(_: Handler) -> Iterator[str]:
    """Answers the first datagram with wrong ones, again and again."""
    over = threading.Event()
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE)

        def serve() -> None:
            _, peer = sock.recvfrom(65536)
            while not over.wait(0.01):
                sock.sendto(b"X", peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"udp://127.0.0.1:{sock.getsockname()[1]}"
        over.set()
        thread.join()


@dataclass(frozen=True)
class Case:
    """`wait` is the function in which the user (or a branch of it) is interrupted."""

    wait: str
    handler: Handler
    steps: str
    more: str = ""
    rule: str | None = None
    server: Callable[[Handler], AbstractContextManager[str]] = over_tcp


ASK = '[{send: "hello", expect: "hello"}]'

CASES = {
    "a reply": Case("exchange", silent, ASK),
    "a long reply": Case("await_replies", hesitant, '[{send: "a", expect: "hello"}]'),
    "what follows a wrong byte": Case("gather", wrong_for_ever, "[{send: a, expect: hello}]"),
    "replies of several": Case(
        "await_replies", silent, "[{on: [a, b], send: a, expect: a}]", "sockets: [a, b]"
    ),
    "the end": Case("_ends", silent, "[{send: a, expect: closed}]"),
    "room": Case("_room", deaf, "[{send: {random: 30000000}, expect: closed}]"),
    "a gap": Case("sleep_until", silent, "[{send: hello, pieces: 1, gap: 1h, expect: hello}]"),
    "a pause": Case("pause", silent, "[{wait: 1h}]"),
    "the back-off": Case("rest", resetting, ASK, f"sockets: {{main: {{on_connect: {ASK}}}}}"),
    "pacing": Case("rest", echo, ASK, "load: {pacing: 1h}"),
    "a close": Case("_while", unending, "[{send: a}, {close: main}]", rule="echo"),
    "a barrier": Case("wait", silent, "[{barrier: b}]", "load: {users: 2}"),
    "branches": Case("over", silent, "[{together: [[{wait: 1h}], [{wait: 1h}]]}]"),
    "a branch at a wrong byte": Case(
        "gather", wrong_for_ever, "[{together: [[{send: a, expect: hello}], [{wait: 1h}]]}]"
    ),
    "a heartbeat": Case(
        "_doze",
        silent,
        "[{together: [{background: [{wait: 1h}]}, [{send: a, expect: a}]]}]",
    ),
    "a transaction": Case("exchange", silent, f"[{{transaction: t, do: {ASK}}}]"),
    "before": Case("exchange", silent, "[{wait: 1h}]", f"before: {ASK}"),
    "a connect": Case("_connecting", silent, ASK, server=queue_full),
    "a full queue of a Unix socket": Case("sleep_until", silent, ASK, server=unix_full),
    "a TLS handshake": Case("secure", silent, ASK, server=over_tls),
    "TLS that begins later": Case("secure", silent, "[{start_tls: main}]"),
    "a socket that is full": Case(
        "_room", deaf, "[{send: {random: 1MiB}, until: full, within: 1h}]"
    ),
    "what follows a wrong datagram": Case("_gather", silent, ASK, server=over_udp),
    "the two sides of a socket": Case(
        "wait",
        deaf,
        "[{together: [[{send: {random: 30000000}}], [{expect: a}]]}]",
    ),
}


def scenario_of(case: Case, url: str) -> Scenario:
    return scenario_for(f"steps: {case.steps}\ntimeout: 1h\n{case.more}\n", url, case.rule)


def waits(task: Any) -> set[str]:
    """The names of the functions on the way down to where a task waits."""
    names, one = set(), task.body
    while one is not None:
        names.add(one.__name__)
        below = getattr(one, "cr_await", None) or getattr(one, "gi_yieldfrom", None)
        one = one.gi_frame.f_locals["work"] if one.__name__ == "guarded" else below
    return names


class Driven:
    """A user on a loop that others step."""

    def __init__(self, scenario: Scenario, url: Url) -> None:
        self.loop, self.stats = Loop(make_poller()), Stats()
        load = scenario.load
        self.control = Control(self.stats, load.iterations, load.pacing, persistent=True)
        self.control.active = 1
        self.control.barriers = Barriers(lambda: load.users)
        script = compile_scenario(scenario, {"": url}, 1, self.stats)
        self.user = VirtualUser(self.loop, self.control, script, 0)
        self.loop.spawn(self.user, self.user.run())

    def until(self, holds: Callable[[], object], what: str) -> None:
        end = perf_counter() + PATIENCE
        while not holds():
            assert perf_counter() < end, f"{what}: {waits(self.user)}"
            self.loop.run(perf_counter() + 0.001, 0.001)

    def in_wait(self, name: str) -> bool:
        return any(name in waits(task) for task in self.loop._tasks)


@contextmanager
def driven(scenario: Scenario, url: str) -> Iterator[Driven]:
    one = Driven(scenario, parse_url(url))
    try:
        yield one
    finally:
        one.loop.close()


@pytest.mark.parametrize("name", CASES)
def test_in_a_wait_of(name: str) -> None:
    case = CASES[name]
    with case.server(case.handler) as url, driven(scenario_of(case, url), url) as one:
        one.until(lambda: one.in_wait(case.wait), f"never in {case.wait}")
        begun = one.user.iteration
        one.user.interrupt()
        one.until(lambda: one.user.done, "it goes on")
        assert one.user.iteration == begun
        assert one.control.active == 0
        assert one.loop.connections == {}
        assert not one.loop._tasks


PYTHON = """
from loadmux.scripting import User, scenario

@scenario(target="URL", timeout="1h")
async def talk(user: User) -> None:
    while True:
        try:
            await user["main"].exchange("hello", expect="hello")
        except BaseException:
            pass
        await user.sleep(0)
"""


def test_in_code_that_catches_everything(tmp_path: Path) -> None:
    path = tmp_path / "talk.py"
    with Server(wrong_for_ever) as server:
        path.write_text(PYTHON.replace("URL", server.url))
        with driven(load(path, Overrides()), server.url) as one:
            one.until(lambda: one.in_wait("gather"), "never at a wrong byte")
            one.user.interrupt()
            one.until(lambda: one.user.done, "it goes on")


@pytest.mark.parametrize(("name", "cut"), [("a reply", 1), ("what follows a wrong byte", 0)])
def test_what_came_to_light_is_told_and_the_rest_counts_as_interrupted(name: str, cut: int) -> None:
    case = CASES[name]
    with case.server(case.handler) as url, driven(scenario_of(case, url), url) as one:
        one.until(lambda: one.in_wait(case.wait), "never there")
        before = one.stats.errors
        one.user.interrupt()
        one.until(lambda: one.user.done, "it goes on")
        assert one.stats.interrupted == cut
        assert one.stats.errors - before == 1 - cut
