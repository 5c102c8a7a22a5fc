"""`ignore` and `answer`: what may come at any time is never a fault, and hides none."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest
from commands import run
from driving import POLLERS, Driven, Server, drive, scenario_for
from locusting import headless, locustfile

from loadmux.language.describing.printing import dump

IGNORE = "ignore: [{regex: 'TICK \\d+'}, still here]"
ASK = "{name: ask, send: {frame: 'ASK ${iteration}'}, expect: {frame: 'TOLD ${iteration}'}}"
pollers = pytest.mark.parametrize("poller", POLLERS)


def talk(options: str = IGNORE, steps: str = ASK, iterations: int = 5, users: int = 2) -> str:
    return (
        f"sockets: {{main: {{framing: line, {options}}}}}\nsteps: [{steps}]\n"
        f"load: {{users: {users}, iterations: {iterations}}}\ntimeout: 2s\n"
    )


class Pushing:
    """Answers `ASK x` with `TOLD x`, with `pushes` before and behind, cut in pieces of `size`.

    `lie` makes something else of the n-th answer.
    """

    def __init__(
        self,
        pushes: bytes = b"TICK 1\nstill here\n",
        size: int = 1000,
        lie: dict[int, bytes] | None = None,
    ) -> None:
        self._pushes = pushes
        self._size = size
        self._lie = lie or {}

    def __call__(self, connection: socket.socket, number: int) -> None:
        connection.sendall(self._pushes)
        with connection.makefile("rb") as lines:
            for count, line in enumerate(lines):
                told = self._lie.get(count, b"TOLD " + line.split()[1] + b"\n")
                whole = self._pushes + told + self._pushes
                for at in range(0, len(whole), self._size):
                    connection.sendall(whole[at : at + self._size])


def driven(server: Pushing, text: str, poller: str | None = None) -> Driven:
    with Server(server) as listening:
        return drive(text, listening.url, poller)


@pollers
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_pushes_are_counted_and_no_fault(poller: str, size: int) -> None:
    found = driven(Pushing(size=size), talk(), poller)
    assert found.kinds == {}
    assert found.stats.steps["ask"].right == 10
    # The last ones may come when the user has gone.
    assert 10 * 4 <= found.stats.steps["ignored main"].right <= 2 * 2 + 10 * 4
    assert found.stats.total.count == 10


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    ("lie", "kind"),
    [
        (b"TOLD 9\n", "mismatch"),
        (b"TOTICK 1\nLD 3\n", "surplus"),
        (b"TICK x\nTOLD 3\n", "surplus"),
        (b"TOLD 3\nTOLD 3\n", "duplicate"),
        (b"TOLD 3\nTICK\n", "surplus"),
        (b"", "timeout"),
        (b"TOLD", "mismatch"),
    ],
)
def test_a_lie_among_them_is_found(lie: bytes, kind: str, size: int) -> None:
    server = Pushing(size=size, lie={3: lie})
    found = driven(server, talk(iterations=5, users=1).replace("2s", "300ms"))
    assert list(found.kinds) == [kind], [str(one) for one in found.faults]


@pytest.mark.parametrize(
    ("half", "rest", "kinds"),
    [(b"\x7f", b"", {"surplus": 1}), (b"\0\6TI", b"CK 1", {}), (b"\0\6TICK 1", b"", {})],
)
def test_half_a_push_at_the_end(half: bytes, rest: bytes, kinds: dict[str, int]) -> None:
    """It is awaited: a server that hears of our end may leave it there."""

    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(100)
        connection.sendall(b"\0\4TOLD" + half)
        if rest:
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                assert connection.recv(100), "the client has left in the middle of a frame"
            connection.settimeout(None)
        connection.sendall(rest)
        while connection.recv(100):
            pass

    text = talk(steps="{send: {frame: ASK}, expect: {frame: TOLD}}", iterations=1, users=1)
    text = text.replace("line,", "{length_prefix: {bytes: 2}},")
    with Server(handler) as listening:
        found = drive(text.replace("2s", "500ms") if kinds else text, listening.url)
    assert found.kinds == kinds


def test_a_reply_that_would_be_ignored_is_never_awaited_whatever_the_cutting() -> None:
    steps = "{name: ask, send: {frame: 'ASK 1'}, expect: {frame: still here}}"
    for size in (1, 1000):
        found = driven(Pushing(size=size), talk(steps=steps, iterations=1, users=1))
        assert found.kinds == {"mismatch": 1}


def test_raw_replies_are_free_of_them_too() -> None:
    steps = r'{send: "ASK 7\n", expect: "TOLD 7\n"}'
    found = driven(Pushing(size=2), talk(steps=steps))
    assert found.kinds == {}


def test_a_prompt_without_an_end_is_not_held_back() -> None:
    def handler(connection: socket.socket, number: int) -> None:
        connection.sendall(b"login: ")
        connection.recv(100)
        connection.sendall(b"still here\nwelcome\n")
        connection.recv(100)

    steps = r'{expect: "login: "}, {send: "me\n", expect: "welcome\n"}'
    with Server(handler) as listening:
        found = drive(talk(steps=steps, iterations=1, users=1), listening.url)
    assert found.kinds == {}


class Heartbeats:
    """Sends the next `PING n` when `PONG n` has come; tells what it is asked."""

    def __init__(self, count: int = 3) -> None:
        self._count = count
        self.pongs: list[bytes] = []
        self.answered = threading.Event()

    def __call__(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as lines:
            connection.sendall(b"PING 0\n")
            for line in lines:
                if line.startswith(b"PONG"):
                    self.pongs.append(line)
                    if len(self.pongs) < self._count:
                        connection.sendall(b"PING %d\n" % len(self.pongs))
                    else:
                        self.answered.set()
                else:
                    connection.sendall(b"TOLD " + line.split()[1] + b"\n")


ANSWER = "answer: [{to: {regex: 'PING (?P<n>\\d+)'}, send: {frame: 'PONG ${n}'}}]"


@pollers
@pytest.mark.parametrize("before", ["{connect: main}, {wait: 300ms}, ", ""])
def test_what_is_to_be_answered_is_answered_at_once(poller: str, before: str) -> None:
    server = Heartbeats()
    with Server(server) as listening:
        text = talk(ANSWER, f"{before}{ASK}", iterations=1, users=1)
        found = drive(text, listening.url, poller)
    assert found.kinds == {}
    assert server.pongs == [b"PONG 0\n", b"PONG 1\n", b"PONG 2\n"]
    assert found.stats.steps["ignored main"].right == 3


def test_it_is_answered_while_another_socket_is_awaited() -> None:
    server = Heartbeats()

    def other(connection: socket.socket, number: int) -> None:
        connection.recv(100)
        assert server.answered.wait(5)
        connection.sendall(b"late\n")
        connection.recv(100)

    text = (
        "target: {a: tcp://127.0.0.1:1, b: tcp://127.0.0.1:1}\n"
        f"sockets: {{main: {{to: a, framing: line, {ANSWER}}}, slow: {{to: b}}}}\n"
        r'steps: [{connect: main}, {on: slow, send: "x\n", expect: "late\n"}]' + "\ntimeout: 5s\n"
    )
    with Server(server) as one, Server(other) as two:
        found = drive(text, (f"a={one.url}", f"b={two.url}"))
    assert found.kinds == {}
    assert server.pongs == [b"PONG 0\n", b"PONG 1\n", b"PONG 2\n"]


def test_it_is_answered_while_the_user_rests_between_iterations() -> None:
    server = Heartbeats(count=2)
    text = talk(ANSWER, "{connect: main}", iterations=2, users=1)
    text = text.replace("load: {", "load: {pacing: 400ms, ")
    with Server(server) as listening:
        found = drive(text, listening.url)
    assert found.kinds == {}
    assert server.pongs == [b"PONG 0\n", b"PONG 1\n"]


def test_datagrams_are_taken_out_too() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        pongs: list[bytes] = []

        def serve() -> None:
            while True:
                data, address = listener.recvfrom(2000)
                if data == b"stop":
                    return
                if data.startswith(b"PONG"):
                    pongs.append(data)
                    continue
                for one in (b"TICK 1", b"PING 7", b"TOLD " + data.split()[1], b"TICK 2"):
                    listener.sendto(one, address)

        serving = threading.Thread(target=serve)
        serving.start()
        url = f"udp://127.0.0.1:{listener.getsockname()[1]}"
        options = f"ignore: [{{regex: 'TICK \\d+'}}], {ANSWER}".replace(
            "{frame: 'PONG ${n}'}", "'PONG ${n}'"
        )
        steps = "{send: 'ASK ${iteration}', expect: 'TOLD ${iteration}'}"
        text = talk(options, steps, users=1).replace("framing: line, ", "")
        try:
            found = drive(text, url)
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopping:
                stopping.sendto(b"stop", listener.getsockname())
            serving.join()
    assert found.kinds == {}
    assert pongs == [b"PONG 7"] * 5
    assert found.stats.steps["ignored main"].right >= 5 * 2


@pytest.mark.parametrize("size", [1, 1000])
def test_in_a_python_scenario_and_by_workers(tmp_path: Path, size: int) -> None:
    (tmp_path / "talk.py").write_text(
        r"""
