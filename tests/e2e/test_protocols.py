"""The protocols that ship with loadmux, against servers that others wrote, as users run them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import ROOT, Done, loadmux, run
from real_servers import memcached, nginx, redis, websocket_server

COUNTED = "load: {users: 4, iterations: 10}\ntimeout: 5s\n"
WEBSOCKET = "sockets: {main: {framing: {websocket: {path: /, subprotocol: v1}}}}\n"


@contextlib.contextmanager
def server_for(scenario: str, folder: Path) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        match scenario:
            case "redis":
                yield stack.enter_context(redis(folder))
            case "memcached":
                yield stack.enter_context(memcached())
            case "websocket":
                yield stack.enter_context(websocket_server())
            case "http":
                (folder / "www").mkdir()
                (folder / "www" / "index.html").write_text("<p>hello</p>\n")
                yield stack.enter_context(nginx(folder))


def scenario(folder: Path, text: str) -> Path:
    path = folder / "spoken.yaml"
    path.write_text(text + COUNTED)
    return path


def passed(done: Done, exchanges: int) -> None:
    assert done.code == 0, done.out + done.err
    assert done.told["faults"] == []
    assert done.told["exchanges"]["count"] == exchanges


@pytest.mark.parametrize("name", ["redis", "http", "memcached", "websocket"])
def test_the_shipped_scenario_passes(name: str, tmp_path: Path) -> None:
    with server_for(name, tmp_path) as url:
        words = ("--target", url, "-t", "1s", "--iterations", "20", "--workers", "2")
        done = run(name, *words, folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert done.told["exchanges"]["count"] > 100
    assert done.told["faults"] == []


@pytest.mark.parametrize("name", ["redis", "http", "memcached", "websocket"])
def test_it_has_a_target_of_its_own(name: str) -> None:
    done = loadmux("check", ROOT / "scenarios" / f"{name}.yaml")
    assert (done.code, done.err) == (0, "")


REDIS = r"""
before:
  - {send: {resp: [HELLO, 3]}, expect: {resp: {any: true}}}
steps:
  - name: clear
    send: {resp: [DEL, "s${user}", "h${user}", "z${user}"]}
    expect: {resp: {any: true}}
  - {name: status, send: {resp: [PING]}, expect: {resp: PONG}}
  - {name: binary, send: {resp: [ECHO, {hex: 0d0aff}]}, expect: {resp: {regex: '(?s)\r\n\xff'}}}
  - {name: number, send: {resp: [INCRBY, "n${user}", 5]}, expect: {resp: {any: true}}}
  - {name: sadd, send: {resp: [SADD, "s${user}", a, b]}, expect: {resp: 2}}
  - {name: set, send: {resp: [SMEMBERS, "s${user}"]}, expect: {resp: [b, a]}}
  - {name: hset, send: {resp: [HSET, "h${user}", k, "${iteration}", l, w]}, expect: {resp: 2}}
  - name: map
    send: {resp: [HGETALL, "h${user}"]}
    expect: {resp: {map: {l: w, k: "${iteration}"}}}
  - {name: zadd, send: {resp: [ZADD, "z${user}", 1.5, m]}, expect: {resp: 1}}
  - {name: double, send: {resp: [ZSCORE, "z${user}", m]}, expect: {resp: 1.5}}
  - {name: nil, send: {resp: [GET, nothing]}, expect: {resp: null}}
  - name: nested
    send: {resp: [EVAL, "return {1, {2, 'x'}, {}}", 0]}
    expect: {resp: [1, [2, x], []]}
  - name: error
    send: {resp: [EVAL, "return redis.error_reply('NO way')", 0]}
    expect: {resp: {error: NO way}}
  - {name: saved, send: {resp: [ECHO, "id 7"]}, expect: {resp: {regex: 'id (?P<id>\d)'}}, save: all}
  - {name: used, send: {resp: [ECHO, "${id} of ${all}"]}, expect: {resp: 7 of id 7}}
