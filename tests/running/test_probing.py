"""`init --from URL`: what a server that nobody knows answers becomes a scenario that holds."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from commands import ENOUGH, LOADMUX, run
from commands import loadmux as command_line
from driving import Server, answering
from own_server import SERVER
from target_process import Case, TargetProcess

from loadmux.cli.asking import unescaped
from loadmux.language.describing.suggesting import varied


def written(url: str, folder: Path, *texts: str) -> str:
    """The scenario of what the server answers; it holds."""
    words = [word for text in texts for word in ("--send", text)]
    done = command_line("init", "--from", url, *words, cwd=folder)
    assert done.code == 0, done.out + done.err
    assert done.out == "scenario.yaml is written; now: loadmux run scenario.yaml\n"
    ran = run(folder / "scenario.yaml", "-t", "300ms", folder=folder)
    assert ran.code == 0, ran.out + ran.err
    return (folder / "scenario.yaml").read_text()


def test_what_it_answers_is_expected(tmp_path: Path) -> None:
    with Server(answering(lambda data: b"you said " + data)) as server:
        text = written(server.url, tmp_path, "hello", "\\x00\\xff")
        assert f'target: "{server.url}"' in text
        assert '- {send: "hello", expect: "you said ${sent}"}' in text
        assert '- {send: {hex: "00 ff"}, expect: {hex: "79 6f 75' in text


Lines = Callable[[socket.socket, int], None]


def lines(greeting: bytes, answer: Callable[[bytes, int], bytes], closes: bool = False) -> Lines:
    """A server that answers whole lines; it counts those of each connection, and connections."""

    def serve(connection: socket.socket, number: int) -> None:
        connection.sendall(greeting)
        with connection.makefile("rb") as file:
            for at, line in enumerate(file):
                connection.sendall(answer(line, number * 1000 + at))
                if closes:
                    break
        connection.shutdown(socket.SHUT_WR)

    return serve


def test_greetings_and_lines_and_what_differs(tmp_path: Path) -> None:
    """A message that nothing answers is tried as a line; what differs is not taken literally."""
    total = count()
    handler = lines(b"220 ready\r\n", lambda line, at: b"250 (id %d) ok\r\n" % 7 ** next(total))
    with Server(handler) as server:
        text = written(server.url, tmp_path, "NOOP")
        assert 'sockets: {main: {on_connect: [{expect: "220 ready\\r\\n"}]}}' in text
        assert 'send: "NOOP\\r\\n", expect: {regex: "250 \\\\(id ' in text
        assert 'until: "\\n"}}  # the answers differed' in text


def test_a_server_that_closes(tmp_path: Path) -> None:
    with Server(lines(b"", lambda line, at: b"bye\n", closes=True)) as server:
        text = written(server.url, tmp_path, "quit\\n")
        assert '- {send: "quit\\n", expect: "bye\\n"}\n  - {expect: closed}\n' in text


def test_a_certificate_that_nobody_knows(tmp_path: Path) -> None:
    with TargetProcess(Case("epoll"), "--tls", "--reply", "echo") as process:
        text = written(process.url, tmp_path, "hello")
        assert "sockets: {main: {tls: {verify: false}}}" in text


def test_a_command_and_standard_input(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    words = f"{sys.executable} server.py --port {{port}}"
    done = subprocess.run(
        [*LOADMUX, "init", "-", "--command", words],
        cwd=tmp_path,
        input="one\ntwo\n",
        capture_output=True,
        text=True,
        timeout=ENOUGH,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('expect: "${sent}"') == 2


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    done = command_line("init", "--from", "127.0.0.1:1", "--send", "x", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "--from: '127.0.0.1:1' is not a URL; write tcp://127.0.0.1:1" in done.err
    done = command_line("init", "--from", "tcp://127.0.0.1:1", "--send", "x", cwd=tmp_path)
    assert done.code == 4
    assert "Connection refused" in done.err
    assert not (tmp_path / "scenario.yaml").exists()
    done = command_line("init", "--from", "tcp://h:1", "--command", "x {port}", cwd=tmp_path)
    assert done.code == 2


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (b"id 17 ok", b"id 23 ok", "{length: 8}"),
        (b"id 7.\n", b"id 23.\n", '{regex: "id .*\\\\.\\n", until: "\\n"}'),
        (b"a\nb7;", b"a\nb17;", '{until: "7;"}'),
        (b"\x00\x01", b"\x00", "{length: 1}"),
    ],
)
def test_both_answers_fit(first: bytes, second: bytes, found: str) -> None:
    assert varied(first, second) == found


def test_escapes() -> None:
    assert unescaped(r"a\r\n\x00\\n\q\t") == b"a\r\n\x00\\n\\q\t"


def dated(connection: socket.socket, number: int) -> None:
    """A web server whose responses differ, and which ends a connection after three of them."""
    with connection.makefile("rb") as file:
        for at in range(3):
            if not any(line == b"\r\n" for line in file):
                break
            last = b"Connection: close\r\n" if at == 2 else b""
            head = b"HTTP/1.1 200 OK\r\nDate: %d\r\n%sContent-Length: 2\r\n\r\n"
            connection.sendall(head % (1000 + number * 10 + at, last) + b"hi")
    connection.shutdown(socket.SHUT_WR)


def test_responses_of_a_web_server_that_differ(tmp_path: Path) -> None:
    with Server(dated) as server:
        text = written(server.url, tmp_path, "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        assert '- {send: {http: "/"}, expect: {http: 200}}' in text


def test_a_web_server_that_ends_each_connection(tmp_path: Path) -> None:
    def serve(connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as file:
            if any(line == b"\r\n" for line in file):
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhi")
        connection.shutdown(socket.SHUT_WR)

    with Server(serve) as server:
        text = written(server.url, tmp_path, "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        assert "closed" not in text


def test_several_messages_of_users_who_share_a_server(tmp_path: Path) -> None:
    with Server(lines(b"", lambda line, at: b"ok\n")) as server:
        assert "# All users ask the same." in written(server.url, tmp_path, "a\\n", "b\\n")
