"""Framings of mixtures, written apart from loadmux's: a mistake of its own is a difference."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Cut = tuple[bytes, bytes]
"""The body of the first frame, and what is behind it."""


@dataclass(frozen=True, slots=True)
class Codec:
    """`option` is the framing in a scenario; `head` bytes stand before a body of one byte. `around`
    makes what stands before and behind the length in the header of the server's frames, which has
    `width` bytes.
    """

    option: Any
    made: Callable[[bytes], bytes]
    cut: Callable[[bytes], Cut | None]
    width: int = 0
    around: Callable[[bytes], tuple[bytes, bytes]] = lambda body: (b"", b"")

    @property
    def binary(self) -> bool:
        """Whether a body may be any bytes."""
        return isinstance(self.option, dict) and "length_prefix" in self.option

    def header(self, body: bytes, filler: bytes) -> bytes:
        """That of a frame, with something else in place of the length."""
        before, behind = self.around(body)
        return before + filler * (self.width - len(before + behind)) + behind

    def head(self, body: bytes) -> int:
        return self.made(body).index(body)


def ended(option: Any, end: bytes, start: bytes = b"") -> Codec:
    def cut(heard: bytes) -> Cut | None:
        body, found, rest = heard.partition(end)
        return (body[len(start) :], rest) if found else None

    return Codec(option, lambda body: start + body + end, cut)


def counted(
    option: dict[str, Any],
    field: Callable[[int], bytes],
    read: Callable[[bytes], int],
    at: int = 0,
    behind: int = 0,
    check: Callable[[bytes], bytes] = lambda body: b"",
) -> Codec:
    """A length of a fixed size, `at` zeros before it and `behind` ones after it."""
    size = len(field(0))
    header = at + size + behind

    def made(body: bytes) -> bytes:
        whole = body + check(body)
        return bytes(at) + field(len(whole)) + bytes(behind) + whole

    def cut(heard: bytes) -> Cut | None:
        if len(heard) < header:
            return None
        end = header + read(heard[at : at + size])
        if len(heard) < end:
            return None
        return heard[header : end - len(check(b""))], heard[end:]

    return Codec(option, made, cut)


def varint(number: int) -> bytes:
    made = b""
    while number > 127:
        made, number = made + bytes([number & 127 | 128]), number >> 7
    return made + bytes([number])


def cut_by_varint(heard: bytes) -> Cut | None:
    number = 0
    for place, byte in enumerate(heard[:5]):
        number |= (byte & 127) << 7 * place
        if byte < 128:
            begin, end = place + 1, place + 1 + number
            return (heard[begin:end], heard[end:]) if len(heard) >= end else None
    return None


def big(size: int, more: int = 0) -> tuple[Callable[[int], bytes], Callable[[bytes], int]]:
    return lambda n: (n + more).to_bytes(size, "big"), lambda b: int.from_bytes(b, "big") - more


def little(size: int, more: int = 0) -> tuple[Callable[[int], bytes], Callable[[bytes], int]]:
    return lambda n: (n + more).to_bytes(
        size, "little"
    ), lambda b: int.from_bytes(b, "little") - more


def tagged() -> Codec:
    """A header that says more than the length."""
    plain = counted(prefix(at=2, bytes=2, header=6), *big(2), at=2, behind=2)

    def around(body: bytes) -> tuple[bytes, bytes]:
        return (sum(body) & 0xFFFF).to_bytes(2, "big"), b"\x11\x22"

    def made(body: bytes) -> bytes:
        before, behind = around(body)
        return before + len(body).to_bytes(2, "big") + behind + body

    return Codec(plain.option, made, plain.cut, 6, around)


def typed() -> Codec:
    """As of MQTT: a type in the first byte, then a varint."""

    def around(body: bytes) -> tuple[bytes, bytes]:
        return bytes([0x30 | sum(body) & 15]), b""

    def made(body: bytes) -> bytes:
        return around(body)[0] + varint(len(body)) + body

    def cut(heard: bytes) -> Cut | None:
        return cut_by_varint(heard[1:])

    return Codec(prefix(at=1, varint=True), made, cut, 2, around)


def crc32(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(4, "big")


def sum8(body: bytes) -> bytes:
    return bytes([sum(body) & 255])


def prefix(**keys: Any) -> dict[str, Any]:
    return {"length_prefix": keys}


CODECS = {
    "line": ended("line", b"\n"),
    "crlf": ended({"delimiter": "\r\n"}, b"\r\n"),
    "marked": ended({"start": "\x02", "end": "\x03"}, b"\x03", b"\x02"),
    "two bytes": counted(prefix(bytes=2, order="big"), *big(2)),
    "counts itself": counted(prefix(bytes=4, order="little", counts_itself=True), *little(4, 4)),
    "adjusted": counted(prefix(bytes=3, adjust=-2), *big(3, 2)),
    "varint": Codec(prefix(varint=True), lambda b: varint(len(b)) + b, cut_by_varint),
    "digits": counted(prefix(digits=4), lambda n: b"%04d" % n, int),
    "inside": counted(prefix(at=2, bytes=2, header=6), *big(2), at=2, behind=2),
    "tagged": tagged(),
    "typed": typed(),
    "crc": counted({**prefix(bytes=2), "check": "crc32"}, *big(2), check=crc32),
    "sum": counted({**prefix(bytes=2), "check": "sum8"}, *big(2), check=sum8),
}
DATAGRAM = Codec(None, lambda body: body, lambda heard: (heard, b""))
