"""Texts read backwards: who would have had these bytes as a right reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmux.checking.recognition import LONGEST, Owner, Recognized, Shape
from loadmux.checking.rules import rule
from loadmux.checking.simple import line
from loadmux.plugins.formulas import Formula, Variable
from loadmux.plugins.payloads import Data, Framed, Joined, Payload, Random, Repeated, Text
from loadmux.running.compiling.recognizing import Shapes
from loadmux.running.steps.framed import unframed

USER, ITERATION, SOCKET, UUID = (Variable(name) for name in ("user", "iteration", "socket", "uuid"))
A_UUID = b"01234567-89ab-4cde-8f01-23456789abcd"
B_UUID = A_UUID[::-1].replace(b"-", b"0")[:8] + A_UUID[8:]


def fold(text: Text) -> Sequence[bytes | Variable | Formula]:
    return [part.encode() if isinstance(part, str) else part for part in text.parts]


def rows(column: str) -> Owner | None:
    names = {b"alice": 3, b"bob": 4}
    return names.get if column == "account.name" else None


SHAPES = Shapes(fold, rows, ["main", "pair[0]", "pair[1]"])
TALK = Text(("hello ", USER, " at ", ITERATION, " on ", SOCKET, "\n"))
TALKED = b"hello 12 at 3 on pair[1]\n"


def shape(payload: Payload, sent: Payload | None = None) -> Shape:
    found = SHAPES.shape(payload, sent)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "came",
    [TALKED, TALKED + b"hello 4 at 0 on main\n"],
)
def test_who_and_which(came: bytes) -> None:
    found = shape(TALK).read(came, b"hello 4 at 0 on main\n")
    assert found == Recognized(TALKED, 12, 3, "pair[1]")


@pytest.mark.parametrize(
    "came",
    [
        b"",
        b"hello",
        TALKED[:-1],
        TALKED + b"x",
        b"x" + TALKED,
        b"hello 012 at 3 on main\n",
        b"hello -1 at 3 on main\n",
        b"hello 12 at 3 on pair\n",
        b"hello 12 at 3 on pair[2]\n",
        b"hello 12 at 3 on pair[1]\n\n",
    ],
)
def test_what_is_nobody_s(came: bytes) -> None:
    assert shape(TALK).read(came, b"hello 4 at 0 on main\n") is None


@pytest.mark.parametrize(
    ("payload", "came", "user"),
    [
        (Joined((Data(b"\x00"), Text(("user ", USER)))), b"\x00user 8", 8),
        (Repeated(Text((USER, "|")), 3), b"8|8|8|", 8),
        (Repeated(Text((USER, "|")), 3), b"8|8|9|", None),
        (Joined((Text(("user ", USER, ": ")), Random(4))), b"user 8: \n\xff\x00.", 8),
        (Text(("I am ", Variable("account.name"))), b"I am bob", 4),
        (Text(("I am ", Variable("account.name"))), b"I am carol", None),
        (Text(("user ", USER, " has ", Variable("token"))), b"user 8 has 77", 8),
    ],
)
def test_forms(payload: Payload, came: bytes, user: int | None) -> None:
    found = shape(payload).read(came, b"")
    assert (None if found is None else found.user) == user


def test_what_was_sent_stands_in_the_reply() -> None:
    reply = Text(("you said: ", Variable("sent")))
    found = shape(reply, TALK).read(b"you said: " + TALKED, b"")
    assert found is not None
    assert (found.user, found.iteration) == (12, 3)


def test_a_uuid_says_only_that_the_form_is_right() -> None:
    made = shape(Text(("job ", UUID, " done")))
    found = made.read(b"job %s done" % B_UUID, b"job %s done" % A_UUID)
    assert found is not None
    assert (found.user, found.likewise) == (None, True)
    assert made.read(b"job %s done" % B_UUID[:-1], b"job %s done" % A_UUID) is None


def test_what_a_step_saved_is_ours_unless_the_owner_is_known() -> None:
    with_user = shape(Text(("user ", USER, " has ", Variable("token"), "\n")))
    ours = b"user 1 has abc\n"
    assert with_user.read(b"user 2 has xyz\n", ours) == Recognized(b"user 2 has xyz\n", 2)
    assert with_user.read(b"user 1 has xyz\n", ours) is None
    without = shape(Text(("iteration ", ITERATION, " has ", Variable("token"), "\n")))
    assert without.read(b"iteration 1 has xyz\n", b"iteration 2 has abc\n") is None


@pytest.mark.parametrize(
    "payload",
    [
        None,
        Data(b"constant"),
        Text(("constant",)),
        Text((Variable("saved"),)),
        Random(8),
        Repeated(Text((USER,)), 1000),
        Text((USER, *(Variable(f"v{number}") for number in range(4)))),
        Framed(Text((USER,)), line()),
        Text((Variable("sent"),)),
    ],
)
def test_what_says_nothing_of_anybody(payload: Payload | None) -> None:
    assert SHAPES.shape(payload) is None


@pytest.mark.parametrize("open_parts", [0, 1, 2, 3])
def test_the_more_may_be_anything_the_shorter_is_what_is_looked_at(open_parts: int) -> None:
    """The worst that there is for a pattern: wherever a part may end, the next one begins."""
    parts = [part for number in range(open_parts) for part in (" ", Variable(f"v{number}"), " ")]
    made = shape(Text((USER, *parts, " end")))
    long = LONGEST[open_parts]
    worst = b"1 " + b" " * (long - 3) + b"x"
    assert made.read(worst, b"") is None
    assert made.read(worst + b" " * long, b"") is None
    assert made.read(b"1" + b" " * 8 * open_parts + b" end", b"") is not None


CASES: dict[str, Callable[[bytes], bytes]] = {
    "echo": bytes,
    "upper": bytes.upper,
    "received": lambda sent: rule("received").likely(sent) or b"",
    "upper_sb": lambda sent: sent.upper() + b"_SB",
}


@given(
    st.sampled_from(sorted(CASES)),
    st.booleans(),
    st.integers(0, 10**17),
    st.integers(0, 10**6),
    st.sampled_from(["main", "pair[0]", "pair[1]"]),
)
def test_by_a_rule_and_in_a_frame(
    name: str, framed: bool, user: int, iteration: int, socket: str
) -> None:
    text = Text(("it's \"", USER, '" at ', ITERATION, " on ", SOCKET))
    said = f'it\'s "{user}" at {iteration} on {socket}'.encode()
    made = SHAPES.by_rule(name, text, unframed(line()) if framed else None)
    assert made is not None
    reply = CASES[name](said) + (b"\n" if framed else b"")
    assert made.read(reply, b"") == Recognized(reply, user, iteration, socket)
    assert made.read(reply + (b"more" if framed else b""), b"") == Recognized(
        reply, user, iteration, socket
    )


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_can_be_looked_at(came: bytes, right: bytes) -> None:
    for name in (*CASES, "ok", "sink"):
        for opened in (None, unframed(line())):
            made = SHAPES.by_rule(name, TALK, opened)
            assert made is None or made.read(came, right) is None
