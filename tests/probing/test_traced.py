"""What `trace` prints, read back."""

from __future__ import annotations

import pytest

from loadmux.errors import UsageError
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.probing.known import pick
from loadmux.probing.traced import data_of, is_trace, scenario_text
from loadmux.report.wire import lines
from loadmux.running.tracing.trace import trace

MAIL = """\
target  tcp://127.0.0.1:25

hello (mail.yaml:4)
   0.001000 s  main  connected to tcp://127.0.0.1:25
   0.001500 s  main  <- 10 B
        <- "220 hi\\r\\n"
   0.002000 s  main  -> 6 B
        -> "NOOP\\r\\n"
   0.003000 s  main  <- 4 B
        <- "250 "
   0.003500 s  main  <- 4 B
        <- "ok\\r\\n"
  \u2713 as expected, 1.5 ms
   0.004000 s  main  -> 6 B
        -> "QUIT\\r\\n"
   0.005000 s  main  <- 9 B
        <- "221 bye\\r\\n"
   0.006000 s  main  closed by the server
"""


def traced(text: str) -> Scenario:
    return load("traced.yaml", text=scenario_text(text, "traced"))


@pytest.mark.parametrize(
    "data", [b"a", b'a\r\nb\t"\\\n', "\u00e4\u2028\x7f!".encode(), bytes(range(256)), b"\0" * 40]
)
def test_bytes_are_read_as_they_were_shown(data: bytes) -> None:
    assert b"".join(data_of(line) for line in lines(data)) == data


def test_the_first_message_that_was_answered() -> None:
    found = traced(MAIL)
    known = pick(found)
    assert str(found.servers[""].url) == "tcp://127.0.0.1:25"
    assert len(found.steps) == 1
    assert len(known.socket.on_connect) == 1
    assert known.payload == pick(load("x", text=SAME)).payload
    assert known.reply == pick(load("x", text=SAME)).reply


SAME = 'target: tcp://127.0.0.1:25\nsteps: [{send: "NOOP\\r\\n", expect: "250 ok\\r\\n"}]\n'


def test_an_end_after_the_reply_is_expected() -> None:
    one = MAIL.partition("   0.004000")[0] + "   0.006000 s  main  closed by the server\n"
    assert pick(traced(one)).closes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MAIL.partition("   0.002000")[0], "no message that was answered"),
        (MAIL.replace("   0.002000", "   0.0019 s  main  TLS has begun\n   0.002"), "TLS begins"),
    ],
)
def test_what_cannot_be_probed_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        scenario_text(text, "traced")


def test_what_trace_prints_is_known_again() -> None:
    steps = 'steps: [{send: "a\\nb", expect: reply}]\n'
    shown: list[str] = []
    asked = load("x", text="target: {bundled: select, reply: upper}\n" + steps)
    trace(asked, lambda line, _: shown.append(line))
    text = "\n".join(shown)
    assert is_trace(text)
    known = pick(traced(text))
    assert known.payload == pick(asked).payload
    assert not is_trace(steps)
