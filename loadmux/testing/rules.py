"""Does a reply rule accept what a right server says, however it was cut, and nothing else?"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence

from loadmux.checking.rules import Rule
from loadmux.checking.verifying import RuleVerifier

Server = Callable[[bytes], bytes]
"""What a right server sends for a chunk that it reads."""


def check_rule(rule: Rule, server: Server, messages: Sequence[bytes]) -> None:
    """Check a rule beside a right server, with short messages. Raises AssertionError.

    Replies to every cutting of a message in two, and to its bytes one by one, must be accepted,
    however they arrive; each of them with a byte flipped, dropped or added must not, unless that is
    what the server says for another cutting.
    """
    assert pickle.loads(pickle.dumps(rule)).name == rule.name, "a rule must be picklable"
    assert rule.verifier().done, "a new verifier owes nothing: done"
    for message in messages:
        assert message, "check_rule needs messages of at least one byte"
        right = {b"".join(map(server, chunks)) for chunks in cuttings(message)}
        for reply in right:
            _accepts(rule, message, reply)
            for wrong in damaged(reply):
                if wrong not in right:
                    _refuses(rule, message, reply, wrong)
        _likely(rule, server, message)
        _owes(rule, server, message)


def cuttings(message: bytes) -> Iterator[list[bytes]]:
    """Ways in which a server may read a message: whole, in two, byte by byte."""
    yield [message]
    for cut in range(1, len(message)):
        yield [message[:cut], message[cut:]]
    yield [message[i : i + 1] for i in range(len(message))]


def damaged(reply: bytes) -> Iterator[bytes]:
    for at in range(len(reply)):
        yield reply[:at] + bytes([reply[at] ^ 1]) + reply[at + 1 :]
        yield reply[:at] + reply[at + 1 :]
    for at in range(len(reply) + 1):
        yield reply[:at] + b"\x7f" + reply[at:]


def owing(rule: Rule, message: bytes) -> RuleVerifier:
    """A verifier of what answers a message that was sent in several pieces."""
    verifier = rule.verifier()
    verifier.sent(message, False)
    return verifier


def _accepts(rule: Rule, message: bytes, reply: bytes) -> None:
    ways = [[reply], *([reply[:cut], reply[cut:]] for cut in range(1, len(reply)))]
    ways.append([reply[i : i + 1] for i in range(len(reply))])
    for way in ways:
        verifier = owing(rule, message)
        rest = b""
        for chunk in filter(None, way):
            assert not rest, f"{rule.name}: {rest!r} of the right reply {reply!r} was given back"
            rest = verifier.feed(chunk)
        how = f"{rule.name}: the right reply {reply!r} to {message!r}, come as {way!r},"
        assert verifier.wrong_at is None, f"{how} is said to be wrong at {verifier.wrong_at}"
        assert not rest, f"{how} is not taken wholly: {rest!r} is left"
        assert verifier.done, f"{how} is not done: owed is {verifier.owed()}"
        assert bytes(verifier.received) == reply, f"{how} is kept as {verifier.received!r}"


def _refuses(rule: Rule, message: bytes, reply: bytes, wrong: bytes) -> None:
    verifier = owing(rule, message)
    rest = verifier.feed(wrong) if wrong else b""
    refused = verifier.wrong_at is not None or rest or not verifier.idle
    assert refused, f"{rule.name}: {wrong!r} is accepted for {message!r}, beside {reply!r}"
    if verifier.wrong_at is not None:
        assert 0 <= verifier.wrong_at <= len(wrong), f"{rule.name}: wrong_at {verifier.wrong_at}"


def _likely(rule: Rule, server: Server, message: bytes) -> None:
    likely = rule.likely(message)
    if likely is None:
        return
    said = server(message)
    assert likely == said, f"{rule.name}: likely({message!r}) is {likely!r}, not {said!r}"
    verifier = rule.verifier()
    verifier.sent(message, True)
    rest = verifier.feed(likely) if likely else b""
    right = verifier.done and not rest and verifier.wrong_at is None
    assert right, f"{rule.name}: its verifier does not accept likely({message!r}), {likely!r}"
    assert verifier.idle, f"{rule.name}: after likely({message!r}) something more may come (idle)"


def _owes(rule: Rule, server: Server, message: bytes) -> None:
    """While something is missing, `owed` says what, in one line."""
    verifier = owing(rule, message)
    if server(message):
        assert not verifier.done, f"{rule.name}: done before anything came for {message!r}"
        owed = verifier.owed()
        assert owed.strip(), f"{rule.name}: owed() says nothing"
        assert len(owed.splitlines()) == 1, f"{rule.name}: owed() must be one line, not {owed!r}"
