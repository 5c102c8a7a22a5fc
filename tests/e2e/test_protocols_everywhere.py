"""The protocols beside all else that a scenario can be: several targets, TLS, branches, open load,
Python, `check --print`; and where they cannot be, told in one line.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import Done, loadmux, run
from driving import Server, answering
from real_servers import redis, websocket_server
from transports import Authority, TlsServer

HOST = re.compile(rb"\r\n[Hh]ost: ([^\r]*)\r\n")


def mirror(chunk: bytes) -> bytes:
    """A response whose body is the Host of the request."""
    found = HOST.search(chunk)
    body = b"none" if found is None else found[1]
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def passed(done: Done, exchanges: int) -> None:
    assert done.code == 0, done.out + done.err
    assert done.told["exchanges"] == {**done.told["exchanges"], "count": exchanges, "errors": 0}


def scenario(folder: Path, text: str, name: str = "spoken.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", ["/", "/${user}"], ids=["constant", "rendered"])
@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_each_target_is_called_by_its_own_name(scheme: str, path: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    handler = answering(mirror)
    tls = f"tls: {{ca: {authority.path}}}, " if scheme == "tls" else ""
    with (
        Server(handler) as first,
        TlsServer(handler, authority.server()) if scheme == "tls" else Server(handler) as second,
    ):
        ports = [url.rpartition("/")[2] for url in (first.url, second.url)]
        text = f"""
target: {{one: {{url: "{first.url}"}}, two: {{url: "{second.url}"}}}}
sockets: {{a: {{to: one}}, b: {{{tls}to: two}}}}
variables: {{b: "{ports[1]}"}}
steps:
  - {{on: a, send: {{http: "{path}"}}, expect: {{http: {{body: "{ports[0]}"}}}}}}
  - {{on: b, send: {{http: "{path}"}}, expect: {{http: {{body: "${{b}}"}}}}}}
  - name: both
    on: all
    send: {{http: "{path}"}}
    expect: {{http: {{body: {{regex: "(?P<last>.*)"}}}}}}
  - {{on: b, send: {{http: "{path}"}}, expect: {{http: {{body: "${{last}}"}}}}}}
load: {{users: 2, iterations: 3}}
"""
        passed(run(scenario(tmp_path, text), folder=tmp_path), 2 * 3 * 5)


WEBSOCKET = """
target: {{url: "{url}"}}
sockets: {{a: {{framing: websocket{tls}}}, b: {{framing: websocket{tls}}}}}
steps:
  - together:
      - - {{on: a, send: {{websocket: one}}, expect: {{websocket: one}}}}
        - {{wait: 500ms}}
        - {{on: a, send: {{websocket: two}}, expect: {{websocket: two}}}}
      - - {{on: b, send: {{websocket: ping me}}, expect: {{websocket: pinged}}}}
        - {{on: b, expect: {{websocket: ponged}}}}
        - {{wait: 500ms}}
        - {{on: b, send: {{websocket: three}}, expect: {{websocket: three}}}}
load: {load}
"""


@pytest.mark.parametrize("load", ["{users: 2, iterations: 1}", "{rate: 5/s, run_time: 1s}"])
@pytest.mark.parametrize("secured", [False, True], ids=["tcp", "tls"])
def test_sessions_in_branches(secured: bool, load: str, tmp_path: Path) -> None:
    """Both branches wait longer than the server waits for the answer to a ping."""
    authority = Authority(tmp_path)
    certificate = authority.client("127.0.0.1") if secured else ()
    tls = f", tls: {{ca: {authority.path}}}" if secured else ""
    with websocket_server(*certificate) as url:
        path = scenario(tmp_path, WEBSOCKET.format(url=url, tls=tls, load=load))
        done = run(path, folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert done.told["exchanges"]["count"] >= 8
    (ponged,) = (row for row in done.told["steps"] if row["kind"] == "receive")
    assert ponged["count"] >= 2
    assert done.told["faults"] == []


def test_a_service_time_in_open_load(tmp_path: Path) -> None:
    text = """
steps:
  - {name: ask, send: {http: /}, expect: {http: 200}}
load: {rate: 40/s, max_users: 10, run_time: 1s}
"""
    with Server(answering(mirror)) as server:
        done = run(scenario(tmp_path, text), "--target", server.url, folder=tmp_path)
    assert done.code == 0, done.out + done.err
    (ask,) = [row for row in done.told["steps"] if row["name"] == "ask"]
    assert ask["count"] == 40
    assert ask["service"] is not None


PYTHON = """
from loadmux.scripting import User, scenario


@scenario(users=2, iterations=3)
async def talk(user: User) -> None:
    main = user["main"]
    assert await main.exchange({"resp": ["ECHO", "${user} here"]}, {"resp": "${user} here"})
    got = await main.exchange({"resp": ["ECHO", "x"]}, {"resp": {"any": True}}, name="any")
    assert b"x" in got, got
    await main.exchange({"resp": ["GET", "nothing"]}, {"resp": None}, name="nil")
"""


def test_python_speaks_them_too(tmp_path: Path) -> None:
    path = scenario(tmp_path, PYTHON, "talk.py")
    with redis(tmp_path) as url:
        passed(run(path, "--target", url, folder=tmp_path), 2 * 3 * 3)
        wrong = path.read_text().replace('{"resp": None}', '{"resp": 5}')
        path.write_text(wrong)
        done = run(path, "--target", url, folder=tmp_path)
    assert done.code == 1
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["step"]) == ("mismatch", "nil")


def test_a_handshake_needs_a_connection(tmp_path: Path) -> None:
    text = """
target: {url: "udp://127.0.0.1:9"}
sockets: {main: {framing: websocket}}
steps:
  - {send: {websocket: hi}, expect: {websocket: hi}}
"""
    done = loadmux("check", scenario(tmp_path, text, "s.yaml"), cwd=tmp_path)
    assert done.code == 2
    assert re.search(
        r"s\.yaml:5:5: the socket 'main': its 'framing' begins with a handshake, and UDP", done.err
    )


def test_what_is_printed_means_the_same(tmp_path: Path) -> None:
    done = loadmux("check", "--print", "websocket")
    assert done.code == 0, done.err
    assert 'framing: {websocket: {path: "/"}}' in done.out
    with websocket_server() as url:
        path = scenario(tmp_path, done.out)
        again = run(path, "--target", url, "-u", "2", "-t", "500ms", folder=tmp_path)
    assert again.code == 0, again.out + again.err
