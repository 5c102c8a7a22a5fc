"""Datagrams that are lost, doubled, swapped and changed: each of it told by its kind."""

from __future__ import annotations

import needs
import pytest
from driving import POLLERS, Driven, drive
from transports import Address, Gone, Replies, UdpServer, free_udp_port

from loadmux.errors import DriverFault

pollers = pytest.mark.parametrize("poller", POLLERS)

TALK = """
steps:
  - {name: talk, send: "user ${user} in iteration ${iteration}", expect: reply}
load: {users: 1, iterations: 3}
timeout: 300ms
"""
PIPELINED = """
steps:
  - {send: "one ${iteration}"}
  - {send: "two ${iteration}"}
  - {send: "three ${iteration}"}
  - {name: all, expect: reply}
load: {users: 1, iterations: 3}
timeout: 300ms
"""


def echo(datagram: bytes, number: int) -> list[bytes]:
    return [datagram]


def lie(replies: Replies, poller: str | None, text: str = TALK, rule: str = "echo") -> Driven:
    with UdpServer(replies) as server:
        return drive(text, server.url, poller, rule)


def steps(steps: str, load: str = "users: 1, iterations: 3") -> str:
    return f"steps: {steps}\nload: {{{load}}}\ntimeout: 300ms\n"


# --- right servers ------------------------------------------------------------------------------


@pollers
def test_an_honest_server_has_no_faults(poller: str) -> None:
    driven = lie(echo, poller)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3
    assert driven.unreachable is None


@pollers
def test_many_users_on_one_server(poller: str) -> None:
    text = TALK.replace("users: 1, iterations: 3", "users: 20, iterations: 50")
    driven = lie(echo, poller, text)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 1000


@pollers
def test_several_messages_under_way(poller: str) -> None:
    driven = lie(echo, poller, PIPELINED)
    assert driven.kinds == {}
    assert driven.stats.steps["all"].right == 3


@pollers
def test_each_piece_is_a_datagram(poller: str) -> None:
    seen: list[bytes] = []

    def note(datagram: bytes, number: int) -> list[bytes]:
        seen.append(datagram)
        return [b"ok"]

    text = steps("[{send: abcdef, pieces: [1, 3], expect: reply}]", "users: 1, iterations: 1")
    driven = lie(note, poller, text, "ok")
    assert driven.kinds == {}
    assert seen == [b"a", b"bcd", b"ef"]


@pollers
@pytest.mark.parametrize(
    ("form", "reply"),
    [
        ("hello", b"hello"),
        ("{length: 5}", b"any 5"),
        ("{until: '.'}", b"up to here."),
        ("{rule: upper}", b"SAY HELLO"),
    ],
)
def test_one_datagram_of_each_form(poller: str, form: str, reply: bytes) -> None:
    text = steps(f"[{{name: talk, send: say hello, expect: {form}}}]")
    driven = lie(lambda datagram, number: [reply], poller, text)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


@pollers
def test_the_largest_datagram(poller: str) -> None:
    driven = lie(echo, poller, steps("[{name: talk, send: {random: 65507}, expect: reply}]"))
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


@pollers
def test_silence_is_none_with_an_empty_datagram(poller: str) -> None:
    text = steps("[{send: hello}, {name: quiet, expect: {silence: 100ms}}]")
    assert lie(lambda datagram, number: [], poller, text).kinds == {}
    driven = lie(lambda datagram, number: [b""], poller, text)
    assert driven.kinds == {"surplus": 3}
    assert "an empty datagram" in driven.faults[0].message


def test_over_ipv6() -> None:
    needs.ipv6()
    with UdpServer(echo, "::1") as server:
        assert drive(TALK, server.url, rule="echo").kinds == {}


# --- wrong ones ---------------------------------------------------------------------------------


@pollers
def test_a_lost_datagram_is_a_timeout(poller: str) -> None:
    driven = lie(lambda datagram, number: [] if number == 0 else [datagram], poller)
    assert driven.kinds == {"timeout": 3}
    assert "no datagram within 0.3 s" in driven.faults[0].message


@pollers
def test_a_lost_one_of_several_is_a_timeout(poller: str) -> None:
    driven = lie(
        lambda datagram, number: [] if b"two" in datagram else [datagram], poller, PIPELINED
    )
    assert driven.kinds == {"timeout": 3}
    assert "datagram 2 of 3: it did not come" in driven.faults[0].message


@pollers
def test_the_last_of_several_lost(poller: str) -> None:
    driven = lie(
        lambda datagram, number: [] if b"three" in datagram else [datagram], poller, PIPELINED
    )
    assert driven.kinds == {"timeout": 3}
    assert "owed: one datagram" in driven.faults[0].message


@pollers
def test_datagrams_in_another_order(poller: str) -> None:
    held: list[bytes] = []

    def swap(datagram: bytes, number: int) -> list[bytes]:
        if b"one" in datagram:
            held.append(datagram)
            return []
        return [datagram, held.pop()] if held else [datagram]

    driven = lie(swap, poller, PIPELINED)
    assert driven.kinds == {"reordered": 3}
    assert driven.faults[0].message == "datagram 1 of 3: datagram 2 came before it"


@pollers
def test_another_order_of_replies_that_steps_await_one_by_one(poller: str) -> None:
    held: list[bytes] = []

    def swap(datagram: bytes, number: int) -> list[bytes]:
        held.append(datagram)
        return [] if len(held) % 2 else [held[-1], held[-2]]

    text = steps("[{send: ab}, {send: cd}, {expect: ab}, {expect: cd}]")
    assert lie(swap, poller, text).kinds == {"reordered": 3}


