"""TLS on a connection that began in plain text: right servers, and what may be wrong with it."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from commands import run
from driving import POLLERS, Driven, Server, drive, reset, scenario_for
from transports import Authority, StartTlsServer, UnixServer

from loadmux.errors import ScenarioErrors

pollers = pytest.mark.parametrize("poller", POLLERS)

TALK = """
sockets: {{main: {{framing: line, tls: {{{options}}}}}}}
steps:
  - {{name: greeting, expect: {{frame: 220 ready}}}}
  - {{name: plain, send: {{frame: hello}}, expect: {{frame: 250 hello}}}}
  - {{name: ask, send: {{frame: STARTTLS}}, expect: {{frame: 220 go ahead}}}}
  - {{name: handshake, start_tls: main}}
  - {{name: secret, send: {{frame: hello}}, expect: {{frame: 250 hello}}}}
  - {{close: main}}
load: {{users: 2, iterations: 3}}
timeout: 500ms
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def text_for(authority: Authority, options: str = "") -> str:
    return TALK.format(options=options or f"ca: {authority.path}")


def rows(driven: Driven) -> dict[str, int]:
    driven.stats.fold()
    return {row.name: row.right for row in driven.stats.steps.values() if row.right}


@pollers
def test_a_conversation_goes_on_in_tls(authority: Authority, poller: str) -> None:
    with StartTlsServer(authority.server()) as server:
        driven = drive(text_for(authority), server.url, poller)
    assert driven.kinds == {}
    names = ("greeting", "plain", "ask", "handshake", "secret")
    assert rows(driven) == dict.fromkeys(names, 6)
    assert driven.stats.total.right == 18  # the greeting and the handshake are none
    assert driven.stats.steps["handshake"].histogram.low > 0


def test_as_a_part_of_each_connection(authority: Authority) -> None:
    text = f"""
    sockets:
      main:
        framing: line
        tls: {{ca: {authority.path}}}
        on_connect:
          - {{expect: {{frame: 220 ready}}}}
          - {{send: {{frame: STARTTLS}}, expect: {{frame: 220 go ahead}}}}
          - {{start_tls: main}}
    steps:
      - {{send: {{frame: hello}}, expect: {{frame: 250 hello}}}}
      - {{close: main}}
      - {{send: {{frame: again}}, expect: {{frame: 250 again}}}}
    load: {{users: 2, iterations: 2}}
    """
    with StartTlsServer(authority.server()) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert driven.stats.iterations == 4


def test_on_a_unix_socket_in_a_branch_and_a_transaction(
    authority: Authority, tmp_path: Path
) -> None:
    context = authority.server()

    def talk(connection: socket.socket, number: int) -> None:
        connection.recv(100)
        connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as secured:
            while chunk := secured.recv(100):
                secured.sendall(chunk)

    text = f"""
    sockets: {{a: {{tls: {{ca: {authority.path}, server_name: localhost}}}}, b: {{}}}}
    steps:
      - transaction: all of it
        do:
          - together:
            - - {{on: a, send: SSLRequest, expect: S}}
              - {{start_tls: a}}
              - {{on: a, send: hello, expect: hello}}
            - [{{wait: 1ms}}]
    """
    with UnixServer(talk, tmp_path / "socket") as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert rows(driven)["all of it"] == 1


@pollers
def test_what_came_in_plain_text_behind_the_agreement_is_surplus(
    authority: Authority, poller: str
) -> None:
    """An attacker's bytes, which a careless client would take for the server's under TLS."""
    with StartTlsServer(authority.server(), early=b"250 you are safe\n") as server:
        driven = drive(text_for(authority), server.url, poller)
    assert driven.kinds == {"surplus": 6}
    (fault, *_) = driven.faults
    assert fault.step == "handshake"
    assert "in plain text, before the TLS handshake" in fault.message
    assert fault.said.startswith(b"250 you are safe\n")


@pollers
def test_what_comes_in_place_of_the_handshake_is_surplus(authority: Authority, poller: str) -> None:
    hello = threading.Event()

    def late(connection: socket.socket, number: int) -> None:
        connection.sendall(b"220 ready\n")
        for line in connection.makefile("rb"):
            if line == b"STARTTLS\n":
                connection.sendall(b"220 go ahead\n")
                connection.recv(1)  # the ClientHello has begun to come
                connection.sendall(b"454 not today\n")
                hello.wait(0.3)
                return
            connection.sendall(b"250 " + line)

    with Server(late) as server:
        driven = drive(text_for(authority).replace("users: 2", "users: 1"), server.url, poller)
    assert driven.kinds == {"surplus": 3}
    assert driven.faults[0].said.startswith(b"454 not today\n")


@pytest.mark.parametrize("agreed", [b"220 go ahead!\n", b"220 go aheae\n"])
def test_another_agreement_is_found_before(authority: Authority, agreed: bytes) -> None:
    with StartTlsServer(authority.server(), go=agreed) as server:
        driven = drive(text_for(authority), server.url)
    assert set(driven.kinds) <= {"surplus", "corrupt", "mismatch"}
    assert {one.step for one in driven.faults} == {"ask"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("{verify: true}", "is not trusted"),
        ("{ca: CA, server_name: example.org}", "is for another name"),
        ("{verify: false, max_version: 1.2}", "the server refused it"),
    ],
)
def test_certificates_and_versions_are_judged(
    authority: Authority, options: str, told: str
) -> None:
    context = authority.server()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    text = text_for(authority, options.strip("{}").replace("CA", str(authority.path)))
    with StartTlsServer(context) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {"tls": 6}
    assert driven.unreachable is None
    assert "TLS cannot begin: the TLS handshake failed: " in driven.faults[0].message
    assert told in driven.faults[0].message


