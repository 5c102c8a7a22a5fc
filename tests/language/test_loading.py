"""The loader on valid files: every key of the language page, and what it becomes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from loadmux.driver.pacer import Rate, Users
from loadmux.errors import Position, ScenarioErrors, UsageError
from loadmux.language.loading import RULES, load
from loadmux.language.meaning.expected import (
    ByRule,
    Closed,
    Exactly,
    Length,
    Reply,
    Silence,
    Until,
    WasReset,
)
from loadmux.language.meaning.scenario import Load, Overrides, Phase, Scenario, Socket
from loadmux.language.meaning.servers import Target, Url
from loadmux.language.meaning.stepvalues import (
    Distribution,
    Exchange,
    Expect,
    Exponential,
    Fixed,
    For,
    Normal,
    OnSockets,
    Repeat,
    Send,
    Set,
    Step,
    Uniform,
    Wait,
)
from loadmux.language.text import yamltree
from loadmux.language.text.yamlscalars import resolve
from loadmux.measuring.thresholds import Threshold
from loadmux.plugins.formulas import Variable
from loadmux.plugins.payloads import Data, Joined, Payload, Random, Repeated, Text

TARGET = "target: {bundled: epoll}\n"
MODELS = ("select", "poll", "epoll", "selectors", "threads")
NO_ERRORS = Threshold("errors == 0", None, "errors", "==", 0.0)
IMPLIED = replace(NO_ERRORS, implied=True)


def read(text: str, overrides: Overrides = Overrides()) -> Scenario:  # noqa: B008 (frozen)
    return load("s.yaml", overrides, text=text, models=MODELS)


def steps_of(text: str, head: str = TARGET) -> tuple[Step, ...]:
    """The steps that the lines of `text` mean."""
    return read(f"{head}steps:\n" + "".join(f"  {line}\n" for line in text.splitlines())).steps


def at(line: int, column: int) -> Position:
    return Position("s.yaml", line, column)


# --- the whole file -----------------------------------------------------------------------------

PARTS = """\
description: Two sockets take turns sending the parts of one message.
target: {bundled: select, reply: received}

sockets: [first, second]

steps:
  - {on: first,  send: "This is ",         expect: "Server received b'This is '"}
  - {on: second, send: "the message. ",    expect: "Server received b'the message. '"}
  - {on: first,  send: "It will be sent ", expect: "Server received b'It will be sent '"}
  - {on: second, send: "in parts.",        expect: "Server received b'in parts.'"}

