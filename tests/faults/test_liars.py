"""Servers that lie, each in one way: the checker names exactly that way, on every poller."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest
from driving import POLLERS, Driven, Handler, Server, answering, drive, reset

from loadmux.errors import Kind

MESSAGE = b"the quick brown fox jumps over the lazy dog"
REPLY = b"Server received " + repr(MESSAGE).encode()

ONE = f"""
steps:
  - {{name: talk, send: "{MESSAGE.decode()}", expect: reply}}
load: {{users: 1, iterations: 3}}
timeout: 300ms
"""

pollers = pytest.mark.parametrize("poller", POLLERS)


def by_rule(chunk: bytes) -> bytes:
    return b"Server received " + repr(chunk).encode()


def reading(size: int) -> str:
    """The target reads so much at a time; which rule, and where it is, the command line says."""
    return f'target: {{url: "tcp://127.0.0.1:1", reply: {{rule: echo, read_size: {size}}}}}\n'


def lie(handler: Handler, poller: str, text: str = ONE, rule: str = "received") -> Driven:
    with Server(handler) as server:
        return drive(text, server.url, poller, rule)


@pollers
def test_an_honest_server_has_no_faults(poller: str) -> None:
    driven = lie(answering(by_rule), poller)
    assert driven.kinds == {}
    assert driven.stats.iterations == 3
    assert driven.stats.steps["talk"].right == 3


@pollers
def test_a_drip_is_slow_but_right(poller: str) -> None:
    def drip(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            for byte in by_rule(chunk):
                connection.sendall(bytes([byte]))

    driven = lie(drip, poller)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


@pollers
@pytest.mark.parametrize("at", [0, 7, 20, len(REPLY) - 1])
def test_a_flipped_byte_is_corrupt_at_its_offset(poller: str, at: int) -> None:
    def flip(chunk: bytes) -> bytes:
        reply = bytearray(by_rule(chunk))
        reply[at] ^= 0x01
        return bytes(reply)

    driven = lie(answering(flip), poller)
    assert driven.kinds == {"corrupt": 3}
    first = driven.faults[0]
    assert (first.offset, first.step, first.user, first.iteration) == (at, "talk", 0, 0)
    assert first.socket == "main"
    assert first.expected is not None
    assert first.received is not None
    here = at - first.excerpt_at
    assert first.expected[here] == REPLY[at]
    assert first.received[here] == REPLY[at] ^ 0x01


@pollers
def test_one_flip_in_many_exchanges_is_found(poller: str) -> None:
    replies = 0

    def flip_once(chunk: bytes) -> bytes:
        nonlocal replies
        replies += 1
        reply = bytearray(chunk)
        if replies == 777:
            reply[3] ^= 0x80
        return bytes(reply)

    text = ONE.replace("iterations: 3", "iterations: 1000")
    driven = lie(answering(flip_once), poller, text, rule="echo")
    assert driven.kinds == {"corrupt": 1}
    assert driven.faults[0].offset == 3
    assert driven.faults[0].iteration == 776
    assert driven.stats.steps["talk"].right == 999


@pollers
@pytest.mark.parametrize("sent", [0, 10])
def test_an_early_close(poller: str, sent: int) -> None:
    def close_early(connection: socket.socket, number: int) -> None:
        connection.sendall(by_rule(connection.recv(65536))[:sent])
        connection.close()

    driven = lie(close_early, poller)
    assert driven.kinds == {"closed": 3}


@pollers
def test_a_reset_instead_of_a_reply(poller: str) -> None:
    def reset_it(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        reset(connection)

    assert lie(reset_it, poller).kinds == {"reset": 3}


@pollers
def test_silence_is_a_timeout(poller: str) -> None:
    def silent(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            pass

    assert lie(silent, poller).kinds == {"timeout": 3}


@pollers
def test_a_cut_reply_is_truncated_where_it_ends(poller: str) -> None:
    driven = lie(answering(lambda chunk: by_rule(chunk)[:-5]), poller)
    assert driven.kinds == {"truncated": 3}
    assert driven.faults[0].offset == len(REPLY) - 5


@pollers
def test_a_hole_in_the_reply_is_truncated_at_the_hole(poller: str) -> None:
    driven = lie(answering(lambda chunk: by_rule(chunk)[:20] + by_rule(chunk)[24:]), poller)
    assert driven.kinds == {"truncated": 3}
    assert driven.faults[0].offset == 20


@pollers
@pytest.mark.parametrize("rule", ["received", "echo", "upper_sb", "ok", "hello"])
def test_a_reply_that_comes_twice_is_a_duplicate(poller: str, rule: str) -> None:
    replies: dict[str, Callable[[bytes], bytes]] = {
        "received": by_rule,
        "echo": lambda chunk: chunk,
        "upper_sb": lambda chunk: chunk.upper() + b"_SB",
        "ok": lambda chunk: b"ok",
        "hello": lambda chunk: b"Hello Client!",
    }
    twice = answering(lambda chunk: replies[rule](chunk) * 2)
    driven = lie(twice, poller, reading(1024) + ONE, rule=rule)
    assert set(driven.kinds) == {"duplicate"}


@pollers
@pytest.mark.parametrize(("size", "read_size"), [(1, None), (1, 200), (43, 43), (43, 200)])
def test_one_chunk_has_one_reply(poller: str, size: int, read_size: int | None) -> None:
    text = (reading(read_size) if read_size else "") + ONE.replace(MESSAGE.decode(), "m" * size)
    twice = answering(lambda chunk: b"okok")
    driven = lie(twice, poller, text.replace("iterations: 3", "iterations: 1"), "ok")
    assert driven.kinds == {"duplicate": 1}
    assert driven.faults[0].message == "the previous reply (2 bytes) came again"


@pytest.mark.parametrize("read_size", [20, 21])
def test_fewer_replies_than_a_known_read_size_allows_are_missed(read_size: int) -> None:
    """43 bytes in chunks of 20 or 21 are at least three."""
    driven = lie(answering(lambda chunk: b"okok"), "epoll", reading(read_size) + ONE, "ok")
    assert driven.kinds == {"truncated": 3}
    assert "owed: at least one 'ok'" in driven.faults[0].message


@pytest.mark.parametrize(
    ("rule", "offset"), [("received", len(b"Server received b'the quick")), ("upper_sb", 9)]
)
def test_a_chunk_larger_than_the_server_reads(rule: str, offset: int) -> None:
    """It ends with the ninth byte, and the reply goes on."""
    reply = by_rule if rule == "received" else lambda chunk: chunk.upper() + b"_SB"
    driven = lie(answering(reply), "epoll", reading(9) + ONE, rule)
    assert sum(driven.kinds.values()) == 3
    assert driven.faults[0].offset == offset


@pollers
def test_a_duplicate_of_the_last_reply_is_seen_at_the_end(poller: str) -> None:
    twice = answering(lambda chunk: by_rule(chunk) * 2)
    driven = lie(twice, poller, ONE.replace("iterations: 3", "iterations: 1"))
    assert driven.kinds == {"duplicate": 1}
    assert driven.faults[0].step == "talk"


@pollers
def test_extra_bytes_after_a_reply_are_surplus(poller: str) -> None:
    driven = lie(answering(lambda chunk: by_rule(chunk) + b"?!"), poller)
    assert set(driven.kinds) == {"surplus"}


@pollers
def test_a_banner_that_nobody_expects_is_surplus(poller: str) -> None:
    def banner(connection: socket.socket, number: int) -> None:
        connection.sendall(b"220 welcome\r\n")
        answering(by_rule)(connection, number)

    driven = lie(banner, poller)
    assert set(driven.kinds) == {"surplus"}
    assert driven.faults[0].offset == 0


@pollers
def test_another_text_altogether_is_a_mismatch(poller: str) -> None:
    driven = lie(answering(lambda chunk: b"500 internal error, go away, nothing here"), poller)
    assert driven.kinds == {"mismatch": 3}
    assert driven.faults[0].offset == 0


@pollers
def test_replies_swapped_between_two_sockets_are_crosstalk(poller: str) -> None:
    waiting: list[tuple[socket.socket, bytes]] = []
    lock = threading.Lock()

    def swap(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            with lock:
                waiting.append((connection, chunk))
                if len(waiting) < 2:
                    continue
                (one, first), (other, second) = waiting
                waiting.clear()
                one.sendall(by_rule(second))
                other.sendall(by_rule(first))

    text = """
    sockets: {pair: {count: 2}}
    steps:
      - {name: talk, on: pair, send: "this is socket ${socket}", expect: reply}
    load: {users: 1, iterations: 1}
    timeout: 1s
    """
    driven = lie(swap, poller, text)
    assert driven.kinds == {"crosstalk": 1}
    fault = driven.faults[0]
    other = {"pair[0]": "pair[1]", "pair[1]": "pair[0]"}[fault.socket]
    assert fault.belongs_to is not None
    assert other in fault.belongs_to


@pollers
def test_a_reply_on_the_other_idle_socket_is_crosstalk(poller: str) -> None:
    connections: list[socket.socket] = []
    both = threading.Event()

    def misdeliver(connection: socket.socket, number: int) -> None:
        connections.append(connection)
        if len(connections) == 2:
            both.set()
        while chunk := connection.recv(65536):
            both.wait(5)
            connections[1 - number].sendall(by_rule(chunk))

    text = """
    sockets: [first, second]
    before: [{connect: [first, second]}]
    steps: [{name: talk, on: first, send: "for the first socket", expect: reply}]
    load: {users: 1, iterations: 1}
    timeout: 300ms
    """
    driven = lie(misdeliver, poller, text)
    assert driven.kinds == {"crosstalk": 1}
    assert driven.faults[0].belongs_to == "user 0, socket second"


@pollers
def test_replies_in_another_order_are_reordered(poller: str) -> None:
    def backwards(connection: socket.socket, number: int) -> None:
        data = b""
        while len(data) < 40:
            data += connection.recv(65536)
        connection.sendall(data[20:] + data[:20])
        connection.recv(1)

    text = """
    steps:
      - {name: ask, send: "first comes this one"}
      - {name: ask too, send: "and then the other o"}
      - {name: talk, expect: reply}
    load: {users: 1, iterations: 1}
    timeout: 1s
    """
    driven = lie(backwards, poller, text, rule="echo")
    assert driven.kinds == {"reordered": 1}
    assert driven.faults[0].offset == 0


@pollers
def test_a_server_that_never_reads_stalls_the_send(poller: str) -> None:
    enough = threading.Event()

    def deaf(connection: socket.socket, number: int) -> None:
        enough.wait(30)

    text = """
    sockets: {main: {send_buffer: 4KiB}}
    steps: [{name: talk, send: {random: 16MiB}, expect: reply}]
    load: {users: 1, iterations: 1}
    timeout: 300ms
    """
    with Server(deaf) as server:
        driven = drive(text, server.url, poller, "echo")
        enough.set()
    assert driven.kinds == {"send_stalled": 1}


@pollers
def test_nobody_listens(poller: str) -> None:
    with Server(answering(by_rule)) as server:
        url = server.url
    driven = drive(ONE, url, poller, "received")
    assert driven.unreachable is not None
    assert "Connection refused" in driven.unreachable


@pollers
def test_a_server_that_dies_is_reset_or_closed_then_refused(poller: str) -> None:
    server = Server(answering(by_rule))

    def die(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        threading.Thread(target=server.stop_listening).start()
        reset(connection)

    server._handler = die
    text = ONE.replace("iterations: 3", "iterations: 4")
    with server:
        driven = drive(text, server.url, poller, "received")
    assert driven.kinds["reset"] >= 1
    assert set(driven.kinds) <= {"reset", "refused"}
    assert sum(driven.kinds.values()) == 4
    assert driven.unreachable is None


@pollers
def test_a_flood_instead_of_an_end_is_surplus(poller: str) -> None:
    def flood(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            pass
        while True:
            connection.sendall(bytes(4096))

    text = """
    steps:
      - {half_close: main}
      - {name: the end, expect: closed}
    load: {users: 1, iterations: 1}
    timeout: 1s
    """
    assert lie(flood, poller, text).kinds == {"surplus": 1}


@pollers
def test_no_end_after_a_half_close_is_a_timeout(poller: str) -> None:
    stop = threading.Event()

    def no_end(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            pass
        stop.wait(30)

    text = """
    steps:
      - {half_close: main}
      - {name: the end, expect: closed}
    load: {users: 1, iterations: 1}
    timeout: 300ms
    """
    with Server(no_end) as server:
        driven = drive(text, server.url, poller, "echo")
        stop.set()
    assert driven.kinds == {"timeout": 1}
    assert driven.faults[0].step == "the end"


@pollers
def test_an_orderly_close_is_no_reset(poller: str) -> None:
    text = """
    steps:
      - {half_close: main}
      - {name: the end, expect: {reset: true}}
    load: {users: 1, iterations: 1}
    timeout: 1s
    """
    driven = lie(answering(by_rule), poller, text)
    assert driven.kinds == {"closed": 1}


@pollers
def test_what_breaks_a_silence_is_surplus(poller: str) -> None:
    text = """
    steps: [{name: hush, send: "psst", expect: {silence: 200ms}}]
    load: {users: 1, iterations: 1}
    """
    driven = lie(answering(by_rule), poller, text)
    assert driven.kinds == {"surplus": 1}
    assert driven.faults[0].received == by_rule(b"psst")


@pollers
def test_every_kind_has_a_transcript(poller: str) -> None:
    driven = lie(answering(lambda chunk: by_rule(chunk)[:-1] + b"!"), poller)
    moments = driven.faults[0].transcript
    assert [moment.what for moment in moments][:3] == ["connected", "sent", "received"]
    assert moments[1].data == MESSAGE
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)


def test_kinds_are_the_words_of_the_language() -> None:
    words = "refused unreachable connect_timeout tls timeout closed reset send_stalled truncated"
    words += " corrupt duplicate reordered crosstalk surplus mismatch check spinning"
    words += " leaked_descriptors leaked_threads memory_growth not_read not_accepted zombies"
    assert sorted(Kind) == sorted(words.split())