"""


def test_every_kind_of_value_of_redis(tmp_path: Path) -> None:
    with redis(tmp_path) as url:
        done = run(scenario(tmp_path, REDIS), "--target", url, folder=tmp_path)
    passed(done, 4 + 15 * 40)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("[PIGN]}, expect: {resp: OK}", "the reply is the error b\"ERR unknown command 'PIGN'"),
        ("[ECHO, x]}, expect: {resp: y}", "the reply is the string b'x', expected the string b'y'"),
        ("[ECHO, x]}, expect: {resp: 5}", "the reply is the string b'x', expected the integer 5"),
        ("[DBSIZE]}, expect: {resp: 5}", "the reply is the integer 0, expected the integer 5"),
        ("[DBSIZE]}, expect: {resp: null}", "the reply is the integer 0, expected nil"),
        ("[MGET, a, b]}, expect: {resp: [null, x]}", "item 1 of the reply is nil, expected"),
        ("[MGET, a, b]}, expect: {resp: [null]}", "the reply is a list of 2, expected a list of 1"),
        (
            "[PING]}, expect: {resp: {error: ERR}}",
            "expected an error that begins with the words b'ERR'",
        ),
        ("[PING]}, expect: {resp: {regex: x+}}", "expected a string that matches the regex 'x+'"),
    ],
)
def test_redis_says_something_else(step: str, told: str, tmp_path: Path) -> None:
    text = f"steps: [{{name: ask, send: {{resp: {step}}}]\n"
    with redis(tmp_path) as url:
        done = run(scenario(tmp_path, text), "--target", url, "--iterations", "1", folder=tmp_path)
    assert done.code == 1, done.out + done.err
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["step"], fault["count"]) == ("mismatch", "ask", 4)
    assert told in fault["examples"][0]["message"]


NGINX = """
keepalive_requests 7;
if_modified_since before;
location /ssi/ { ssi on; ssi_types *; }
location = /none { return 204; }
location = /echo { client_max_body_size 1m; return 200 "$request_method $content_length"; }
location = /close { keepalive_timeout 0; return 200 "bye"; }
location = /created { add_header Location "/things/$arg_id" always; return 201 "created"; }
"""
HTTP = r"""
steps:
  - {name: page, send: {http: /}, expect: {http: {status: 200, body: "<p>hello</p>\n"}}, save: page}
  - name: head
    send: {http: {method: HEAD, path: /}}
    expect: {http: {headers: {content-length: 13}, body: ""}}
  - {name: none, send: {http: /none}, expect: {http: {status: 204, body: ""}}}
  - name: chunked
    send: {http: /ssi/a.html}
    expect: {http: {headers: {transfer-encoding: chunked}, body: "one two\n"}}
  - name: unmodified
    send: {http: {headers: {If-Modified-Since: "Fri, 31 Dec 2100 23:59:59 GMT"}}}
    expect: {http: {status: [304]}}
  - name: post
    send: {http: {method: POST, path: /echo, body: {repeat: x, times: 70000}}}
    expect: {http: {body: POST 70000}}
  - name: continue
    send: {http: {method: PUT, path: /echo, headers: {Expect: 100-continue}, body: hi}}
    expect: {http: {body: PUT 2}}
  - {name: close, send: {http: /close}, expect: {http: {headers: {connection: close}, body: bye}}}
  - name: created
    send: {http: "/created?id=${user}"}
    expect: {http: {status: 201, headers: {location: {regex: '/things/(?P<id>\d+)'}}}}
  - name: again
    send: {http: "/created?id=${id}"}
    expect: {http: {status: [200, 201], headers: {Location: "/things/${user}"}, body: {length: 7}}}
  - {name: missing, send: {http: "/${uuid}"}, expect: {http: 404}}
  - {name: old, send: "GET / HTTP/1.0\r\n\r\n", expect: {until: "hello</p>\n"}}
  - {name: end, expect: closed}
"""


@pytest.mark.parametrize("framing", ["", "sockets: {main: {framing: {http: true, max: 1MiB}}}\n"])
def test_what_nginx_can_answer(framing: str, tmp_path: Path) -> None:
    (tmp_path / "www" / "ssi").mkdir(parents=True)
    (tmp_path / "www" / "index.html").write_text("<p>hello</p>\n")
    (tmp_path / "www" / "ssi" / "a.html").write_text(
        'one <!--# echo var="none" default="two" -->\n'
    )
    with nginx(tmp_path, NGINX) as url:
        done = run(scenario(tmp_path, framing + HTTP), "--target", url, folder=tmp_path)
    passed(done, 12 * 40)  # what ends a connection answers nothing
    assert done.told["connects"]["count"] >= 2 * 40


def test_frames_of_http_are_bodies(tmp_path: Path) -> None:
    text = r"""
sockets: {main: {framing: http}}
steps:
  - {name: page, send: {http: /}, expect: {frame: "<p>hello</p>\n"}}
  - {name: regex, send: {http: /}, expect: {regex: '<p>(?P<word>\w+)</p>\n'}}
  - {name: head, send: {http: {method: HEAD}}, expect: {frame: ""}}
  - {name: word, send: {http: "/?${word}"}, expect: {http: {body: "<p>${word}</p>\n"}}}
