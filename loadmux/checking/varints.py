"""Whole numbers in as many bytes as they need: seven bits a byte, low ones first.

All bytes but the last have their highest bit set. Protobuf, MQTT and LEB128 have them.
"""

from __future__ import annotations

LONGEST = 10
"""Bytes of the longest one that is read: 64 bits."""
LARGEST = 2**64 - 1


def encode(value: int) -> bytes:
    """The shortest bytes for a number. Raises ValueError for a negative or too large one."""
    if not 0 <= value <= LARGEST:
        raise ValueError(f"a varint holds 0 to {LARGEST}, not {value}")
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def decode(data: bytes | bytearray, start: int = 0) -> tuple[int, int] | None:
    """The number that begins at `start`, and how many bytes it has; None if it is not whole yet.

    Longer ones than need be are read, too. Raises ValueError as soon as there are too many bytes.
    """
    value = 0
    for index, byte in enumerate(data[start : start + LONGEST]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value > LARGEST:
                raise ValueError(f"a varint holds at most {LARGEST}, not {value}")
            return value, index + 1
    if len(data) - start >= LONGEST:
        raise ValueError(f"a varint has at most {LONGEST} bytes, and the last of these has more")
    return None
