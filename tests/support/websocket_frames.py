"""WebSocket frames as a server sends them, written by hand: no mistake is shared with a library."""

from __future__ import annotations

OPCODES = {"text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}


def served(what: str, body: bytes) -> bytes:
    """A whole message in one frame, not masked (RFC 6455, 5.2)."""
    size = len(body)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes([0x80 | OPCODES[what]]) + length + body