from loadmux.scripting import User, scenario

@scenario(
    sockets={"main": {"framing": "line", "ignore": [{"regex": r"TICK \d+"}, "still here"]}},
    users=2, iterations=3,
)
async def talk(user: User) -> None:
    got = await user["main"].exchange({"frame": "ASK 1"}, {"regex": "TOLD .*"}, name="ask")
    assert got == b"TOLD 1", got
"""
    )
    with Server(Pushing(size=size)) as listening:
        done = run(
            tmp_path / "talk.py", "--target", listening.url, "--workers", "2", folder=tmp_path
        )
    assert done.code == 0, done.out
    rows = {one["name"]: one for one in done.told["steps"]}
    assert rows["ignored main"]["kind"] == "ignored"
    assert rows["ignored main"]["count"] >= 6 * 4 - 2
    assert done.told["exchanges"]["count"] == 6


def test_under_locust(tmp_path: Path) -> None:
    with Server(Pushing()) as listening:
        path = tmp_path / "talk.yaml"
        path.write_text(f"target: {listening.url}\n{talk(f'{IGNORE}, {ANSWER}')}")
        locustfile(tmp_path, path)
        done = headless(tmp_path, "-u", "2", "-r", "2")
    assert done.code == 0, done.text


def test_what_is_printed_means_the_same() -> None:
    text = talk(
        f"count: 2, {IGNORE}, {ANSWER}, idle_close: allowed, read: {{size: 2KiB, gap: 1ms}}"
    )
    once = scenario_for(text, "tcp://127.0.0.1:9")
    again = scenario_for(dump(once), "tcp://127.0.0.1:9")
    assert dump(again) == dump(once)
    assert again.sockets == once.sockets
