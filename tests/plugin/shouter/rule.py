"""The reply rule `loud`: the server sends back what it reads, in upper case, each byte twice."""

from __future__ import annotations

from loadmux.checking.rules import ExactRule, Rule
from loadmux.checking.verifying import RuleVerifier


def loud(chunk: bytes) -> bytes:
    if chunk == b"bug":
        raise KeyError("a bug of the plugin")
    return bytes(byte for each in chunk.upper() for byte in (each, each))


def verifier() -> RuleVerifier:
    return ExactRule(loud)


RULE = Rule("loud", loud, verifier)
