"""Replies that are learned: right a thousand times is no reason to be trusted once more.

Each form is answered rightly many times, then with one bit (or byte) wrong, then rightly again: one
fault, of the kind that the form itself would tell, and nothing learned from it.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable, Iterator

import pytest
from driving import POLLERS, Driven, Server, drive
from driving import answering as chunkwise

TIMES = 300
HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n%s\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def answering(replies: Callable[[int], bytes], end: bytes = b"\n") -> Callable[..., None]:
    """Answers the n-th message of a connection, which ends so, with `replies(n)`."""

    def handler(connection: socket.socket, number: int) -> None:
        buffer, count = b"", itertools.count()
        while data := connection.recv(65536):
            buffer += data
            while end in buffer:
                _, _, buffer = buffer.partition(end)
                connection.sendall(replies(next(count)))

    return handler


def lying(right: bytes, wrong: bytes) -> Callable[[int], bytes]:
    """`wrong` once after TIMES right ones; the connection is made anew then, and counts again."""
    lies = iter([wrong])
    return lambda count: next(lies, right) if count == TIMES else right


def talk(step: str, options: str = "", iterations: int = 2 * TIMES, users: int = 1) -> str:
    return (
        f"sockets: {{main: {{{options}}}}}\nsteps: [{{name: ask, {step}}}]\n"
        f"load: {{users: {users}, iterations: {iterations}}}\ntimeout: 2s\n"
    )


def driven(handler: Callable[..., None], text: str, poller: str | None = None) -> Driven:
    with Server(handler) as listening:
        return drive(text, listening.url, poller)


LINE = "framing: line"
HEADED = "framing: {length_prefix: {at: 4, bytes: 4, header: 10}}"
FRAME = b"\0\0\0\0\0\0\0\5--hello"
NOUGHT = "${iteration * 0}"
"""A text that is made anew for each reply."""
FORMS = {
    "within": (r'send: "a\n", expect: hello, within: 1s', "", b"hello", b"hemlo", "corrupt"),
    "within regex": (
        r"send: {frame: a}, expect: {regex: 'hel+o'}, within: 1s",
        LINE,
        b"hello\n",
        b"hallo\n",
        "mismatch",
    ),
    "header": (
        r'send: "a\n", expect: {frame: hello, header:'
        f' {{join: [{{int: "{NOUGHT}", bytes: 4}}, {{length: 6}}]}}}}',
        HEADED,
        FRAME,
        FRAME.replace(b"\0\0\0\0", b"\0\0\0\1", 1),
        "corrupt",
    ),
    "body beside a header": (
        r'send: "a\n", expect: {frame: any, header:'
        ' {join: [{int: any, bytes: 4, save: n}, {length: 4}, "--"]}}',
        HEADED,
        FRAME,
        FRAME.replace(b"--", b"-+"),
        "corrupt",
    ),
    "templated save": (
        f'send: "a\\n", expect: "hello{NOUGHT}", save: told',
        "",
        b"hello0",
        b"hello1",
        "corrupt",
    ),
    "templated frame save": (
        f"send: {{frame: a}}, expect: {{frame: 'hello{NOUGHT}'}}, save: told",
        LINE,
        b"hello0\n",
        b"hemlo0\n",
        "corrupt",
    ),
    "one of": (
        "send: {frame: a}, expect: {one_of: [{frame: bye}, {regex: 'hel+o'}]}",
        LINE,
        b"hello\n",
        b"hallo\n",
        "mismatch",
    ),
    "parts": (
        f"send: {{frame: a}}, expect: {{frame: {{join: [h, {{length: 4, save: n}}, '{NOUGHT}']}}}}",
        LINE,
        b"hello0\n",
        b"hello1\n",
        "corrupt",
    ),
    "open part": (
        f"send: {{frame: a}}, expect: {{frame: {{join: ['{NOUGHT}', {{length: 2}}, any]}}}}",
        LINE,
        b"0hello\n",
        b"1hello\n",
        "corrupt",
    ),
    "any order": (
        r'send: "a\n", expect: {any_order: [{frame: one}, {frame: two}]}',
        LINE,
        b"two\none\n",
        b"two\ntwo\n",
        "duplicate",
    ),
    "any order of the moment": (
        f'send: "a\\n", expect: {{any_order: [{{frame: one}}, {{frame: "two{NOUGHT}"}}]}}',
        LINE,
        b"two0\none\n",
        b"two0\ntwo0\n",
        "duplicate",
    ),
    "regexes": (
        f"send: \"a{NOUGHT}\\n\", expect: [{{regex: 'hel+o'}}, {{regex: 'wor+ld'}}]",
        LINE,
        b"hello\nworld\n",
        b"hello\nwor1d\n",
        "mismatch",
    ),
    "frames in a list": (
        f'send: "a{NOUGHT}\\n", expect: [{{frame: {{starts_with: he}}}}, {{frame: "{NOUGHT}"}}]',
        "framing: {length_prefix: {bytes: 2}}",
        b"\0\5hello\0\0010",
        b"\0\5hello\0\0011",
        "corrupt",
    ),
    "varint": (
        f'send: "a{NOUGHT}\\n", expect: {{frame: {{join: [{{varint: any, save: n}}, "--", any]}}}}',
        "framing: {length_prefix: {varint: true}}",
        b"\6\xac\2--hi",
        b"\6\xac\2-+hi",
        "corrupt",
    ),
    "until in parts": (
        f'send: "a{NOUGHT}\\n", expect: {{frame: {{join: [{{until: ";"}}, hello]}}}}',
        LINE,
        b"a;hello\n",
        b"a;hemlo\n",
        "corrupt",
    ),
    "counted": (
        r'send: "a\n", expect: {frame: {starts_with: hel}}',
        "framing: {length_prefix: {bytes: 2}}",
        b"\0\5hello",
        b"\0\5hallo",
        "mismatch",
    ),
    "list": (
        f'send: "a\\n", expect: [{{until: ";"}}, "two{NOUGHT}"]',
        "",
        b"one;two0",
        b"one;tvo0",
        "corrupt",
    ),
    "ignore": (
        r"send: {frame: '${iteration}'}, expect: {regex: 'hel+o'}",
        f"{LINE}, ignore: [{{regex: 'PING .*'}}]",
        b"hello\n",
        b"hallo\n",
        "mismatch",
    ),
    "resp": (
        r'send: "a\n", expect: {resp: {regex: "hel+o' + NOUGHT + '"}}',
        "",
        b"$6\r\nhello0\r\n",
        b"$6\r\nhallo0\r\n",
        "mismatch",
    ),
    "http body of the moment": (
        f"send: {{http: /}}, expect: {{http: {{body: 'hello{NOUGHT}'}}}}",
        "",
        (HTTP % b"").replace(b"5", b"6") + b"hello0",
        (HTTP % b"").replace(b"5", b"6") + b"hemlo0",
        "mismatch",
    ),
    "http body of the moment in chunks": (
        f"send: {{http: /}}, expect: {{http: {{body: {{regex: '(?P<w>hel+o){NOUGHT}'}}}}}}",
        "",
        CHUNKED + b"2\r\nhe\r\n4\r\nllo0\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nhe\r\n4\r\nlmo0\r\n0\r\n\r\n",
        "mismatch",
    ),
    "length": (r'send: "a\n", expect: {length: 5}', "", b"hello", b"hell", "timeout"),
    "until": (r'send: "a\n", expect: {until: ";"}', "", b"hello;", b"hello:", "timeout"),
    "regex until": (
        r"send: 'a;', expect: {regex: 'hel+o;', until: ';'}".replace("'a;'", r'"a\n"'),
        "",
        b"hello;",
        b"hallo;",
        "mismatch",
    ),
    "regex": (
        r"send: {frame: a}, expect: {regex: 'hel+o'}",
        LINE,
        b"hello\n",
        b"hallo\n",
        "mismatch",
    ),
    "capture": (
        r"send: {frame: a}, expect: {regex: '(?P<who>hel+o)'}",
        LINE,
        b"hello\n",
        b"hallo\n",
        "mismatch",
    ),
    "save": (r'send: "a\n", expect: hello, save: told', "", b"hello", b"hemlo", "corrupt"),
    "frame length": (
        r"send: {frame: a}, expect: {frame: {length: 5}}",
        LINE,
        b"hello\n",
        b"hell\n",
        "truncated",
    ),
    "templated": (
        r"send: {frame: '${iteration}'}, expect: {regex: 'hel+o'}",
        LINE,
        b"hello\n",
        b"hellx\n",
        "mismatch",
    ),
    "http": (
        "send: {http: /}, expect: {http: {status: 200, body: hello}}",
        "",
        HTTP % b"" + b"hello",
        HTTP % b"" + b"hemlo",
        "mismatch",
    ),
    "templated http": (
        "send: {http: '/${iteration}'}, expect: {http: {status: 200, body: hello}}",
        "",
        HTTP % b"" + b"hello",
        HTTP % b"" + b"hellO",
        "mismatch",
    ),
    "http status": (
        "send: {http: /}, expect: {http: {status: 200}}",
        "",
        HTTP % b"" + b"hello",
        (HTTP % b"" + b"hello").replace(b"200", b"201"),
        "mismatch",
    ),
}


STRETCHES = ("any order of the moment", "regexes", "frames in a list", "varint", "until in parts")
"""Forms that are looked at as a whole, which no poller should make a difference to."""
EVERYWHERE = [(form, poller) for form in STRETCHES for poller in POLLERS[1:]]


@pytest.mark.parametrize(("form", "poller"), [*((form, None) for form in FORMS), *EVERYWHERE])
def test_one_wrong_reply_among_many_right_ones_is_one_fault(form: str, poller: str | None) -> None:
    step, options, right, wrong, kind = FORMS[form]
    end = b"\r\n\r\n" if "http" in form else b"\n"
    text = talk(step, options).replace("2s", "300ms")
    found = driven(answering(lying(right, wrong), end), text, poller)
    assert list(found.kinds.values()) == [1], found.kinds
    if kind in ("timeout", "mismatch"):
        assert set(found.kinds) <= {kind, "corrupt", "truncated"}
    else:
        assert found.kinds == {kind: 1}
    assert found.stats.steps["ask"].right == 2 * TIMES - 1


APART = {
    "exact": ("hello", "", b"hello", b"hemlo"),
    "until": ('{until: ";"}', "", b"hello;", b"hello:"),
    "regex": ("{regex: 'hel+o'}", LINE, b"hello\n", b"hallo\n"),
    "frame": ("{frame: 'hello${user}'}", LINE, b"hello0\n", b"hello1\n"),
}


@pytest.mark.parametrize("form", APART)
def test_a_wrong_answer_to_what_was_sent_before_is_one_fault(form: str) -> None:
    reply, options, right, wrong = APART[form]
    text = talk(f'send: "a\\n"}}, {{name: told, expect: {reply}', options, TIMES + 20)
    handler = answering(lying(right, wrong))
    found = driven(handler, text.replace("2s", "300ms"))
    assert list(found.kinds.values()) == [1], found.kinds
    assert found.stats.steps["told"].right == TIMES + 19
    assert found.faults[0].step == "told"


def test_two_answers_that_come_at_once_are_each_given_to_its_own() -> None:
    def handler(connection: socket.socket, number: int) -> None:
        buffer = b""
        while data := connection.recv(65536):
            buffer += data
            if buffer.count(b"\n") == 2:
                connection.sendall(buffer.upper())
                buffer = b""

    steps = (
        "send: {frame: a}}, {send: {frame: b}}, {name: one, expect: {frame: A}},"
        " {name: two, expect: {frame: B}"
    )
    found = driven(handler, talk(steps, LINE, 30))
    assert found.kinds == {}
    assert found.stats.steps["one"].right == found.stats.steps["two"].right == 30


@pytest.mark.parametrize("poller", POLLERS)
@pytest.mark.parametrize("cut", [0, 4, 5, 9])
def test_of_four_answers_at_once_the_wrong_one_is_told_at_its_own_step(
    poller: str, cut: int
) -> None:
    """All come in one piece, or in two, and once the third has one bit wrong."""
    rounds = itertools.count()

    def handler(connection: socket.socket, number: int) -> None:
        buffer = b""
        while data := connection.recv(65536):
            buffer += data
            if buffer.count(b"\n") == 4:
                reply = buffer.replace(b"c", b"k") if next(rounds) == 15 else buffer
                for piece in (reply[:cut], reply[cut:]):
                    connection.sendall(piece)
                buffer = b""

    words = {"one": "a", "two": "b", "three": "c", "four": "d"}
    sent = ", ".join(f"{{send: {{frame: '{text}${{user}}'}}}}" for text in words.values())
    told = ", ".join(
        f"{{name: {name}, expect: {{frame: '{text}${{user}}'}}}}" for name, text in words.items()
    )
    text = f"sockets: {{main: {{{LINE}}}}}\nsteps: [{sent}, {told}]\nload: {{iterations: 30}}\n"
    found = driven(handler, text, poller)
    assert found.kinds == {"corrupt": 1}
    assert found.faults[0].step == "three"
    assert [found.stats.steps[name].right for name in words] == [30, 30, 29, 29]


@pytest.mark.parametrize("poller", POLLERS)
def test_within_bounds_the_whole_wait_of_a_reply_that_drips(poller: str) -> None:
    """Each piece comes in time, the last one does not."""

    def drip(connection: socket.socket, number: int) -> None:
        connection.settimeout(0.12)
        with contextlib.suppress(OSError):
            for piece in b"hello, world":
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(100):
                        return
                connection.sendall(bytes([piece]))

    step = "send: a, expect: 'hello, world', within: 400ms"
    found = driven(drip, talk(step, iterations=1), poller)
    assert found.kinds == {"timeout": 1}
    found = driven(drip, talk(step.replace("400ms", "9s"), iterations=1), poller)
    assert found.kinds == {}


@pytest.mark.parametrize("poller", POLLERS)
def test_surplus_behind_a_learned_reply_is_found(poller: str) -> None:
    replies = lying(b"hello", b"hello!")
    text = talk(r'send: "a\n", expect: {length: 5}')
    found = driven(answering(replies), text, poller)
    assert found.kinds == {"surplus": 1}


@pytest.mark.parametrize("poller", POLLERS)
def test_a_learned_reply_that_comes_in_pieces_is_right(poller: str) -> None:
    def handler(connection: socket.socket, number: int) -> None:
        for count in itertools.count():
            if not connection.recv(100):
                return
            at = count % 6
            for piece in (b"hello;"[:at], b"hello;"[at:]):
                if piece:
                    connection.sendall(piece)

    found = driven(handler, talk(r'send: "a\n", expect: {until: ";"}', iterations=60), poller)
    assert found.kinds == {}
    assert found.stats.total.right == 60


def test_each_user_gets_what_its_own_reply_says() -> None:
    """What one user's reply was learned from is not what another's `save` and regex see."""

    def echo(connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                connection.sendall(b"told " + line)

    text = (
        f"sockets: {{main: {{{LINE}}}}}\n"
        "steps:\n"
        "  - send: {frame: 'I am ${user}'}\n"
        "    expect: {regex: 'told I am (?P<who>\\d+)'}\n"
        "    save: all\n"
        "  - {send: {frame: '${who} ${all}'}, expect: {frame: 'told ${user} told I am ${user}'}}\n"
        "load: {users: 7, iterations: 60}\n"
    )
    found = driven(echo, text)
    assert found.kinds == {}
    assert found.stats.total.right == 7 * 60 * 2


def test_replies_that_take_turns_are_all_judged_and_saved() -> None:
    texts: Iterator[bytes] = itertools.cycle([b"aa", b"bb", b"cc"])
    told: list[bytes] = []

    def handler(connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"got "):
                    assert line == b"got " + told[-1] + b"\n", line
                    connection.sendall(b"yes\n")
                else:
                    told.append(next(texts))
                    connection.sendall(told[-1] + b"\n")

    text = (
        f"sockets: {{main: {{{LINE}}}}}\n"
        "steps:\n"
        "  - {send: {frame: ask}, expect: {frame: {length: 2}}, save: it}\n"
        "  - {send: {frame: 'got ${it}'}, expect: {frame: 'yes'}}\n"
        "load: {users: 1, iterations: 50}\n"
    )
    assert driven(handler, text).kinds == {}
    assert len(told) == 50


def test_a_reply_after_which_the_connection_ends_is_never_learned() -> None:
    connections: list[int] = []

    def handler(connection: socket.socket, number: int) -> None:
        connections.append(number)
        connection.recv(1000)
        connection.sendall(HTTP % b"Connection: close\r\n" + b"hello")
        connection.shutdown(socket.SHUT_WR)

    found = driven(handler, talk("send: {http: /}, expect: {http: {status: 200}}", iterations=20))
    assert found.kinds == {}
    assert len(connections) == 20


def test_a_reply_that_the_end_ends_is_never_learned() -> None:
    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(1000)
        connection.sendall(b"hello" if number < 15 else b"hell")
        connection.shutdown(socket.SHUT_WR)

    step = 'send: "a", expect: {frame: {length: 5}}'
    found = driven(handler, talk(step, "framing: until_close", iterations=20))
    assert found.kinds == {"truncated": 5}


def test_the_answer_to_head_is_not_taken_for_that_to_get() -> None:
    """The same form of reply, to two methods: the one has a body, the other none."""

    def handler(connection: socket.socket, number: int) -> None:
        while data := connection.recv(1000):
            connection.sendall(HTTP % b"" + (b"" if data.startswith(b"HEAD") else b"hello"))

    steps = (
        "send: {http: '/${iteration}'}, expect: {http: {status: 200}}}, {name: other,"
        " send: {http: {method: HEAD, path: '/${iteration}'}}, expect: {http: {status: 200}}"
    )
    found = driven(handler, talk(steps, iterations=20))
    assert found.kinds == {}
    assert found.stats.total.right == 40


def test_a_push_beside_a_reply_is_not_learned_with_it() -> None:
    push = b">2\r\n+message\r\n+hi\r\n"

    def handler(connection: socket.socket, number: int) -> None:
        count = 0
        while connection.recv(1000):
            count += 1
            connection.sendall(push * (count % 3 == 0) + b"+PONG\r\n")

    found = driven(
        handler, talk("send: {resp: [PING]}, expect: {resp: {regex: 'PO.G'}}", iterations=30)
    )
    assert found.kinds == {}
    assert found.stats.passed_over == 10


def test_a_reply_that_answers_every_user_alike_is_not_what_a_rule_owes() -> None:
    """A socket whose other steps check by the rule: what a `length` left of it is still owed."""
    text = (
        "target: {url: 'tcp://127.0.0.1:1', reply: echo}\n"
        "steps:\n"
        "  - {send: hello, expect: {length: 2}}\n"
        "  - {expect: llo}\n"
        "  - {send: more, expect: reply}\n"
        "load: {iterations: 30}\n"
    )

    assert driven(chunkwise(lambda chunk: chunk), text).kinds == {}


def test_open_load_learns_and_counts_from_the_intended_start() -> None:
    step = r'send: "a\n", expect: {until: ";"}'
    text = talk(step).replace(
        "users: 1, iterations: 600", "rate: 500/s, max_users: 3, run_time: 400ms"
    )
    found = driven(answering(lambda count: b"hello;"), text)
    assert found.kinds == {}
    row = found.stats.steps["ask"]
    assert row.right == found.stats.begun > 0
    assert row.service is not None
    assert row.service.total <= row.histogram.total
