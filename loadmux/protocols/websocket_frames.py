"""WebSocket's frames on the wire (RFC 6455, section 5): how ours are written, what a close says."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from wsproto.frame_protocol import Opcode, ParseFailed

from loadmux.checking.framing import Frame

What = Literal["text", "binary", "ping", "pong", "close"]
FIN = 0x80
MASKED = 0x80
SHORT = 125
MOST_CONTROL = 125
NO_STATUS = 1005
OPCODES: dict[What, Opcode] = {
    "text": Opcode.TEXT,
    "binary": Opcode.BINARY,
    "ping": Opcode.PING,
    "pong": Opcode.PONG,
    "close": Opcode.CLOSE,
}


@dataclass(frozen=True, slots=True)
class Message(Frame):
    """A whole message, or a pong or close; a close's body is what follows its code."""

    what: What
    code: int = 0


def frame(what: What, body: bytes, mask: bytes) -> bytes:
    """One unfragmented client frame; RFC 6455, section 5.2."""
    size = len(body)
    head = bytes([FIN | OPCODES[what]])
    if size <= SHORT:
        head += bytes([MASKED | size])
    elif size < 1 << 16:
        head += bytes([MASKED | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([MASKED | 127]) + size.to_bytes(8, "big")
    return head + mask + masked(body, mask)


def masked(body: bytes, mask: bytes) -> bytes:
    """Each byte is combined with one of the mask's four in turn (exclusive or)."""
    size = len(body)
    pad = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(body, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


def answer_to(what: What, body: bytes) -> bytes:
    return frame(what, body, zlib.crc32(body).to_bytes(4, "big"))


def served(what: What, body: bytes) -> bytes:
    """The frame of a server, in one piece, unmasked."""
    size = len(body)
    head = bytes([FIN | OPCODES[what]])
    if size <= SHORT:
        return head + bytes([size]) + body
    if size < 1 << 16:
        return head + b"\x7e" + size.to_bytes(2, "big") + body
    return head + b"\x7f" + size.to_bytes(8, "big") + body


def closing(body: bytes) -> tuple[int, bytes]:
    """Code and reason of a close frame; RFC 6455, section 5.5.1. Raises ParseFailed."""
    if not body:
        return NO_STATUS, b""
    code = int.from_bytes(body[:2], "big")
    if len(body) == 1 or not (1000 <= code <= 1014 or 3000 <= code <= 4999):
        raise ParseFailed(f"a close frame with the code {code}")
    if code in (1004, 1005, 1006):
        raise ParseFailed(f"a close frame with the code {code}, which is never sent")
    try:
        body[2:].decode()
    except UnicodeDecodeError:
        raise ParseFailed("a close frame whose reason is no UTF-8") from None
    return code, body[2:]


def said(reason: bytes) -> str:
    return f" {reason.decode()!r}" if reason else ""
