"""Ends among other replies: a close or a reset behind them, or as one of several."""

from __future__ import annotations

import socket

import pytest
from driving import POLLERS, Server, drive, reset, scenario_for

from loadmux.errors import ScenarioErrors

pollers = pytest.mark.parametrize("poller", POLLERS)

CLOSES, RESETS, BOTH = "closed", "{reset: true}", "{one_of: [closed, {reset: true}]}"


def ends(connection: socket.socket, number: int) -> None:
    """`fin` and `rst` say how the connection ends, after `bye` where they are upper case."""
    while chunk := connection.recv(65536):
        word = chunk.lower()
        if word not in (b"fin", b"rst"):
            connection.sendall(chunk)
            continue
        if chunk != word:
            connection.sendall(b"bye")
        if word == b"rst":
            reset(connection)
        else:
            connection.shutdown(socket.SHUT_WR)
        return
    connection.shutdown(socket.SHUT_WR)


def steps(said: str, reply: str) -> str:
    """What is said in lower case is answered by an end alone."""
    whole = reply if said.islower() else f"[bye, {reply}]"
    return f"steps: [{{send: {said}, expect: {whole}}}]\n"


@pollers
@pytest.mark.parametrize(
    ("said", "reply", "kinds"),
    [
        ("fin", BOTH, {}),
        ("rst", BOTH, {}),
        ("FIN", CLOSES, {}),
        ("FIN", RESETS, {"closed": 1}),
        ("FIN", BOTH, {}),
        ("RST", RESETS, {}),
        ("RST", CLOSES, {"reset": 1}),
        ("RST", BOTH, {}),
        ("other", BOTH, {"surplus": 1}),
    ],
)
def test_an_end_among_replies(poller: str, said: str, reply: str, kinds: dict[str, int]) -> None:
    with Server(ends) as server:
        assert drive(steps(said, reply), server.url, poller).kinds == kinds


def test_which_end_it_was_is_saved_and_the_socket_connects_anew() -> None:
    which = "{one_of: {fin: closed, rst: {reset: true}}, save: which}"
    text = f"""
steps:
  - {{send: rst, expect: {which}}}
  - {{send: "it was ${{which}}", expect: it was rst}}
  - {{half_close: main}}
  - {{expect: {which}}}
  - {{send: "it was ${{which}}", expect: it was fin}}
"""
    with Server(ends) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert driven.stats.total.count == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps: [{send: a, expect: [{reset: true}, b]}]", "nothing comes after 'reset'"),
        (
            "sockets: {main: {on_connect: [{send: a, expect: [b, closed]}]}}\nsteps: [{send: a}]",
            "an end cannot be expected in it",
        ),
    ],
)
def test_where_no_end_can_stand(text: str, told: str) -> None:
    with pytest.raises(ScenarioErrors, match=told):
        scenario_for(text, "tcp://127.0.0.1:1")


@pollers
def test_half_closing_again_blames_nobody(poller: str) -> None:
    text = """
steps:
  - {send: hello, expect: hello}
  - {half_close: main}
  - {wait: 20ms}
  - {half_close: main}
  - {expect: closed}
"""
    with Server(ends) as server:
        assert drive(text, server.url, poller).kinds == {}
