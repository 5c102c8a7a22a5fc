"""WebSocket frames as a server sends them, written by hand: no mistake is shared with a library."""

from __future__ import annotations

import base64
import hashlib

OPCODES = {"text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}


def served(what: str, body: bytes) -> bytes:
    """A whole message in one frame, not masked (RFC 6455, 5.2)."""
    size = len(body)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes([0x80 | OPCODES[what]]) + length + body


def accepted(request: bytes) -> bytes:
    """The right answer to a request for an upgrade (RFC 6455, 4.2.2)."""
    key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    digest = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + digest + b"\r\n\r\n"
    )
