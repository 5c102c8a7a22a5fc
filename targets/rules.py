"""Reply rules: what is sent for each chunk that was read, and how a reply is cut.

A rule sees one chunk and nothing else: neither the connection nor what came before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

Rule = Callable[[bytes], bytes]
RULES: dict[str, Rule] = {
    "echo": lambda chunk: chunk,
    "upper": lambda chunk: chunk.upper(),
    "ok": lambda chunk: b"ok",
    "received": lambda chunk: b"Server received " + repr(chunk).encode(),
    "upper_sb": lambda chunk: chunk.upper() + b"_SB",
    "hello": lambda chunk: b"Hello Client!",
    "sink": lambda chunk: b"",
}


def pieces(reply: bytes, stride: int | None) -> Iterator[bytes]:
    """The reply, cut every `stride` bytes, or whole; nothing if it is empty."""
    step = stride or max(len(reply), 1)
    for at in range(0, len(reply), step):
        yield reply[at : at + step]
