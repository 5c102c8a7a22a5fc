"""`trace`: one iteration of one user, with all that goes over the wire, on every transport."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import loadmux as command_line
from driving import Server, answering, scenario_for

from loadmux.checking.framing import Framing
from loadmux.language.describing.suggesting import suggested
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.running.catalog import models
from loadmux.running.tracing.trace import trace


class Said(list[str]):
    """What was printed."""

    def __call__(self, line: str, style: str) -> None:
        self.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self)


def traced(text: str, check: bool = True) -> tuple[ExitCode, str]:
    said = Said()
    code = trace(load("s.yaml", text=text, models=models()), said, check=check)
    return code, said.text


TARGETS = {
    "tcp": "{bundled: select, reply: upper}",
    "tls": "{bundled: epoll, reply: upper, tls: true}",
    "unix": "{bundled: poll, reply: upper, unix: PATH}",
    "udp": "{bundled: udp, reply: upper}",
}


@pytest.mark.parametrize("scheme", TARGETS)
def test_all_that_was_sent_and_came(scheme: str, tmp_path: Path) -> None:
    target = TARGETS[scheme].replace("PATH", str(tmp_path / "s"))
    steps = '- {send: "hello", expect: HELLO}\n- {send: {hex: 00 01 61}, expect: {hex: 00 01 41}}\n'
    code, out = traced(f"target: {target}\nsteps:\n{steps}load: {{users: 9, run_time: 9s}}\n")
    assert code is ExitCode.PASS, out
    assert f"main  connected to {scheme}://" in out
    assert '        -> "hello"\n' in out
    assert '        <- "HELLO"\n' in out
    assert "        <- 0000  00 01 41 " in out
    assert out.count("✓ as expected") == 2
    assert "Suggested" not in out


SEVERAL = """
target: {bundled: threads, reply: upper}
sockets: {a: {framing: line}, b: {}}
before: [{on: a, send: "log in\\n", expect: reply}]
steps:
  - repeat: 2
    do:
      - together:
          - [{on: a, send: {frame: x}, expect: {frame: X}}]
          - [{on: b, send: "yy", expect: YY}]
  - {on: [a, b], send: "both\\n", expect: reply}
after: [{on: b, send: bye, expect: BYE}]
"""


def test_several_sockets_with_all_their_steps() -> None:
    code, out = traced(SEVERAL)
    assert code is ExitCode.PASS, out
    assert out.count("as expected") == 7
    assert out.count('<- "X\\n"') == out.count('<- "YY"') == 2


def test_a_wrong_reply_is_shown_whole_and_told_what_to_expect() -> None:
    """Also what came long behind its first wrong byte."""
    rest = b"x" * 9000 + b"the end"
    with Server(answering(lambda data: b"hullo " + data + b"\n" + rest)) as server:
        said = Said()
        text = 'steps: [{name: ask, send: "hello", expect: "hello hello"}, {send: never}]'
        code = trace(scenario_for(text, server.url), said)
    assert code is ExitCode.FAIL
    assert '<- "hullo hello\\n"' in said.text
    assert "the end" in said.text
    assert "✗ " in said.text
    assert "the first wrong byte is byte 1 of the reply" in said.text
    assert "never" not in said.text
    assert "ask (line 1): expect: {length: 9019}" in said.text


def test_without_checks_it_only_shows_and_goes_on() -> None:
    text = """
target: {bundled: select, reply: received}
steps:
  - {name: greet, send: "hello", expect: "nonsense"}
  - {name: only, send: "and this"}
  - {name: last, send: "more", expect: "Server received b'more'"}
"""
    code, out = traced(text, check=False)
    assert code is ExitCode.PASS, out
    assert "✗" not in out
    assert "✓" not in out
    assert "<- \"Server received b'more'\"" in out
    assert "greet (line 4): expect: \"Server received b'${sent}'\"" in out
    assert "only (line 5): expect: \"Server received b'${sent}'\"" in out
    assert "last (line 6)" not in out


def test_what_nobody_asked_for_is_suggested() -> None:
    text = "target: {bundled: epoll, reply: hello}\nsteps: [{name: ask, send: hi}]\n"
    code, out = traced(text)
    assert code is ExitCode.FAIL, out
    assert "✗ surplus" in out
    assert 'ask (line 2): expect: "Hello Client!"' in out


def test_nobody_is_there() -> None:
    code, out = traced("target: tcp://127.0.0.1:1\nsteps: [{send: a, expect: b}]\n")
    assert code is ExitCode.UNREACHABLE
    assert "UNREACHABLE: cannot connect to tcp://127.0.0.1:1: Connection refused" in out


PYTHON = """
from loadmux.scripting import User, scenario

@scenario(target={"bundled": "epoll", "reply": "echo"}, users=3, iterations=5)
async def talk(user: User) -> None:
    word = await user["main"].exchange("hello", name="first")
    await user["main"].exchange(word * 2, "other", name="second")
"""


def test_the_command_traces_python_too(tmp_path: Path) -> None:
    (tmp_path / "talk.py").write_text(PYTHON)
    done = command_line("trace", "talk.py", cwd=tmp_path)
    assert done.code == 1, done.out + done.err
    assert '-> "hellohello"' in done.out
    assert 'second: expect: "${sent}"' in done.out
    done = command_line("trace", "talk.py", "--no-check", cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    done = command_line("trace", "parts", "--fault", "flip:1", cwd=tmp_path)
    assert done.code == 1
    assert "✗ corrupt" in done.out


def framing_of(text: str) -> Framing | None:
    written = f"target: tcp://h:1\nsockets: {{a: {text}}}\nsteps: [{{connect: a}}]\n"
    scenario: Scenario = load("s.yaml", text=written)
    return scenario.sockets[0].framing


@pytest.mark.parametrize(
    ("sent", "came", "framing", "found"),
    [
        (b"hello", b"hello", "{}", ['"${sent}"']),
        (b"hello", b"got hello", "{}", ['"got ${sent}"']),
        (b"x", b"x ${y}\r\n", "{}", ['"x $${y}\\r\\n"']),
        (b"x", b"\x00\xff", "{}", ['{hex: "00 ff"}']),
        (b"x", b"", "{}", ["{silence: 500ms}"]),
        (b"x", b"a" * 2000, "{}", ["{length: 2000}"]),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", "{}", ["{http: 204}"]),
        (b"ab\n", b"AB\ncd\nr", "{framing: line}", ['{frame: "AB"}', '{frame: "cd"}', '"r"']),
        (b"ab\n", b"ab\n", "{framing: line}", ['{frame: "${sent}"}']),
    ],
)
def test_what_is_suggested(sent: bytes, came: bytes, framing: str, found: list[str]) -> None:
    assert suggested(sent, came, False, framing_of(framing)) == found
    assert suggested(sent, came, True, framing_of(framing))[-1] == "closed"
