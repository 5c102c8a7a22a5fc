"""The rules whose reply does not hang on how a server cuts: what is owed over many messages."""

from __future__ import annotations

from random import Random

import pytest

from loadmux.checking.rules import rule


@pytest.mark.parametrize("seed", range(20))
def test_what_is_owed_is_what_was_sent_and_has_not_come(seed: int) -> None:
    chance, verifier, owed = Random(seed), rule("echo").verifier(), b""
    for _ in range(200):
        if chance.random() < 0.5:
            data = chance.randbytes(chance.randint(1, 9))
            verifier.sent(data, False)
            owed += data
        else:
            if verifier.done or chance.random() < 0.2:
                owed = owed[len(verifier.received) :]
                verifier.restart()
            left = owed[len(verifier.received) :]
            came = left[: chance.randint(0, 9)]
            assert verifier.take(came) == b""
        assert verifier.wrong_at is None
        assert verifier.expected() == owed
        assert verifier.done == (len(verifier.received) == len(owed))


def test_a_wrong_byte_of_the_second_message_is_found() -> None:
    verifier = rule("echo").verifier()
    verifier.sent(b"one", True)
    assert verifier.take(b"one") == b""
    verifier.restart()
    verifier.sent(b"two", True)
    verifier.sent(b"three", False)
    verifier.take(b"twothrXe")
    assert verifier.wrong_at == 6