@pytest.mark.parametrize(
    ("end", "kind"), [("silent", "timeout"), ("closed", "tls"), ("reset", "reset")]
)
def test_a_handshake_that_does_not_come_about(authority: Authority, end: str, kind: str) -> None:
    done = threading.Event()

    def talk(connection: socket.socket, number: int) -> None:
        connection.sendall(b"220 ready\n")
        for line in connection.makefile("rb"):
            connection.sendall(b"220 go ahead\n" if b"TLS" in line else b"250 " + line)
            if b"TLS" in line:
                connection.recv(1)
                if end == "reset":
                    reset(connection)
                elif end == "closed":
                    connection.recv(65536)
                    connection.shutdown(socket.SHUT_RDWR)
                else:
                    done.wait(20)
                return

    with Server(talk) as server:
        text = text_for(authority).replace("users: 2, iterations: 3", "users: 1, iterations: 1")
        driven = drive(text, server.url)
        done.set()
    assert driven.kinds == {kind: 1}
    assert driven.faults[0].step == "handshake"


def test_a_second_handshake_on_one_connection_is_told_when_it_is_met(authority: Authority) -> None:
    """Where the file does not show it: the iterations share a connection."""
    text = f"""
    sockets: {{main: {{framing: line, tls: {{ca: {authority.path}}}}}}}
    variables: {{words: [one, two]}}
    before:
      - {{expect: {{frame: 220 ready}}}}
      - {{send: {{frame: STARTTLS}}, expect: {{frame: 220 go ahead}}}}
      - {{start_tls: main}}
    steps:
      - {{send: {{frame: hello}}, expect: {{frame: 250 hello}}}}
    load: {{iterations: 3}}
    """
    with StartTlsServer(authority.server()) as server:
        assert drive(text, server.url).kinds == {}


PYTHON = """
from loadmux.scripting import User, scenario

@scenario(sockets={"main": {"framing": "line", "tls": {"ca": "CA"}}}, users=2, iterations=2)
async def talk(user: User) -> None:
    s = user["main"]
    await s.expect({"frame": "220 ready"})
    await s.exchange({"frame": "STARTTLS"}, {"frame": "220 go ahead"})
    await s.start_tls(name="handshake", within=2)
    await s.exchange({"frame": "hello"}, {"frame": "250 hello"}, name="secret")
    await s.close()
"""


@pytest.mark.parametrize("words", [[], ["--workers", "2"]])
def test_in_python(authority: Authority, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "talk.py"
    path.write_text(PYTHON.replace("CA", str(authority.path)))
    with StartTlsServer(authority.server()) as server:
        done = run(path, "--target", server.url, *words, folder=tmp_path)
    assert done.code == 0, done.out
    found = {row["name"]: (row["kind"], row["count"]) for row in done.told["steps"]}
    assert (found["handshake"], found["secret"]) == (("connect", 4), ("exchange", 4))


def test_a_second_handshake_in_python_is_a_mistake_of_the_scenario(
    authority: Authority, tmp_path: Path
) -> None:
    path = tmp_path / "talk.py"
    text = PYTHON.replace("    await s.close()", "    await s.start_tls()")
    path.write_text(text.replace("CA", str(authority.path)))
    with StartTlsServer(authority.server()) as server:
        done = run(path, "--target", server.url, folder=tmp_path)
    assert done.code == 3, done.out
    assert "TLS has begun on the socket 'main' already" in done.out


@pytest.mark.parametrize(
    ("target", "text", "told"),
    [
        ("tls://h:1", "steps: [{start_tls: main}]", "a tls one speaks TLS from the beginning"),
        ("udp://h:1", "steps: [{start_tls: main}]", "UDP has no connection for it"),
        ("unix:///s", "steps: [{start_tls: main}]", "write 'tls: {server_name: NAME}'"),
        ("tcp://h:1", "steps: [{start_tls: main}, {start_tls: main}]", "has begun on this socket"),
        (
            "tcp://h:1",
            "steps: [{send: a, expect: a}, {start_tls: main}]\nload: {iterations: 2}",
            "has begun on this socket",
        ),
        (
            "tcp://h:1",
            "sockets: {main: {on_connect: [{start_tls: main}]}}\n"
            "steps: [{close: main}, {start_tls: main}]",
            "has begun on this socket",
        ),
        ("tcp://h:1", "steps: [{start_tls: mian}]", "did you mean 'main'?"),
        ("tcp://h:1", "steps: [{start_tls: main, on: main}]", "names its sockets itself"),
        (
            "tcp://h:1",
            "sockets: {main: {tls: {verify: false}}}\nsteps: [{send: a}]",
            "or 'start_tls'",
        ),
    ],
)
def test_what_is_wrong_is_told_when_the_file_is_read(target: str, text: str, told: str) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        scenario_for(text + "\n", target)
    assert told in caught.value.errors[0].message


def test_after_a_close_it_may_begin_again() -> None:
    text = "steps: [{start_tls: main}, {close: main}]\nload: {iterations: 2}\n"
    assert scenario_for(text, "tcp://h:1")
