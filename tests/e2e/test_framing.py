"""Framed scenarios against real servers, run as users run them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from commands import Done, loadmux, run
from driving import Server, answering
from real_servers import memcached, redis

REDIS = r"""
sockets: {main: {framing: {delimiter: "\r\n"}}}
steps:
  - {name: ping, send: {frame: PING}, expect: {frame: "+PONG"}}
  - {name: set, send: {frame: "SET k${user} v${iteration}"}, expect: {regex: '\+(?P<word>OK)'}}
  - {name: get, send: {frame: "GET k${user}"}, expect: {regex: '\$(?P<size>\d+)'}}
  - {name: value, expect: {frame: "v${iteration}"}, save: value}
  - {name: echo, send: {frame: "ECHO ${word}:${size}:${value}"}, expect: {regex: '\$\d+'}}
  - {name: what was saved, expect: {regex: 'OK:\d:v(?P<number>\d+)'}}
  - {name: two at once, send: {join: [{frame: PING}, {frame: DBSIZE}]}, expect: {frame: "+PONG"}}
  - {name: count, expect: {regex: ':\d+\r\n', until: "\n"}}
load: {users: 5, iterations: 20}
"""
MEMCACHED = r"""
sockets: {main: {framing: {delimiter: "\r\n", max: 1KiB}}}
steps:
  - name: set
    send: {join: [{frame: "set k${user} 0 0 5"}, {frame: hello}]}
    expect: {frame: STORED}
  - {name: get, send: {frame: "get k${user}"}, expect: {regex: 'VALUE (?P<key>\w+) 0 5'}}
  - {name: value, expect: {frame: hello}}
  - {name: end, expect: {frame: END}}
  - {name: delete, send: {frame: "delete ${key}"}, expect: {frame: DELETED}}
load: {users: 3, iterations: 5}
"""


def scenario(folder: Path, text: str) -> Path:
    path = folder / "framed.yaml"
    path.write_text(text)
    return path


def passed(done: Done, exchanges: int, receives: int = 0) -> None:
    assert done.code == 0, done.out + done.err
    assert done.told["exchanges"]["count"] == exchanges
    rows = [row["count"] for row in done.told["steps"] if row["kind"] == "receive"]
    assert sum(rows) == receives
    assert done.told["faults"] == []


def test_redis_by_its_line_ends(tmp_path: Path) -> None:
    with redis(tmp_path) as url:
        done = run(scenario(tmp_path, REDIS), "--target", url, folder=tmp_path)
    passed(done, 5 * 5 * 20, 3 * 5 * 20)


def test_redis_says_something_else(tmp_path: Path) -> None:
    text = """
sockets: {main: {framing: {delimiter: "\\r\\n"}}}
steps: [{name: typo, send: {frame: PIGN}, expect: {regex: '\\+.*'}}]
load: {users: 1, iterations: 2}
"""
    with redis(tmp_path) as url:
        done = run(scenario(tmp_path, text), "--target", url, folder=tmp_path)
    assert done.code == 1
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["step"], fault["count"]) == ("mismatch", "typo", 2)
    example = fault["examples"][0]
    assert example["message"].endswith(r"does not match the regex '\+.*': it should begin with '+'")
    assert bytes.fromhex(example["received"]).startswith(b"-ERR unknown command 'PIGN'")
    assert example["expected"] is None
    assert example["offset"] == 0


def test_memcached_by_its_line_ends(tmp_path: Path) -> None:
    with memcached() as url:
        done = run(scenario(tmp_path, MEMCACHED), "--target", url, folder=tmp_path)
    passed(done, 3 * 3 * 5, 2 * 3 * 5)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_answers_and_ends_the_connection(tmp_path: Path, workers: str) -> None:
    """Old protocols (finger, whois, HTTP/1.0) end a reply with the connection."""

    def finger(connection: socket.socket, number: int) -> None:
        name = connection.makefile("rb").readline().strip()
        connection.sendall(b"Login: " + name + b"\nNo plan.\n")
        connection.close()

    text = r"""
sockets: {main: {framing: until_close}}
steps:
  - {name: ask, send: "user${user}\r\n", expect: {regex: 'Login: (?P<who>\w+)\n.*\n'}}
  - {name: again, send: "${who}\r\n", expect: {frame: "Login: user${user}\nNo plan.\n"}}
load: {users: 3, iterations: 10}
"""
    path = scenario(tmp_path, text)
    with Server(finger) as server:
        done = run(path, "--target", server.url, "--workers", workers, folder=tmp_path)
    passed(done, 60)


def test_a_body_that_cannot_be_framed_is_inconclusive(tmp_path: Path) -> None:
    text = """
sockets: {main: {framing: line}}
variables: {text: "two\\nlines"}
steps: [{name: talk, send: {frame: "${text}"}, expect: {frame: x}}]
"""
    with Server(answering(bytes)) as server:
        done = run(scenario(tmp_path, text), "--target", server.url, folder=tmp_path)
    assert done.code == 3, done.out
    assert done.told["faults"] == []
    assert "cannot be framed: the delimiter b'\\n' would end its frame early" in " ".join(
        done.out.split()
    )


@pytest.mark.parametrize("written", ["as it stands", "as it is printed"])
@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["alone", "with workers"])
def test_every_framing_with_what_goes_beside_it(
    written: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    path = Path(__file__).with_name("framings.yaml")
    if written == "as it is printed":
        printed = loadmux("check", "--print", path)
        path = tmp_path / "printed.yaml"
        path.write_text(printed.out)
    done = run(path, *more, folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert done.told["exchanges"]["count"] == 3 * 5 * 16
