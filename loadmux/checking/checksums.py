"""Checksums that stand behind the bytes which they protect. No I/O, no state.

Each has its width in bytes and one way to compute it: `crc32` is that of zlib, Ethernet and PNG;
`crc32c` that of iSCSI, SCTP and Kafka; `crc16_modbus` begins with 0xFFFF and goes low bit first;
`crc16_ccitt` begins with 0xFFFF and goes high bit first ("CCITT-FALSE"); `sum8` is the sum of all
bytes, `xor8` their exclusive or.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Callable, Sequence
from functools import cache, partial, reduce
from operator import xor

Compute = Callable[[bytes], int]


@cache
def _table(polynomial: int) -> Sequence[int]:
    """What each byte makes of a sum that goes low bit first."""
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ polynomial * (byte & 1)
        found.append(byte)
    return found


def _reflected(data: bytes, polynomial: int, begin: int) -> int:
    table, found = _table(polynomial), begin
    for byte in data:
        found = found >> 8 ^ table[(found ^ byte) & 0xFF]
    return found


def _crc32c(data: bytes) -> int:
    return _reflected(data, 0x82F63B78, 0xFFFFFFFF) ^ 0xFFFFFFFF


_CHECKSUMS: dict[str, tuple[int, Compute]] = {
    "crc32": (4, zlib.crc32),
    "crc32c": (4, _crc32c),
    "crc16_modbus": (2, partial(_reflected, polynomial=0xA001, begin=0xFFFF)),
    "crc16_ccitt": (2, lambda data: binascii.crc_hqx(data, 0xFFFF)),
    "sum8": (1, lambda data: sum(data) & 0xFF),
    "xor8": (1, lambda data: reduce(xor, data, 0)),
}

NAMES = tuple(_CHECKSUMS)


def width(name: str) -> int:
    """How many bytes a checksum has."""
    return _CHECKSUMS[name][0]


def checksum(name: str, data: bytes) -> int:
    """The checksum of `data`, a number of `width(name)` bytes."""
    return _CHECKSUMS[name][1](data)


def ending(data: bytes) -> tuple[str, int] | None:
    """The checksum that `data` ends with, and how many bytes it has; one byte says nothing."""
    for name in NAMES:
        size = width(name)
        if 1 < size < len(data):
            found = checksum(name, data[:-size])
            if data[-size:] in (found.to_bytes(size, "big"), found.to_bytes(size, "little")):
                return name, size
    return None