load: {users: 50, run_time: 10s}
thresholds: ["errors == 0", "p(99) < 250ms"]
"""


def exchange(line: int, name: str, socket: int, sent: str, expected: str) -> Exchange:
    return Exchange(
        at(line, 5),
        name,
        (socket,),
        Send(Text((sent,))),
        Expect(Exactly(Text((expected,)))),
    )


def test_the_example_of_the_language_page(tmp_path: Path) -> None:
    expected = Scenario(
        path="s.yaml",
        name="s",
        description="Two sockets take turns sending the parts of one message.",
        target=Target(bundled="select", rule="received"),
        variables={},
        sockets=(Socket("first"), Socket("second")),
        before=(),
        steps=(
            exchange(7, "exchange first #1", 0, "This is ", "Server received b'This is '"),
            exchange(
                8, "exchange second #2", 1, "the message. ", "Server received b'the message. '"
            ),
            exchange(
                9, "exchange first #3", 0, "It will be sent ", "Server received b'It will be sent '"
            ),
            exchange(10, "exchange second #4", 1, "in parts.", "Server received b'in parts.'"),
        ),
        after=(),
        load=Load(users=50, run_time=10.0),
        thresholds=(
            NO_ERRORS,
            Threshold("p(99) < 250ms", None, "p", "<", 0.25, quantile=0.99),
        ),
        timeout=5.0,
        on_error="reconnect",
        seed=None,
    )
    assert read(PARTS) == expected


def test_a_file_is_read_from_disk_with_its_stem_as_name(tmp_path: Path) -> None:
    path = tmp_path / "parts.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + PARTS.replace("\n", "\r\n").encode())
    scenario = load(path)
    assert (scenario.name, scenario.path) == ("parts", str(path))
    assert scenario.steps[0].where == Position(str(path), 7, 5)


def test_only_steps_and_a_target_are_required() -> None:
    scenario = read(TARGET + "steps: [{send: a}]\n")
    assert scenario == Scenario(
        path="s.yaml",
        name="s",
        description="",
        target=Target(bundled="epoll", rule="echo"),
        variables={},
        sockets=(Socket("main"),),
        before=(),
        steps=(Exchange(at(2, 9), "send main #1", (0,), Send(Text(("a",))), None),),
        after=(),
        load=Load(iterations=1),
        thresholds=(IMPLIED,),
    )


def test_the_small_keys() -> None:
    scenario = read(
        TARGET + "name: my test\ndescription: |\n  two\n  lines\nseed: 42\ntimeout: 250ms\n"
        "on_error: stop_user\nsteps: [{send: a}]\n"
    )
    assert (scenario.name, scenario.description) == ("my test", "two\nlines\n")
    assert (scenario.seed, scenario.timeout) == (42, 0.25)
    assert scenario.on_error == "stop_user"


# --- YAML 1.2 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("0b11", "0b11"),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.INF", float("-inf")),
        (".", "."),
        ("10ms", "10ms"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("! 5", "5"),
        ("!!float 5", 5.0),
        ("!!int 5", 5),
        ("!!null ''", None),
        ('"\\u00e9\\ud83d\\ude00"', "\u00e9\U0001f600"),
        ("9" * 1000, int("9" * 1000)),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars_follow_the_core_schema(plain: str, value: object) -> None:
    tree, mistakes = yamltree.parse("s.yaml", f"key: {plain}\n")
    assert isinstance(tree, yamltree.MappingNode)
    node = tree.entries[0].value
    assert isinstance(node, yamltree.ScalarNode)
    assert (node.value, type(node.value), mistakes) == (value, type(value), [])


def test_not_a_number_is_a_float() -> None:
    assert str(resolve(".nan")) == "nan"


def test_aliases_stand_for_their_anchor() -> None:
    steps = steps_of("- &hello {send: hello, name: greet}\n- *hello")
    assert steps[0] == steps[1]
    assert steps[0].name == "greet"


def test_an_explicit_document_of_yaml_1_2() -> None:
    assert read(f"%YAML 1.2\n---\n{TARGET}steps: [{{send: a}}]\n...\n").steps[0].where == at(4, 9)


# --- target -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("tcp://127.0.0.1:8000", Target(url=Url("tcp", "127.0.0.1", 8000))),
        ("TCP://my-host.example:1", Target(url=Url("tcp", "my-host.example", 1))),
        ("'tcp://[::1]:65535'", Target(url=Url("tcp", "::1", 65535))),
        ("unix:///run/a b.sock", Target(url=Url("unix", path="/run/a b.sock"))),
        ("{url: 'tcp://h:1'}", Target(url=Url("tcp", "h", 1))),
        ("{url: 'tcp://h:1', reply: ok}", Target(url=Url("tcp", "h", 1), rule="ok")),
        (
            "{url: 'tcp://h:1', reply: {rule: ok, read_size: 2KiB}}",
            Target(url=Url("tcp", "h", 1), rule="ok", read_size=2048),
        ),
        ("{bundled: poll}", Target(bundled="poll", rule="echo")),
        (
            "{bundled: poll, reply: {read_size: 200, rule: hello}}",
            Target(bundled="poll", rule="hello", options={"read-size": "200"}),
        ),
        (
            "{bundled: poll, read_size: 200}",
            Target(bundled="poll", rule="echo", options={"read-size": "200"}),
        ),
        ("{bundled: poll, reply: sink}", Target(bundled="poll", rule="sink")),
        (
            "{bundled: poll, workers: 4, pause: 1.50, verbose: true, quiet: false, reply-file: x}",
            Target(
                bundled="poll",
                rule="echo",
                options={"workers": "4", "pause": "1.50", "verbose": "", "reply-file": "x"},
            ),
        ),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert read(f"target: {text}\nsteps: [{{send: a}}]\n").target == target


BUNDLED = "{bundled: poll, reply: ok, workers: 4}"


@pytest.mark.parametrize(
    ("file", "overrides", "target"),
    [
        (None, Overrides(target="epoll"), Target(bundled="epoll", rule="echo")),
        (None, Overrides(target="tcp://h:1"), Target(url=Url("tcp", "h", 1))),
        (
            None,
            Overrides(target="tcp://h:1", reply="upper"),
            Target(url=Url("tcp", "h", 1), rule="upper"),
        ),
        (BUNDLED, Overrides(target="epoll"), Target(bundled="epoll", rule="ok")),
        (
            BUNDLED,
            Overrides(target="poll", reply="sink"),
            Target(bundled="poll", rule="sink", options={"workers": "4"}),
        ),
        (
            BUNDLED,
            Overrides(target="unix:///s"),
            Target(url=Url("unix", path="/s"), rule="ok"),
        ),
        (
            "{bundled: poll}",
            Overrides(target="tcp://h:1"),
            Target(Url("tcp", "h", 1), None, "echo"),
        ),
        (
            "{url: 'tcp://h:1', reply: {rule: ok, read_size: 200}}",
            Overrides(target="tcp://other:2", reply="hello"),
            Target(url=Url("tcp", "other", 2), rule="hello", read_size=200),
        ),
        (
            "{url: 'tcp://h:1', reply: {rule: ok, read_size: 200}}",
            Overrides(target="poll"),
            Target(bundled="poll", rule="ok"),
        ),
        ("tcp://h:1", Overrides(reply="hello"), Target(url=Url("tcp", "h", 1), rule="hello")),
        ("tcp://h:1", Overrides(target="epoll"), Target(bundled="epoll", rule="echo")),
    ],
)
def test_the_command_line_overrides_the_target(
    file: str | None, overrides: Overrides, target: Target
) -> None:
    head = "" if file is None else f"target: {file}\n"
    assert read(f"{head}steps: [{{send: a}}]\n", overrides).target == target


def test_models_and_rules_are_the_caller_s() -> None:
    text = "target: {bundled: mine, reply: rot13}\nsteps: [{expect: reply}]\n"
    scenario = load("s.yaml", text=text, models=("mine",), rules=(*RULES, "rot13"))
    assert scenario.target == Target(bundled="mine", rule="rot13")
    assert load("s.yaml", text=text.replace("rot13", "ok")).target == Target(
        bundled="mine", rule="ok"
    )


# --- sockets ------------------------------------------------------------------------------------


def test_socket_options_and_groups() -> None:
    scenario = read(
        TARGET + "sockets:\n"
        "  plain:\n"
        "  full: {nodelay: false, receive_buffer: 4KiB, send_buffer: 8192, source: 127.0.0.2,\n"
        "         linger: 2s}\n"
        "  pair: {count: 2, source: '::1'}\n"
        "steps: [{on: all, send: a}]\n"
    )
    assert scenario.sockets == (
        Socket("plain"),
        Socket("full", False, 4096, 8192, "127.0.0.2", 2.0),
        Socket("pair[0]", source="::1"),
        Socket("pair[1]", source="::1"),
    )


SOCKETS = TARGET + "sockets: {a: , b: {}, pair: {count: 2}}\n"


@pytest.mark.parametrize(
    ("on", "places", "label"),
    [
        ("a", (0,), "a"),
        ("pair", (2, 3), "pair"),
        ("'pair[1]'", (3,), "pair[1]"),
        ("all", (0, 1, 2, 3), "all"),
        ("[b, a]", (1, 0), "b,a"),
        ("['pair[1]', a, 'pair[0]']", (3, 0, 2), "pair[1],a,pair[0]"),
        ("[pair, b]", (2, 3, 1), "pair,b"),
    ],
)
def test_references(on: str, places: tuple[int, ...], label: str) -> None:
    steps = steps_of(f"- {{on: {on}, send: x}}\n- {{close: {on}}}", SOCKETS)
    assert steps == (
        Exchange(at(4, 5), f"send {label} #1", places, Send(Text(("x",))), None),
        OnSockets(at(5, 5), f"close {label} #2", "close", places),
    )


@pytest.mark.parametrize(
    ("sockets", "places", "label"),
    [
        ("[only]", (0,), "only"),
        ("[first, main]", (1,), "main"),
        ("{group: {count: 3}}", (0, 1, 2), "group"),
        ("{a: , main: {count: 2}}", (1, 2), "main"),
        ("{one: {count: 1}}", (0,), "one"),
    ],
)
def test_the_default_socket(sockets: str, places: tuple[int, ...], label: str) -> None:
    (step,) = steps_of("- send: x", f"{TARGET}sockets: {sockets}\n")
    assert isinstance(step, Exchange)
    assert (step.sockets, step.name) == (places, f"send {label} #1")


# --- steps --------------------------------------------------------------------------------------


def test_every_action_and_its_default_name() -> None:
    steps = steps_of(
        "- {connect: main, within: 1s}\n"
        "- {send: a, expect: b, within: 50ms}\n"
        "- {send: a, name: hello}\n"
        "- {expect: b}\n"
        "- half_close: main\n"
        "- stop_reading: main\n"
        "- resume_reading: [main]\n"
        "- reset: all\n"
        "- close: main\n"
        "- wait: 10ms\n"
        "- set: {x: 1}\n"
        "- repeat: 2\n"
        "  do: [{send: a}, {wait: 0s}]\n"
        "- for: {y: [1]}\n"
        "  name: each\n"
        "  do:\n"
        "    - send: a\n"
        "- send: z"
    )
    a, b = Send(Text(("a",))), Expect(Exactly(Text(("b",))))
    assert steps == (
        OnSockets(at(3, 5), "connect main #1", "connect", (0,), 1.0),
        Exchange(at(4, 5), "exchange main #2", (0,), a, b, 0.05),
        Exchange(at(5, 5), "hello", (0,), a, None),
        Exchange(at(6, 5), "expect main #4", (0,), None, b),
        OnSockets(at(7, 5), "half_close main #5", "half_close", (0,)),
        OnSockets(at(8, 5), "stop_reading main #6", "stop_reading", (0,)),
        OnSockets(at(9, 5), "resume_reading main #7", "resume_reading", (0,)),
        OnSockets(at(10, 5), "reset all #8", "reset", (0,)),
        OnSockets(at(11, 5), "close main #9", "close", (0,)),
        Wait(at(12, 5), "wait #10", Fixed(0.01)),
        Set(at(13, 5), "set #11", {"x": Text(("1",))}),
        Repeat(
            at(14, 5),
            "repeat #12",
            2,
            (
                Exchange(at(15, 10), "send main #13", (0,), a, None),
                Wait(at(15, 21), "wait #14", Fixed(0.0)),
            ),
        ),
        For(
            at(16, 5),
            "each",
            "y",
            (Text(("1",)),),
            (Exchange(at(19, 9), "send main #16", (0,), a, None),),
        ),
        Exchange(at(20, 5), "send main #17", (0,), Send(Text(("z",))), None),
    )


def test_steps_are_numbered_through_before_steps_and_after() -> None:
    scenario = read(
        TARGET
        + "after: [{close: main}]\nbefore: [{connect: main}, {send: a}]\nsteps: [{send: b}]\n"
    )
    names = [step.name for step in (*scenario.before, *scenario.steps, *scenario.after)]
    assert names == ["connect main #1", "send main #2", "send main #3", "close main #4"]


@pytest.mark.parametrize(
    ("modifiers", "pieces", "gap"),
    [
        ("pieces: 3", (3,), 0.0),
        ("pieces: 1KiB, gap: 2ms", (1024,), 0.002),
        ("pieces: [1, 2KiB, 3]", (1, 2048, 3), 0.0),
        ("pieces: each_byte, gap: 0s", (1,), 0.0),
    ],
)
def test_pieces(modifiers: str, pieces: tuple[int, ...], gap: float) -> None:
    (step,) = steps_of(f"- {{send: hello, {modifiers}}}")
    assert isinstance(step, Exchange)
    assert step.send == Send(Text(("hello",)), pieces, gap)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1.5s", Fixed(1.5)),
        ("{uniform: [1ms, 2ms]}", Uniform(0.001, 0.002)),
        ("{exponential: 10ms}", Exponential(0.01)),
        ("{normal: [10ms, 0s]}", Normal(0.01, 0.0)),
    ],
)
def test_waits(text: str, time: Distribution) -> None:
    (step,) = steps_of(f"- wait: {text}")
    assert step == Wait(at(3, 5), "wait #1", time)


# --- payloads and replies -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ("hello", Text(("hello",))),
        ("reply", Text(("reply",))),
        ("'5'", Text(("5",))),
        ('"a\\0\\r\\n"', Text(("a\0\r\n",))),
        ("{text: hello}", Text(("hello",))),
        ("{text: 'u${user}!'}", Text(("u", Variable("user"), "!"))),
        ("{hex: de AD beef}", Data(b"\xde\xad\xbe\xef")),
        ("{hex: 10}", Data(b"\x10")),
        ("{base64: aGVsbG8=}", Data(b"hello")),
        ("{base64: 'aGVs bG8='}", Data(b"hello")),
        ("{random: 2KiB}", Random(2048)),
        ("{repeat: ab, times: 3}", Repeated(Text(("ab",)), 3)),
        (
            "{join: [a, {hex: 00}, {repeat: {random: 2}, times: 2}]}",
            Joined((Text(("a",)), Data(b"\0"), Repeated(Random(2), 2))),
        ),
    ],
)
def test_payloads(text: str, payload: Payload) -> None:
    (step,) = steps_of(f"- send: {text}")
    assert isinstance(step, Exchange)
    assert step.send == Send(payload)


def test_files_are_read_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "message.bin").write_bytes(b"\0\xff")
    (tmp_path / "s.yaml").write_text(TARGET + "steps: [{send: {file: message.bin}}]\n")
    (step,) = load(tmp_path / "s.yaml").steps
    assert isinstance(step, Exchange)
    assert step.send == Send(Data(b"\0\xff"))


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("hello", Exactly(Text(("hello",)))),
        ("reset", Exactly(Text(("reset",)))),
        ("{text: reply}", Exactly(Text(("reply",)))),
        ("{hex: 0a}", Exactly(Data(b"\n"))),
        ("{repeat: a, times: 2}", Exactly(Repeated(Text(("a",)), 2))),
        ("{join: [a, b]}", Exactly(Joined((Text(("a",)), Text(("b",)))))),
        ("reply", ByRule(None)),
        ("'reply'", ByRule(None)),
        ("{rule: upper_sb}", ByRule("upper_sb")),
        ("{length: 1MB}", Length(1_000_000)),
        ('{until: "\\r\\n"}', Until(b"\r\n")),
        ("{until: {hex: 0d0a}}", Until(b"\r\n")),
        ("{until: {join: [a, {repeat: b, times: 2}]}}", Until(b"abb")),
        ("{until: '$${'}", Until(b"${")),
        ("closed", Closed()),
        ("{closed: true}", Closed()),
        ("{reset: true}", WasReset()),
        ("{silence: 20ms}", Silence(0.02)),
    ],
)
def test_replies(text: str, reply: Reply) -> None:
    (step,) = steps_of(f"- expect: {text}")
    assert isinstance(step, Exchange)
    assert step.expect == Expect(reply)


def test_a_rule_given_on_the_command_line_is_enough_for_reply() -> None:
    text = "target: tcp://h:1\nsteps: [{expect: reply}]\n"
    (step,) = read(text, Overrides(reply="ok")).steps
    assert isinstance(step, Exchange)
    assert step.expect == Expect(ByRule(None))


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("${user}", (Variable("user"),)),
        ("a${user}${iteration}b", ("a", Variable("user"), Variable("iteration"), "b")),
        ("${socket} ${uuid}", (Variable("socket"), " ", Variable("uuid"))),
        ("$${user}", ("${user}",)),
        ("$$${user}", ("$${user}",)),
        ("costs $5, $x, $", ("costs $5, $x, $",)),
        ("${greeting}", (Variable("greeting"),)),
        ("${größe_1}", (Variable("größe_1"),)),
    ],
)
def test_texts(text: str, parts: tuple[str | Variable, ...]) -> None:
    head = TARGET + "variables: {greeting: hi, größe_1: 5}\n"
    (step,) = steps_of(f"- send: '{text}'", head)
    assert isinstance(step, Exchange)
    assert step.send == Send(Text(parts))


def test_variables_are_texts_as_they_are_written() -> None:
    scenario = read(
        TARGET + "variables: {a: hi, b: 5, c: 1.50, d: true, e: '', f: 0x10, g: 'a $${b} $5'}\n"
        "steps: [{send: a}]\n"
    )
    assert scenario.variables == {
        "a": "hi",
        "b": "5",
        "c": "1.50",
        "d": "true",
        "e": "",
        "f": "0x10",
        "g": "a ${b} $5",
    }


def test_names_are_known_from_their_definition_on() -> None:
    scenario = read(
        TARGET + "variables: {parts: [a, 2, '']}\n"
        "before:\n"
        "  - {expect: {length: 3}, save: token}\n"
        "steps:\n"
        "  - {send: '${token}', expect: '${sent} ${token}', save: answer}\n"
        "  - set: {token: '${answer}!', n: 1.0}\n"
        "  - for: {part: '${parts}'}\n"
        "    do:\n"
        "      - {send: '${part}${n}', expect: {length: 1}, save: inner}\n"
        "  - for: {part: ['${inner}', 7]}\n"
        "    do: [{send: '${part}'}]\n"
        "after:\n"
        "  - send: '${inner}'\n"
    )
    exchange_step, set_step, over_variable, over_texts = scenario.steps
    assert isinstance(exchange_step, Exchange)
    assert exchange_step.send == Send(Text((Variable("token"),)))
    assert exchange_step.expect == Expect(
        Exactly(Text((Variable("sent"), " ", Variable("token")))), save="answer"
    )
    assert isinstance(set_step, Set)
    assert set_step.values == {"token": Text((Variable("answer"), "!")), "n": Text(("1.0",))}
    assert isinstance(over_variable, For)
    assert over_variable.values == (Text(("a",)), Text(("2",)), Text(()))
    assert isinstance(over_texts, For)
    assert over_texts.values == (Text((Variable("inner"),)), Text(("7",)))
    assert scenario.variables == {}


def test_a_for_may_go_through_nothing() -> None:
    (step,) = steps_of("- {for: {x: []}, do: [{send: '${x}'}]}")
    assert isinstance(step, For)
    assert step.values == ()


# --- load and thresholds ------------------------------------------------------------------------

PHASES = (
    "{spawn_rate: 5, phases: [{users: 20..0, run_time: 1s},"
    " {name: open, rate: 0/s..9/s, max_users: 30, run_time: 2s}]}"
)


def open_load(first: float, last: float, run_time: float, most: int, **rest: float) -> Load:
    phase = Phase("", Rate(first, last, run_time), most)
    return replace(Load(most, None, run_time, phases=(phase,)), **rest)  # type: ignore[arg-type]


def phases(first: float, second: float) -> tuple[Phase, ...]:
    """What PHASES says, with other run times."""
    return (Phase("phase 1", Users(20, 0, first), 20), Phase("open", Rate(0, 9, second), 30))


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("{users: 3}", Overrides(), Load(users=3, iterations=1)),
        ("{iterations: 7}", Overrides(), Load(iterations=7)),
        ("{run_time: 10s, iterations: 7}", Overrides(), Load(run_time=10.0, iterations=7)),
        (
            "{users: 9, spawn_rate: 30/m, run_time: 1m, pacing: 1s, graceful_stop: 0s}",
            Overrides(),
            Load(9, 0.5, 60.0, None, 1.0, 0.0),
        ),
        ("{spawn_rate: 10, run_time: 1s}", Overrides(), Load(spawn_rate=10.0, run_time=1.0)),
        (
            "{users: 9, spawn_rate: 5/s, run_time: 1m, pacing: 1s}",
            Overrides(users=2, spawn_rate="60/m", run_time="20"),
            Load(2, 1.0, 20.0, None, 1.0),
        ),
        ("{users: 9}", Overrides(iterations=4), Load(users=9, iterations=4)),
        ("{}", Overrides(run_time="500ms"), Load(run_time=0.5)),
        (
            "{rate: 500/s, max_users: 30, run_time: 10s, pacing: 1s}",
            Overrides(),
            open_load(500, 500, 10, 30, pacing=1.0),
        ),
        ("{rate: 60/m..20/s, run_time: 4s}", Overrides(), open_load(1, 20, 4, 100)),
        (
            "{rate: 5/s, max_users: 30, run_time: 10s}",
            Overrides(rate="70", users=9, run_time="2s", spawn_rate="3"),
            open_load(70, 70, 2, 9, spawn_rate=3.0),
        ),
        ("{users: 9, run_time: 10s}", Overrides(rate="70/s"), open_load(70, 70, 10, 100)),
        ("{rate: 5/s}", Overrides(run_time="2s"), open_load(5, 5, 2, 100)),
        (
            "{users: 0..50, run_time: 10s, graceful_stop: 1s}",
            Overrides(),
            Load(50, None, 10.0, None, None, 1.0, (Phase("", Users(0, 50, 10.0), 50),)),
        ),
        ("{users: 0..50, run_time: 10s}", Overrides(users=3), Load(users=3, run_time=10.0)),
        (PHASES, Overrides(), Load(30, 5.0, 3.0, phases=phases(1, 2))),
        (PHASES, Overrides(run_time="6s"), Load(30, 5.0, 6.0, phases=phases(2, 4))),
        (PHASES, Overrides(users=4), Load(4, 5.0, 3.0)),
        (PHASES, Overrides(users=4, iterations=2), Load(4, 5.0, 3.0, 2)),
        (PHASES, Overrides(rate="9/s"), open_load(9, 9, 3, 100, spawn_rate=5.0)),
    ],
)
def test_loads(text: str, overrides: Overrides, expected: Load) -> None:
    assert read(f"{TARGET}load: {text}\nsteps: [{{send: a}}]\n", overrides).load == expected


@pytest.mark.parametrize(
    ("text", "threshold"),
    [
        ("errors == 0", Threshold("errors == 0", None, "errors", "==", 0.0)),
        ("error_rate < 1%", Threshold("error_rate < 1%", None, "error_rate", "<", 0.01)),
        ("error_rate<=0.5", Threshold("error_rate<=0.5", None, "error_rate", "<=", 0.5)),
        ("p(99.9) < 50ms", Threshold("p(99.9) < 50ms", None, "p", "<", 0.05, 0.999)),
        ("p( 100 )>1us", Threshold("p( 100 )>1us", None, "p", ">", 1e-6, 1.0)),
        ("mean < 1ms", Threshold("mean < 1ms", None, "mean", "<", 0.001)),
        ("min != 0s", Threshold("min != 0s", None, "min", "!=", 0.0)),
        ("max < 2m", Threshold("max < 2m", None, "max", "<", 120.0)),
        ("rate > 1000/s", Threshold("rate > 1000/s", None, "rate", ">", 1000.0)),
        ("iterations >= 100", Threshold("iterations >= 100", None, "iterations", ">=", 100.0)),
        ("dropped == 0", Threshold("dropped == 0", None, "dropped", "==", 0.0)),
        (
            "connect p(99) < 10ms",
            Threshold("connect p(99) < 10ms", "connect", "p", "<", 0.01, 0.99),
        ),
        ("connect: errors == 0", Threshold("connect: errors == 0", "connect", "errors", "==", 0.0)),
        ("login: mean < 1s", Threshold("login: mean < 1s", "login", "mean", "<", 1.0)),
        ("'login': mean < 1s", Threshold("'login': mean < 1s", "login", "mean", "<", 1.0)),
        (
            '"send main #2" : rate > 30/m',
            Threshold('"send main #2" : rate > 30/m', "send main #2", "rate", ">", 0.5),
        ),
        ("a: b: max < 1s", Threshold("a: b: max < 1s", "a: b", "max", "<", 1.0)),
    ],
)
def test_thresholds(text: str, threshold: Threshold) -> None:
    quoted = text.replace("'", "''")
    scenario = read(
        f"{TARGET}thresholds: ['{quoted}']\n"
        "steps: [{send: a, name: login}, {send: b}, {send: c, name: 'a: b'}]\n"
    )
    assert scenario.thresholds[-1] == threshold


@pytest.mark.parametrize(
    ("file", "line", "implied"),
    [
        ("[]", (), True),
        ("['mean < 1s']", (), True),
        ("['connect: errors == 0']", (), True),
        ("['errors < 5']", (), False),
        ("['error_rate < 1%']", (), False),
        ("['mean < 1s']", ("errors < 5",), False),
        ("['mean < 1s']", ("max < 5s",), True),
    ],
)
def test_errors_are_counted_unless_a_threshold_does(
    file: str, line: tuple[str, ...], implied: bool
) -> None:
    text = f"{TARGET}thresholds: {file}\nsteps: [{{send: a}}]\n"
    found = read(text, Overrides(thresholds=line)).thresholds
    assert (found[:1] == (IMPLIED,)) is implied
    assert [t.text for t in found if not t.implied] == [
        *(text.strip("[]'") for text in [file] if text != "[]"),
        *line,
    ]


# --- the command line ---------------------------------------------------------------------------


def test_a_seed_of_zero_overrides_the_file_s() -> None:
    assert read(TARGET + "seed: 5\nsteps: [{send: a}]\n", Overrides(seed=0)).seed == 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            Overrides(run_time="abc"),
            "--run-time: 'abc' is not a duration; write a number with a unit such as 250us, 10ms,"
            " 5s, 2m, 1h",
        ),
        (Overrides(run_time="0s"), "--run-time: must be more than zero"),
        (
            Overrides(spawn_rate="x"),
            "--spawn-rate: 'x' is not a rate; write a number a second or a minute such as 500/s,"
            " 30/m",
        ),
        (Overrides(spawn_rate="0"), "--spawn-rate: must be more than zero"),
        (Overrides(users=0), "--users: must be at least 1, not 0"),
        (Overrides(iterations=-1), "--iterations: must be at least 1, not -1"),
        (Overrides(seed=-1), "--seed: must be at least 0, not -1"),
        (Overrides(reply="ecko"), "--reply: unknown rule 'ecko'; did you mean 'echo'?"),
        (Overrides(target="epol"), "--target: unknown model 'epol'; did you mean 'epoll'?"),
        (
            Overrides(target="zzz"),
            "--target: unknown model 'zzz'; models are epoll, poll, select, selectors, threads",
        ),
        (
            Overrides(target="localhost:80"),
            "--target: 'localhost:80' is neither a model nor a URL; write tcp://HOST:PORT,"
            " tls://HOST:PORT, udp://[::1]:PORT or unix:///PATH",
        ),
        (
            Overrides(rate="fast"),
            "--rate: 'fast' is not a rate; write a number a second or a minute such as 500/s, 30/m",
        ),
        (Overrides(rate="0"), "--rate: must be more than zero"),
        (Overrides(rate="5/s"), "--rate: open load ends by time; give --run-time as well"),
        (
            Overrides(rate="5/s", run_time="1s", iterations=3),
            "--iterations: goes with a fixed number of users only, not with open load, ramps or"
            " phases; use --run-time",
        ),
        (Overrides(target="tls://h:0"), "--target: the port in 'tls://h:0' must be 1 to 65535"),
        (
            Overrides(thresholds=("p99 < 5ms",)),
            "--threshold: unknown metric 'p99'; did you mean 'p(99)'?",
        ),
        (
            Overrides(thresholds=("logn: mean < 5ms",)),
            "--threshold: unknown step 'logn' in the threshold; did you mean 'login'?",
        ),
    ],
)
def test_mistakes_on_the_command_line(overrides: Overrides, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(TARGET + "steps: [{send: a, name: login}]\n", overrides)
    assert str(caught.value) == message


# --- files that are none ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfea\0", ":1:1: the byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"a: 1\nb: \xc3\xa9\xe9\n", ":2:5: the byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"\xef\xbb\xbf\xe9", ":1:1: the byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"", ":1:1: the scenario is empty; it needs at least a 'target:' and 'steps:'"),
        (
            b"\xef\xbb\xbfa: \0",
            ":1:4: the character U+0000 cannot stand here; write it as an escape in double quotes",
        ),
        (b"#" * (2**24 + 1), ":1:1: the scenario is larger than 16777216 bytes"),
    ],
)
def test_bytes_that_are_no_scenario(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(data)
    with pytest.raises(ScenarioErrors) as caught:
        load(path)
    assert str(caught.value) == f"{path}{message}"


def test_a_missing_file_a_folder_and_an_impossible_name(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "none.yaml", "no such file or directory"),
        (tmp_path, "is a directory"),
        ("a\0b", "embedded null byte"),
    ):
        with pytest.raises(ScenarioErrors) as caught:
            load(path)
        assert str(caught.value) == f"{path}:1:1: cannot read the scenario: {reason}"


def test_a_pipe_is_no_payload(tmp_path: Path) -> None:
    """Opening one would wait for a writer for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "s.yaml").write_text(TARGET + "steps: [{send: {file: pipe}}]\n")
    with pytest.raises(ScenarioErrors) as caught:
        load(tmp_path / "s.yaml")
    assert str(caught.value) == f"{tmp_path / 's.yaml'}:2:23: 'pipe' is not a regular file"