@pollers
def test_the_same_datagram_twice(poller: str) -> None:
    driven = lie(lambda datagram, number: [datagram] * (2 if number == 0 else 1), poller)
    assert set(driven.kinds) == {"duplicate"}


@pollers
def test_the_last_datagram_of_all_twice(poller: str) -> None:
    """Nothing is sent after it: the last look before the end finds it."""
    text = steps("[{name: talk, send: hello, expect: hello}]", "users: 1, iterations: 1")
    driven = lie(lambda datagram, number: [datagram] * 2, poller, text)
    assert driven.kinds == {"duplicate": 1}
    assert driven.stats.steps["talk"].right == 1


@pollers
def test_the_same_constant_reply_twice(poller: str) -> None:
    text = steps("[{name: talk, send: hello, expect: hello}]")
    driven = lie(lambda datagram, number: [datagram] * (2 if number == 0 else 1), poller, text)
    assert set(driven.kinds) == {"duplicate"}


@pollers
@pytest.mark.parametrize("at", [0, 9, 18])
def test_a_flipped_byte_is_corrupt_at_its_offset(poller: str, at: int) -> None:
    def flip(datagram: bytes, number: int) -> list[bytes]:
        return [datagram[:at] + bytes([datagram[at] ^ 1]) + datagram[at + 1 :]]

    driven = lie(flip, poller)
    assert driven.kinds == {"corrupt": 3}
    assert driven.faults[0].offset == at


@pollers
def test_a_cut_datagram_is_truncated(poller: str) -> None:
    driven = lie(lambda datagram, number: [datagram[:8]], poller)
    assert driven.kinds == {"truncated": 3}
    assert "only the first 8 of" in driven.faults[0].message


@pollers
def test_an_empty_datagram_is_no_end(poller: str) -> None:
    driven = lie(lambda datagram, number: [b""], poller)
    assert driven.kinds == {"truncated": 3}
    assert "only the first 0 of" in driven.faults[0].message


@pollers
def test_two_datagrams_do_not_make_one_reply(poller: str) -> None:
    """What a stream would join stays apart."""
    driven = lie(lambda datagram, number: [datagram[:8], datagram[8:]], poller)
    assert driven.kinds == {"truncated": 3}


@pollers
def test_a_longer_datagram_has_a_surplus(poller: str) -> None:
    driven = lie(lambda datagram, number: [datagram + b" and more"], poller)
    assert driven.kinds == {"surplus": 3}


@pollers
@pytest.mark.parametrize(
    ("reply", "kind"), [(b"four", "truncated"), (b"sixsix", "surplus"), (b"", "truncated")]
)
def test_a_datagram_of_another_length(poller: str, reply: bytes, kind: str) -> None:
    text = steps("[{send: hello, expect: {length: 5}}]")
    assert lie(lambda datagram, number: [reply], poller, text).kinds == {kind: 3}


@pollers
def test_a_datagram_that_nobody_asked_for(poller: str) -> None:
    driven = lie(lambda datagram, number: [datagram, b"news of the day"], poller)
    assert set(driven.kinds) == {"surplus"}


@pollers
def test_a_datagram_for_somebody_else(poller: str) -> None:
    """Two users' replies, each sent to the other."""
    waiting: list[tuple[bytes, Address]] = []

    def cross(datagram: bytes, sender: Address) -> list[tuple[bytes, Address]]:
        waiting.append((datagram, sender))
        if len(waiting) < 2:
            return []
        (first, one), (second, other) = waiting
        return [(first, other), (second, one)]

    text = TALK.replace("users: 1, iterations: 3", "users: 2, iterations: 1")
    with UdpServer(echo, route=cross) as server:
        driven = drive(text, server.url, poller, "echo")
    assert driven.kinds == {"crosstalk": 2}


# --- nobody there -------------------------------------------------------------------------------


@pollers
def test_nobody_listens(poller: str) -> None:
    driven = drive(TALK, f"udp://127.0.0.1:{free_udp_port()}", poller, "echo")
    assert driven.kinds == {"refused": 1}
    assert driven.unreachable is not None
    assert "ICMP: port unreachable" in driven.unreachable


def test_a_server_that_goes_away_was_reached() -> None:
    def leave(datagram: bytes, number: int) -> list[bytes]:
        if b"iteration 2" in datagram:
            raise Gone
        return [datagram]

    with UdpServer(leave) as server:
        driven = drive(TALK.replace("iterations: 3", "iterations: 5"), server.url, rule="echo")
    assert driven.stats.steps["talk"].right == 2
    assert set(driven.kinds) <= {"refused", "timeout"}
    assert driven.kinds["refused"] >= 2
    assert driven.unreachable is None


@pollers
def test_what_was_dropped_here_is_not_missed_when_a_later_one_comes(poller: str) -> None:
    """The server answers in the order of arrival: what `other` gets, it gets after the flood."""
    text = """
    sockets: {main: {receive_buffer: 1}, other: {}}
    steps:
      - {stop_reading: main}
      - {repeat: 20, do: [{on: main, send: {random: 1000}}]}
      - {on: other, send: done, expect: done}
      - {resume_reading: main}
      - {on: main, send: last}
      - {on: main, expect: reply}
    timeout: 500ms
    """
    with pytest.raises(DriverFault, match="for want of room in a socket's receive buffer"):
        lie(echo, poller, text)
