"""How a TLS handshake begins, in bytes: for clients that leave in the middle of it."""

from __future__ import annotations

import ssl
from contextlib import suppress

HEADER = 5
"""Bytes of a record ahead of its content, RFC 8446, 5.1."""


def hellos() -> dict[str, bytes]:
    """Beginnings of a handshake, each with what it is called."""
    hello = client_hello()
    return {
        "first byte": hello[:1],
        "record header": hello[:HEADER],
        "half hello": hello[: len(hello) // 2],
        "whole hello": hello,
    }


def client_hello() -> bytes:
    """What a client sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
    return sent.read()