def test_several_targets_by_name() -> None:
    text = (
        "target: {api: 'tcp://h:1', cache: {bundled: epoll, reply: upper}}\n"
        "sockets: {a: {to: cache}, b: {to: api, count: 2}}\n"
        "steps: [{on: a, send: x, expect: reply}]\n"
    )
    found = read(text)
    assert found.servers == {
        "api": Target(url=Url("tcp", "h", 1)),
        "cache": Target(bundled="epoll", rule="upper"),
    }
    assert found.target == found.servers["api"]
    assert [(one.name, one.to) for one in found.sockets] == [
        ("a", "cache"),
        ("b[0]", "api"),
        ("b[1]", "api"),
    ]
    changed = read(text, Overrides(target=("cache=unix:///s",), reply=("api=ok",)))
    assert changed.servers == {
        "api": Target(url=Url("tcp", "h", 1), rule="ok"),
        "cache": Target(url=Url("unix", path="/s"), rule="upper"),
    }


@pytest.mark.parametrize("target", ["{api: {bundled: epoll}}", "{curl: {bundled: epoll}}"])
def test_a_map_of_one_target_is_for_every_socket(target: str) -> None:
    found = read(f"target: {target}\nsockets: [a, b]\nsteps: [{{on: a, send: x, expect: reply}}]\n")
    (name,) = found.servers
    assert [one.to for one in found.sockets] == [name, name]
    assert found.servers[name] == Target(bundled="epoll", rule="echo")
    plain = Overrides(target="poll", reply="upper")
    (changed,) = read(
        f"target: {target}\nsteps: [{{send: x, expect: reply}}]\n", plain
    ).servers.values()
    assert changed == Target(bundled="poll", rule="upper")
