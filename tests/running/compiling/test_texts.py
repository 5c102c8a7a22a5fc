"""Texts whose constant parts are joined beforehand are what joining all parts gives."""

from __future__ import annotations

import random
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from loadmux.running.compiling import texts
from loadmux.running.compiling.texts import Named

USER: Any = SimpleNamespace(number=7, iteration=41, random=random.Random(1))
NUMBER = Named("user", lambda user, name, sent: b"%d" % user.number)
ITERATION = Named("iteration", lambda user, name, sent: b"%d" % user.iteration)
SOCKET = Named("socket", lambda user, name, sent: name.encode())
SENT = Named("sent", lambda user, name, sent: sent)
OTHER = Named("", lambda user, name, sent: b"other")


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([b"100% of ", NUMBER], b"100% of 7"),
        ([NUMBER, b"%d", ITERATION, b"%"], b"7%d41%"),
        ([SOCKET, b": ", ITERATION], b"50%: 41"),
        ([SOCKET], b"50%"),
        ([b"a", SOCKET, b"b"], b"a50%b"),
        ([b"a ", SENT], b"a said"),
        ([SENT, b" b"], b"said b"),
        ([SENT], b"said"),
        ([OTHER, SENT], b"othersaid"),
        ([b"a", OTHER, NUMBER, b"b"], b"aother7b"),
    ],
)
def test_a_text_is_its_parts(parts: list[bytes | Named], text: bytes) -> None:
    render = texts.text(parts)
    assert [render(USER, "50%", b"said") for _ in range(2)] == [text, text]


def test_a_text_is_made_anew_for_each_user_and_socket() -> None:
    render = texts.text([NUMBER, SOCKET])
    others: Any = SimpleNamespace(number=8, iteration=0)
    assert render(USER, "a", b"") == b"7a"
    assert render(others, "b", b"") == b"8b"
    assert render(USER, "b", b"") == b"7b"


@pytest.mark.parametrize("seed", range(50))
def test_a_uuid_is_that_of_the_standard_library(seed: int) -> None:
    user: Any = SimpleNamespace(random=random.Random(seed))
    expected = uuid.UUID(int=random.Random(seed).getrandbits(128), version=4)
    assert texts.uuid(user, "", b"") == str(expected).encode()