"""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("<p>hello</p>\n")
    with nginx(tmp_path) as url:
        done = run(scenario(tmp_path, text), "--target", url, folder=tmp_path)
    passed(done, 4 * 40)


def test_a_wrong_status_shows_both_status_lines(tmp_path: Path) -> None:
    text = "steps: [{name: get, send: {http: /nowhere}, expect: {http: {body: x}}}]\n"
    with nginx(tmp_path) as url:
        done = run(scenario(tmp_path, text), "--target", url, folder=tmp_path)
    assert done.code == 1
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["count"]) == ("mismatch", 40)
    example = fault["examples"][0]
    assert example["message"] == (
        "the response is 'HTTP/1.1 404 Not Found', expected the status 2xx"
    )
    assert bytes.fromhex(example["expected"]) == b"HTTP/1.1 2xx"
    assert bytes.fromhex(example["received"]) == b"HTTP/1.1 404 Not Found"
    assert example["offset"] == 9


TALK = r"""
steps:
  - name: text
    send: {websocket: "hello ${user}"}
    expect: {websocket: "hello ${user}"}
    save: said
  - {name: empty, send: {websocket: ""}, expect: {websocket: ""}}
  - name: binary
    send: {websocket: {binary: {random: 70KiB}}}
    expect: {websocket: {binary: {length: 70KiB}}}
  - {name: fragments, send: {websocket: in fragments}, expect: {websocket: in three fragments}}
  - {name: pinged, send: {websocket: ping me}, expect: {websocket: pinged}}
  - {name: ponged, expect: {websocket: {text: {regex: '(?P<word>\w+)'}}}}
  - name: captured
    send: {websocket: "${word} ${said}"}
    expect: {websocket: "ponged hello ${user}"}
  - {name: ping, send: {websocket: {ping: "${user}"}}, expect: {websocket: {pong: "${user}"}}}
  - {name: frame, send: {websocket: x}, expect: {frame: x}}
"""


@pytest.mark.parametrize("poller", ["epoll", "poll"])
def test_talk_over_websocket(poller: str, tmp_path: Path) -> None:
    closes = (
        "after: [{name: c, send: {websocket: {close: 1000}}, expect: {websocket: {close: 1000}}}]\n"
    )
    path = scenario(tmp_path, WEBSOCKET + TALK + closes)
    with websocket_server() as url:
        done = run(path, "--target", url, "--poller", poller, folder=tmp_path)
    passed(done, 8 * 40 + 4)  # ponged answers no send: a receive


@pytest.mark.parametrize("poller", ["epoll", "select"])
def test_pings_are_answered_in_a_wait(poller: str, tmp_path: Path) -> None:
    """The server drops who leaves a ping unanswered for 0.4 s."""
    text = """
steps:
  - {send: {websocket: a}, expect: {websocket: a}}
  - {wait: 1.2s}
  - {send: {websocket: b}, expect: {websocket: b}}
"""
    path = scenario(tmp_path, WEBSOCKET + text)
    words = ("--iterations", "1", "--poller", poller)
    with websocket_server() as url:
        done = run(path, "--target", url, *words, folder=tmp_path)
    passed(done, 8)


def test_a_close_that_was_asked_for_and_one_that_was_not(tmp_path: Path) -> None:
    text = """
steps:
  - {name: asked, send: {websocket: close}, expect: {websocket: {close: 4001}}}
  - {name: not asked, send: {websocket: close}, expect: {websocket: close}}
"""
    path = scenario(tmp_path, WEBSOCKET + text)
    with websocket_server() as url:
        done = run(path, "--target", url, folder=tmp_path)
    assert done.code == 1
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["step"]) == ("closed", "not asked")
    # Where the generator stood still nobody knows whose doing a close is.
    assert fault["count"] + done.told["generator"]["unjudged"] == 40
    assert fault["examples"][0]["message"] == "the server closed: 4001 'as you wish'"


def test_a_refused_handshake_is_a_fault_of_the_connect(tmp_path: Path) -> None:
    text = """
sockets: {main: {framing: {websocket: {path: /forbidden}}}}
steps: [{send: {websocket: a}, expect: {websocket: a}}]
"""
    with websocket_server() as url:
        done = run(scenario(tmp_path, text), "--target", url, "--iterations", "1", folder=tmp_path)
    assert done.code == 1
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["step"], fault["count"]) == ("mismatch", "connect", 4)
    assert "refused: 'HTTP/1.1 403 Forbidden'" in fault["examples"][0]["message"]
