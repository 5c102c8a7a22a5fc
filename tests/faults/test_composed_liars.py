"""Replies made of replies: right servers, and liars of each word's own kind."""

from __future__ import annotations

import itertools
import socket

import pytest
from driving import POLLERS, Driven, Handler, Server, answering, drive
from transports import UdpServer

pollers = pytest.mark.parametrize("poller", POLLERS)
ANY_ORDER = (
    "steps: [{name: talk, send: a, expect: {any_order: [{frame: one}, {frame: two},"
    " {regex: 'thr(?P<e>e+)'}]}}]\n"
)
SKIP = "steps: [{name: talk, send: a, expect: {frame: answer, skip: {starts_with: TICK}}}]\n"
LIST = (
    "steps: [{name: talk, send: a, expect: [{frame: head}, {regex: '(?P<n>\\d+) rows'},"
    ' {frame: "last ${n}"}]}]\n'
)
ONE_OF = (
    "steps:\n"
    "  - {name: talk, send: a, expect: {one_of: {hit: {regex: 'HIT .*'}, miss: {frame: MISS}},"
    " save: which}}\n"
)
JOIN = (
    "steps: [{name: talk, send: a, expect: {frame: {join: [R, {int: any, bytes: 2, save: id},"
    " {sized: {starts_with: ok}, bytes: 1}, {regex: '[a-z]*'}, {hex: ff}]}}}]\n"
)


def saying(*chunks: bytes) -> Handler:
    """Says the same to all that it reads."""

    def handler(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            for chunk in chunks:
                connection.sendall(chunk)

    return handler


def talk(handler: Handler, steps: str, framing: str = "line", poller: str | None = None) -> Driven:
    load = "load: {users: 1, iterations: 3}\ntimeout: 300ms\n"
    with Server(handler) as server:
        return drive(
            f"sockets: {{main: {{framing: {framing}}}}}\n{steps}{load}", server.url, poller
        )


def fault(driven: Driven) -> str:
    (kind,) = driven.kinds
    return kind


@pollers
@pytest.mark.parametrize("order", list(itertools.permutations([b"one\n", b"two\n", b"threee\n"])))
def test_any_order_is_right(poller: str, order: tuple[bytes, ...]) -> None:
    driven = talk(saying(*order), ANY_ORDER, poller=poller)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


@pollers
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"one\nthree\none\n", "duplicate"),
        (b"one\nthree\nTwo\n", "corrupt"),
        (b"one\nthree\nthe third\n", "mismatch"),
        (b"one\nthree\ntwo\none\n", "duplicate"),
        (b"one\nthree\ntwo more\n", "surplus"),
        (b"one\nthree\ntw\n", "truncated"),
        (b"one\nthree\n", "truncated"),
    ],
)
def test_any_order_and_a_liar(poller: str, reply: bytes, kind: str) -> None:
    assert fault(talk(saying(reply), ANY_ORDER, poller=poller)) == kind


def test_a_missing_frame_says_which() -> None:
    driven = talk(saying(b"one\nthree\n"), ANY_ORDER)
    assert "owed: 1 of 3 frames (b'two\\n')" in driven.faults[0].message


@pollers
def test_pushes_are_skipped_and_counted(poller: str) -> None:
    driven = talk(saying(b"TICK 1\nTI", b"CK 2\nanswer\n"), SKIP, poller=poller)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


@pollers
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"TICK 1\nanswEr\n", "corrupt"),
        (b"TICK 1\nTOCK 2\nanswer\n", "mismatch"),
        (b"TICK 1\n", "timeout"),
        (b"TICK 1\nans", "truncated"),
    ],
)
def test_skip_and_a_liar(poller: str, reply: bytes, kind: str) -> None:
    assert fault(talk(saying(reply), SKIP, poller=poller)) == kind


@pollers
def test_a_list_is_one_exchange(poller: str) -> None:
    driven = talk(saying(b"head\n1", b"7 rows\nlast 17\n"), LIST, poller=poller)
    assert driven.kinds == {}
    assert driven.stats.total.count == 3


@pollers
@pytest.mark.parametrize(
    ("reply", "kind", "number"),
    [
        (b"hEad\n17 rows\nlast 17\n", "corrupt", 0),
        (b"head\nx rows\nlast 17\n", "mismatch", 2),
        (b"head\n17 rows\nlast 18\n", "corrupt", 0),
        (b"head\n17 rows\n", "truncated", 3),
        (b"head\n17 rows\nlast 17\nand\n", "surplus", 0),
    ],
)
def test_a_list_and_a_liar(poller: str, reply: bytes, kind: str, number: int) -> None:
    driven = talk(saying(reply), LIST, poller=poller)
    assert fault(driven) == kind
    if number:
        assert f"reply {number} of 3" in driven.faults[0].message


