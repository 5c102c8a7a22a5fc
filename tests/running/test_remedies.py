"""The faults of a run show which word a scenario lacks; where they do not, nothing is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driving import Server, answering

import loadmux
from loadmux.errors import Evidence, Kind
from loadmux.language.loading import load
from loadmux.measuring.stats import Stats
from loadmux.running.remedies import remedies

HEAD = "target: tcp://127.0.0.1:9\nsteps: [{send: x, expect: x}]\n"
LINES = HEAD + "sockets: {main: {framing: line}}\n"
PREFIXED = HEAD + "sockets: {main: {framing: {length_prefix: {bytes: 4}}}}\n"
LOGGED_IN = HEAD + "sockets: {main: {on_connect: [{send: a, expect: b}]}}\n"


def told(text: str, kind: Kind, *said: bytes) -> list[str]:
    stats = Stats()
    for one in said:
        evidence = Evidence(kind, "wrong", received=one, step="ask", socket="main")
        evidence.heard(one)
        stats.record_fault(evidence)
    return list(remedies(load("s.yaml", text=text), stats))


@pytest.mark.parametrize(
    ("text", "kind", "said", "hint"),
    [
        (LINES, Kind.SURPLUS, [b"* news 3\n", b"* news 41\n"], r"ignore: [{regex: '\* news \d+'}]"),
        (HEAD, Kind.SURPLUS, [b"PING\r\n", b"PING\r\n"], "{framing: line, ignore: [{regex: 'PING'"),
        (LINES, Kind.TIMEOUT, [b"\x00\x00\x00\x02hi"], "framing: {length_prefix: {bytes: 4}}"),
        (LINES, Kind.TIMEOUT, [b"\x02\x00hi"], "{length_prefix: {bytes: 2, order: little}}"),
        (PREFIXED, Kind.TIMEOUT, [b"+OK\r\n", b"-NO\r\n"], "framing: line"),
        (HEAD, Kind.MISMATCH, [b"-NOAUTH Authentication required.\r\n"], "{on_connect: [...]}"),
    ],
)
def test_what_is_missing_is_told(text: str, kind: Kind, said: list[bytes], hint: str) -> None:
    (remark,) = told(text, kind, *said)
    assert hint in remark


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (LINES, Kind.SURPLUS, [b"* news 3\n"]),
        (LINES, Kind.SURPLUS, [b"one\n", b"other\n"]),
        (LINES, Kind.SURPLUS, [b"\x00\x01\n", b"\x00\x01\n"]),
        (LINES, Kind.TIMEOUT, [b""]),
        (LINES, Kind.TIMEOUT, [b"hello"]),
        (LINES, Kind.TIMEOUT, [b"\x00\x00\x00\x02hi", b"hello"]),
        (LOGGED_IN, Kind.MISMATCH, [b"-NOAUTH Authentication required.\r\n"]),
        (HEAD, Kind.CORRUPT, [b"hello"]),
    ],
)
def test_where_nothing_shows_it_nothing_is_said(text: str, kind: Kind, said: list[bytes]) -> None:
    assert told(text, kind, *said) == []


def pushing() -> Callable[[bytes], bytes]:
    return lambda data: data + b"* news 7\n"


def test_a_server_that_pushes_is_seen_and_the_hint_is_right() -> None:
    scenario = {
        "sockets": {"main": {"framing": "line"}},
        "steps": [{"send": {"frame": "hi"}, "expect": {"frame": "hi"}}, {"wait": "50ms"}],
        "load": {"users": 3, "iterations": 2},
    }
    with Server(answering(pushing())) as server:
        report = loadmux.run(scenario, target=server.url)
        (hint,) = (note for note in report.notes if "looks alike" in note)
        pattern = hint.partition("regex: '")[2].partition("'}")[0]
        sockets = {"main": {"framing": "line", "ignore": [{"regex": pattern}]}}
        mended = loadmux.run({**scenario, "sockets": sockets}, target=server.url)
    assert not report.passed
    mended.assert_passed()
