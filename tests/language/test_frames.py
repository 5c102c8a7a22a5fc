"""What scenario files say of frames, read right, and what the steps make of it."""

from __future__ import annotations

import pickle

import pytest

from loadmux.checking.framing import Framing
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.simple import Delimited, Fixed, UntilClose, line
from loadmux.language.loading import load
from loadmux.language.meaning.expected import ByRule, Exactly, Frame, Length, Reply, Until
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Url
from loadmux.language.meaning.stepvalues import Exchange
from loadmux.measuring.stats import Stats
from loadmux.plugins.formulas import Variable
from loadmux.plugins.payloads import Data, Framed, Joined, Payload, Random, Regex, Text
from loadmux.running.compiling.script import compile_scenario
from loadmux.running.steps import exchanging

LINE = line()


def read(steps: str, framing: str = "line") -> Scenario:
    text = f"target: {{url: 'tcp://127.0.0.1:9', reply: upper}}\nsteps:\n{steps}\n"
    return load("s.yaml", text=text + f"sockets: {{main: {{framing: {framing}}}}}\n")


def exchange(step: str, framing: str = "line") -> Exchange:
    (found,) = read(f"  - {step}", framing).steps
    assert isinstance(found, Exchange)
    return found


def compiled(step: str, framing: str = "line") -> exchanging.Exchange:
    scenario = read(f"  - {step}", framing)
    script = compile_scenario(scenario, {"": Url("tcp", "127.0.0.1", 9)}, 1, Stats())
    (found,) = script.steps
    assert isinstance(found, exchanging.Exchange)
    return found


@pytest.mark.parametrize(
    ("text", "framing"),
    [
        ("line", line()),
        ("until_close", UntilClose()),
        ("{line: true}", line()),
        ("{line: true, max: 1KiB}", line(1024)),
        ("{until_close: true, max: 1GiB}", UntilClose(2**30)),
        ('{delimiter: "\\r\\n"}', Delimited(b"\r\n")),
        ("{delimiter: {hex: 00ff}, max: 64}", Delimited(b"\0\xff", 64)),
        ("{length_prefix: {bytes: 4}}", LengthPrefixed(4)),
        (
            "{length_prefix: {bytes: 2, order: little, counts_itself: true}, max: 9}",
            LengthPrefixed(2, "little", True, 9),
        ),
        ("{fixed: 1KiB}", Fixed(1024)),
        ("{fixed: 17MiB, max: 17MiB}", Fixed(17 * 2**20)),
    ],
)
def test_framings(text: str, framing: Framing) -> None:
    scenario = read("  - {send: a}", text)
    assert scenario.sockets[0].framing == framing
    assert pickle.loads(pickle.dumps(scenario)) == scenario


def test_a_group_shares_its_framing() -> None:
    text = (
        "target: tcp://h:1\nsockets: {g: {count: 2, framing: line}}\nsteps: [{send: {frame: a}}]\n"
    )
    scenario = load("s.yaml", text=text)
    assert [socket.framing for socket in scenario.sockets] == [LINE, LINE]


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ("{frame: a}", Framed(Text(("a",)), LINE)),
        ("{frame: ''}", Framed(Text(()), LINE)),
        ("{frame: {hex: 00}}", Framed(Data(b"\0"), LINE)),
        ("{frame: 'u${user}'}", Framed(Text(("u", Variable("user"))), LINE)),
        ("{frame: {random: 8}}", Framed(Random(8), LINE)),
        ("{join: [{frame: a}, b]}", Joined((Framed(Text(("a",)), LINE), Text(("b",))))),
    ],
)
def test_payloads(text: str, payload: Payload) -> None:
    step = exchange(f"send: {text}")
    assert step.send is not None
    assert step.send.payload == payload


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("{frame: a}", Frame(Exactly(Text(("a",))), LINE)),
        ("{frame: ''}", Frame(Exactly(Text(())), LINE)),
        ("{frame: {text: reply}}", Frame(Exactly(Text(("reply",))), LINE)),
        ("{frame: {length: 3}}", Frame(Length(3), LINE)),
        ("{frame: {regex: a+}}", Frame(Regex("a+"), LINE)),
        ("{regex: '(?P<a>é)(b)(?P<c>d)'}", Frame(Regex("(?P<a>é)(b)(?P<c>d)", ("a", "c")), LINE)),
        ("{regex: 'a\\${user}'}", Frame(Regex("a\\${user}"), LINE)),
        ('{regex: a+, until: "\\r"}', Until(b"\r", Regex("a+"))),
        ('{until: "\\r", regex: a+}', Until(b"\r", Regex("a+"))),
        ("{join: [{frame: a}, b]}", Exactly(Joined((Framed(Text(("a",)), LINE), Text(("b",)))))),
    ],
)
def test_replies(text: str, reply: Reply) -> None:
    step = exchange(f"expect: {text}")
    assert step.expect is not None
    assert step.expect.reply == reply