def test_a_list_in_the_wrong_order_is_reordered() -> None:
    text = "steps: [{send: a, expect: [{frame: number one}, {frame: the second}]}]\n"
    driven = talk(saying(b"the second\nnumber one\n"), text)
    assert fault(driven) == "reordered"


@pollers
@pytest.mark.parametrize("reply", [b"HIT 5\n", b"MISS\n"])
def test_one_of_is_right(poller: str, reply: bytes) -> None:
    assert talk(saying(reply), ONE_OF, poller=poller).kinds == {}


@pollers
@pytest.mark.parametrize(
    ("reply", "kind"), [(b"MISs\n", "corrupt"), (b"ERR\n", "mismatch"), (b"MIS\n", "truncated")]
)
def test_one_of_and_a_liar(poller: str, reply: bytes, kind: str) -> None:
    driven = talk(saying(reply), ONE_OF, poller=poller)
    assert fault(driven) == kind
    assert "that is the nearest" in driven.faults[0].message


LENGTH = "{length_prefix: {bytes: 1}}"


@pollers
def test_a_join_is_right(poller: str) -> None:
    reply = b"R\0\x05" + b"\x04ok 5" + b"rest" + b"\xff"
    assert talk(saying(bytes([len(reply)]) + reply), JOIN, LENGTH, poller).kinds == {}


@pollers
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"S\0\x05\x04ok 5rest\xff", "corrupt"),
        (b"R\0\x05\x15ok 5rest\xff", "truncated"),
        (b"R\0\x05\x04OK 5rest\xff", "corrupt"),
        (b"R\0\x05\x04ok 5Rest\xff", "mismatch"),
        (b"R\0\x05\x04ok 5rest\xfe", "corrupt"),
        (b"R\0\x05\x04ok", "truncated"),
        (b"R\0", "truncated"),
    ],
)
def test_a_join_and_a_liar(poller: str, reply: bytes, kind: str) -> None:
    driven = talk(saying(bytes([len(reply)]) + reply), JOIN, LENGTH, poller)
    assert fault(driven) == kind


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_a_stream_without_framing(chunk: int) -> None:
    text = (
        "steps:\n"
        "  - send: a\n"
        "    expect:\n"
        "      - {join: [{int: any, bytes: 2, order: little, save: n}, {length: 3, save: w}]}\n"
        '      - {starts_with: "${w}", until: ";"}\n'
        "      - {one_of: {yes: {sized: any, digits: 2}, no: none}, save: which}\n"
        '  - {send: "${n}${w}${which}", expect: any}\n'
        "load: {users: 1, iterations: 1}\ntimeout: 500ms\n"
    )
    seen: list[bytes] = []

    def reply(sent: bytes) -> bytes:
        seen.append(sent)
        return b"\x07\0abcabcdef;02xy" if sent == b"a" else b"!"

    with Server(answering(reply)) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert seen == [b"a", b"7abcyes"]


def test_a_list_may_end_with_the_connection() -> None:
    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(100)
        connection.sendall(b"bye")
        connection.close()

    text = "steps: [{send: quit, expect: [bye, closed]}]\nload: {users: 1, iterations: 3}\n"
    with Server(handler) as server:
        assert drive(text, server.url).kinds == {}
        wrong = text.replace("bye", "by")
        assert drive(wrong, server.url).kinds == {"surplus": 3}


UDP = (
    "steps: [{{name: talk, send: a, expect: {}}}]\n"
    "load: {{users: 1, iterations: 2}}\ntimeout: 300ms\n"
)


@pytest.mark.parametrize(
    ("reply", "sent", "kind"),
    [
        ("{any_order: [one, {regex: 't.*'}]}", [b"two", b"one"], ""),
        ("{any_order: [one, {regex: 't.*'}]}", [b"one", b"one"], "duplicate"),
        ("{any_order: [one, {regex: 't.*'}]}", [b"one"], "timeout"),
        ("[one, two]", [b"one", b"two"], ""),
        ("[one, two]", [b"two", b"one"], "reordered"),
        ("[one, two]", [b"onetwo"], "surplus"),
        ("[one, two]", [b"one"], "timeout"),
        ("any", [b"whatever"], ""),
        ("{starts_with: on}", [b"one"], ""),
        ("{starts_with: on}", [b"two"], "mismatch"),
        ("{join: [{int: any, bytes: 2, save: n}, any, {hex: 00}]}", [b"12345\0"], ""),
        ("{join: [{int: any, bytes: 2, save: n}, any, {hex: 00}]}", [b"12345\1"], "corrupt"),
        ("{one_of: [one, two]}", [b"two"], ""),
        ("{one_of: [one, two]}", [b"twX"], "corrupt"),
        ("{any: true, skip: {starts_with: TICK}}", [b"TICK", b"one"], ""),
        ("{starts_with: o, skip: any}", [b"TICK", b"one"], ""),
    ],
)
def test_datagrams(reply: str, sent: list[bytes], kind: str) -> None:
    with UdpServer(lambda datagram, number: sent) as server:
        driven = drive(UDP.format(reply), server.url)
    assert set(driven.kinds) == ({kind} if kind else set())


