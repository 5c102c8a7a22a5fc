"""Feeding a verifier in pieces, as a stream comes."""

from __future__ import annotations

from loadmux.checking.verifying import Verifier


def fed(verifier: Verifier, stream: bytes, cuts: list[int]) -> bytes:
    """What is left once the verifier was fed a stream in pieces."""
    rest, ends = b"", sorted({*cuts, len(stream)} - {0})
    for begin, end in zip([0, *ends], ends, strict=False):
        if verifier.wrong_at is None:
            rest += verifier.feed(stream[begin:end]) if begin < end else b""
    return rest