@pytest.mark.parametrize(
    ("body", "reply"), [("reply", ByRule(None)), ("{rule: echo}", ByRule("echo"))]
)
def test_rules_answer_the_frame_that_is_sent(body: str, reply: ByRule) -> None:
    step = exchange(f"{{send: {{frame: a}}, expect: {{frame: {body}}}}}")
    assert step.expect is not None
    assert step.expect.reply == Frame(reply, LINE, True)


def test_named_groups_are_names_from_then_on() -> None:
    first, second = read(
        "  - {expect: {regex: '(?P<id>.+)'}}\n  - {send: {frame: '${id}'}, expect: reply}"
    ).steps
    assert isinstance(first, Exchange)
    assert isinstance(second, Exchange)


@pytest.mark.parametrize(
    ("step", "framing", "sent", "likely"),
    [
        ("{send: {frame: PING}, expect: {frame: PONG}}", "line", b"PING\n", b"PONG\n"),
        ("{send: x, expect: {frame: PONG}}", "line", b"x", b"PONG\n"),
        ("{send: {frame: a}, expect: {frame: reply}}", "line", b"a\n", b"A\n"),
        ("{send: {frame: a}, expect: {frame: {rule: ok}}}", "{fixed: 1}", b"a", None),
        (
            "{send: {join: [{frame: a}, {frame: b}]}, expect: {join: [{frame: c}, {frame: d}]}}",
            "{length_prefix: {bytes: 1}}",
            b"\1a\1b",
            b"\1c\1d",
        ),
        ("{send: {frame: x}, expect: {frame: x}}", "until_close", b"x", None),
        (
            "{send: {frame: ab, header: {hex: 3000}}, expect: {frame: c, header: {hex: 40ff}}}",
            "{length_prefix: {at: 1, varint: true}}",
            b"\x30\2ab",
            b"\x40\1c",
        ),
        (
            "{send: {frame: a}, expect: {join: [{frame: c, header: '-xx-'}, d]}}",
            "{length_prefix: {at: 1, bytes: 2, header: 4}}",
            b"\0\0\1\0a",
            b"-\0\1-cd",
        ),
        ("{send: {frame: x}, expect: {regex: x}}", "line", b"x\n", None),
        ("{send: {frame: x}, expect: {frame: '${sent}'}}", "line", b"x\n", None),
    ],
)
def test_what_is_known_beforehand_takes_the_fast_path(
    step: str, framing: str, sent: bytes, likely: bytes | None
) -> None:
    found = compiled(step, framing)
    assert found.direct
    assert found.message is not None
    assert found.message.constant == sent
    assert (None if found.plan is None else found.plan.likely) == likely


def test_what_bounds_goes_out_at_once_as_well() -> None:
    assert compiled("{send: a, expect: {frame: a}, within: 1s}").direct


@pytest.mark.parametrize(
    "step", ["{send: a, expect: {frame: a}, save: b}", "{send: a, expect: {regex: '(?P<x>a)'}}"]
)
def test_what_keeps_learns(step: str) -> None:
    found = compiled(step)
    assert found.direct
    assert found.plan is None
    assert found.learned is not None
    assert found.learned.keeps


def test_a_frame_until_close_ends_the_connection() -> None:
    """Sending after it is no send after a half-close: the socket connects anew."""
    text = "  - {half_close: main}\n  - {expect: {frame: a}}\n  - {send: b}"
    assert len(read(text, "until_close").steps) == 3