@pytest.mark.parametrize("send", ["a", "'${user}'"])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("[one, two]", "mismatch"),
        ("[{length: 3}, {length: 3}]", "surplus"),
        ("[{length: 3}, {one_of: [two, three]}]", "surplus"),
        ("[one, {regex: 't.*'}]", "mismatch"),
    ],
)
def test_one_datagram_is_never_two_replies(send: str, reply: str, kind: str) -> None:
    """Also after two that were right."""

    def replies(datagram: bytes, number: int) -> list[bytes]:
        return [b"onetwo"] if number else [b"one", b"two"]

    with UdpServer(replies) as server:
        driven = drive(UDP.format(reply).replace("send: a", f"send: {send}"), server.url)
    assert driven.kinds == {kind: 1}


@pytest.mark.parametrize(
    ("reply", "kinds"), [(b"id a.b is a.ba.b\n", set()), (b"id a.b is a.bacb\n", {"mismatch"})]
)
def test_a_name_in_a_regex_stands_for_its_bytes(reply: bytes, kinds: set[str]) -> None:
    text = (
        "variables: {dot: a.b}\n"
        "steps: [{send: a, expect: {regex: '(?P<w>id) ${dot} [i-${dot}]s (${dot})+'}}]\n"
    )
    text = text.replace("[i-${dot}]s", "[${dot}i]s")
    assert set(talk(saying(reply), text).kinds) == kinds


@pollers
@pytest.mark.parametrize("chunk", [1, 4, 100])
@pytest.mark.parametrize(
    ("steps", "reply"),
    [
        ("{regex: 'id (?P<id>\\d+)'}", b"id 17\n"),
        ("{frame: {join: ['id ', {length: 2, save: id}, any]}}", b"id 17 and so on\n"),
        ("{frame: {join: ['id ', {length: 2, save: id}, any]}, skip: {regex: TICK}}", b"id 17\n"),
        ("[id, ' ', {length: 2, save: id}, \"\\n\"]", b"id 17\n"),
    ],
)
def test_what_is_saved_is_the_same_in_one_piece_and_in_many(
    poller: str, chunk: int, steps: str, reply: bytes
) -> None:
    seen: list[bytes] = []

    def handler(connection: socket.socket, number: int) -> None:
        while data := connection.recv(65536):
            seen.append(data)
            answer = b"!\n" if data.startswith(b"got") else reply
            for at in range(0, len(answer), chunk):
                connection.sendall(answer[at : at + chunk])

    text = (
        f'steps: [{{send: a, expect: {steps}}}, {{send: "got ${{id}}", expect: {{regex: "!"}}}}]\n'
    )
    assert talk(handler, text, poller=poller).kinds == {}
    assert seen == [b"a", b"got 17"] * 3


def test_what_is_ignored_is_never_the_reply() -> None:
    with Server(saying(b"TICK 1\n", b"answer\n")) as server:
        driven = drive(
            "sockets: {main: {framing: line, ignore: [{regex: 'TICK .*'}]}}\n"
            "steps: [{send: a, expect: {regex: '(?P<all>.*)'}}, {send: b, expect: {not: '${all}'}}]"
            "\nload: {users: 1, iterations: 2}\ntimeout: 300ms\n",
            server.url,
        )
    assert set(driven.kinds) == {"mismatch"}


def test_what_was_captured_stands_in_the_next_regex_of_a_list() -> None:
    text = (
        "steps: [{send: a, expect: [{regex: 'id (?P<id>.*)'}, {not: {regex: '${id}'}},"
        " {regex: '${id}!'}]}]\n"
    )
    assert talk(saying(b"id (x\n", b"y\n", b"(x!\n"), text).kinds == {}
    assert fault(talk(saying(b"id (x\n", b"(x\n", b"(x!\n"), text)) == "mismatch"
