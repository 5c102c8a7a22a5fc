"""HTTP responses that say what they say in the plainest way, read without a parser. No I/O.

Servers that make every response anew (an id in it, the time) mostly write them so: a status line, a
line for each header, then a length or chunks. `plainly` reads only what h11 would take and read
alike, byte for byte; of anything else, right or wrong, it knows nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2}) ([!-~]+(?: [!-~]+)*)\r\n"
    rb"((?:[-!#$%&'*+.^_`|~0-9a-zA-Z]+: ?[!-~]+(?: [!-~]+)*\r\n)+)\r\n"
).match
SIZE = re.compile(rb"[0-9]{1,9}").fullmatch
CHUNK = re.compile(rb"([0-9a-fA-F]{1,7})\r\n").match
WITHOUT_BODY = (b"204", b"304")
MEASURES = frozenset({b"content-length", b"transfer-encoding", b"connection"})
"""Headers on which the end of a response hangs, or of its connection."""


class Plain(NamedTuple):
    """A whole response, after which the connection can be used again."""

    status: int
    reason: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def plainly(data: bytes) -> Plain | None:
    """What answers a request that is no HEAD, if these bytes are just that."""
    found = HEAD(data)
    if found is None:
        return None
    status, reason, lines = found.groups()
    headers = []
    for line in lines.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        headers.append((name.lower(), value.lstrip()))
    body = _body(data, found.end(), [one for one in headers if one[0] in MEASURES])
    if body is None or status in WITHOUT_BODY:
        return None
    return Plain(int(status), reason, tuple(headers), body)


def _body(data: bytes, at: int, measures: list[tuple[bytes, bytes]]) -> bytes | None:
    """What is behind the head, if these headers say just that."""
    told = dict(measures)
    if len(told) < len(measures) or told.pop(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    match list(told.items()):
        case [(b"content-length", size)] if SIZE(size) and len(data) == at + int(size):
            return data[at:]
        case [(b"transfer-encoding", b"chunked")]:
            return _joined(data, at)
    return None


def _joined(data: bytes, at: int) -> bytes | None:
    """What chunks hold that end with the data."""
    parts = list[bytes]()
    while (found := CHUNK(data, at)) is not None:
        begin = found.end()
        end = begin + int(found[1], 16)
        if begin == end:
            return b"".join(parts) if data[end:] == b"\r\n" else None
        if data[end : end + 2] != b"\r\n":
            return None
        parts.append(data[begin:end])
        at = end + 2
    return None
