"""Words of other tools, of control flow, of URLs: each mistake says what to write instead."""

from __future__ import annotations

import pytest

from loadmux.errors import ScenarioErrors
from loadmux.language.keys.file import SCENARIO
from loadmux.language.keys.load import LOAD
from loadmux.language.keys.sockets import OPTIONS
from loadmux.language.loading import load
from loadmux.language.messages.replies import REPLY
from loadmux.language.steps.stepkeys import KEYS
from loadmux.language.text import hints

HEAD = "target: tcp://127.0.0.1:9\n"
STEPS = "steps: [{send: a}]\n"


def mistakes_of(text: str) -> list[str]:
    with pytest.raises(ScenarioErrors) as caught:
        load("s.yaml", text=text)
    return [line.removeprefix("s.yaml:") for line in str(caught.value).split("\n")]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("duration: 10s", "run_time"),
        ("vus: 5", "users"),
        ("clients: 5", "users"),
        ("concurrency: 5", "users"),
        ("requests: 5", "iterations"),
        ("loops: 5", "iterations"),
        ("think_time: 1s", "pacing"),
        ("stages: []", "phases"),
        ("rps: 5/s", "rate"),
        ("ramp_up: 5", "spawn_rate"),
    ],
)
def test_words_of_other_tools_in_a_load(wrong: str, right: str) -> None:
    key = wrong.partition(":")[0]
    expected = f"2:8: unknown key '{key}' in a load; did you mean '{right}'?"
    assert mistakes_of(f"{HEAD}load: {{{wrong}}}\n{STEPS}") == [expected]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("sleep: 1s", "wait"),
        ("think_time: 1s", "wait"),
        ("delay: 1s", "wait"),
        ("loop: 3", "repeat"),
        ("foreach: {x: [1]}", "for"),
        ("parallel: [[]]", "together"),
        ("check: a", "expect"),
        ("recv: a", "expect"),
        ("write: a", "send"),
        ("disconnect: main", "close"),
        ("rendezvous: a", "barrier"),
        ("python: a", "call"),
    ],
)
def test_words_of_other_tools_in_a_step(wrong: str, right: str) -> None:
    key = wrong.partition(":")[0]
    expected = f"2:10: unknown key '{key}' in a step; did you mean '{right}'?"
    assert mistakes_of(f"{HEAD}steps: [{{{wrong}}}]\n") == [expected]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("duration: 10s", "did you mean 'run_time', in 'load'?"),
        ("vus: 5", "did you mean 'users', in 'load'?"),
        ("users: 5", "it stands in 'load'"),
        ("send: a", "it stands in a step of 'steps'"),
        ("framing: line", "it stands in 'sockets: {NAME: {...}}'"),
        ("reply: echo", "it stands in 'target', beside its 'url' or 'bundled'"),
        ("setup: []", "did you mean 'before'?"),
        ("scenario: []", "did you mean 'steps'?"),
    ],
)
def test_words_in_the_wrong_place(wrong: str, hint: str) -> None:
    key = wrong.partition(":")[0]
    assert mistakes_of(f"{HEAD}{STEPS}{wrong}\n") == [
        f"3:1: unknown key '{key}' in a scenario; {hint}"
    ]


@pytest.mark.parametrize("word", ["if", "while", "assert", "else"])
def test_control_flow_is_written_in_python(word: str) -> None:
    assert mistakes_of(f"{HEAD}steps: [{{{word}: x}}]\n") == [
        f"2:10: unknown key '{word}' in a step; conditions and computed values are written in"
        " Python: 'call: \"helpers:talk\"' runs 'async def talk(user)' of helpers.py"
    ]


@pytest.mark.parametrize("word", ["host", "address", "url"])
def test_another_word_for_the_target(word: str) -> None:
    line = f"1:1: unknown key '{word}' in a scenario; did you mean 'target'?"
    assert mistakes_of(f"{word}: tcp://h:1\n{STEPS}") == [line]


def test_a_host_and_a_port_become_a_url() -> None:
    assert mistakes_of(f"target: {{host: localhost, port: 80}}\n{STEPS}") == [
        "1:10: unknown key 'host' in a target; write 'tcp://localhost:80'"
    ]


HTTP = "and for each request a step such as {send: {http: %s}, expect: {http: 200}}"
WEBSOCKET = "with 'sockets: {main: {framing: {websocket: {path: %s}}}}'"
RESP = "with steps such as {send: {resp: [PING]}, expect: {resp: PONG}}"


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://h", "write tcp://h:80, " + HTTP % "/"),
        ("http://h:8080/a/b", "write tcp://h:8080, " + HTTP % "/a/b"),
        ("http://h/a?b=c", "write tcp://h:80, " + HTTP % '"/a?b=c"'),
        ("HTTPS://[::1]/", "write tls://[::1]:443, " + HTTP % "/"),
        ("https://[::1]:4/", "write tls://[::1]:4, " + HTTP % "/"),
        ("ws://h:9/chat", "write tcp://h:9, " + WEBSOCKET % "/chat"),
        ("wss://h", "write tls://h:443, " + WEBSOCKET % "/"),
        ("redis://me:secret@h/0", "write tcp://h:6379, " + RESP),
        ("rediss://h:7", "write tls://h:7, " + RESP),
        ("mqtt://h", "write tcp://h:1883"),
        ("grpc://h", "write tcp://h:PORT"),
    ],
)
def test_urls_of_protocols(url: str, remedy: str) -> None:
    scheme = url.partition(":")[0].lower()
    expected = f"1:9: unknown scheme '{scheme}' in '{url}'; {remedy}"
    assert mistakes_of(f"target: '{url}'\n{STEPS}") == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "target: tcp://h:80\nsteps: [{send: {http: /a/b}, expect: {http: 200}}]\n",
        "target: tcp://h:80\nsockets: {main: {framing: {websocket: {path: /chat}}}}\n" + STEPS,
        "target: tcp://h:80\nsteps: [{send: {resp: [PING]}, expect: {resp: PONG}}]\n",
    ],
)
def test_what_the_remedies_say_is_right(text: str) -> None:
    assert load("s.yaml", text=text).steps


def test_a_sockets_name_is_not_mistaken_for_a_key() -> None:
    (line,) = mistakes_of(f"{HEAD}sockets: [users, b]\nsteps: [{{on: vus, send: a}}]\n")
    assert "did you mean" not in line


def test_every_word_that_hints_name_is_one_of_the_language() -> None:
    known = {*SCENARIO.keys, *LOAD.keys, *KEYS, *OPTIONS.keys, *REPLY.forms}
    assert {word for word in hints.HOMES if word not in known} == {"reply"}
    named = {word for words in hints.MEANT.values() for word in words}
    elsewhere = "url bundled times delimiter length_prefix fixed max bytes order counts_itself csv"
    elsewhere += " ca cert key server_name verify status headers method"
    elsewhere += " start end lines_until check at adjust digits"
    assert named - known == set(elsewhere.split())
