"""Every way of expecting a reply, each with a right one: what is fed to it may be damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import needs

from loadmux.checking.framing import Framing
from loadmux.checking.verifying import Verifier
from loadmux.language.loading import load
from loadmux.language.meaning.servers import Url
from loadmux.measuring.stats import Stats
from loadmux.running.compiling.endpoints import spoken_on
from loadmux.running.compiling.script import compile_scenario

SENT = b"hello"
HTTP = b"HTTP/1.1 200 OK\r\n"
STREAM = HTTP + b"Content-Type: text/event-stream\r\n\r\n"

PLAIN = [
    ("hello", b"hello"),
    ("{length: 5}", b"abcde"),
    ("{until: '--'}", b"abcde--"),
    ("{regex: 'a(?P<x>.*)--', until: '--'}", b"abcde--"),
    ("{rule: echo}", b"hello"),
    ("{rule: upper}", b"HELLO"),
    ("{rule: ok}", b"ok"),
    ("{rule: hello}", b"Hello Client!"),
    ("{rule: received}", b"Server received b'hello'"),
    ("{rule: upper_sb}", b"HELLO_SB"),
]
FRAMED = [
    ("line", r"{regex: 'VALUE (?P<k>\S+) (\d+)'}", b"VALUE abc 123\n"),
    ("{delimiter: '--'}", "{frame: hello}", b"hello--"),
    ("{length_prefix: {bytes: 4}}", "{frame: {length: 5}}", b"\0\0\0\x05hello"),
    (
        "{length_prefix: {bytes: 8, order: little, counts_itself: true}}",
        "{regex: 'h.*o'}",
        b"\x0d" + bytes(7) + b"hello",
    ),
    ("{length_prefix: {at: 1, varint: true}}", "{frame: hello}", b"\x40\x85\0hello"),
    ("{length_prefix: {at: 1, bytes: 3, header: 6}}", "{frame: hello}", b"a\0\0\x05bchello"),
    (
        "{length_prefix: {at: 1, bytes: 2, header: 4}}",
        "{frame: hello, header: {regex: '(?s)a..(?P<v>.)'}}",
        b"a\0\5bhello",
    ),
    (
        "{length_prefix: {at: 1, bytes: 2, header: 4}}",
        "{frame: {regex: 'h.*o'}, header: a--b}",
        b"a\0\5bhello",
    ),
    ("{length_prefix: {digits: 3, adjust: -1}}", "{regex: 'h.*o'}", b"006hello"),
    ("{start: '<', end: '>>'}", "{regex: 'h.*o'}", b"<hello>>"),
    ("{lines_until: '2.. .*'}", "{regex: '(?s)2.*two'}", b"250-one\r\n250 two\r\n"),
    ("{lines_until: '2.. .*'}", '{frame: "2--\\n250 two\\n"}', b"2--\n250 two\n"),
    ("sse", "{frame: hello}", STREAM + b"data: hello\n\n"),
    ("sse", "{regex: 'data: (?P<v>.*)'}", b":\n\n9\r\ndata: a\n\n\r\n"),
    ("{fixed: 6, check: sum8}", "{frame: hello}", b"hello\x14"),
    ("{line: true, check: xor8}", "{regex: 'h.*o'}", b"hellob\n"),
    ("{length_prefix: {varint: true}, check: sum8}", "{frame: hello}", b"\x06hello\x14"),
    ("{fixed: 5}", "{regex: 'h.*o'}", b"hello"),
    ("until_close", "{regex: 'h.*o'}", b"hello"),
    ("until_close", "{frame: hello}", b"hello"),
]
RESP = [
    ("OK", b"+OK\r\n"),
    ("hello", b"$5\r\nhello\r\n"),
    ("5", b":5\r\n"),
    ("1.5", b",1.5e0\r\n"),
    ("true", b"#t\r\n"),
    ("null", b"*-1\r\n"),
    ("[a, [b, 1], null]", b"*3\r\n+a\r\n*2\r\n$1\r\nb\r\n:1\r\n_\r\n"),
    ("[a, b]", b"~2\r\n+b\r\n+a\r\n"),
    ("{map: {a: 1, b: [c]}}", b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n+c\r\n"),
    ("{error: ERR}", b"!5\r\nERR x\r\n"),
    ("{regex: 'a(?P<y>.)c'}", b"=7\r\ntxt:abc\r\n"),
    ("{push: [message, {any: true}]}", b">2\r\n+message\r\n|1\r\n+a\r\n:1\r\n(12345\r\n"),
]
WEB = [
    ("/", "200", HTTP + b"Content-Length: 5\r\nX-A: b\r\n\r\nhello"),
    (
        "/",
        "{status: 200, headers: {x-a: {regex: 'b+'}}, body: hello}",
        b"HTTP/1.1 100 Continue\r\n\r\n"
        + HTTP
        + b"Transfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
        + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: x\r\n\r\n",
    ),
    ("/", "{body: {regex: 'h(?P<z>.*)o'}}", b"HTTP/1.0 200 OK\r\n\r\nhello"),
    (
        "{method: HEAD, path: /}",
        "{status: 304, body: ''}",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ),
]
SOCKETS = [
    ("hi", "hello", b"\x81\x05hello"),
    (
        "hi",
        "{binary: {length: 300}}",
        b"\x89\x01x\x02\x7e\x00\x80" + b"x" * 128 + b"\x80\x7e\x00\xac" + b"y" * 172,
    ),
    ("{ping: a}", "{pong: a}", b"\x8a\x01a"),
    ("{close: 1000}", "{close: 1000}", b"\x88\x05\x03\xe8bye"),
]


@dataclass(frozen=True, slots=True)
class Case:
    """`make` gives a new verifier of `step`'s reply, of which `right` is a right one."""

    step: str
    right: bytes
    make: Callable[[], Verifier]
    framing: Framing | None


def cases() -> list[Case]:
    needs.package("h11")
    needs.package("wsproto")
    found = [_case("", f"{{send: hello, expect: {reply}}}", right) for reply, right in PLAIN]
    for framing, reply, right in FRAMED:
        found.append(_case(framing, f"{{send: {{frame: hello}}, expect: {reply}}}", right))
    for reply, right in RESP:
        found.append(_case("resp", f"{{send: {{resp: [X]}}, expect: {{resp: {reply}}}}}", right))
    for send, reply, right in WEB:
        found.append(_case("", f"{{send: {{http: {send}}}, expect: {{http: {reply}}}}}", right))
    for send, reply, right in SOCKETS:
        step = f"{{send: {{websocket: {send}}}, expect: {{websocket: {reply}}}}}"
        found.append(_case("websocket", step, right))
    return found


def _case(framing: str, step: str, right: bytes) -> Case:
    sockets = f"sockets: {{main: {{framing: {framing}}}}}\n" if framing else ""
    scenario = load("s.yaml", text=f"target: tcp://127.0.0.1:9\n{sockets}steps: [{step}]\n")
    url = Url("tcp", "127.0.0.1", 9)
    operation = compile_scenario(scenario, {"": url}, 1, Stats()).steps[0]
    known = operation.reply.known(SENT)  # type: ignore[attr-defined]
    assert known is not None, step
    return Case(step, right, known[1], spoken_on(scenario).get(0))
